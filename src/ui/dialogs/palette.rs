//! The command palette: every action of the list by a few letters of its name.

use egui::{Align2, Area, Id, Key, Modal, RichText, ScrollArea, Sense, Ui, vec2};

use crate::ui::action::{Action, Situation};
use crate::ui::command::Command;
use crate::ui::theme::{self, space, tokens};

/// What is typed and which line is chosen.
#[derive(Debug, Default)]
pub struct PaletteState {
    query: String,
    chosen: usize,
    has_focus: bool,
}

/// How well a name fits what was typed; `None` when it does not. Smaller is better.
///
/// Letters must come up in order; beginnings of words count as nearer.
fn fit(query: &str, label: &str) -> Option<usize> {
    let label = label.to_lowercase();
    let query = query.trim().to_lowercase();
    if let Some(place) = label.find(&query) {
        let starts_word = place == 0 || label[..place].ends_with(' ');
        return Some(if starts_word { place } else { 50 + place });
    }
    let mut rest = label.chars();
    let mut skipped = 100;
    for wanted in query.chars().filter(|c| !c.is_whitespace()) {
        loop {
            let next = rest.next()?;
            if next == wanted {
                break;
            }
            skipped += 1;
        }
    }
    Some(skipped)
}

/// The actions that fit, best first.
fn matching(query: &str) -> Vec<Action> {
    let own = |action: &Action| *action != Action::Palette;
    let mut found: Vec<(usize, Action)> = Action::all()
        .filter(own)
        .filter_map(|action| Some((fit(query, action.label())?, action)))
        .collect();
    found.sort_by_key(|(distance, _)| *distance);
    found.into_iter().map(|(_, action)| action).collect()
}

/// Draws the palette; true when it is to close.
pub fn palette_ui(
    context: &egui::Context,
    situation: Situation,
    state: &mut PaletteState,
    commands: &mut Vec<Command>,
) -> bool {
    let id = Id::unique("palette");
    let area = Area::new(id)
        .kind(egui::UiKind::Modal)
        .sense(Sense::hover())
        .anchor(Align2::CENTER_TOP, vec2(0.0, 72.0))
        .order(egui::Order::Foreground)
        .interactable(true);
    let dark = context.theme() == egui::Theme::Dark;
    let modal = Modal::new(id)
        .area(area)
        .frame(egui::Frame::popup(&context.global_style()).inner_margin(10))
        .backdrop_color(theme::Tokens::for_dark(dark).scrim);
    let response = modal.show(context, |ui| {
        ui.set_width(520.0_f32.min(context.content_rect().width() - 80.0));
        let found = matching(&state.query);
        let (up, down, enter) = ui.input_mut(|input| {
            (
                input.consume_key(egui::Modifiers::NONE, Key::ArrowUp),
                input.consume_key(egui::Modifiers::NONE, Key::ArrowDown),
                input.consume_key(egui::Modifiers::NONE, Key::Enter),
            )
        });
        field_ui(ui, state);
        let count = found.len();
        if count > 0 {
            state.chosen = state.chosen.min(count - 1);
            if down {
                state.chosen = (state.chosen + 1) % count;
            }
            if up {
                state.chosen = (state.chosen + count - 1) % count;
            }
        }
        let called = found.get(state.chosen).copied().filter(|_| enter);
        let clicked = list_ui(ui, &found, situation, state.chosen, up || down);
        let call = called.or(clicked).filter(|action| action.unavailable(situation).is_none());
        if let Some(action) = call {
            commands.push(Command::Act(action));
        }
        call.is_some()
    });
    response.inner || response.should_close()
}

fn field_ui(ui: &mut Ui, state: &mut PaletteState) {
    let field = egui::TextEdit::singleline(&mut state.query)
        .hint_text("Type the name of a command")
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::symmetric(12, 9));
    let response = ui.add(field).accessible_name("Command");
    if response.changed() {
        state.chosen = 0;
    }
    if !state.has_focus {
        state.has_focus = true;
        response.request_focus();
    }
    ui.add_space(space::XS);
}

fn list_ui(
    ui: &mut Ui,
    found: &[Action],
    situation: Situation,
    chosen: usize,
    scrolls: bool,
) -> Option<Action> {
    let mut clicked = None;
    if found.is_empty() {
        ui.weak("No command has this name");
    }
    let height = (ui.ctx().content_rect().height() - 220.0).clamp(120.0, 380.0);
    ScrollArea::vertical().max_height(height).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        for (index, action) in found.iter().enumerate() {
            let response = line_ui(ui, *action, situation, index == chosen);
            if index == chosen && scrolls {
                response.scroll_to_me(None);
            }
            if response.clicked() {
                clicked = Some(*action);
            }
        }
    });
    clicked
}

fn line_ui(ui: &mut Ui, action: Action, situation: Situation, is_chosen: bool) -> egui::Response {
    let colors = tokens(ui);
    let reason = action.unavailable(situation);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 34.0), Sense::click());
    response.widget_info(|| {
        let role = egui::Role::Button;
        egui::WidgetInfo::selected(role, reason.is_none(), is_chosen, action.label())
    });
    let fill = if is_chosen {
        colors.accent_soft
    } else if response.hovered() {
        colors.control
    } else {
        theme::Tokens::CLEAR
    };
    let ink = if reason.is_none() { colors.text } else { colors.text_faint };
    let painter = ui.painter();
    painter.rect_filled(rect, f32::from(theme::RADIUS), fill);
    let font = egui::FontId::proportional(14.5);
    let small = egui::FontId::proportional(12.5);
    let left = rect.left_center() + vec2(space::M, 0.0);
    painter.text(left, egui::Align2::LEFT_CENTER, action.label(), font, ink);
    let right = rect.right_center() - vec2(space::M, 0.0);
    let note = reason.map_or_else(|| action.shortcut_text(ui.ctx()), str::to_owned);
    painter.text(right, egui::Align2::RIGHT_CENTER, note, small, colors.text_weak);
    response.on_hover_text(RichText::new(action.tooltip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_letters_find_the_command_meant() {
        assert_eq!(matching("regen")[0], Action::Regenerate);
        assert_eq!(matching("dark")[0], Action::ThemeDark);
        assert_eq!(matching("new con")[0], Action::NewConversation);
        assert!(
            matching("ecjson").contains(&Action::ExportJson)
                || matching("ejson").contains(&Action::ExportJson)
        );
        assert!(matching("xyzzy").is_empty());
        assert_eq!(matching("").len(), Action::all().count() - 1);
    }
}
