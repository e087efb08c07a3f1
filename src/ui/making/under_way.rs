//! What is being made: how far it is, how it does on what was held out, and the way out.

use egui::{ProgressBar, RichText, Role, Ui, WidgetInfo};
use egui_plot::{Line, MarkerShape, Points};

use crate::engine::making::{Check, Making, Progress};
use crate::ui::command::Command;
use crate::ui::controls;
use crate::ui::theme::{space, tokens};

/// Height of the plot of checks, in points.
const HEIGHT: f32 = 90.0;

/// Something being made, or measured.
#[derive(Debug, Clone)]
pub struct UnderWay {
    pub making: Making,
    /// Only how long it takes is being measured.
    pub only_estimates: bool,
    /// How far it is.
    pub words: String,
    share: Option<f32>,
    checks: Vec<Check>,
}

impl UnderWay {
    /// Just asked for.
    pub fn begin(making: Making, only_estimates: bool) -> Self {
        let words = if only_estimates { "Training on a few lessons" } else { "Starting" };
        let words = words.to_owned();
        Self { making, only_estimates, words, share: None, checks: Vec::new() }
    }

    /// Takes in how far it is.
    pub fn take(&mut self, progress: Progress) {
        self.words = progress.words;
        self.share = progress.share.or(self.share);
        // A run that was taken up may look again at what it looked at before.
        if let Some(check) = progress.check {
            self.checks.retain(|other| other.steps < check.steps);
            self.checks.push(check);
        }
    }

    /// How it did on what was held out, so far.
    fn checked(&self) -> Option<String> {
        let percent = |check: &Check| format!("{:.1} %", 100.0 * check.right);
        let last = self.checks.last()?;
        let best = self.checks.iter().max_by(|a, b| a.right.total_cmp(&b.right))?;
        let mut said = format!("Held out: {} right", percent(last));
        if last.steps > 0 {
            said += &format!(" after step {}", last.steps);
        }
        if best.right > last.right {
            said += &format!(", best {} after step {}", percent(best), best.steps);
        }
        if let Some(first) = self.checks.first().filter(|first| first.steps == 0 && last.steps > 0)
        {
            said += &format!(", {} at first", percent(first));
        }
        Some(said)
    }
}

/// Draws it; in its dialog, and in the side panel while that is closed.
pub fn under_way_ui(ui: &mut Ui, one: &UnderWay, commands: &mut Vec<Command>) {
    let name = &one.making.name;
    ui.horizontal(|ui| {
        ui.spinner();
        let title = match one.only_estimates {
            true => "Measuring".to_owned(),
            false => format!("Making {name}"),
        };
        ui.label(RichText::new(title).size(14.0));
        let hover = "A training run can be taken up again";
        if ui.button("Cancel making").on_hover_text(hover).clicked() {
            commands.push(Command::CancelMaking);
        }
    });
    if let Some(share) = one.share {
        let bar = ProgressBar::new(share).desired_height(6.0).fill(tokens(ui).accent);
        ui.add(bar).widget_info(|| {
            let percent = (100.0 * share).round();
            WidgetInfo::labeled(Role::ProgressIndicator, true, format!("{percent} % done"))
        });
    }
    ui.add(egui::Label::new(RichText::new(&one.words).small().color(tokens(ui).text_weak)).wrap());
    if let Some(checked) = one.checked() {
        ui.add(egui::Label::new(RichText::new(&checked).small()).wrap());
        if one.checks.len() > 1 {
            ui.add_space(space::XS);
            plot_ui(ui, &one.checks, checked);
        }
    }
}

/// The checks as a line, from nothing right to all of it.
fn plot_ui(ui: &mut Ui, checks: &[Check], said: String) {
    let colors = *tokens(ui);
    let points: Vec<[f64; 2]> =
        checks.iter().map(|check| [check.steps as f64, 100.0 * check.right]).collect();
    let lowest = points.iter().map(|point| point[1]).fold(50.0, f64::min);
    let plot = controls::still_plot("checks", HEIGHT).include_y(lowest).include_y(100.0);
    let shown = plot.show(ui, |plot| {
        plot.line(Line::new("held out", points.clone()).color(colors.accent).width(2.0));
        let marks = Points::new("checks", points).shape(MarkerShape::Circle).radius(3.0);
        plot.points(marks.color(colors.accent));
    });
    let name = format!("Plot of what is right of what was held out, in percent; {said}");
    shown.response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::making::MadeFrom;

    #[test]
    fn checks_are_told_with_the_best_and_the_first() {
        let (base, out) = ("base".into(), "out".into());
        let from = MadeFrom::Adapter("lora".into());
        let making = Making { name: "civil".into(), domain: String::new(), base, from, out };
        let mut one = UnderWay::begin(making, false);
        assert_eq!(one.checked(), None);
        let mut look = |steps, right| {
            let check = Some(Check { steps, right });
            one.take(Progress { check, ..Progress::default() });
            one.checked().unwrap()
        };
        assert_eq!(look(0, 0.5), "Held out: 50.0 % right");
        assert_eq!(look(4, 0.875), "Held out: 87.5 % right after step 4, 50.0 % at first");
        let best = "Held out: 75.0 % right after step 8, best 87.5 % after step 4, 50.0 % at first";
        assert_eq!(look(8, 0.75), best);
        assert_eq!(look(8, 0.75), best, "looked at again");
        one.take(Progress { share: Some(0.5), ..Progress::default() });
        one.take(Progress::default());
        assert_eq!((one.share, one.checks.len()), (Some(0.5), 3));
    }
}
