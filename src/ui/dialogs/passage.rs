//! A passage that moved a token, with the pages around it: what stands there, where that is, and a
//! way to the file itself.

use std::ops::Range;
use std::path::PathBuf;

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, Label, Layout, RichText, ScrollArea, Ui};

use crate::steer::datastore::Around;
use crate::ui::Command;
use crate::ui::theme::{space, tokens};

/// Most of the dialog's height that the text takes, in points.
const TALLEST: f32 = 420.0;

/// The passage that is shown.
#[derive(Debug)]
pub struct PassageState {
    pub file: PathBuf,
    /// `line 12`, `page 3`; may be empty.
    pub place: String,
    /// The bytes of the passage that it put forward as what comes next.
    pub value: Range<usize>,
    /// None until it has been read, or why it cannot be.
    pub around: Option<Result<Box<Around>, String>>,
    has_scrolled: bool,
}

impl PassageState {
    /// One that is being read.
    pub fn new(file: PathBuf, place: String, value: Range<usize>) -> Self {
        Self { file, place, value, around: None, has_scrolled: false }
    }

    /// The page it stands on, where the file has pages.
    fn page(&self) -> Option<u32> {
        self.place.strip_prefix("page ")?.parse().ok()
    }

    /// The file's name and the place in it.
    pub fn title(&self) -> String {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        match self.place.as_str() {
            "" => name.into_owned(),
            place => format!("{name}, {place}"),
        }
    }
}

/// Draws the inside of the dialog.
pub fn passage_ui(ui: &mut Ui, state: &mut PassageState, commands: &mut Vec<Command>) {
    let colors = tokens(ui);
    let weak = |text: &str| RichText::new(text).small().color(colors.text_weak);
    match &state.around {
        None => {
            ui.label(weak("Reading"));
        }
        Some(Err(why)) => {
            ui.add(Label::new(RichText::new(why).color(colors.warning)).wrap());
        }
        Some(Ok(around)) => {
            if !around.note.is_empty() {
                ui.add(Label::new(weak(&around.note)).wrap());
                ui.add_space(space::XS);
            }
            let scrolls = !std::mem::replace(&mut state.has_scrolled, true);
            ScrollArea::vertical().max_height(TALLEST).auto_shrink([false, true]).show(ui, |ui| {
                text_ui(ui, around, &state.value, scrolls);
            });
        }
    }
    ui.add_space(space::S);
    // A row of its own: alone the layout would take all the height that is left.
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let hover = "Open it with the desktop's program for it";
            if ui.button("Open the file").on_hover_text(hover).clicked() {
                let (file, page) = (state.file.clone(), state.page());
                commands.push(Command::OpenDocument { file, page });
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(Label::new(weak(&state.file.display().to_string())).truncate());
            });
        });
    });
}

fn text_ui(ui: &mut Ui, around: &Around, value: &Range<usize>, scrolls: bool) {
    let colors = tokens(ui);
    let font = egui::TextStyle::Body.resolve(ui.style());
    let quiet =
        TextFormat { font_id: font.clone(), color: colors.text_weak, ..TextFormat::default() };
    let loud = TextFormat {
        font_id: font.clone(),
        color: colors.text_strong,
        background: colors.code_surface,
        ..TextFormat::default()
    };
    let underline = egui::Stroke::new(1.5, colors.accent);
    let marked = TextFormat { color: colors.accent, underline, ..loud.clone() };
    let heading = TextFormat {
        font_id: egui::TextStyle::Small.resolve(ui.style()),
        color: colors.text_strong,
        ..TextFormat::default()
    };
    let (mut job, mut middle) = (LayoutJob::default(), 0);
    job.wrap.max_width = ui.available_width();
    for piece in pieces(around, value) {
        match piece {
            Piece::Heading(name) => {
                let front = if job.text.is_empty() || job.text.ends_with('\n') { "" } else { "\n" };
                job.append(&format!("{front}{name}\n"), 0.0, heading.clone());
            }
            Piece::Around(text) => job.append(text, 0.0, quiet.clone()),
            Piece::Passage(text) => job.append(text, 0.0, loud.clone()),
            Piece::Value(text) => {
                middle = job.text.chars().count();
                job.append(text, 0.0, marked.clone());
            }
        }
    }
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    let row = galley.pos_from_cursor(egui::text::CCursor::new(middle));
    let response = ui.add(Label::new(galley).selectable(true));
    if scrolls {
        // At once: it has just been opened, so there is nothing to be carried from.
        let row = row.translate(response.rect.min.to_vec2());
        let at_once = egui::style::ScrollAnimation::none();
        ui.scroll_to_rect_animation(row, Some(Align::Center), at_once);
    }
}

/// The text in the order it is read.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// A page or chapter begins.
    Heading(&'a str),
    Around(&'a str),
    Passage(&'a str),
    /// What the passage put forward; always there, and where it is scrolled to.
    Value(&'a str),
}

type Kind<'a> = fn(&'a str) -> Piece<'a>;

fn pieces<'a>(around: &'a Around, value: &Range<usize>) -> Vec<Piece<'a>> {
    let passage = around.passage.as_str();
    let parts = passage.get(..value.start).zip(passage.get(value.clone()));
    let parts = parts.zip(passage.get(value.end..));
    // Bounds inside a character cost the mark and nothing else.
    let ((front, value), back) = parts.unwrap_or((("", ""), passage));
    let (mut all, mut at) = (Vec::new(), 0);
    let mut headings = around.headings.iter().peekable();
    let parts: [(Kind<'a>, &'a str); 5] = [
        (Piece::Around, &around.before),
        (Piece::Passage, front),
        (Piece::Value, value),
        (Piece::Passage, back),
        (Piece::Around, &around.after),
    ];
    for (kind, text) in parts {
        let mut rest = text;
        while let Some((start, name)) = headings.next_if(|(start, _)| *start < at + rest.len()) {
            let cut = rest.split_at_checked(start.saturating_sub(at));
            let (before, after) = cut.unwrap_or(("", rest));
            if !before.is_empty() {
                all.push(kind(before));
            }
            all.push(Piece::Heading(name));
            at += before.len();
            rest = after;
        }
        if !rest.is_empty() || matches!(kind(""), Piece::Value(_)) {
            all.push(kind(rest));
        }
        at += rest.len();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_where_they_begin_and_the_value_is_marked() {
        let around = Around {
            before: "one. two. ".into(),
            passage: "At eight, ".into(),
            after: "three.".into(),
            headings: vec![(0, "page 1".into()), (5, "page 2".into()), (20, "page 3".into())],
            note: String::new(),
        };
        assert_eq!(
            pieces(&around, &(3..8)),
            [
                Piece::Heading("page 1"),
                Piece::Around("one. "),
                Piece::Heading("page 2"),
                Piece::Around("two. "),
                Piece::Passage("At "),
                Piece::Value("eight"),
                Piece::Passage(", "),
                Piece::Heading("page 3"),
                Piece::Around("three."),
            ]
        );
        // A page may begin within the value, and bounds may mean nothing.
        let odd = Around { headings: vec![(15, "page 2".into())], ..around.clone() };
        let cut = pieces(&odd, &(3..8));
        assert_eq!(cut[2..5], [Piece::Value("ei"), Piece::Heading("page 2"), Piece::Value("ght")]);
        let none = Around { headings: Vec::new(), ..around };
        assert_eq!(pieces(&none, &(3..99))[1..3], [Piece::Value(""), Piece::Passage("At eight, ")]);
    }
}
