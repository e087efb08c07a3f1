//! Drawing the lines of tokens: tint behind, text, marks for what cannot be seen.

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, FontId, Id, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::blocks::{Kind, Placed, TokenBlock, TokenBlocks};
use super::scale::{self, own_text, percent, visible};
use super::{Found, TokenOptions};
use crate::session::{TokenReferences, TokenTrace};
use crate::ui::transcript::look::Look;
use crate::ui::transcript::message::Entry;
use crate::ui::transcript::selectable;

/// Width of the mark for a line break, in points.
const BREAK_WIDTH: f32 = 14.0;

/// Draw the lines in sight; the others only take their room.
#[expect(clippy::too_many_arguments, reason = "one call, all of it needed for every token")]
pub fn blocks_ui(
    ui: &mut Ui,
    entry: &Entry<'_>,
    look: &Look,
    options: TokenOptions,
    blocks: &mut TokenBlocks,
    lit: Option<usize>,
    id: Id,
    found: &mut Found,
) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let width = ui.available_width();
    for block in &mut blocks.blocks {
        let start = ui.cursor().min;
        let expected = Rect::from_min_size(start, vec2(width, block.height));
        if block.height > 0.0 && block.width == width && !ui.is_rect_visible(expected) {
            ui.allocate_rect(expected, Sense::hover());
            block.placed = None;
            continue;
        }
        place(ui, block, look, width);
        let Some(placed) = &block.placed else { continue };
        let size = vec2(width, placed.galley.size().y.max(line_height(look)));
        let (area, _) = ui.allocate_exact_size(size, Sense::hover());
        block.height = size.y;
        block.width = width;
        let first = block.parts.first().map(|part| part.chars.start).unwrap_or_default();
        let line_id = id.with((entry.id, first, block_token(block)));
        block_ui(ui, entry, look, options, placed, area.min, lit, line_id, found);
    }
}

fn block_token(block: &TokenBlock) -> usize {
    match block.parts.first().map(|part| part.kind) {
        Some(Kind::Text(token) | Kind::Special(token)) => token,
        _ => 0,
    }
}

/// Lay the line out, or keep its layout where fonts, colours and width are the same.
fn place(ui: &Ui, block: &mut TokenBlock, look: &Look, width: f32) {
    let galley = selectable::layout(ui, job(block, look, width - BREAK_WIDTH));
    let kept = block.placed.as_ref();
    if !kept.is_some_and(|placed| std::sync::Arc::ptr_eq(&placed.galley, &galley)) {
        let rects = block.places(&galley, BREAK_WIDTH);
        block.placed = Some(Placed { galley, rects });
    }
}

fn line_height(look: &Look) -> f32 {
    (look.body.size * 1.75).round()
}

fn job(block: &TokenBlock, look: &Look, width: f32) -> LayoutJob {
    let mut job = LayoutJob::default();
    job.wrap.max_width = width;
    let line_height = Some(line_height(look));
    for part in &block.parts {
        let (font_id, color, valign) = match part.kind {
            Kind::Text(_) => (look.body.clone(), look.tokens.text_strong, Align::BOTTOM),
            Kind::Special(_) => {
                let font = FontId::new(look.code.size - 2.0, look.code.family.clone());
                (font, look.tokens.text_weak, Align::Center)
            }
            Kind::Number => {
                let font = FontId::new(look.body.size * 0.66, look.body.family.clone());
                (font, look.tokens.text_weak, Align::TOP)
            }
        };
        let format = TextFormat { font_id, color, valign, line_height, ..TextFormat::default() };
        job.append(&block.text[part.bytes.clone()], 0.0, format);
    }
    job
}

#[expect(clippy::too_many_arguments, reason = "one call, all of it needed for every token")]
fn block_ui(
    ui: &Ui,
    entry: &Entry<'_>,
    look: &Look,
    options: TokenOptions,
    placed: &Placed,
    position: egui::Pos2,
    lit: Option<usize>,
    id: Id,
    found: &mut Found,
) {
    for (token, rect) in &placed.rects {
        let rect = rect.translate(position.to_vec2());
        if let Some(trace) = entry.tokens.get(*token).filter(|_| ui.is_rect_visible(rect)) {
            tint_ui(ui, trace, rect, look, options, lit == Some(*token));
            if entry.references_of(*token).is_some_and(TokenReferences::is_moved) {
                references_ui(ui, rect, look);
            }
        }
    }
    // The text itself is no Tab stop and hears only drags, so that it can be selected.
    selectable::galley_at(ui, position, placed.galley.clone(), id);
    let mut previous = None;
    for (token, rect) in &placed.rects {
        let rect = rect.translate(position.to_vec2());
        let Some(trace) = entry.tokens.get(*token) else { continue };
        if !ui.is_rect_visible(rect) {
            continue;
        }
        let sense = Sense::click() - Sense::FOCUSABLE;
        let is_first = previous != Some(*token);
        previous = Some(*token);
        let response = ui.interact(rect, id.with((*token, is_first, rect.top() as i32)), sense);
        if is_first {
            found.places.push((*token, rect));
            response.widget_info(|| {
                let moved = entry.references_of(*token).is_some_and(TokenReferences::is_moved);
                WidgetInfo::labeled(Role::Button, ui.is_enabled(), name(*token, trace, moved))
            });
        }
        if response.hovered() {
            found.hovered = Some((*token, rect));
            ui.set_cursor_icon(egui::CursorIcon::PointingHand);
        }
        if response.clicked() {
            found.clicked = Some(*token);
        }
    }
    marks_ui(ui, placed, position, look);
}

/// What a screen reader says: "token 12 ‘ ferry’, 34 %".
fn name(token: usize, trace: &TokenTrace, is_moved: bool) -> String {
    let text = own_text(trace);
    let text = if text.trim().is_empty() { visible(&text) } else { text.trim().to_owned() };
    let moved = if is_moved { ", moved by documents" } else { "" };
    format!("token {} ‘{text}’, {}{moved}", token + 1, percent(trace.logprob))
}

/// The mark of a token that a passage moved: a corner turned down, as a reader marks a page.
fn references_ui(ui: &Ui, rect: Rect, look: &Look) {
    let corner = rect.shrink2(vec2(0.5, 2.0)).left_top();
    let points = vec![corner, corner + vec2(7.0, 0.0), corner + vec2(0.0, 7.0)];
    ui.painter().add(egui::Shape::convex_polygon(points, look.tokens.accent, Stroke::NONE));
}

fn tint_ui(
    ui: &Ui,
    trace: &TokenTrace,
    rect: Rect,
    look: &Look,
    options: TokenOptions,
    is_lit: bool,
) {
    let painter = ui.painter();
    let level = options.tint.level(trace);
    let color = options.tint.ramp(&look.tokens)[level];
    let plate = rect.shrink2(vec2(0.5, 2.0));
    let hovered = ui.rect_contains_pointer(rect);
    if color.a() > 0 {
        painter.rect_filled(plate, 3.0, color);
    }
    let edge = if is_lit {
        Stroke::new(1.8, look.tokens.accent)
    } else if hovered {
        Stroke::new(1.2, look.tokens.text_weak)
    } else {
        Stroke::new(1.0, look.tokens.line)
    };
    // Likely tokens have no plate of their own: a hairline shows where one ends.
    if is_lit || hovered {
        painter.rect_stroke(plate, 3.0, edge, egui::StrokeKind::Inside);
    } else if level == 0 {
        let x = plate.right();
        painter.vline(x, plate.bottom() - 5.0..=plate.bottom(), edge);
    }
    scale::underline(painter, plate, level, look.tokens.text_weak);
}

/// Small marks for spaces, tabs and line breaks.
fn marks_ui(ui: &Ui, placed: &Placed, position: egui::Pos2, look: &Look) {
    let painter = ui.painter();
    let color = look.tokens.text_faint;
    let stroke = Stroke::new(1.0, color);
    for row in &placed.galley.rows {
        let middle = position.y + row.pos.y + row.size.y / 2.0;
        let left = position.x + row.pos.x;
        for glyph in &row.glyphs {
            let x = left + glyph.pos.x + glyph.advance_width / 2.0;
            match glyph.chr {
                ' ' => {
                    painter.circle_filled(pos2(x, middle + 1.0), 0.8, color);
                }
                '\t' => {
                    let end = x + glyph.advance_width / 2.0 - 2.0;
                    let start = x - glyph.advance_width / 2.0 + 2.0;
                    painter.hline(start..=end, middle, stroke);
                    painter
                        .line_segment([pos2(end - 3.0, middle - 3.0), pos2(end, middle)], stroke);
                    painter
                        .line_segment([pos2(end - 3.0, middle + 3.0), pos2(end, middle)], stroke);
                }
                _ => {}
            }
        }
    }
    for (row, x) in breaks(placed) {
        let row = &placed.galley.rows[row];
        let middle = position.y + row.pos.y + row.size.y / 2.0;
        let right = position.x + x + BREAK_WIDTH - 3.5;
        let left = right - 7.0;
        let corner =
            [pos2(right, middle - 4.0), pos2(right, middle + 2.0), pos2(left, middle + 2.0)];
        painter.line(corner.to_vec(), stroke);
        let head = [
            pos2(left + 2.5, middle - 0.5),
            pos2(left, middle + 2.0),
            pos2(left + 2.5, middle + 4.5),
        ];
        painter.line(head.to_vec(), stroke);
    }
}

/// The rows that end with a line break of a token, and where it stands.
fn breaks(placed: &Placed) -> Vec<(usize, f32)> {
    let rows = &placed.galley.rows;
    rows.iter()
        .enumerate()
        .filter_map(|(index, row)| {
            let end = row.pos.x + row.size.x;
            let reaches =
                |rect: &Rect| rect.right() > end + 1.0 && (rect.top() - row.min_y()).abs() < 1.0;
            placed.rects.iter().any(|(_, rect)| reaches(rect)).then_some((index, end))
        })
        .collect()
}
