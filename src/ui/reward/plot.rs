//! Rewards over the reply, live: one line per version. A click on a point shows the token; a click
//! on a marked dip branches there.

use egui::{Color32, RichText, Role, Ui, WidgetInfo, pos2};
use egui_plot::{HoverPosition, Line, LineStyle, MarkerShape, PlotPoint, Points};

use super::Trajectory;
use crate::ui::command::Command;
use crate::ui::controls;
use crate::ui::theme::{Tokens, tokens};

/// Height of the plot, in points.
const HEIGHT: f32 = 150.0;
/// How near a click must be to a point, in points.
const REACH: f32 = 14.0;

/// Draws the plot.
pub fn plot_ui(
    ui: &mut Ui,
    lines: &[Trajectory<'_>],
    unit: Option<f32>,
    is_replying: bool,
    commands: &mut Vec<Command>,
) {
    let colors = *tokens(ui);
    // The unit is the adapter's, and so are the dips.
    let dips_of = |line: &Trajectory<'_>| match line.judged {
        None => line.dips(unit),
        Some(_) => Vec::new(),
    };
    let dips: Vec<Vec<usize>> = lines.iter().map(dips_of).collect();
    let said = |hover: &HoverPosition<'_>| match hover {
        HoverPosition::NearDataPoint { plot_name, position, .. } => {
            Some(format!("{plot_name}\ntoken {:.0}: reward {:.3}", position.x + 1.0, position.y))
        }
        HoverPosition::Elsewhere { .. } => None,
    };
    let plot = controls::still_plot("reward plot", HEIGHT).label_formatter(said);
    let shown = plot.show(ui, |plot| {
        for (index, line) in lines.iter().enumerate() {
            let points: Vec<[f64; 2]> =
                line.points().map(|(at, reward)| [at as f64, f64::from(reward)]).collect();
            let name = line.name();
            // The shown one is solid and thick, the others differ in their dashes as in colour; what
            // a reward model says is loosely dashed.
            let (width, style) = match (line.is_shown, line.judged.is_some()) {
                (true, false) => (2.2, LineStyle::Solid),
                (is_shown, true) => (if is_shown { 2.2 } else { 1.2 }, LineStyle::dashed_loose()),
                (false, false) if index % 2 == 0 => (1.2, LineStyle::dashed_dense()),
                (false, false) => (1.2, LineStyle::dotted_dense()),
            };
            let color = match (line.is_shown, line.judged.is_some()) {
                (true, true) => colors.good,
                (is_shown, _) => color_of(&colors, index, is_shown),
            };
            let drawn = Line::new(name.clone(), points).color(color).width(width).style(style);
            plot.line(drawn);
            let marks: Vec<[f64; 2]> = dips[index]
                .iter()
                .filter_map(|at| Some([*at as f64, f64::from(line.tokens[*at].reward?)]))
                .collect();
            let marks = Points::new(format!("{name}, dip: click to branch"), marks)
                .shape(MarkerShape::Down)
                .radius(5.0)
                .color(colors.warning);
            plot.points(marks);
        }
    });
    let hint = match dips.iter().all(Vec::is_empty) {
        true => "Click a point to see its token",
        false => "Click a point to see its token, a marked dip to branch there",
    };
    let hint = RichText::new(hint).small().color(colors.text_weak);
    ui.add(egui::Label::new(hint).wrap());
    let (response, transform) = (shown.response, shown.transform);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name_of(lines, &dips)));
    let Some(pointer) = response.interact_pointer_pos().filter(|_| response.clicked()) else {
        return;
    };
    let nearest = lines
        .iter()
        .enumerate()
        .flat_map(|(index, line)| line.points().map(move |(at, reward)| (index, at, reward)))
        .map(|(index, at, reward)| {
            let point = PlotPoint::new(at as f64, f64::from(reward));
            let place = transform.position_from_point(&point);
            (place.distance(pos2(pointer.x, pointer.y)), index, at)
        })
        .filter(|(distance, ..)| *distance <= REACH)
        .min_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, index, at)) = nearest {
        commands.push(command_for(&lines[index], at, dips[index].contains(&at), is_replying));
    }
}

/// What a click on a point asks for.
fn command_for(line: &Trajectory<'_>, at: usize, is_dip: bool, is_replying: bool) -> Command {
    match line.other_at(at) {
        Some(token) if is_dip && !is_replying => {
            Command::BranchAtToken { node: line.node, position: at, token }
        }
        _ => Command::GoToToken { node: line.node, token: at },
    }
}

fn color_of(colors: &Tokens, index: usize, is_shown: bool) -> Color32 {
    if is_shown {
        return colors.accent;
    }
    let others = [colors.text_weak, colors.warning, colors.good, colors.text_faint];
    others[index % others.len()]
}

/// What a screen reader is told of the plot.
fn name_of(lines: &[Trajectory<'_>], dips: &[Vec<usize>]) -> String {
    let told = lines.iter().zip(dips).map(|(line, dips)| {
        let count = line.points().count();
        let last = line.points().last().map_or(0.0, |(_, reward)| reward);
        let dips = match dips.len() {
            0 => String::new(),
            1 => ", 1 dip".to_owned(),
            many => format!(", {many} dips"),
        };
        let name = line.name().replacen('V', "v", 1);
        format!("{name}: {count} tokens, {last:.2} at the end{dips}")
    });
    format!("Plot of rewards; {}", told.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Alternative, NodeId, TokenTrace};

    #[test]
    fn a_dip_branches_and_any_other_point_shows_its_token() {
        let alternatives =
            [3, 4].map(|id| Alternative { id, text: String::new(), logprob: -1.0 }).to_vec();
        let token = TokenTrace { id: 3, reward: Some(0.0), alternatives, ..TokenTrace::default() };
        let tokens = [token.clone(), token];
        let node = NodeId::fresh();
        let line = Trajectory { node, version: 1, is_shown: true, tokens: &tokens, judged: None };
        let go = Command::GoToToken { node, token: 1 };
        assert_eq!(command_for(&line, 1, false, false), go);
        assert_eq!(command_for(&line, 1, true, true), go);
        let branch = Command::BranchAtToken { node, position: 1, token: 4 };
        assert_eq!(command_for(&line, 1, true, false), branch);
    }
}
