//! Levels for several domains at once: the person says how each is to answer, and the sliders go
//! where calibration found that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use egui::{ComboBox, Grid, RichText, Ui};

use super::strength::{Marks, Reach};
use super::{Known, Line};
use crate::steer::levels::{self, Measured};
use crate::ui::controls;
use crate::ui::theme::tokens;

/// The choice that leaves a slider where it is.
const AS_IT_IS: &str = "As it is";

/// What is remembered between frames.
#[derive(Debug, Default)]
pub struct LevelsState {
    is_open: bool,
    /// By vector, the level wanted.
    wanted: BTreeMap<PathBuf, String>,
}

/// Draws the choices where two vectors or more were measured; returns the strengths to set when the
/// person asks for them.
pub fn levels_ui(
    ui: &mut Ui,
    lines: &[Line<'_>],
    beyond: bool,
    state: &mut LevelsState,
) -> Option<Vec<(PathBuf, f32)>> {
    let wanted = &state.wanted;
    let all: Vec<(&Line<'_>, Measured<'_>)> = lines
        .iter()
        .filter_map(|line| {
            let Some(Known::About(about)) = line.known else { return None };
            let calibration = about.facts.calibration.as_ref()?;
            if calibration.sweep.is_empty() || calibration.level_centres.is_empty() {
                return None;
            }
            let reach = Reach::of(&Marks::of(Some(calibration)), beyond);
            let measured = Measured {
                domain: about.facts.domain.trim(),
                calibration,
                strength: f64::from(line.setting.strength),
                wanted: wanted.get(&line.setting.path).map(String::as_str),
                range: [*reach.0.start(), *reach.0.end()],
            };
            Some((line, measured))
        })
        .collect();
    if all.len() < 2 {
        return None;
    }
    if controls::disclosure(ui, state.is_open, "Levels").clicked() {
        state.is_open = !state.is_open;
    }
    if !state.is_open {
        return None;
    }
    let found = levels::find(&all.iter().map(|(_, measured)| *measured).collect::<Vec<_>>());
    let mut chosen = Vec::new();
    Grid::new("levels").num_columns(2).spacing([10.0, 4.0]).show(ui, |ui| {
        for (line, measured) in &all {
            let name = ui.label(RichText::new(line.name()).size(13.0));
            let mut level = measured.wanted.unwrap_or(AS_IT_IS);
            let before = level;
            let mut names: Vec<(&str, f64)> = measured
                .calibration
                .level_centres
                .iter()
                .map(|(name, at)| (name.as_str(), *at))
                .collect();
            names.sort_by(|a, b| a.1.total_cmp(&b.1));
            let choice = ComboBox::from_id_salt(("level", &line.setting.path))
                .selected_text(level)
                .show_ui(ui, |ui| {
                    ui.selectable_value(&mut level, AS_IT_IS, AS_IT_IS);
                    for (name, _) in names {
                        ui.selectable_value(&mut level, name, name);
                    }
                });
            choice.response.labelled_by(name.id);
            if level != before {
                chosen.push((line.setting.path.clone(), level.to_owned()));
            }
            ui.end_row();
        }
    });
    let set = found.as_ref().and_then(|found| {
        let button = controls::wide_button(ui, None, "Set sliders", controls::Weight::Quiet);
        let expected = format!(
            "Expected in the worst domain: {:.0} % of answers at its level",
            100.0 * found.worst
        );
        let expected = RichText::new(expected).small().color(tokens(ui).text_weak);
        ui.add(egui::Label::new(expected).wrap());
        let hover = "Out of what calibration measured of each vector, leaks taken into account";
        button.on_hover_text(hover).clicked().then(|| {
            let each = all.iter().zip(&found.strengths);
            each.map(|((line, _), strength)| (line.setting.path.clone(), *strength as f32))
                .collect()
        })
    });
    for (path, level) in chosen {
        match level == AS_IT_IS {
            true => state.wanted.remove(&path),
            false => state.wanted.insert(path, level),
        };
    }
    set
}
