//! Draws the window: panels around the conversation, dialogs and toasts above. Everything a person
//! does comes out as commands.

use egui::containers::panel::PanelState;
use egui::{CentralPanel, Frame, Margin, Panel, Ui};
use jiff::tz::TimeZone;

use super::chat::LiveReply;
use super::dialogs::dialogs_ui;
use super::state::Window;
use super::trajectories::trajectories;
use crate::engine::Outcome;
use crate::model::FileKind;
use crate::session::id::now_ms;
use crate::session::{NodeId, NodeState, Role};
use crate::ui::conversations::{ConversationsView, conversations_ui};
use crate::ui::dialogs::Dialog;
use crate::ui::drop::drop_ui;
use crate::ui::engine_state::LastReply;
use crate::ui::guidance::GuidanceView;
use crate::ui::guidance::tree::{TreeView, tree_ui};
use crate::ui::header::{HeaderView, header_ui};
use crate::ui::model::CardView;
use crate::ui::reward::{JudgeView, RewardView};
use crate::ui::sampling::SamplingView;
use crate::ui::side::{SideView, side_ui};
use crate::ui::status::{ContextUse, status_ui};
use crate::ui::stores::StoresView;
use crate::ui::theme::tokens;
use crate::ui::toasts::toasts_ui;
use crate::ui::transcript::{
    ComposerView, EmptyContent, MessageView, StreamingReply, TranscriptView, Versions,
    conversation_ui,
};
use crate::ui::vectors::VectorsView;
use crate::ui::{Action, Command};

/// Prompts to try on an empty page.
const EXAMPLES: [&str; 3] = [
    "Tell me a short story",
    "Why is the sky blue?",
    "My landlord wants to raise the rent. What are my rights?",
];

/// The panels at the sides, by the name their state is kept under.
const LEFT: &str = "conversations";
const RIGHT: &str = "model";

/// Draws one frame; returns what the person asked for.
pub fn window_ui(ui: &mut Ui, window: &mut Window) -> Vec<Command> {
    let mut commands = Vec::new();
    let colors = tokens(ui);
    let status = Frame::new().fill(colors.panel).inner_margin(Margin::symmetric(14, 0));
    Panel::bottom("status").exact_size(30.0).frame(status).show(ui, |ui| {
        let capacity = window.engine.model.as_ref().map(|model| model.cache_length);
        let used = capacity.and_then(|capacity| context_use(window, capacity));
        status_ui(ui, &window.engine, used);
    });
    left_ui(ui, window, &mut commands);
    right_ui(ui, window, &mut commands);
    let (left, right) = (panel_width(ui, LEFT), panel_width(ui, RIGHT));
    window.note_panels(left, right);
    CentralPanel::default().frame(Frame::new().fill(colors.canvas)).show(ui, |ui| {
        middle_ui(ui, window, &mut commands);
    });
    dialogs_ui(ui, window, &mut commands);
    drop_ui(ui.ctx());
    toasts_ui(ui.ctx(), &mut window.panels.toasts, &mut commands);
    commands
}

/// How wide a panel was before it was hidden or a drag of its edge began.
fn panel_width(ui: &Ui, name: &'static str) -> Option<f32> {
    PanelState::load(ui.ctx(), ui.scope_id().with_salt(egui::IdSalt::new(name)))
        .map(|state| state.size().x)
}

/// What the reply under way takes, or what was counted last.
fn context_use(window: &Window, capacity: usize) -> Option<ContextUse> {
    let is_here = window.reply.as_ref().is_some_and(|live| live.conversation == window.chat.id);
    match &window.engine.reply {
        Some(reply) if is_here && reply.prompt_tokens > 0 => {
            Some(ContextUse { used: reply.prompt_tokens + reply.tokens, draft: 0, capacity })
        }
        _ => window.counting.context_use(capacity),
    }
}

fn left_ui(ui: &mut Ui, window: &mut Window, commands: &mut Vec<Command>) {
    let frame = Frame::new().fill(tokens(ui).panel).inner_margin(Margin {
        left: 12,
        right: 10,
        top: 10,
        bottom: 6,
    });
    let zone = TimeZone::system();
    let view = ConversationsView {
        conversations: &window.library.conversations,
        has_more: window.library.next.is_some() && !window.library.is_reading,
        trash: &window.library.trash,
        hits: window.library.hits.as_deref(),
        open: window.chat.has_begun().then_some(window.chat.id),
        writing: window.reply.as_ref().map(|reply| reply.conversation),
        now_ms: now_ms(),
        zone: &zone,
        situation: window.situation(),
    };
    let (mut shown, _) = window.panels_shown();
    let was_shown = shown;
    let state = &mut window.panels.conversations;
    Panel::left(LEFT)
        .default_size(window.settings.window.sidebar_width as f32)
        .size_range(200.0..=420.0)
        .frame(frame)
        .show_collapsible(ui, &mut shown, |ui| conversations_ui(ui, &view, state, commands));
    // Its edge can be dragged until it is gone.
    if shown != was_shown {
        commands.push(Command::Act(Action::ToggleLeftPanel));
    }
}

fn right_ui(ui: &mut Ui, window: &mut Window, commands: &mut Vec<Command>) {
    let frame = Frame::new().fill(tokens(ui).panel).inner_margin(Margin {
        left: 14,
        right: 8,
        top: 10,
        bottom: 0,
    });
    let own = window.chat.system_prompt.as_deref();
    let lines = trajectories(&window.chat, window.reply.as_ref(), window.judge.as_ref());
    let recommended = window.engine.model.as_ref().and_then(|model| model.recommended.as_ref());
    // Its dialog says how far it is.
    let is_said = matches!(window.panels.dialog, Some(Dialog::Making | Dialog::Learning));
    let being_made = |kind: FileKind| {
        window.making.as_ref().filter(|one| !is_said && one.making.makes() == kind)
    };
    let view = SideView {
        card: CardView { engine: &window.engine },
        vectors: VectorsView {
            plan: &window.chat.plan,
            known: &window.vectors,
            model: window.engine.model.as_deref(),
            last_change: window.engine.kv_policy,
            history_tokens: context_use(window, usize::MAX).map_or(0, |used| used.used),
            conversation: window.chat.id.0,
            aligned: window.engine.aligned.as_ref(),
            found: &window.engine.found,
            measures: window.measures,
            divergence: &window.engine.divergence,
            making: being_made(FileKind::Vector),
        },
        reward: RewardView {
            plan: &window.chat.plan,
            known: &window.rewards,
            model: window.engine.model.as_deref(),
            learning: being_made(FileKind::Reward),
            is_replying: window.reply.is_some(),
            trajectories: &lines,
            judge: window.judge.as_ref().map(|judge| JudgeView {
                name: &judge.name,
                path: &judge.path,
                is_reading: judge.is_reading(),
            }),
        },
        guidance: GuidanceView {
            plan: &window.chat.plan,
            model: window.engine.model.as_deref(),
            prompt_tokens: context_use(window, usize::MAX).map_or(0, |used| used.used),
            rows_per_sec: window.engine.last.as_ref().and_then(LastReply::rows_per_sec),
        },
        hides_tree: window.panels.hides_tree && !window.boundaries().is_empty(),
        stores: StoresView {
            plan: &window.chat.plan,
            stores: &window.stores,
            model: window.engine.model.as_deref(),
            weighed: window.weighed.as_ref(),
            is_paused: window.builds_are_paused,
        },
        sampling: SamplingView { plan: &window.chat.plan, presets: &window.presets, recommended },
        system_prompt: own.unwrap_or(&window.settings.system_prompt),
        system_folded: window.engine.model.as_ref().is_some_and(|model| model.system_folded),
        conversation: window.chat.id.0,
    };
    let (_, mut shown) = window.panels_shown();
    let was_shown = shown;
    let state = &mut window.panels.side;
    Panel::right(RIGHT)
        .default_size(window.settings.window.side_panel_width as f32)
        .size_range(270.0..=460.0)
        .frame(frame)
        .show_collapsible(ui, &mut shown, |ui| side_ui(ui, &view, state, commands));
    if shown != was_shown {
        commands.push(Command::Act(Action::ToggleRightPanel));
    }
}

fn middle_ui(ui: &mut Ui, window: &mut Window, commands: &mut Vec<Command>) {
    let frame = Frame::new().inner_margin(Margin::symmetric(14, 0));
    let (shows_left, shows_right) = window.panels_shown();
    let header = HeaderView {
        title: window.chat.title(),
        shows_left,
        shows_right,
        situation: window.situation(),
    };
    Panel::top("header")
        .exact_size(44.0)
        .show_separator_line(false)
        .frame(frame)
        .show(ui, |ui| header_ui(ui, &header, commands));

    candidates_ui(ui, window, commands);
    read_references(window);
    let live = window.reply.as_ref().filter(|live| live.conversation == window.chat.id);
    let tree = &window.chat.tree;
    let read = &window.references;
    let references = |id: NodeId| read.get(&id).map_or(&[][..], Vec::as_slice);
    let versions = |id: NodeId| Versions {
        ids: tree.versions(id),
        index: tree.version_of(id).map_or(0, |(index, _)| index),
    };
    let path = tree.active_path();
    let shows_live = live.is_some_and(|live| path.iter().any(|node| node.id == live.node.id));
    let messages: Vec<MessageView<'_>> = path
        .iter()
        .filter(|node| live.is_none_or(|live| live.node.id != node.id))
        .map(|node| MessageView {
            node,
            versions: versions(node.id),
            references: references(node.id),
        })
        .collect();
    let progress = window.engine.reply.as_ref();
    let streaming = live.filter(|_| shows_live).map(|live| StreamingReply {
        node: live.node.id,
        versions: versions(live.node.id),
        text: &live.node.content,
        tokens: &live.node.tokens,
        references: &live.references,
        prefill: progress.and_then(|reply| reply.prefill),
    });
    let model_name = window.engine.model_name();
    let found: Vec<_> = window
        .engine
        .found
        .iter()
        .take(4)
        .map(|model| (model.name.as_str(), model.path.as_path()))
        .collect();
    let view = TranscriptView {
        conversation: window.chat.id,
        messages: &messages,
        streaming,
        model_name,
        empty: empty_content(window, model_name, &found),
    };
    let blocked = blocked(window);
    let composer = ComposerView {
        streaming: window.reply.is_some(),
        can_send: blocked.is_none(),
        blocked,
        draft_tokens: window.counting.context_use(usize::MAX).map(|used| used.draft),
        model_name,
    };
    let mut draft = window.chat.draft.clone();
    conversation_ui(ui, &view, &composer, &mut draft, &mut window.panels.transcript, commands);
    if draft != window.chat.draft {
        commands.insert(0, Command::SetDraft(draft));
    }
}

/// The tree of candidates below the conversation, while there is one.
fn candidates_ui(ui: &mut Ui, window: &mut Window, commands: &mut Vec<Command>) {
    if window.panels.hides_tree || window.boundaries().is_empty() {
        return;
    }
    let mut state = window.panels.tree;
    let view = TreeView { boundaries: window.boundaries() };
    let frame = Frame::new().inner_margin(Margin::symmetric(14, 8));
    Panel::bottom("candidates")
        .default_size(250.0)
        .size_range(120.0..=520.0)
        .resizable(true)
        .frame(frame)
        .show(ui, |ui| tree_ui(ui, &view, &mut state, commands));
    window.panels.tree = state;
}

fn empty_content<'a>(
    window: &Window,
    model_name: Option<&'a str>,
    found: &'a [(&'a str, &'a std::path::Path)],
) -> EmptyContent<'a> {
    match model_name {
        Some(name) => EmptyContent {
            title: name,
            hint: "Tiller talks with this model on your computer; nothing you write leaves it",
            suggestions: &EXAMPLES,
            models: &[],
        },
        None if window.engine.loading.is_some() => EmptyContent {
            title: "Loading the model",
            hint: "You can write already and send when it is ready",
            ..EmptyContent::default()
        },
        None => EmptyContent {
            title: "Welcome to Tiller",
            hint: "Talk to a language model on this computer; choose one to begin",
            suggestions: &[],
            models: found,
        },
    }
}

fn blocked(window: &Window) -> Option<&'static str> {
    if window.engine.model.is_some() {
        // Another conversation's reply keeps the engine.
        let elsewhere = |live: &LiveReply| live.conversation != window.chat.id;
        return window
            .reply
            .as_ref()
            .is_some_and(elsewhere)
            .then_some("A reply is being written in another conversation");
    }
    Some(if window.engine.loading.is_some() {
        "The model is loading"
    } else {
        "Load a model first"
    })
}

/// Reads what datastores did to the replies on screen out of their outcomes, once for each.
fn read_references(window: &mut Window) {
    for node in window.chat.tree.active_path() {
        if let Some(outcome) = &node.outcome
            && !window.references.contains_key(&node.id)
        {
            let read = serde_json::from_str::<Outcome>(outcome).unwrap_or_default();
            window.references.insert(node.id, read.references);
        }
    }
}

/// Whether a message may be shown with tokens that still have to be read.
pub fn needs_tokens(node: &crate::session::Node) -> bool {
    // A reply that broke off has no recipe, but an outcome; one that a kill cut short neither.
    let was_cut_short = node.role == Role::Assistant && node.state == NodeState::Partial;
    let is_generated = node.recipe.is_some() || node.outcome.is_some() || was_cut_short;
    node.tokens.is_empty() && is_generated && node.state != NodeState::Streaming
}
