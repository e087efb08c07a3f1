//! What calibration measured, for the list: the levels of answers where a slider stands, and how far
//! each vector leaks into the other domains.

use std::collections::BTreeSet;

use egui::{Grid, RichText, Ui};

use super::strength::text_of;
use super::{Known, Line};
use crate::model::vector::{Calibration, SweepPoint};
use crate::steer::levels;
use crate::ui::controls;
use crate::ui::theme::tokens;
use crate::ui::words;

/// The rates measured nearest to a strength, with the length of answers beside them: a level is
/// easily taken for a length. `None` where nothing was measured.
pub fn levels_at(calibration: &Calibration, strength: f32) -> Option<String> {
    let distance = |point: &SweepPoint| (point.strength - f64::from(strength)).abs();
    let nearest = calibration.sweep.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let rates = nearest.rates.iter().map(|(level, rate)| format!("{level} {:.0} %", 100.0 * rate));
    let rates: Vec<String> = rates.collect();
    let tokens = words::plural(nearest.answer_tokens.round() as u64, "token", "tokens");
    let at = text_of(nearest.strength);
    Some(format!("Measured at {at}: {}; {tokens} an answer", rates.join(", ")))
}

/// Domains, and for each measured vector its name and the changes in them, in points.
#[derive(Debug, Clone, PartialEq, Default)]
struct Leaks {
    domains: Vec<String>,
    rows: Vec<(String, Vec<Option<f64>>)>,
}

fn leaks(lines: &[Line<'_>]) -> Leaks {
    let measured: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let Some(Known::About(about)) = line.known else { return None };
            let calibration = about.facts.calibration.as_ref()?;
            let domain = about.facts.domain.trim().to_owned();
            (!calibration.leak.is_empty()).then(|| (line.name(), domain, calibration))
        })
        .collect();
    let domains: BTreeSet<String> = measured
        .iter()
        .flat_map(|(_, domain, calibration)| calibration.leak.keys().chain([domain]).cloned())
        .filter(|domain| !domain.is_empty())
        .collect();
    let row = |(name, own, calibration): (String, String, &Calibration)| {
        let change = |domain: &String| match *domain == own {
            true => levels::own_change(calibration),
            false => calibration.leak.get(domain).copied(),
        };
        (name, domains.iter().map(change).collect())
    };
    Leaks {
        rows: measured.into_iter().map(row).collect(),
        domains: domains.iter().cloned().collect(),
    }
}

/// Draws the table where some vector was measured in other domains; `is_open` is whether it is
/// unfolded.
pub fn leaks_ui(ui: &mut Ui, lines: &[Line<'_>], is_open: &mut bool) {
    let leaks = leaks(lines);
    if leaks.rows.is_empty() {
        return;
    }
    if controls::disclosure(ui, *is_open, "Leaks between domains").clicked() {
        *is_open = !*is_open;
    }
    if !*is_open {
        return;
    }
    let weak = tokens(ui).text_weak;
    let quiet = |text: String| RichText::new(text).small().color(weak);
    Grid::new("leaks").num_columns(leaks.domains.len() + 1).spacing([10.0, 4.0]).show(ui, |ui| {
        ui.label(quiet(String::new()));
        for domain in &leaks.domains {
            ui.label(quiet(domain.clone()));
        }
        ui.end_row();
        for (name, changes) in &leaks.rows {
            ui.label(RichText::new(name).size(13.0));
            for change in changes {
                ui.label(RichText::new(change.map_or("·".to_owned(), points)).size(13.0));
            }
            ui.end_row();
        }
    });
    let meaning = "Expert answers from off to +1, in percentage points".to_owned();
    ui.add(egui::Label::new(quiet(meaning)).wrap());
}

/// A change with its sign; a true minus, as wide as the plus.
fn points(change: f64) -> String {
    let points = (100.0 * change).round();
    let sign = if points < 0.0 { "−" } else { "+" };
    format!("{sign}{:.0}", points.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::vector::{About, Facts};
    use crate::steer::VectorSetting;

    fn calibration(leak: &[(&str, f64)]) -> Calibration {
        let point = |strength, expert: f64| SweepPoint {
            strength,
            rates: [("avoidance".to_owned(), 1.0 - expert), ("expert".to_owned(), expert)].into(),
            answer_tokens: 20.0 + 40.0 * strength,
            ..SweepPoint::default()
        };
        Calibration {
            sweep: vec![point(-0.5, 0.1), point(0.0, 0.3), point(0.5, 0.5), point(1.0, 0.75)],
            leak: leak.iter().map(|(domain, change)| ((*domain).to_owned(), *change)).collect(),
            ..Calibration::default()
        }
    }

    #[test]
    fn levels_are_those_measured_nearest_with_the_length_beside_them() {
        let measured = calibration(&[]);
        let said = levels_at(&measured, 0.85).unwrap();
        assert_eq!(said, "Measured at +1.00: avoidance 25 %, expert 75 %; 60 tokens an answer");
        assert!(levels_at(&measured, 0.2).unwrap().contains("Off"));
        assert_eq!(levels_at(&Calibration::default(), 0.0), None);
    }

    #[test]
    fn the_table_has_a_row_per_measured_vector_and_a_column_per_domain() {
        let known = |domain: &str, leak: Option<&[(&str, f64)]>| {
            Known::About(Box::new(About {
                facts: Facts {
                    domain: domain.into(),
                    calibration: leak.map(calibration),
                    ..Facts::default()
                },
                ..About::default()
            }))
        };
        let all = [
            known("medical", Some(&[("legal", 0.03), ("financial", -0.14)])),
            known("legal", Some(&[("medical", 0.0)])),
            known("poems", None),
        ];
        let line = |known| Line {
            setting: VectorSetting::new("a", 0.0),
            known: Some(known),
            came_with_model: false,
        };
        let lines: Vec<Line<'_>> = all.iter().map(line).collect();
        let table = leaks(&lines);
        assert_eq!(table.domains, ["financial", "legal", "medical"]);
        let shown = |row: usize| {
            let change = |change: &Option<f64>| change.map_or("·".to_owned(), points);
            table.rows[row].1.iter().map(change).collect::<Vec<_>>()
        };
        assert_eq!((table.rows.len(), table.rows[0].0.as_str()), (2, "Medical"));
        assert_eq!(shown(0), ["−14", "+3", "+45"], "its own domain between the others");
        assert_eq!(shown(1), ["·", "+45", "+0"]);
        assert_eq!(leaks(&lines[2..]), Leaks::default());
    }
}
