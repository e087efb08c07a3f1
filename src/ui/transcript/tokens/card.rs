//! The card of one token: its numbers, and what else stood at its place. A click on an alternative
//! branches the conversation there.

use egui::{
    CornerRadius, Frame, Grid, Id, Label, Margin, Popup, PopupCloseBehavior, PopupKind, Rect,
    RichText, Role, Sense, Ui, WidgetInfo, pos2, vec2,
};

use super::passages::passages_ui;
use super::scale::{own_text, percent, rank, visible};
use crate::session::{Alternative, TokenTrace};
use crate::ui::Command;
use crate::ui::icons::Icon;
use crate::ui::transcript::buttons;
use crate::ui::transcript::look::Look;
use crate::ui::transcript::message::Entry;

/// Width of the card's contents, in points.
const WIDTH: f32 = 300.0;
const ROW_HEIGHT: f32 = 22.0;

/// What the card is about.
pub struct Card<'a> {
    pub entry: &'a Entry<'a>,
    pub trace: &'a TokenTrace,
    /// The token's position in the reply.
    pub token: usize,
    /// Where it lies on the screen.
    pub place: Rect,
    /// It stays open and its alternatives can be chosen.
    pub is_pinned: bool,
}

/// What the card asks for.
pub enum Answer {
    Nothing,
    Close,
}

/// Draw the card beside its token.
pub fn card_ui(ui: &Ui, card: &Card<'_>, look: &Look, commands: &mut Vec<Command>) -> Answer {
    let kind = if card.is_pinned { PopupKind::Popup } else { PopupKind::Tooltip };
    let id = Id::unique(("token card", card.is_pinned));
    let popup = Popup::new(id, ui.ctx().clone(), card.place, ui.layer_id())
        .kind(kind)
        .open(true)
        .close_behavior(PopupCloseBehavior::IgnoreClicks)
        .interactable(card.is_pinned)
        .accessible_name(format!("Token {}", card.token + 1))
        .gap(5.0)
        .width(WIDTH)
        .frame(Frame::popup(ui.style()).inner_margin(Margin::same(12)));
    let mut answer = Answer::Nothing;
    let shown = popup.show(|ui| {
        ui.set_width(WIDTH);
        ui.spacing_mut().item_spacing = vec2(6.0, 3.0);
        ui.spacing_mut().interact_size.y = 0.0;
        if title_ui(ui, card, look) {
            answer = Answer::Close;
        }
        numbers_ui(ui, card, look);
        if let Some(reward) = card.trace.reward {
            let said = format!("Reward of the reply up to here: {reward:.3}");
            ui.label(RichText::new(said).font(look.small.clone()).color(look.tokens.text));
        }
        ui.add_space(6.0);
        let most = card.trace.alternatives.iter().map(|other| other.logprob.exp());
        let most = most.fold(f32::MIN_POSITIVE, f32::max);
        for (index, other) in card.trace.alternatives.iter().enumerate() {
            if alternative_ui(ui, card, other, index, most, look) {
                commands.push(Command::BranchAtToken {
                    node: card.entry.id,
                    position: card.token,
                    token: other.id,
                });
                answer = Answer::Close;
            }
        }
        if let Some(told) = card.entry.references_of(card.token) {
            passages_ui(ui, told, card.is_pinned, look, commands);
        }
        ui.add_space(4.0);
        let hint = match (card.is_pinned, card.entry.busy) {
            (false, _) => "Click the token to keep this open",
            (true, true) => "Stop the reply to branch from here",
            (true, false) => "Choose a token to branch from here",
        };
        ui.label(RichText::new(hint).font(look.small.clone()).color(look.tokens.text_weak));
    });
    let elsewhere = shown.is_some_and(|shown| shown.response.clicked_elsewhere());
    if card.is_pinned && elsewhere { Answer::Close } else { answer }
}

/// The token and its id; true when the card is to be closed.
fn title_ui(ui: &mut Ui, card: &Card<'_>, look: &Look) -> bool {
    let mut close = false;
    ui.horizontal(|ui| {
        let text = visible(&own_text(card.trace));
        let title = RichText::new(text)
            .font(look.code.clone())
            .color(look.tokens.text_strong)
            .background_color(look.tokens.code_surface);
        ui.add(Label::new(title).truncate());
        let id = format!("token {}, id {}", card.token + 1, card.trace.id);
        ui.label(RichText::new(id).font(look.small.clone()).color(look.tokens.text_weak));
        if card.is_pinned {
            let right = egui::Layout::right_to_left(egui::Align::Center);
            ui.with_layout(right, |ui| {
                close = buttons::small(ui, Icon::Close, "Close the token's card").clicked();
            });
        }
    });
    close
}

fn numbers_ui(ui: &mut Ui, card: &Card<'_>, look: &Look) {
    let trace = card.trace;
    let rank = match rank(trace) {
        Some(rank) => rank.to_string(),
        None => format!("beyond {}", trace.alternatives.len()),
    };
    let facts = [
        ("Probability", percent(trace.logprob), "Log-probability", format!("{:.3}", trace.logprob)),
        ("Rank", rank, "Entropy", format!("{:.2} nats", trace.entropy)),
    ];
    Grid::new("numbers").num_columns(4).spacing([10.0, 2.0]).show(ui, |ui| {
        for (left, left_value, right, right_value) in facts {
            for (name, value) in [(left, left_value), (right, right_value)] {
                let font = || look.small.clone();
                ui.label(RichText::new(name).font(font()).color(look.tokens.text_weak));
                ui.label(RichText::new(value).font(font()).color(look.tokens.text_strong));
            }
            ui.end_row();
        }
    });
}

/// One row of the table; true when it was chosen.
fn alternative_ui(
    ui: &mut Ui,
    card: &Card<'_>,
    other: &Alternative,
    index: usize,
    most: f32,
    look: &Look,
) -> bool {
    let is_taken = other.id == card.trace.id;
    let can_choose = card.is_pinned && !is_taken && !card.entry.busy;
    let sense = if can_choose { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), sense);
    let text = visible(&other.text);
    let share = percent(other.logprob);
    response.widget_info(|| {
        if is_taken {
            WidgetInfo::labeled(Role::Label, true, format!("‘{text}’, {share}, taken"))
        } else {
            let name = format!("Branch with ‘{text}’, {share}");
            WidgetInfo::labeled(Role::Button, can_choose, name)
        }
    });
    let painter = ui.painter();
    let tokens = &look.tokens;
    let lively = response.hovered() || response.has_focus();
    if can_choose && lively {
        painter.rect_filled(rect, 4.0, tokens.control_hovered);
    }
    let fraction = (other.logprob.exp() / most).clamp(0.0, 1.0);
    let track = Rect::from_min_max(
        pos2(rect.right() - 132.0, rect.center().y - 4.0),
        pos2(rect.right() - 56.0, rect.center().y + 4.0),
    );
    let bar = Rect::from_min_size(track.min, vec2((track.width() * fraction).max(1.5), 8.0));
    painter.rect_filled(track, CornerRadius::same(2), tokens.control);
    let color = if is_taken { tokens.accent } else { tokens.text_weak };
    painter.rect_filled(bar, CornerRadius::same(2), color);
    let number = format!("{}", index + 1);
    let weak = tokens.text_weak;
    let small = look.small.clone();
    let at = |x: f32| pos2(x, rect.center().y);
    let left = egui::Align2::LEFT_CENTER;
    let right = egui::Align2::RIGHT_CENTER;
    painter.text(at(rect.left() + 18.0), right, number, small.clone(), weak);
    let color = if is_taken { tokens.accent } else { tokens.text_strong };
    let clipped = painter.with_clip_rect(Rect::from_min_max(
        pos2(rect.left() + 26.0, rect.top()),
        pos2(track.left() - 6.0, rect.bottom()),
    ));
    clipped.text(at(rect.left() + 26.0), left, &text, look.code.clone(), color);
    painter.text(at(rect.right() - 4.0), right, share, small, tokens.text);
    if is_taken {
        let mark = Rect::from_center_size(at(rect.left() + 3.0), vec2(10.0, 10.0));
        Icon::ChevronRight.paint(painter, mark, tokens.accent);
    }
    response.clicked()
}
