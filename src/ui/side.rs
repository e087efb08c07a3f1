//! The right panel: the model, the system prompt of this conversation, the vectors that steer it, the
//! documents that ground its replies, the rewards predicted for them, how a reply is drawn.

use egui::{Align, Layout, RichText, ScrollArea, Ui};

use super::action::Action;
use super::command::Command;
use super::controls;
use super::guidance::{GuidanceView, guidance_ui, tree};
use super::icons::{self, Icon};
use super::model::{CardView, card_ui};
use super::reward::{RewardView, reward_ui};
use super::sampling::{SamplingState, SamplingView, sampling_ui};
use super::stores::{StoresState, StoresView, stores_ui};
use super::theme::{self, space};
use super::vectors::{VectorsState, VectorsView, vectors_ui};

/// What is drawn.
pub struct SideView<'a> {
    pub card: CardView<'a>,
    pub vectors: VectorsView<'a>,
    pub stores: StoresView<'a>,
    pub reward: RewardView<'a>,
    pub guidance: GuidanceView<'a>,
    /// There is a tree of candidates, and it is hidden.
    pub hides_tree: bool,
    pub sampling: SamplingView<'a>,
    /// This conversation's own system prompt, or the one of the settings.
    pub system_prompt: &'a str,
    /// The loaded model's chat template has no place for a system prompt.
    pub system_folded: bool,
    /// Changes when another conversation is shown, so that its prompt is read afresh.
    pub conversation: i64,
}

/// What the panel remembers between frames.
#[derive(Debug, Default)]
pub struct SideState {
    shows_model_details: bool,
    pub sampling: SamplingState,
    vectors: VectorsState,
    stores: StoresState,
    /// The system prompt while it is typed, and of which conversation it is.
    prompt: Option<(i64, String)>,
}

/// Draws the panel.
pub fn side_ui(
    ui: &mut Ui,
    view: &SideView<'_>,
    state: &mut SideState,
    commands: &mut Vec<Command>,
) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("Model").text_style(theme::section()));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let hide = Action::ToggleRightPanel;
            let hover = hide.hover_text(ui.ctx());
            if icons::button(ui, Icon::RightPanel, "Hide model panel", &hover).clicked() {
                commands.push(Command::Act(hide));
            }
        });
    });
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        // Room for the scroll bar, which floats above the content.
        ui.set_max_width(ui.available_width() - space::S);
        card_ui(ui, &view.card, &mut state.shows_model_details, commands);
        controls::section(ui, "System prompt");
        prompt_ui(ui, view, &mut state.prompt, commands);
        if view.system_folded {
            let note = "This model has no place for it; it goes before your first message";
            let note = RichText::new(note).small().color(theme::tokens(ui).text_weak);
            ui.add(egui::Label::new(note).wrap());
        }
        vectors_ui(ui, &view.vectors, &mut state.vectors, commands);
        reward_ui(ui, &view.reward, commands);
        stores_ui(ui, &view.stores, &mut state.stores, commands);
        controls::section(ui, "Sampling");
        sampling_ui(ui, &view.sampling, &mut state.sampling, commands);
        guidance_ui(ui, &view.guidance, commands);
        if view.hides_tree {
            tree::show_button(ui, commands);
        }
        ui.add_space(space::L);
    });
}

fn prompt_ui(
    ui: &mut Ui,
    view: &SideView<'_>,
    typed: &mut Option<(i64, String)>,
    commands: &mut Vec<Command>,
) {
    if typed.as_ref().is_none_or(|(conversation, _)| *conversation != view.conversation) {
        *typed = Some((view.conversation, view.system_prompt.to_owned()));
    }
    let Some((_, text)) = typed else { return };
    let field = egui::TextEdit::multiline(text)
        .desired_rows(3)
        .desired_width(f32::INFINITY)
        .hint_text("What the model is told before the first message")
        .margin(egui::Margin::symmetric(10, 8));
    let response = ui.add(field).accessible_name("System prompt");
    if response.changed() {
        commands.push(Command::SetSystemPrompt(text.clone()));
    }
    if !response.has_focus() {
        *typed = None;
    }
}
