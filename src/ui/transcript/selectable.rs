//! Text that was laid out by us, drawn so that it can be selected and read aloud; and where its
//! characters lie.

use std::ops::Range;
use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat};
use egui::text_selection::LabelSelectionState;
use egui::{Galley, Pos2, Rect, Response, Role, Sense, Stroke, TextBuffer, Ui, WidgetInfo, pos2};

use super::bidi;
use super::look::Look;

/// Draw `galley` at the cursor of `ui`.
pub fn galley_ui(ui: &mut Ui, galley: Arc<Galley>) -> (Pos2, Response) {
    let sense = text_sense(ui);
    let (rect, response) = ui.allocate_exact_size(galley.size(), sense);
    paint(ui, &response, rect.min, galley);
    (rect.min, response)
}

/// Draw `galley` at a place that is already taken.
pub fn galley_at(ui: &Ui, position: Pos2, galley: Arc<Galley>, id: egui::Id) -> Response {
    let rect = Rect::from_min_size(position, galley.size());
    let response = ui.interact(rect, id, text_sense(ui));
    paint(ui, &response, position, galley);
    response
}

/// Selected by dragging (on a touch screen that scrolls), but no stop of the Tab key.
fn text_sense(ui: &Ui) -> Sense {
    let touch = ui.input(egui::InputState::has_touch_screen);
    let mut sense = if touch { Sense::click() } else { Sense::click_and_drag() };
    sense -= Sense::FOCUSABLE;
    sense
}

fn paint(ui: &Ui, response: &Response, position: Pos2, galley: Arc<Galley>) {
    response.widget_info(|| WidgetInfo::labeled(Role::Label, ui.is_enabled(), galley.text()));
    if ui.is_rect_visible(response.rect) {
        let color = ui.visuals().text_color();
        LabelSelectionState::label_text_selection(
            ui,
            response,
            position,
            galley,
            color,
            Stroke::NONE,
        );
    }
}

/// Where these characters lie within the galley: a rectangle for every row they touch. A line
/// break among them counts as a narrow mark at the end of its row.
pub fn rects_of(galley: &Galley, chars: Range<usize>, break_width: f32) -> Vec<Rect> {
    let mut rects = Vec::new();
    let mut row_start = 0;
    for row in &galley.rows {
        let row_end = row_start + row.char_count_including_newline().0;
        if chars.start < row_end && row_start < chars.end {
            let from = chars.start.max(row_start) - row_start;
            let to = chars.end.min(row_end) - row_start;
            let mut left = f32::INFINITY;
            let mut right = f32::NEG_INFINITY;
            for glyph in row.glyphs.get(from..to.min(row.glyphs.len())).unwrap_or_default() {
                left = left.min(glyph.pos.x);
                right = right.max(glyph.max_x());
            }
            if to > row.glyphs.len() {
                left = left.min(row.size.x);
                right = right.max(row.size.x + break_width);
            }
            if left <= right {
                rects.push(Rect::from_min_max(
                    pos2(row.pos.x + left, row.min_y()),
                    pos2(row.pos.x + right, row.max_y()),
                ));
            }
        }
        row_start = row_end;
    }
    rects
}

/// A galley of `job` in these fonts, its words in visual order; paragraphs that read from right to
/// left end where lines wrap.
pub fn layout(ui: &Ui, job: LayoutJob) -> Arc<Galley> {
    let width = job.wrap.max_width;
    bidi::layout(ui, job, Some(width))
}

/// The same, but no wider than its text needs.
pub fn layout_fitting(ui: &Ui, job: LayoutJob) -> Arc<Galley> {
    bidi::layout(ui, job, None)
}

/// Lays out the text of a field that is written in, with the lines as far apart as in what is read.
pub fn field_layout(look: &Look) -> impl FnMut(&Ui, &dyn TextBuffer, f32) -> Arc<Galley> + use<> {
    let format = TextFormat {
        font_id: look.body.clone(),
        color: look.tokens.text,
        line_height: Some((look.body.size * 1.4).round()),
        ..TextFormat::default()
    };
    move |ui, text, width| {
        let mut job = LayoutJob::single_section(text.as_str().to_owned(), format.clone());
        job.wrap.max_width = width;
        // A space that is typed is seen.
        job.keep_trailing_whitespace = true;
        bidi::layout(ui, job, None)
    }
}
