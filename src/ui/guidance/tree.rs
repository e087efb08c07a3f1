//! The live tree of candidates: drag to pan, scroll to zoom, hover for numbers, click a node to go
//! on from there.

use egui::{Rect, Sense, Ui, Vec2, vec2};

use super::layout::{NODE, Placed, extent, place, value_text};
use super::paint;
use crate::decode::search::Boundary;
use crate::ui::command::Command;
use crate::ui::controls;
use crate::ui::theme::{self, space, tokens};
use crate::ui::words;

/// How near and how far one may look.
const ZOOM: std::ops::RangeInclusive<f32> = 0.25..=2.0;

/// What is drawn.
pub struct TreeView<'a> {
    pub boundaries: &'a [Boundary],
}

/// What the tree remembers between frames.
#[derive(Debug, Clone, Copy)]
pub struct TreeState {
    /// Where the upper left corner of the tree stands in the view, in points.
    offset: Vec2,
    zoom: f32,
    /// The newest ranking stays in sight until the person moves the tree.
    follows: bool,
}

impl Default for TreeState {
    fn default() -> Self {
        Self { offset: Vec2::splat(space::S), zoom: 1.0, follows: true }
    }
}

/// Draws the tree into the room there is.
pub fn tree_ui(
    ui: &mut Ui,
    view: &TreeView<'_>,
    state: &mut TreeState,
    commands: &mut Vec<Command>,
) {
    ui.horizontal(|ui| {
        ui.label(egui::RichText::new("Candidates").text_style(theme::section()));
        let kept: usize = view.boundaries.iter().map(|b| b.kept().len()).sum();
        let all: usize = view.boundaries.iter().map(|b| b.candidates.len()).sum();
        let rankings = words::plural(view.boundaries.len() as u64, "ranking", "rankings");
        let text = format!("{rankings}, {kept} of {all} kept");
        ui.label(egui::RichText::new(text).small().color(tokens(ui).text_weak));
        let missing: usize = view.boundaries.iter().map(|b| b.without_value).sum();
        if missing > 0 {
            let text = format!("{missing} without a value: the scorer gave no number");
            ui.label(egui::RichText::new(text).small().color(tokens(ui).warning));
        }
        if ui.small_button("Follow").on_hover_text("Keep the newest ranking in sight").clicked() {
            *state = TreeState::default();
        }
        if ui.small_button("Export as SVG…").clicked() {
            commands.push(Command::ExportTree("svg"));
        }
        if ui.small_button("Export as PNG…").clicked() {
            commands.push(Command::ExportTree("png"));
        }
        if ui.small_button("Export as JSON…").clicked() {
            commands.push(Command::ExportTree("json"));
        }
        if ui.small_button("Hide tree").clicked() {
            commands.push(Command::HideTree);
        }
    });
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    let placed = place(view.boundaries);
    steer(ui, rect, &response, &placed, state);
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, f32::from(theme::RADIUS), tokens(ui).sunken);
    let corner = |at: [f32; 2]| rect.min + state.offset + vec2(at[0], at[1]) * state.zoom;
    let size = vec2(NODE[0], NODE[1]) * state.zoom;
    paint::edges(&painter, rect, &placed, corner, size, tokens(ui));
    for one in &placed {
        let node = Rect::from_min_size(corner(one.at), size);
        if node.intersects(rect) {
            node_ui(ui, &painter, rect, node, one, state.zoom, commands);
        }
    }
}

/// Pan, zoom, and following what is new.
fn steer(
    ui: &Ui,
    rect: Rect,
    response: &egui::Response,
    placed: &[Placed<'_>],
    state: &mut TreeState,
) {
    if response.dragged() {
        state.offset += response.drag_delta();
        state.follows = false;
    }
    if let Some(pointer) = response.hover_pos() {
        let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
        let factor = pinch * (scroll / 300.0).exp();
        if factor != 1.0 {
            let zoom = (state.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
            // What lies under the pointer stays there.
            let under = (pointer - rect.min - state.offset) / state.zoom;
            state.offset = pointer - rect.min - under * zoom;
            state.zoom = zoom;
            state.follows = false;
        }
    }
    if state.follows {
        let [width, height] = extent(placed);
        state.zoom = ((rect.height() - 2.0 * space::S) / height.max(1.0)).clamp(0.45, 1.0);
        let over = rect.width() - space::S - width * state.zoom;
        state.offset = vec2(over.min(space::S), space::S);
    }
}

fn node_ui(
    ui: &mut Ui,
    painter: &egui::Painter,
    view: Rect,
    node: Rect,
    one: &Placed<'_>,
    zoom: f32,
    commands: &mut Vec<Command>,
) {
    let branch = one.branch;
    let id = ui.scope_id().with(("candidate", branch.node));
    let response = ui.interact(node.intersect(view), id, Sense::click());
    let fate = match branch.rank {
        Some(rank) => format!("kept as number {}", rank + 1),
        None => "pruned".to_owned(),
    };
    let value = value_text(branch);
    let said = format!("Candidate {}, {fate}, value {value}: {}", branch.node, branch.text);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &said));
    let colors = tokens(ui);
    let fill = if response.hovered() { colors.control_hovered } else { colors.raised };
    paint::node(painter, node, one, zoom, fill, colors);
    let response = response.on_hover_ui(|ui| {
        ui.label(egui::RichText::new(&branch.text).strong());
        ui.label(format!("Value {value}, {fate}"));
        let tokens = words::plural(branch.ids.len() as u64, "token", "tokens");
        ui.label(format!("{tokens} in row {}; click to go on from here", branch.row));
    });
    if response.clicked() {
        commands.push(Command::ContinueFromCandidate(branch.node));
    }
}

/// The button that shows the tree again.
pub fn show_button(ui: &mut Ui, commands: &mut Vec<Command>) {
    let text = "Show candidate tree";
    if controls::wide_button(ui, None, text, controls::Weight::Quiet).clicked() {
        commands.push(Command::ShowTree);
    }
}
