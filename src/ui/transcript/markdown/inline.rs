//! Running text: styled spans as one galley, with its links on top.

use egui::text::{LayoutJob, TextFormat};
use egui::{CursorIcon, OpenUrl, Rect, Role, Sense, Stroke, Ui, WidgetInfo};

use super::super::look::Look;
use super::super::selectable;
use super::block::{Inline, Style};

/// Draw running text as wide as there is room for.
pub fn inline_ui(ui: &mut Ui, inline: &Inline, look: &Look) {
    let galley = selectable::layout(ui, job(inline, look, ui.available_width()));
    let (position, response) = selectable::galley_ui(ui, galley.clone());
    links_ui(ui, inline, &galley, position, response.id);
}

/// Draw the links of text that is already drawn at `position`.
pub fn links_ui(
    ui: &Ui,
    inline: &Inline,
    galley: &egui::Galley,
    position: egui::Pos2,
    id: egui::Id,
) {
    if inline.links.is_empty() {
        return;
    }
    let mut chars = 0;
    let size = galley.job.sections.first().map_or(0.0, |section| section.format.font_id.size);
    for (index, span) in inline.spans.iter().enumerate() {
        let text = &inline.text[span.range.clone()];
        let start = chars;
        chars += text.chars().count();
        let Some(address) = span.style.link.and_then(|link| inline.links.get(link)) else {
            continue;
        };
        for (row, rect) in selectable::rects_of(galley, start..chars, 0.0).into_iter().enumerate() {
            let rect = rect.translate(position.to_vec2());
            link_ui(ui, rect, id.with((index, row)), text, address, size, row == 0);
        }
    }
}

fn link_ui(ui: &Ui, rect: Rect, id: egui::Id, text: &str, address: &str, size: f32, first: bool) {
    if !ui.is_rect_visible(rect) {
        return;
    }
    let mut sense = if opens(address) { Sense::click() } else { Sense::hover() };
    if !first {
        sense -= Sense::FOCUSABLE;
    }
    let response = ui.interact(rect, id, sense);
    response.widget_info(|| WidgetInfo::labeled(Role::Link, ui.is_enabled(), text));
    // The font's own underline would hang below the tall line.
    let y = rect.center().y + size * 0.48;
    let color = ui.visuals().hyperlink_color;
    let lively = response.hovered() || response.has_focus();
    let line = if lively { color } else { color.gamma_multiply(0.45) };
    ui.painter().hline(rect.x_range(), y, Stroke::new(1.0, line));
    if response.has_focus() {
        let stroke = Stroke::new(1.5, color);
        ui.painter().rect_stroke(rect, 3.0, stroke, egui::StrokeKind::Outside);
    }
    let clicked = response.clicked();
    let mut response = response;
    if opens(address) {
        response = response.on_hover_cursor(CursorIcon::PointingHand);
    }
    response.on_hover_text(address);
    if clicked {
        ui.ctx().open_url(OpenUrl::new_tab(address));
    }
}

/// Only the web and mail: a model's text must not start anything else.
fn opens(address: &str) -> bool {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "mailto"))
}

/// The text as a layout job of at most this width.
pub fn job(inline: &Inline, look: &Look, width: f32) -> LayoutJob {
    let mut job = LayoutJob::default();
    job.wrap.max_width = width;
    for span in &inline.spans {
        job.append(&inline.text[span.range.clone()], 0.0, format(span.style, look));
    }
    job
}

fn format(style: Style, look: &Look) -> TextFormat {
    let tokens = &look.tokens;
    let mut format = TextFormat {
        font_id: if style.code {
            look.code.clone()
        } else if style.strong {
            look.strong.clone()
        } else {
            look.body.clone()
        },
        color: if style.strong { tokens.text_strong } else { tokens.text },
        line_height: Some(look.line_height),
        italics: style.emphasis || style.substitute,
        ..TextFormat::default()
    };
    if style.code {
        format.background = tokens.code_surface;
        format.expand_bg = 2.0;
    }
    if style.substitute {
        format.color = tokens.text_weak;
    }
    if style.struck {
        format.strikethrough = Stroke::new(1.0, tokens.text_weak);
    }
    if style.link.is_some() {
        format.color = tokens.accent;
    }
    format
}
