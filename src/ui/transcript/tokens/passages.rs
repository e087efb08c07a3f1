//! In a token's card: the passages of the person's documents that moved it, with share, distance
//! and place, and a way to open the file.

use egui::text::{LayoutJob, TextFormat};
use egui::{Label, RichText, Ui};

use crate::session::{PassageShare, TokenReferences};
use crate::ui::Command;
use crate::ui::transcript::look::Look;

/// Passages shown; a card is small.
const SHOWN: usize = 3;
/// Characters of text shown before and after what a passage puts forward.
const AROUND: usize = 60;

/// Draws what documents did to a token.
pub fn passages_ui(
    ui: &mut Ui,
    told: &TokenReferences,
    is_pinned: bool,
    look: &Look,
    commands: &mut Vec<Command>,
) {
    ui.add_space(6.0);
    let weak =
        |text: String| RichText::new(text).font(look.small.clone()).color(look.tokens.text_weak);
    let (before, after) = (100.0 * told.before, 100.0 * told.after);
    let line = match told.passages.is_empty() {
        true => "Documents: nothing in them was near".to_owned(),
        false => format!(
            "Documents: from {before:.1} % to {after:.1} %, share {:.0} %",
            100.0 * told.lambda
        ),
    };
    ui.label(weak(line));
    for passage in told.passages.iter().take(SHOWN) {
        passage_ui(ui, passage, is_pinned, look, commands);
    }
}

fn passage_ui(
    ui: &mut Ui,
    passage: &PassageShare,
    is_pinned: bool,
    look: &Look,
    commands: &mut Vec<Command>,
) {
    let small = look.small.clone();
    let file = passage.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let place = match passage.place.as_str() {
        "" => file.clone(),
        place => format!("{file}, {place}"),
    };
    let facts =
        format!("{place}: {:.0} %, distance {:.1}", 100.0 * passage.share, passage.distance);
    ui.horizontal(|ui| {
        let color = if passage.agrees { look.tokens.text } else { look.tokens.text_weak };
        ui.add(Label::new(RichText::new(facts).font(small.clone()).color(color)).truncate())
            .on_hover_text(passage.file.display().to_string());
        let hover = "Show it on its page";
        let text = RichText::new("Show").font(small.clone());
        if is_pinned && ui.small_button(text).on_hover_text(hover).clicked() {
            commands.push(Command::ShowPassage(Box::new(passage.clone())));
        }
    });
    let mut job = LayoutJob::default();
    job.wrap.max_width = ui.available_width();
    job.wrap.max_rows = 3;
    let [before, value, after] = parts(passage);
    for (text, color) in [
        (before, look.tokens.text_weak),
        (value, look.tokens.accent),
        (after, look.tokens.text_weak),
    ] {
        let format = TextFormat { font_id: small.clone(), color, ..TextFormat::default() };
        job.append(&text.replace('\n', " "), 0.0, format);
    }
    ui.add(Label::new(job));
}

/// The text before what it puts forward, that, and the text after, cut to what fits.
fn parts(passage: &PassageShare) -> [String; 3] {
    let text = &passage.text;
    let (Some(before), Some(value), Some(after)) =
        (text.get(..passage.start), text.get(passage.start..passage.end), text.get(passage.end..))
    else {
        return [text.clone(), String::new(), String::new()];
    };
    let mut tail: Vec<char> = before.chars().rev().take(AROUND).collect();
    tail.reverse();
    [tail.into_iter().collect(), value.to_owned(), after.chars().take(AROUND).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_cut_around_what_it_puts_forward() {
        let passage = |text: &str, start, end| PassageShare {
            text: text.into(),
            start,
            end,
            ..PassageShare::default()
        };
        assert_eq!(parts(&passage("Die Fähre um acht", 11, 14)), ["Die Fähre ", "um ", "acht"]);
        // Bounds inside a character, or none at all, cost the mark and nothing else.
        assert_eq!(parts(&passage("ä", 1, 9))[0], "ä");
        let long = "x".repeat(500);
        assert_eq!(parts(&passage(&long, 300, 301))[0].len(), AROUND);
    }
}
