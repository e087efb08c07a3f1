//! Takes in what the threads told: the engine's events, the keeper's answers, chosen files, files
//! dropped on the window. Runs before every frame, also while the window is hidden.

use std::time::{Duration, Instant};

use egui::Context;

use super::chat::Chat;
use super::counting::Step;
use super::draw::needs_tokens;
use super::jobs::Question;
use super::state::Window;
use crate::documents::Format;
use crate::engine::{Event, Outcome, Request};
use crate::model::FileKind;
use crate::session::{Ask, ExportFormat, FinishedNode, NodeState, TokenReferences, Weighed};
use crate::ui::Command;
use crate::ui::making::Field;

/// A streaming reply is kept this often at least.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// Models remembered as opened before.
const RECENT: usize = 8;

impl eframe::App for Window {
    fn logic(&mut self, context: &Context, _frame: &mut eframe::Frame) {
        while let Some(event) = self.handle.try_recv() {
            self.take_event(event);
        }
        if !self.dropped.is_empty() {
            let files = std::mem::take(&mut self.dropped);
            self.run(Command::AddDocuments(files));
        }
        while let Some(answer) = self.keeper.try_recv() {
            self.take_answer(answer);
        }
        while let Some((question, path)) = self.jobs.answered() {
            self.take_choice(question, path);
        }
        self.take_dropped(context);
        self.count(context);
        self.note_place(context);
        self.look_at_vectors();
        self.look_at_rewards();
        self.look_at_judged();
        self.look_at_tree();
        self.keep_what_is_quiet();
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.frames += 1;
        self.maximize_once_shown();
        super::start::first_frame(self.frames, self.started, ui.ctx());
        let mut commands = Vec::new();
        if let Some(action) = self.pressed(ui.ctx()) {
            commands.push(Command::Act(action));
        }
        commands.extend(super::draw::window_ui(ui, self));
        for command in commands {
            self.run(command);
        }
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}

impl Window {
    fn take_event(&mut self, event: Event) {
        self.engine.apply(&event);
        match event {
            Event::Loaded(facts) => {
                self.about.device.clone_from(&facts.device);
                self.counting.forget();
                self.forget_refusals();
                self.rewards.clear();
                let path = facts.path.clone();
                self.change_settings(|settings| {
                    settings.recent_models.retain(|recent| *recent != path);
                    settings.recent_models.insert(0, path.clone());
                    settings.recent_models.truncate(RECENT);
                    settings.last_model = Some(path);
                });
            }
            Event::LoadFailed { message, cancelled, .. } => {
                if cancelled {
                    self.panels.toasts.info("Loading was cancelled");
                } else {
                    self.panels.toasts.error(message);
                    self.open_bundled();
                }
            }
            Event::Unloaded => self.counting.forget(),
            Event::Token { id, trace } => {
                let Some(live) = self.reply.as_mut().filter(|live| live.id == id) else { return };
                live.node.content.push_str(&trace.text);
                live.node.tokens.push(*trace);
                if live.checkpointed.elapsed() >= CHECKPOINT {
                    live.checkpointed = Instant::now();
                    let (node, content) = (live.node.id, live.node.content.clone());
                    let from = std::mem::replace(&mut live.kept_tokens, live.node.tokens.len());
                    let tokens = live.node.tokens[from..].to_vec();
                    self.ask(Ask::Checkpoint { node, content, from, tokens });
                }
            }
            Event::Rewarded { id, reward } => {
                let live = self.reply.as_mut().filter(|live| live.id == id);
                if let Some(token) = live.and_then(|live| live.node.tokens.last_mut()) {
                    token.reward = Some(reward);
                }
            }
            Event::References { id, references } => {
                if let Some(live) = self.reply.as_mut().filter(|live| live.id == id) {
                    let token = references.token + live.given_tokens;
                    live.references.push(TokenReferences { token, ..*references });
                }
            }
            Event::ReplyDone { id, reason, timings, recipe } => {
                let finished = match reason {
                    crate::engine::StopReason::Stopped => NodeState::Partial,
                    _ => NodeState::Finished,
                };
                let (reason, timings) = (Some(reason), Some(timings));
                let outcome = Outcome { reason, timings, ..Outcome::default() };
                self.finish_reply(id, finished, Some(&recipe), outcome);
            }
            Event::ReplyFailed { id, message } => self.fail_reply(id, message),
            Event::PlanRefused { message, .. } => self.panels.toasts.warn(message),
            Event::VectorAdded(facts) => self.put_checked_vector(&facts.path),
            Event::VectorFailed { path, message } => self.refuse_vector(path, message),
            Event::Identified { path, kind: FileKind::Vector } => self.add_vector(&path),
            Event::Identified { path, kind: FileKind::Reward } => self.add_reward(&path),
            Event::Identified { path, kind: FileKind::Judge } => self.set_judge(Some(&path)),
            Event::Identified { path, kind: FileKind::Model } if Format::is_document(&path) => {
                self.dropped.push(path);
            }
            Event::Identified { path, kind: FileKind::Model } => {
                self.run(Command::OpenModel(path));
            }
            Event::MakingProgress(progress) => {
                if let Some(under_way) = &mut self.making {
                    under_way.take(progress);
                }
            }
            Event::Made { path, kind } => self.take_made(path, kind),
            Event::MakingEstimated { words } => self.take_estimate(words),
            Event::MakingFailed { message, cancelled } => self.making_failed(message, cancelled),
            Event::Counted { ticket, tokens } => self.counting.counted(ticket, tokens.ok()),
            Event::VectorInspected { path, outcome } => self.take_vector(path, outcome),
            Event::RewardInspected { path, outcome } => self.take_reward(path, outcome),
            Event::Judged { path, node, outcome } => self.take_judged(&path, node, outcome),
            Event::Scanned { .. } => self.open_bundled(),
            Event::StoreProgress { folder, standing, tokens_per_sec } => {
                self.take_store_progress(&folder, standing, tokens_per_sec);
            }
            Event::StoreListed { folder, manifest, is_over } => {
                self.take_store_list(folder, manifest, is_over);
            }
            Event::StoreFailed { folder, message } => self.take_store_failure(&folder, message),
            Event::PassageRead { file, outcome } => self.take_passage(&file, outcome),
            Event::StoresFound(found) => self.take_stores(found),
            Event::Inspected { .. }
            | Event::LoadProgress { .. }
            | Event::ReplyStarted { .. }
            | Event::VectorRemoved { .. }
            | Event::StrengthsChanged { .. }
            | Event::AlignedProgress { .. }
            | Event::AlignedLoaded(_)
            | Event::AlignedFailed { .. }
            | Event::AlignedDropped
            | Event::Divergence { .. }
            | Event::Ranked { .. }
            | Event::Prefill { .. } => {}
        }
    }

    /// Says why there is no more of a reply, and keeps what there is.
    pub(super) fn fail_reply(&mut self, id: u64, message: String) {
        self.panels.toasts.error(message.clone());
        self.engine.reply = None;
        let outcome = Outcome { failure: Some(message), ..Outcome::default() };
        self.finish_reply(id, NodeState::Partial, None, outcome);
    }

    /// Keeps the reply that just ended and shows it as a message like any other.
    fn finish_reply(
        &mut self,
        id: u64,
        state: NodeState,
        recipe: Option<&crate::engine::Recipe>,
        mut outcome: Outcome,
    ) {
        let Some(mut live) = self.reply.take_if(|live| live.id == id) else { return };
        outcome.references = std::mem::take(&mut live.references);
        let has_stores = self.chat.plan.stores_in_play().next().is_some();
        self.weighed = has_stores.then(|| Weighed::of(&outcome.references));
        outcome.tree = self.tree_to_keep(id, live.node.id);
        live.node.state = state;
        live.node.recipe = recipe.and_then(|recipe| serde_json::to_string(recipe).ok());
        live.node.outcome = serde_json::to_string(&outcome).ok();
        self.ask(Ask::FinishNode(Box::new(FinishedNode {
            node: live.node.id,
            content: live.node.content.clone(),
            state,
            tokens: live.node.tokens.clone(),
            recipe: live.node.recipe.clone(),
            outcome: live.node.outcome.clone(),
        })));
        if live.conversation == self.chat.id
            && let Some(node) = self.chat.tree.node_mut(live.node.id)
        {
            *node = live.node;
        }
    }

    fn take_choice(&mut self, question: Question, path: std::path::PathBuf) {
        match question {
            Question::ModelFile | Question::ModelFolder => self.run(Command::OpenModel(path)),
            Question::FolderOfModels => {
                self.change_settings(|settings| {
                    if !settings.model_folders.contains(&path) {
                        settings.model_folders.push(path);
                    }
                });
                self.run(Command::RescanModels);
            }
            Question::ForMaking(Field::Lessons) => self.panels.learning.set_data(&path),
            Question::ForMaking(field) => self.panels.making.set(field, &path),
            Question::AlignedModel => self.run(Command::SetAligned(path)),
            Question::VectorFile => self.run(Command::AddVector(path)),
            Question::Document => self.run(Command::AddDocuments(vec![path])),
            Question::JudgeFolder => self.set_judge(Some(&path)),
            Question::RewardFile => self.run(Command::AddReward(path)),
            Question::SaveAs(_) => {
                let is_json = path.extension().is_some_and(|extension| extension == "json");
                let format = if is_json { ExportFormat::Json } else { ExportFormat::Markdown };
                self.ask(Ask::Export { id: self.chat.id, format, path });
            }
            Question::ConversationFile => self.ask(Ask::Import { path }),
            Question::Guide(part) => self.run(Command::AddGuide { part, path }),
            Question::SaveTree(_) => self.write_tree(path),
            Question::Written(None) => {
                self.panels.toasts.info(format!("Exported to {}", path.display()));
            }
            Question::Written(Some(problem)) => self.panels.toasts.error(problem),
        }
    }

    fn take_dropped(&mut self, context: &Context) {
        // What they are is looked up beside the window: it takes reading.
        for file in context.input(|input| input.raw.dropped_files.clone()) {
            self.tell(Request::Identify { path: file.path().to_owned() });
        }
    }

    fn count(&mut self, context: &Context) {
        if self.engine.model.is_none() || self.reply.is_some() {
            return;
        }
        let leaf = self.chat.tree.active_leaf();
        let turns = self.chat.turns_to(leaf, &self.settings.system_prompt);
        let now = context.input(|input| input.time);
        match self.counting.look(&turns, &self.chat.draft, now) {
            Step::Nothing => {}
            Step::Wait(secs) => context.request_repaint_after(Duration::from_secs_f64(secs)),
            Step::Ask(asks) => {
                for (ticket, prompt) in asks {
                    self.tell(Request::Count { ticket, prompt });
                }
            }
        }
    }

    /// Puts a conversation on screen and reads the tokens of its replies.
    pub(super) fn show(&mut self, chat: Chat) {
        self.keep_now();
        self.chat = chat;
        self.show_tokens_where_wished();
        self.panels.transcript.focus_composer();
        for node in self.chat.tree.active_path().iter().rev().filter(|node| needs_tokens(node)) {
            self.ask(Ask::Tokens(node.id));
        }
    }
}
