//! The dialog that learns rewards: what from, how long that would take, and how far it is.

use std::path::{Path, PathBuf};

use egui::{RichText, Ui};

use super::under_way::{UnderWay, under_way_ui};
use super::{Field, fields};
use crate::engine::making::{Lessons, MadeFrom, Making, file_for};
use crate::model::{LoadOptions, ModelFacts};
use crate::ui::command::Command;
use crate::ui::controls::{self, Weight};
use crate::ui::theme::{space, tokens};

/// What was filled in; kept while the program runs.
#[derive(Debug)]
pub struct LearningForm {
    data: String,
    name: String,
    rated: bool,
    unfinished: bool,
    stops_early: bool,
    epochs: u64,
    /// How long what was asked for then would take.
    estimate: Option<(Making, String)>,
}

impl Default for LearningForm {
    fn default() -> Self {
        Self {
            data: String::new(),
            name: String::new(),
            rated: false,
            unfinished: true,
            stops_early: true,
            epochs: 2,
            estimate: None,
        }
    }
}

impl LearningForm {
    /// Fills in a path that was chosen in a dialog.
    pub fn set_data(&mut self, path: &Path) {
        self.data = path.display().to_string();
    }

    /// Keeps an estimate of something.
    pub fn take_estimate(&mut self, of: Making, words: String) {
        self.estimate = Some((of, words));
    }

    /// What is to be learnt, or what is still missing.
    fn making(&self, view: &LearningView<'_>) -> Result<Making, &'static str> {
        let model = view.model.ok_or("Load the model to learn for first")?;
        let data = self.data.trim();
        if data.is_empty() {
            return Err(if self.rated {
                "Name the file of ratings"
            } else {
                "Name the file of pairs"
            });
        }
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err("Give the adapter a name");
        }
        let lessons = Lessons {
            data: PathBuf::from(data),
            rated: self.rated,
            unfinished: self.unfinished,
            stops_early: self.stops_early,
            epochs: self.epochs,
            device: view.options.device.clone(),
            weights: view.options.weights.clone(),
            rounded_to: model.rounded_to.clone(),
        };
        let (base, out) = (model.path.clone(), file_for(view.folder, &name));
        Ok(Making { name, domain: String::new(), base, from: MadeFrom::Lessons(lessons), out })
    }
}

/// What is drawn.
pub struct LearningView<'a> {
    pub under_way: Option<&'a UnderWay>,
    /// The model in memory, and how it was loaded.
    pub model: Option<&'a ModelFacts>,
    /// Its name, as the stores know it.
    pub model_name: Option<&'a str>,
    pub options: &'a LoadOptions,
    /// Where adapters are written.
    pub folder: &'a Path,
}

/// Draws the dialog's inside.
pub fn learning_ui(
    ui: &mut Ui,
    view: &LearningView<'_>,
    form: &mut LearningForm,
    commands: &mut Vec<Command>,
) {
    if let Some(name) = view.model_name {
        weak(ui, &format!("An adapter for {name}; no other model can use it"));
    }
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        let hover = "Each line a prompt with a better and a worse answer";
        ui.selectable_value(&mut form.rated, false, "Preferences").on_hover_text(hover);
        let hover = "Each line a prompt with an answer and a number";
        ui.selectable_value(&mut form.rated, true, "Ratings").on_hover_text(hover);
    });
    let (field, lines) = match form.rated {
        false => ("Preference pairs", "Lines of {\"prompt\": …, \"chosen\": …, \"rejected\": …}"),
        true => ("Rated answers", "Lines of {\"prompt\": …, \"answer\": …, \"rating\": 0.5}"),
    };
    fields::path_ui(ui, field, Field::Lessons, &mut form.data, commands);
    weak(ui, lines);
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        fields::number_ui(ui, "Passes", 1..=100, &mut form.epochs);
        ui.add_space(space::S);
        let early = egui::Checkbox::new(&mut form.stops_early, "Stop when it gets no better");
        let hover = "Looks at what was held out ten times a pass, and keeps the best";
        controls::outlined(ui, |ui| ui.add(early)).on_hover_text(hover);
        ui.add_space(space::S);
        let unfinished = egui::Checkbox::new(&mut form.unfinished, "Judge unfinished answers, too");
        let hover = "Also compares the answers on the way, and each with itself with a fault in its \
                     language, so that the reward means something before a reply has ended";
        controls::outlined(ui, |ui| ui.add_enabled(!form.rated, unfinished)).on_hover_text(hover);
    });
    fields::text_ui(ui, "Adapter name", "Such as civil", &mut form.name);
    ui.add_space(space::M);
    if let Some(one) = view.under_way {
        return under_way_ui(ui, one, commands);
    }
    match form.making(view) {
        Ok(making) => ready_ui(ui, making, form.estimate.as_ref(), commands),
        Err(missing) => {
            weak(ui, missing);
            ui.add_enabled_ui(false, |ui| {
                controls::wide_button(ui, None, "Learn the rewards", Weight::Primary);
            });
        }
    }
}

/// How long it would take, as far as that was measured, and the button that begins.
fn ready_ui(
    ui: &mut Ui,
    making: Making,
    estimate: Option<&(Making, String)>,
    commands: &mut Vec<Command>,
) {
    match estimate.filter(|(of, _)| *of == making) {
        Some((_, words)) => {
            let words = format!("It takes {words}");
            ui.add(egui::Label::new(RichText::new(words).size(13.0)).wrap());
        }
        None => {
            let hover = "Trains on a few of the lessons, here and now, and writes nothing";
            let measure = controls::wide_button(ui, None, "Measure the time", Weight::Quiet);
            if measure.on_hover_text(hover).clicked() {
                commands.push(Command::EstimateMaking(Box::new(making.clone())));
            }
        }
    }
    ui.add_space(space::XS);
    weak(ui, &format!("Written to {}; a run that was cut short is taken up", making.out.display()));
    ui.add_space(space::XS);
    if controls::wide_button(ui, None, "Learn the rewards", Weight::Primary).clicked() {
        commands.push(Command::Make(Box::new(making)));
    }
}

fn weak(ui: &mut Ui, text: &str) {
    let text = RichText::new(text).small().color(tokens(ui).text_weak);
    ui.add(egui::Label::new(text).wrap());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_is_missing_and_then_what_is_to_be_learnt() {
        let mut form = LearningForm::default();
        let (folder, options) = (Path::new("/data/rewards"), LoadOptions::default());
        let facts = ModelFacts { rounded_to: "q8_0".into(), ..ModelFacts::default() };
        let view = |model| {
            let (under_way, model_name, options) = (None, None, &options);
            LearningView { under_way, model, model_name, options, folder }
        };
        assert_eq!(form.making(&view(None)), Err("Load the model to learn for first"));
        let view = view(Some(&facts));
        assert_eq!(form.making(&view), Err("Name the file of pairs"));
        form.set_data(Path::new("/pairs.jsonl"));
        assert_eq!(form.making(&view), Err("Give the adapter a name"));
        form.name = "civil".into();
        let making = form.making(&view).unwrap();
        assert_eq!(making.out, folder.join("civil.safetensors"));
        let MadeFrom::Lessons(lessons) = &making.from else { panic!("{making:?}") };
        assert_eq!((lessons.rounded_to.as_str(), lessons.unfinished), ("q8_0", true));
        // An estimate is of what was asked for, not of what is asked for now.
        form.take_estimate(making.clone(), "an hour".into());
        form.epochs += 1;
        let now = form.making(&view).unwrap();
        assert!(form.estimate.as_ref().is_some_and(|(of, _)| *of == making && *of != now));
    }
}
