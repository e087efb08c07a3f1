//! What a datastore is made of: size, model and last change, and the list of its files.

use egui::{Align, Layout, RichText, Ui};

use super::{StoreEntry, StoresState};
use crate::steer::datastore::{Manifest, SourceState};
use crate::ui::Command;
use crate::ui::controls;
use crate::ui::icons::{self, Icon};
use crate::ui::theme::tokens;
use crate::ui::words::{bytes, count, plural};

/// Files listed at once; more are counted.
const LISTED: usize = 40;

/// Size, model and last change on a line that opens the list of files.
pub fn files_ui(
    ui: &mut Ui,
    store: &StoreEntry,
    manifest: &Manifest,
    state: &mut StoresState,
    commands: &mut Vec<Command>,
) {
    let failed =
        manifest.sources.iter().filter(|s| matches!(s.state, SourceState::Failed(_))).count();
    let entries = manifest.entries();
    let size = 2 * (entries * manifest.facts.hidden_size) as u64;
    let mut line = format!(
        "{}, {} entries, {}",
        plural(manifest.sources.len() as u64, "file", "files"),
        count(entries as u64),
        bytes(size)
    );
    if failed > 0 {
        line += &format!(", {failed} not read");
    }
    let is_open = state.opened.as_ref() == Some(&store.folder);
    let changed = jiff::Timestamp::from_second(manifest.changed_secs as i64).map(|time| {
        time.to_zoned(jiff::tz::TimeZone::system()).strftime("%-d %B %Y, %H:%M").to_string()
    });
    let about = format!(
        "Made with {}\nLast change {}",
        manifest.facts.model_name,
        changed.unwrap_or_default()
    );
    if controls::disclosure(ui, is_open, &line).on_hover_text(about).clicked() {
        state.opened = (!is_open).then(|| store.folder.clone());
    }
    if !is_open {
        return;
    }
    for source in manifest.sources.iter().take(LISTED) {
        let name = source.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (what, is_bad) = match &source.state {
            SourceState::Waiting => ("waiting".to_owned(), false),
            SourceState::Done => (plural(source.entries as u64, "entry", "entries"), false),
            // The name stands before it already.
            SourceState::Failed(why) => {
                (why.replace(&format!(": {}", source.path.display()), ""), true)
            }
        };
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                let remove = format!("Take {name} out");
                let hover = "Take its entries out; the file stays";
                // A build keeps the list to itself.
                if store.building.is_none()
                    && icons::button_sized(ui, Icon::Close, &remove, hover, 20.0, None).clicked()
                {
                    let (folder, file) = (store.folder.clone(), source.path.clone());
                    commands.push(Command::RemoveDocument { folder, file });
                }
                let colors = tokens(ui);
                let color = if is_bad { colors.warning } else { colors.text_weak };
                let text = RichText::new(format!("{name}: {what}")).small().color(color);
                ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
                    ui.add(egui::Label::new(text).wrap())
                        .on_hover_text(source.path.display().to_string());
                });
            });
        });
    }
    if manifest.sources.len() > LISTED {
        let more = format!("and {} more", manifest.sources.len() - LISTED);
        ui.label(RichText::new(more).small().color(tokens(ui).text_weak));
    }
}
