//! Short messages at the upper edge: what happened, and what to do about it. Errors stay until they
//! are put away; the rest goes by itself.

use egui::{Align, Align2, Area, Context, Layout, Rect, RichText, Ui, vec2};

use super::command::Command;
use super::icons::{self, Icon};
use super::theme::{self, tokens};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    id: u64,
    pub level: Level,
    pub text: String,
    /// Offered as a button: its label and what it does.
    pub offer: Option<(String, Command)>,
    /// When it goes by itself, in the context's time.
    until: Option<f64>,
}

/// The messages on screen.
#[derive(Debug, Default)]
pub struct Toasts {
    toasts: Vec<Toast>,
    next_id: u64,
    /// Asked for since the last frame; the time they stay counts from when they are first drawn.
    fresh: Vec<u64>,
    /// Where they were drawn last.
    place: Option<Rect>,
}

const INFO_SECS: f64 = 5.0;
const OFFER_SECS: f64 = 12.0;
/// They stay so long after the pointer has left them.
const LEFT_SECS: f64 = 1.0;
/// More than this and the oldest go.
const MOST: usize = 4;

impl Toasts {
    /// Says something that needs no answer.
    pub fn info(&mut self, text: impl Into<String>) {
        self.push(Level::Info, text.into(), None);
    }

    /// Says something that went not quite as wished.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.push(Level::Warning, text.into(), None);
    }

    /// Says what went wrong and what to do.
    pub fn error(&mut self, text: impl Into<String>) {
        self.push(Level::Error, text.into(), None);
    }

    /// Says what happened and offers something, such as to undo it.
    pub fn offer(&mut self, text: impl Into<String>, label: &str, command: Command) {
        self.push(Level::Info, text.into(), Some((label.to_owned(), command)));
    }

    fn push(&mut self, level: Level, text: String, offer: Option<(String, Command)>) {
        // The same thing said twice in a row is said once.
        self.toasts.retain(|toast| toast.text != text || toast.level != level);
        self.next_id += 1;
        self.toasts.push(Toast { id: self.next_id, level, text, offer, until: None });
        self.fresh.push(self.next_id);
        if self.toasts.len() > MOST {
            self.toasts.remove(0);
        }
    }

    /// Puts one away.
    pub fn dismiss(&mut self, id: u64) {
        self.toasts.retain(|toast| toast.id != id);
    }

    /// What is on screen, oldest first.
    pub fn shown(&self) -> &[Toast] {
        &self.toasts
    }

    /// Lets go what has been there long enough and asks to be woken for the next.
    fn settle(&mut self, context: &Context) {
        let now = context.input(|input| input.time);
        for id in self.fresh.drain(..) {
            if let Some(toast) = self.toasts.iter_mut().find(|toast| toast.id == id) {
                toast.until = match (toast.level, &toast.offer) {
                    (Level::Error, _) => None,
                    (_, Some(_)) => Some(now + OFFER_SECS),
                    _ => Some(now + INFO_SECS),
                };
            }
        }
        // What goes moves the rest, and a click would miss what it was meant for.
        let pointer = context.input(|input| input.pointer.hover_pos());
        if self.place.zip(pointer).is_some_and(|(place, pointer)| place.contains(pointer)) {
            for until in self.toasts.iter_mut().filter_map(|toast| toast.until.as_mut()) {
                *until = until.max(now + LEFT_SECS);
            }
        }
        self.toasts.retain(|toast| toast.until.is_none_or(|until| until > now));
        let next = self.toasts.iter().filter_map(|toast| toast.until).reduce(f64::min);
        if let Some(next) = next {
            let wait = std::time::Duration::from_secs_f64((next - now).max(0.01));
            context.request_repaint_after(wait);
        }
    }
}

/// Draws them above everything else.
pub fn toasts_ui(context: &Context, toasts: &mut Toasts, commands: &mut Vec<Command>) {
    toasts.settle(context);
    toasts.place = None;
    if toasts.shown().is_empty() {
        return;
    }
    let area = Area::new(egui::Id::unique("toasts"))
        .anchor(Align2::CENTER_TOP, vec2(0.0, 52.0))
        .order(egui::Order::Foreground)
        .show(context, |ui| {
            for toast in toasts.shown() {
                toast_ui(ui, toast, commands);
            }
        });
    toasts.place = Some(area.response.rect);
}

fn toast_ui(ui: &mut Ui, toast: &Toast, commands: &mut Vec<Command>) {
    let colors = tokens(ui);
    let (icon, word, ink, fill) = match toast.level {
        Level::Info => (Icon::Info, "Note", colors.accent, colors.raised),
        Level::Warning => (Icon::Warning, "Warning", colors.warning, colors.warning_soft),
        Level::Error => (Icon::Warning, "Error", colors.danger, colors.danger_soft),
    };
    egui::Frame::new()
        .fill(fill)
        .stroke(egui::Stroke::new(1.0, colors.line))
        .corner_radius(theme::RADIUS_CARD)
        .shadow(ui.visuals().popup_shadow)
        .inner_margin(egui::Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.set_width(440.0_f32.min(ui.ctx().content_rect().width() - 48.0));
            ui.horizontal_top(|ui| {
                ui.add_space(2.0);
                ui.vertical(|ui| {
                    ui.add_space(6.0);
                    icons::show(ui, icon, 16.0, ink);
                });
                ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                    if icons::button(ui, Icon::Close, "Dismiss", "Put away").clicked() {
                        commands.push(Command::DismissToast(toast.id));
                    }
                    if toast.level != Level::Info
                        && icons::button(ui, Icon::Copy, "Copy message", "Copy").clicked()
                    {
                        commands.push(Command::CopyText(toast.text.clone()));
                    }
                    if let Some((label, command)) = &toast.offer
                        && ui.button(label).clicked()
                    {
                        commands.push(command.clone());
                        commands.push(Command::DismissToast(toast.id));
                    }
                    ui.with_layout(Layout::top_down(Align::Min), |ui| {
                        ui.add_space(5.0);
                        let response =
                            ui.add(egui::Label::new(RichText::new(&toast.text).size(14.0)).wrap());
                        let said = format!("{word}. {}", toast.text);
                        response.widget_info(|| {
                            egui::WidgetInfo::labeled(egui::Role::Label, true, said.as_str())
                        });
                    });
                });
            });
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(context: &Context, time: f64, toasts: &mut Toasts) {
        with(context, time, Vec::new(), toasts);
    }

    fn with(context: &Context, time: f64, events: Vec<egui::Event>, toasts: &mut Toasts) {
        let input = egui::RawInput { time: Some(time), events, ..egui::RawInput::default() };
        let output = context.run_ui(input, |ui| toasts_ui(ui.ctx(), toasts, &mut Vec::new()));
        output.drop_without_applying_deltas();
    }

    #[test]
    fn notes_go_by_themselves_and_errors_stay() {
        let context = Context::default();
        let mut toasts = Toasts::default();
        toasts.info("Saved");
        toasts.error("The disk is full; free some space");
        at(&context, 1.0, &mut toasts);
        assert_eq!(toasts.shown().len(), 2);
        at(&context, 1.0 + INFO_SECS + 0.1, &mut toasts);
        let left: Vec<_> = toasts.shown().iter().map(|toast| toast.level).collect();
        assert_eq!(left, [Level::Error]);
        toasts.dismiss(toasts.shown()[0].id);
        assert!(toasts.shown().is_empty());
    }

    #[test]
    fn nothing_goes_from_under_the_pointer() {
        let context = Context::default();
        let mut toasts = Toasts::default();
        toasts.info("Saved");
        at(&context, 1.0, &mut toasts);
        at(&context, 1.1, &mut toasts);
        let over = toasts.place.unwrap().center();
        let late = 1.0 + INFO_SECS + 0.1;
        with(&context, late, vec![egui::Event::PointerMoved(over)], &mut toasts);
        assert_eq!(toasts.shown().len(), 1);
        with(&context, late + 0.1, vec![egui::Event::PointerGone], &mut toasts);
        assert_eq!(toasts.shown().len(), 1, "not at once either");
        at(&context, late + LEFT_SECS + 0.1, &mut toasts);
        assert!(toasts.shown().is_empty() && toasts.place.is_none());
    }

    #[test]
    fn the_same_message_is_shown_once_and_there_are_never_too_many() {
        let mut toasts = Toasts::default();
        toasts.warn("Twice");
        toasts.warn("Twice");
        assert_eq!(toasts.shown().len(), 1);
        for number in 0..10 {
            toasts.error(format!("Number {number}"));
        }
        assert_eq!(toasts.shown().len(), MOST);
        assert_eq!(toasts.shown()[MOST - 1].text, "Number 9");
    }
}
