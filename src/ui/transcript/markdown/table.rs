//! Tables: columns as wide as their text where there is room, wrapped cells where there is not,
//! and a scroll bar when even that is too wide.

use std::sync::Arc;

use egui::{Galley, Rect, ScrollArea, Stroke, Ui, Vec2, pos2, vec2};

use super::super::look::Look;
use super::super::selectable;
use super::block::{ColumnAlign, Inline, Table};
use super::inline;

/// Space left and right of a cell's text, and above and below it, in points.
const PADDING: Vec2 = vec2(10.0, 5.0);
/// No column is squeezed below this, in points.
const NARROWEST: f32 = 72.0;

/// Draw a table.
pub fn table_ui(ui: &mut Ui, table: &Table, look: &Look) {
    if table.columns.is_empty() {
        return;
    }
    let available = ui.available_width();
    let header_look = Look { body: look.strong.clone(), ..look.clone() };
    let natural = natural_widths(ui, table, look, &header_look);
    let widths = fitted(&natural, available - 1.0);
    let total: f32 = widths.iter().sum();
    ScrollArea::horizontal().id_salt("table").show(ui, |ui| {
        let rows: Vec<(&[Inline], &Look)> =
            std::iter::once((table.header.as_slice(), &header_look))
                .chain(table.rows.iter().map(|row| (row.as_slice(), look)))
                .collect();
        let laid: Vec<Vec<Arc<Galley>>> = rows
            .iter()
            .map(|(cells, look)| {
                cells
                    .iter()
                    .zip(&widths)
                    .map(|(cell, width)| {
                        let job = inline::job(cell, look, width - 2.0 * PADDING.x);
                        selectable::layout(ui, job)
                    })
                    .collect()
            })
            .collect();
        let heights: Vec<f32> = laid
            .iter()
            .map(|cells| {
                let tallest = cells.iter().map(|galley| galley.size().y).fold(0.0, f32::max);
                tallest.max(look.line_height) + 2.0 * PADDING.y
            })
            .collect();
        let size = vec2(total, heights.iter().sum());
        let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
        let stroke = Stroke::new(1.0, look.tokens.line);
        let mut top = rect.top();
        for (row, ((cells, _), height)) in rows.iter().zip(&heights).enumerate() {
            let mut left = rect.left();
            for (column, ((cell, galley), width)) in
                cells.iter().zip(&laid[row]).zip(&widths).enumerate()
            {
                let area = Rect::from_min_size(pos2(left, top), vec2(*width, *height));
                let position = placed(area, galley, table.columns[column]);
                let id = response.id.with((row, column));
                selectable::galley_at(ui, position, galley.clone(), id);
                inline::links_ui(ui, cell, galley, position, id);
                left += width;
            }
            top += height;
            ui.painter().hline(rect.x_range(), top - 0.5, stroke);
        }
    });
}

fn placed(area: Rect, galley: &Galley, align: ColumnAlign) -> egui::Pos2 {
    let free = area.width() - 2.0 * PADDING.x - galley.size().x;
    let shift = match align {
        ColumnAlign::Start => 0.0,
        ColumnAlign::Middle => free / 2.0,
        ColumnAlign::End => free,
    };
    area.min + PADDING + vec2(shift.max(0.0), 0.0)
}

fn natural_widths(ui: &Ui, table: &Table, look: &Look, header: &Look) -> Vec<f32> {
    let mut widths = vec![0.0_f32; table.columns.len()];
    let rows =
        std::iter::once((&table.header, header)).chain(table.rows.iter().map(|row| (row, look)));
    for (cells, look) in rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            let galley = selectable::layout(ui, inline::job(cell, look, f32::INFINITY));
            *width = width.max(galley.size().x.ceil() + 1.0 + 2.0 * PADDING.x);
        }
    }
    widths
}

/// Widths that fit into `available` where that is possible: narrow columns keep what they need,
/// the wide ones share the rest.
fn fitted(natural: &[f32], available: f32) -> Vec<f32> {
    if natural.iter().sum::<f32>() <= available {
        return natural.to_vec();
    }
    let mut widths = vec![0.0; natural.len()];
    let mut open: Vec<usize> = (0..natural.len()).collect();
    let mut left = available;
    loop {
        let share = left / open.len().max(1) as f32;
        let (fits, wide): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|column| natural[**column] <= share);
        if fits.is_empty() {
            for column in wide {
                widths[column] = share.max(NARROWEST).min(natural[column]);
            }
            return widths;
        }
        for column in fits {
            widths[column] = natural[column];
            left -= natural[column];
        }
        open = wide;
    }
}

#[cfg(test)]
mod tests {
    use super::fitted;

    #[test]
    fn narrow_columns_keep_their_width_and_wide_ones_share() {
        assert_eq!(fitted(&[50.0, 60.0], 200.0), [50.0, 60.0]);
        assert_eq!(fitted(&[50.0, 400.0, 500.0], 450.0), [50.0, 200.0, 200.0]);
        assert_eq!(fitted(&[400.0, 400.0], 100.0), [72.0, 72.0]);
    }
}
