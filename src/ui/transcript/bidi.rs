//! Right-to-left text in its reading order. egui shapes each word by its script but sets the words
//! from left to right; here the words of a laid-out row are moved to where Unicode's bidirectional
//! algorithm wants them. The text of the galley stays in logical order, for copying and for
//! screen readers.

use std::iter::Peekable;
use std::ops::Range;
use std::str::Chars;
use std::sync::Arc;

use egui::epaint::text::{ByteIndex, Glyph, Row};
use egui::text::{LayoutJob, LayoutSection};
use egui::{Galley, Ui};
use unicode_bidi::{BidiInfo, Level};

/// Lay out `job` with its words in visual order. Paragraphs that read from right to left end at
/// `width`, or at the end of the longest row where `None`.
pub fn layout(ui: &Ui, mut job: LayoutJob, width: Option<f32>) -> Arc<Galley> {
    let has_words = !job.text.is_ascii() && job.text.chars().any(is_right_to_left);
    if has_words {
        separate(&mut job);
    }
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    let width = width.unwrap_or(galley.size().x);
    if has_words { arranged(galley, width) } else { galley }
}

/// Give every right-to-left word a section of its own: sections are shaped one by one, so that
/// only its letters are turned around, never it and its neighbours together.
fn separate(job: &mut LayoutJob) {
    let old = std::mem::take(&mut job.sections);
    for section in old {
        let range = section.byte_range.start.0..section.byte_range.end.0;
        let mut leading_space = section.leading_space;
        let mut start = range.start;
        let mut chars = job.text[range.clone()].char_indices().peekable();
        while let Some((_, c)) = chars.next() {
            let end = chars.peek().map_or(range.end, |(at, _)| range.start + at);
            let ends =
                chars.peek().is_none_or(|(_, next)| is_right_to_left(c) != is_right_to_left(*next));
            if ends {
                job.sections.push(LayoutSection {
                    leading_space: std::mem::take(&mut leading_space),
                    byte_range: ByteIndex(start)..ByteIndex(end),
                    format: section.format.clone(),
                });
                start = end;
            }
        }
    }
}

/// The same text with its words in visual order; paragraphs that read from right to left end at
/// `width`.
fn arranged(galley: Arc<Galley>, width: f32) -> Arc<Galley> {
    let mut galley = Arc::unwrap_or_clone(galley);
    let job = galley.job.clone();
    let mut logical = job.text.chars().peekable();
    let mut first = 0;
    while first < galley.rows.len() {
        let rest = &galley.rows[first..];
        let count =
            rest.iter().position(|row| row.ends_with_newline).map_or(rest.len(), |at| at + 1);
        let rows = &mut galley.rows[first..first + count];
        for placed in rows.iter_mut() {
            one_glyph_per_char(Arc::make_mut(&mut placed.row), &mut logical);
        }
        logical.next_if_eq(&'\n');
        let text: String =
            rows.iter().flat_map(|row| row.glyphs.iter().map(|glyph| glyph.chr)).collect();
        let info = BidiInfo::new(&text, None);
        let from_right = info.paragraphs.first().is_some_and(|paragraph| paragraph.level.is_rtl());
        let mut levels = text.char_indices().map(|(byte, _)| info.levels[byte]);
        for placed in rows {
            let levels: Vec<Level> = levels.by_ref().take(placed.glyphs.len()).collect();
            arrange(Arc::make_mut(&mut placed.row), &levels);
            if from_right && width.is_finite() {
                placed.pos.x += (width - placed.size.x).max(0.0).round();
            }
        }
        first += count;
    }
    let mut bounds = egui::Rect::NOTHING;
    for row in &galley.rows {
        bounds |= row.visuals.mesh_bounds.translate(row.pos.to_vec2());
        galley.rect |= row.rect();
    }
    galley.mesh_bounds = bounds;
    Arc::new(galley)
}

/// The shaper leaves words that read from right to left with more or fewer glyphs than characters;
/// selections and links count one for each.
fn one_glyph_per_char(row: &mut Row, logical: &mut Peekable<Chars<'_>>) {
    let old = std::mem::take(&mut row.glyphs);
    for word in old.chunk_by(|a, b| is_right_to_left(a.chr) && is_right_to_left(b.chr)) {
        if !word.first().is_some_and(|glyph| is_right_to_left(glyph.chr)) {
            row.glyphs.extend_from_slice(word);
            logical.next();
            continue;
        }
        let mut count = 0;
        while count < word.len() && logical.next_if(|c| is_right_to_left(*c)).is_some() {
            count += 1;
        }
        let start = row.glyphs.len();
        let is_drawn = |glyph: &Glyph| glyph.advance_width > 0.0 || !glyph.uv_rect.is_nothing();
        let mut surplus = word.len().saturating_sub(count);
        for glyph in word {
            if surplus > 0 && !is_drawn(glyph) {
                surplus -= 1;
            } else {
                row.glyphs.push(*glyph);
            }
        }
        while row.glyphs.len() < start + count {
            // Part of a ligature: it has a place but no picture.
            let Some(mut part) = row.glyphs.last().copied() else { break };
            part.advance_width = 0.0;
            part.uv_rect.max = part.uv_rect.min;
            row.glyphs.push(part);
        }
    }
}

/// Move the pieces of a row to their places.
fn arrange(row: &mut Row, levels: &[Level]) {
    if levels.iter().all(|level| level.number() == 0) {
        return;
    }
    let pieces = pieces(row, levels);
    let Some(start) = row.glyphs.first().map(|glyph| glyph.pos.x) else { return };
    let end = row.glyphs.last().map_or(start, |glyph| glyph.max_x());
    let left_of = |row: &Row, glyph: usize| row.glyphs.get(glyph).map_or(end, |glyph| glyph.pos.x);
    let extents: Vec<(f32, f32)> = pieces
        .iter()
        .map(|(_, range)| (left_of(row, range.start), left_of(row, range.end)))
        .collect();
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    reverse_by_level(&mut order, |piece| pieces[piece].0.number());
    let mut x = start;
    for piece in order {
        let (left, right) = extents[piece];
        shift(row, pieces[piece].1.clone(), x - left);
        x += right - left;
    }
    row.visuals.mesh_bounds = row.visuals.mesh.calc_bounds();
    // From here on the n-th glyph of a word is its n-th character, which stands further left.
    for (level, range) in pieces {
        if level.is_rtl() {
            let glyphs = &mut row.glyphs[range];
            // The tessellator counts on these going up.
            let vertices: Vec<u32> = glyphs.iter().map(|glyph| glyph.first_vertex).collect();
            glyphs.sort_by(|a, b| b.pos.x.total_cmp(&a.pos.x));
            for (glyph, vertex) in glyphs.iter_mut().zip(vertices) {
                glyph.first_vertex = vertex;
            }
        }
    }
}

/// What moves as a whole: the letters of a right-to-left word, which the shaper has set in visual
/// order already, or one glyph.
fn pieces(row: &Row, levels: &[Level]) -> Vec<(Level, Range<usize>)> {
    let mut pieces: Vec<(Level, Range<usize>)> = Vec::new();
    let mut in_word = false;
    for (index, (glyph, level)) in row.glyphs.iter().zip(levels).enumerate() {
        let is_letter = level.is_rtl() && is_right_to_left(glyph.chr);
        match pieces.last_mut() {
            Some((last, range)) if in_word && is_letter && last == level => range.end = index + 1,
            _ => pieces.push((*level, index..index + 1)),
        }
        in_word = is_letter;
    }
    pieces
}

/// Rule L2: from the highest level down to the first, turn around every stretch of it.
fn reverse_by_level(order: &mut [usize], level_of: impl Fn(usize) -> u8) {
    let highest = order.iter().map(|item| level_of(*item)).max().unwrap_or(0);
    for level in (1..=highest).rev() {
        for stretch in order.chunk_by_mut(|a, b| (level_of(*a) >= level) == (level_of(*b) >= level))
        {
            if stretch.first().is_some_and(|item| level_of(*item) >= level) {
                stretch.reverse();
            }
        }
    }
}

fn shift(row: &mut Row, glyphs: Range<usize>, distance: f32) {
    let glyph_vertices = row.visuals.glyph_vertex_range.end;
    let vertex_of = |row: &Row, glyph: usize| {
        row.glyphs.get(glyph).map_or(glyph_vertices, |glyph| glyph.first_vertex as usize)
    };
    let vertices = vertex_of(row, glyphs.start)..vertex_of(row, glyphs.end);
    for vertex in row.visuals.mesh.vertices.get_mut(vertices).unwrap_or_default() {
        vertex.pos.x += distance;
    }
    for glyph in row.glyphs.get_mut(glyphs).unwrap_or_default() {
        glyph.pos.x += distance;
    }
}

/// Letters and marks of Hebrew, Arabic and their relatives.
fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{590}'..='\u{65f}' | '\u{66a}'..='\u{6ef}' | '\u{6fa}'..='\u{8ff}' | '\u{200f}'
        | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The characters of each row as the eye meets them from left to right.
    fn seen(text: &str, width: f32) -> Vec<String> {
        let context = egui::Context::default();
        let mut rows = Vec::new();
        let mut output = context.run_ui(egui::RawInput::default(), |ui| {
            let font = egui::FontId::proportional(14.0);
            let color = ui.visuals().text_color();
            let job = LayoutJob::simple(text.to_owned(), font, color, width);
            let galley = layout(ui, job, Some(width));
            assert_eq!(galley.text(), text, "the text itself is untouched");
            rows = galley.rows.clone();
        });
        // Nothing is painted.
        output.textures_delta.clear();
        rows.iter()
            .map(|row| {
                let mut glyphs: Vec<_> = row.glyphs.iter().collect();
                glyphs.sort_by(|a, b| a.pos.x.total_cmp(&b.pos.x));
                glyphs.iter().map(|glyph| glyph.chr).collect()
            })
            .collect()
    }

    #[test]
    fn words_of_a_right_to_left_sentence_run_from_the_right() {
        // Each word's letters were already turned by the shaper.
        assert_eq!(seen("אב גד הו", f32::INFINITY), ["וה דג בא"]);
        assert_eq!(seen("אב גד.", f32::INFINITY), [".דג בא"]);
    }

    #[test]
    fn foreign_words_and_numbers_keep_their_direction() {
        assert_eq!(seen("אב abc def גד", f32::INFINITY), ["דג abc def בא"]);
        assert_eq!(seen("say אב גד now", f32::INFINITY), ["say דג בא now"]);
        assert_eq!(seen("אב 123 גד", f32::INFINITY), ["דג 123 בא"]);
    }

    #[test]
    fn lines_follow_each_other_from_the_top() {
        let rows = seen("אבגדה וזחטי כלמנס", 60.0);
        assert!(rows.len() > 1, "wraps: {rows:?}");
        assert!(rows[0].contains('א'), "the first word is in the first row: {rows:?}");
        assert!(rows[rows.len() - 1].contains('כ'), "the last in the last: {rows:?}");
    }

    #[test]
    fn every_character_has_its_place() {
        let context = egui::Context::default();
        let mut output = context.run_ui(egui::RawInput::default(), |ui| {
            let text = "see אבגדה וז.";
            let font = egui::FontId::proportional(14.0);
            let color = ui.visuals().text_color();
            let job = LayoutJob::simple(text.to_owned(), font, color, f32::INFINITY);
            let galley = layout(ui, job, None);
            let row = &galley.rows[0];
            assert_eq!(row.text(), text);
            let x = |index: usize| row.glyphs[index].pos.x;
            assert!(x(4) > x(5) && x(8) > x(10), "letters and words run to the left");
        });
        output.textures_delta.clear();
    }

    #[test]
    fn other_text_is_left_as_it_is() {
        assert_eq!(seen("plain, 漢字 and é", f32::INFINITY), ["plain, 漢字 and é"]);
    }
}
