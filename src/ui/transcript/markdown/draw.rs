//! Blocks on the screen. Blocks of the top level that are out of sight are not laid out: a reply
//! may be very long.

use egui::{Align, Layout, Rect, Stroke, Ui, UiBuilder, pos2, vec2};

use super::block::{Block, Inline, Item};
use super::code::code_ui;
use super::inline::{self, inline_ui};
use super::table::table_ui;
use crate::ui::Command;
use crate::ui::transcript::look::Look;
use crate::ui::transcript::selectable;

/// Space between blocks, in points.
const GAP: f32 = 10.0;
/// Width of a list's marks, in points.
const MARK_WIDTH: f32 = 24.0;

/// Heights of a message's blocks when they were last drawn, for the width they were drawn at.
#[derive(Debug, Default)]
pub struct BlockHeights {
    width: f32,
    heights: Vec<f32>,
}

impl BlockHeights {
    fn prepare(&mut self, width: f32, count: usize) {
        if self.width != width {
            *self = Self { width, heights: Vec::new() };
        }
        self.heights.truncate(count);
    }

    /// Forget the heights from this block on, since it has changed.
    pub fn forget_from(&mut self, index: usize) {
        self.heights.truncate(index);
    }
}

/// Draw a message's blocks. Returns how many were laid out.
pub fn blocks_ui(
    ui: &mut Ui,
    blocks: &[Block],
    heights: &mut BlockHeights,
    look: &Look,
    commands: &mut Vec<Command>,
) -> usize {
    heights.prepare(ui.available_width(), blocks.len());
    ui.spacing_mut().item_spacing.y = 0.0;
    let mut laid_out = 0;
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            ui.add_space(gap_before(block));
        }
        let start = ui.cursor().min;
        if let Some(height) = heights.heights.get(index).copied() {
            let rect = Rect::from_min_size(start, vec2(ui.available_width(), height));
            if !ui.is_rect_visible(rect) {
                ui.allocate_rect(rect, egui::Sense::hover());
                continue;
            }
        }
        laid_out += 1;
        ui.push_id(index, |ui| block_ui(ui, block, look, commands));
        let height = ui.min_rect().bottom() - start.y;
        match heights.heights.get_mut(index) {
            Some(known) => *known = height,
            None => heights.heights.push(height),
        }
    }
    laid_out
}

/// Draw text as it is: what a person typed is what is shown.
pub fn plain_ui(ui: &mut Ui, text: &str, look: &Look) {
    let text = Inline::plain(text.trim_end());
    let galley = selectable::layout_fitting(ui, inline::job(&text, look, ui.available_width()));
    selectable::galley_ui(ui, galley);
}

fn gap_before(block: &Block) -> f32 {
    match block {
        Block::Heading { level: 1 | 2, .. } => GAP + 8.0,
        Block::Heading { .. } => GAP + 4.0,
        _ => GAP,
    }
}

fn block_ui(ui: &mut Ui, block: &Block, look: &Look, commands: &mut Vec<Command>) {
    match block {
        Block::Paragraph(text) => inline_ui(ui, text, look),
        Block::Heading { level, text } => inline_ui(ui, text, &look.heading(*level)),
        Block::Code { language, text } => code_ui(ui, language, text, look, commands),
        Block::Html(text) => code_ui(ui, "html", text, look, commands),
        Block::Quote(blocks) => quote_ui(ui, blocks, look, commands),
        Block::List { start, items } => list_ui(ui, *start, items, look, commands),
        Block::Table(table) => table_ui(ui, table, look),
        Block::Rule => {
            let (rect, _) =
                ui.allocate_exact_size(vec2(ui.available_width(), 9.0), egui::Sense::hover());
            let stroke = Stroke::new(1.0, look.tokens.line);
            ui.painter().hline(rect.x_range(), rect.center().y, stroke);
        }
    }
}

fn quote_ui(ui: &mut Ui, blocks: &[Block], look: &Look, commands: &mut Vec<Command>) {
    let mut quiet = look.clone();
    quiet.tokens.text = look.tokens.text_weak;
    let rect = indented_ui(ui, 16.0, |ui| nested_ui(ui, blocks, &quiet, commands));
    let bar = Rect::from_min_max(rect.left_top(), pos2(rect.left() + 3.0, rect.bottom()));
    ui.painter().rect_filled(bar, 1.5, look.tokens.line);
}

fn list_ui(
    ui: &mut Ui,
    start: Option<u64>,
    items: &[Item],
    look: &Look,
    commands: &mut Vec<Command>,
) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            ui.add_space(4.0);
        }
        let number = start.map(|start| start.saturating_add(index as u64));
        let top = ui.cursor().min;
        let width = number.map_or(MARK_WIDTH, |number| {
            MARK_WIDTH + 8.0 * number.to_string().len().saturating_sub(2) as f32
        });
        ui.push_id(index, |ui| {
            indented_ui(ui, width, |ui| {
                if item.blocks.is_empty() {
                    ui.add_space(look.line_height);
                }
                nested_ui(ui, &item.blocks, look, commands);
            });
        });
        let mark = Rect::from_min_size(top, vec2(width, look.line_height));
        mark_ui(ui, mark, number, item.done, look);
    }
}

fn mark_ui(ui: &Ui, rect: Rect, number: Option<u64>, done: Option<bool>, look: &Look) {
    let painter = ui.painter();
    let tokens = &look.tokens;
    if let Some(done) = done {
        let square = Rect::from_center_size(rect.center() - vec2(2.0, 0.0), vec2(13.0, 13.0));
        let stroke = Stroke::new(1.2, tokens.text_weak);
        painter.rect_stroke(square, 3.0, stroke, egui::StrokeKind::Inside);
        if done {
            let at = |x: f32, y: f32| square.min + vec2(x, y);
            let tick = vec![at(3.0, 6.8), at(5.5, 9.3), at(10.2, 3.8)];
            painter.line(tick, Stroke::new(1.6, tokens.text_strong));
        }
    } else if let Some(number) = number {
        painter.text(
            rect.right_center() - vec2(7.0, 0.0),
            egui::Align2::RIGHT_CENTER,
            format!("{number}."),
            look.body.clone(),
            tokens.text_weak,
        );
    } else {
        painter.circle_filled(rect.center() - vec2(2.0, 0.0), 2.4, tokens.text_weak);
    }
}

fn nested_ui(ui: &mut Ui, blocks: &[Block], look: &Look, commands: &mut Vec<Command>) {
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            ui.add_space(if matches!(block, Block::List { .. }) { 4.0 } else { 8.0 });
        }
        ui.push_id(index, |ui| block_ui(ui, block, look, commands));
    }
}

/// Draw contents shifted to the right; returns the whole area, the shift included.
fn indented_ui(ui: &mut Ui, shift: f32, contents: impl FnOnce(&mut Ui)) -> Rect {
    let area = ui.available_rect_before_wrap();
    let left = (area.left() + shift).min(area.right() - 40.0).max(area.left());
    let inner = Rect::from_min_max(pos2(left, area.top()), area.max);
    let builder = UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::Min));
    let bottom = ui
        .scope_builder(builder, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            contents(ui);
            ui.min_rect().bottom()
        })
        .inner;
    Rect::from_min_max(area.min, pos2(area.right(), bottom))
}
