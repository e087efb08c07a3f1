//! One vector of the list: its name, its strength, its slider, and what there is to say against it.

use egui::{Align, Layout, RichText, Ui};

use super::measured::levels_at;
use super::strength::{self, Marks, Reach};
use super::{Known, Line};
use crate::model::ModelFacts;
use crate::model::vector::About;
use crate::ui::icons::{self, Icon};
use crate::ui::theme::tokens;

/// What the person did with a vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deed {
    Strength(f32),
    /// The same, and the hand is still on it.
    Drag(f32),
    /// Take it although it was made with another model.
    AnyBase,
    Remove,
}

/// Draws a vector; `beyond` lets it be dialled where nothing good was measured.
pub fn row_ui(
    ui: &mut Ui,
    line: &Line<'_>,
    model: Option<&ModelFacts>,
    beyond: bool,
) -> Option<Deed> {
    let name = line.name();
    let mut deed = None;
    let mut strength = line.setting.strength;
    let mut is_dragged = false;
    let refused = match line.known {
        Some(Known::Refused(why)) => Some(why.as_str()),
        _ => None,
    };
    let about = match line.known {
        Some(Known::About(about)) => Some(about.as_ref()),
        _ => None,
    };
    let marks = Marks::of(about.and_then(|about| about.facts.calibration.as_ref()));
    let reach = Reach::of(&marks, beyond);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 24.0;
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let remove = format!("Remove {name}");
            let hover = "Take it off the list; its file stays";
            if !line.came_with_model
                && icons::button_sized(ui, Icon::Close, &remove, hover, 22.0, None).clicked()
            {
                deed = Some(Deed::Remove);
            }
            if strength == 0.0 {
                ui.add_space(22.0 + ui.spacing().item_spacing.x);
            } else {
                let reset = format!("Reset {name}");
                let hover = "Back to off";
                if icons::button_sized(ui, Icon::Undo, &reset, hover, 22.0, None).clicked() {
                    strength = 0.0;
                }
            }
            is_dragged |= ui
                .add_enabled_ui(refused.is_none(), |ui| number_ui(ui, &name, &mut strength, &reach))
                .inner;
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let label = egui::Label::new(RichText::new(&name).size(14.0)).truncate();
                ui.add(label)
                    .on_hover_text(details(line, about) + "\n\n" + &help(&marks, about, strength));
            });
        });
    });
    ui.add_enabled_ui(refused.is_none(), |ui| {
        let slider = strength::strength_ui(ui, &name, &mut strength, &marks, &reach);
        // No tooltip here: it would lie over the sliders below while this one is dragged.
        is_dragged |= slider.is_pointer_button_down_on();
    });
    if let Some(why) = refused {
        note_ui(ui, why);
    } else if let Some(other) = about.and_then(|about| made_with_another(about, line, model)) {
        note_ui(ui, &other);
        let anyway = egui::Button::new(RichText::new("Use it anyway").small());
        let hover = "For a later stage or another quantisation of the model it was made with";
        if ui.add(anyway).on_hover_text(hover).clicked() {
            deed = Some(Deed::AnyBase);
        }
    } else if marks.warns_at(strength) {
        note_ui(ui, &warning(&marks));
    }
    ui.add_space(4.0);
    if strength != line.setting.strength {
        // The number above was drawn before the slider moved.
        ui.ctx().request_repaint();
    }
    if is_dragged {
        deed = Some(Deed::Drag(strength));
    } else if strength != line.setting.strength {
        deed = Some(Deed::Strength(strength));
    }
    deed
}

/// The strength as a number; true while it is dragged.
pub(super) fn number_ui(ui: &mut Ui, name: &str, strength: &mut f32, reach: &Reach) -> bool {
    let mut value = f64::from(*strength);
    let number = egui::DragValue::new(&mut value)
        .range(reach.0.clone())
        .clamp_existing_to_range(false)
        .speed(strength::STEP / 4.0)
        .max_decimals(2)
        .custom_formatter(|value, _| strength::text_of(value))
        .custom_parser(strength::parse);
    let response = ui.add(number);
    let response = response.accessible_name(format!("{name}, number"));
    let response = response.on_hover_text("Click to type, drag to change");
    if response.changed() {
        *strength = ((value * 100.0).round() / 100.0) as f32;
    }
    response.dragged()
}

/// A line that warns, with its sign.
pub(super) fn note_ui(ui: &mut Ui, text: &str) {
    let color = tokens(ui).warning;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        icons::show(ui, Icon::Warning, 14.0, color);
        ui.add(egui::Label::new(RichText::new(text).small().color(color)).wrap());
    });
}

fn warning(marks: &Marks) -> String {
    let [from, to] = marks.safe.map(|end| strength::text_of(f64::from(end)));
    if marks.is_measured {
        format!("Beyond {from} to {to}, where it was measured to keep its language")
    } else {
        "So far from the base nothing was measured; replies may lose sense".to_owned()
    }
}

fn help(marks: &Marks, about: Option<&About>, strength: f32) -> String {
    let mut lines = vec![
        "Off is the model as it is, +1 as it was aligned, less than 0 away from it".to_owned(),
    ];
    lines.extend(
        marks
            .levels
            .iter()
            .map(|(name, strength)| format!("{}: {name}", strength::text_of(f64::from(*strength)))),
    );
    let calibration = about.and_then(|about| about.facts.calibration.as_ref());
    lines.extend(calibration.and_then(|measured| levels_at(measured, strength)));
    lines.join("\n")
}

fn details(line: &Line<'_>, about: Option<&About>) -> String {
    let mut lines = Vec::new();
    if let Some(about) = about {
        lines.push(format!("{}, {}", about.name, about.facts.kind));
        lines.push(about.facts.how_made.clone());
        if !about.base_name.is_empty() {
            lines.push(format!("Made with {}", about.base_name));
        }
    }
    lines.push(line.setting.path.display().to_string());
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// Why it does not belong to the loaded model, if it says which it belongs to.
fn made_with_another(about: &About, line: &Line<'_>, model: Option<&ModelFacts>) -> Option<String> {
    let (model, made_with) = (model?, about.base_fingerprint.as_ref()?);
    if line.setting.any_base || *made_with == model.fingerprint {
        return None;
    }
    let base = match about.base_name.as_str() {
        "" => "another model",
        name => name,
    };
    Some(format!("Made with {base}; the model loaded is {}", model.name))
}
