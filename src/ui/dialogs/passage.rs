//! A passage that moved a token, with the page around it: what stands there, where that is, and a
//! way to the file itself.

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
    /// None until it has been read, or why it cannot be.
    pub around: Option<Result<Box<Around>, String>>,
    has_scrolled: bool,
}

impl PassageState {
    /// One that is being read.
    pub fn new(file: PathBuf, place: String) -> Self {
        Self { file, place, around: None, has_scrolled: false }
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
                text_ui(ui, around, scrolls);
            });
        }
    }
    ui.add_space(space::S);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let hover = "Open it with the desktop's program for it";
        if ui.button("Open the file").on_hover_text(hover).clicked() {
            commands.push(Command::OpenDocument(state.file.clone()));
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.add(Label::new(weak(&state.file.display().to_string())).truncate());
        });
    });
}

fn text_ui(ui: &mut Ui, around: &Around, scrolls: bool) {
    let colors = tokens(ui);
    let font = egui::TextStyle::Body.resolve(ui.style());
    let mut job = LayoutJob::default();
    job.wrap.max_width = ui.available_width();
    let quiet =
        TextFormat { font_id: font.clone(), color: colors.text_weak, ..TextFormat::default() };
    let loud = TextFormat {
        font_id: font,
        color: colors.text_strong,
        background: colors.code_surface,
        ..TextFormat::default()
    };
    job.append(&around.before, 0.0, quiet.clone());
    job.append(&around.passage, 0.0, loud);
    job.append(&around.after, 0.0, quiet);
    let middle = around.before.chars().count() + around.passage.chars().count() / 2;
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    let row = galley.pos_from_cursor(egui::text::CCursor::new(middle));
    let response = ui.add(Label::new(galley).selectable(true));
    if scrolls {
        ui.scroll_to_rect(row.translate(response.rect.min.to_vec2()), Some(Align::Center));
    }
}
