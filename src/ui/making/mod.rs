//! The dialogs that make a vector, out of two models, of a LoRA adapter or from preferences, and that
//! learn rewards. What is made goes on beside the window, also when the dialog is closed.

mod fields;
mod learning;
mod under_way;

use std::path::{Path, PathBuf};

use egui::{RichText, Ui};

use super::command::Command;
use super::controls::{self, Weight};
use super::theme::{space, tokens};
use crate::engine::making::{MadeFrom, Making, Objective, file_for, folder_for};
use crate::steer::VectorSetting;
pub use learning::{LearningForm, LearningView, learning_ui};
pub use under_way::{UnderWay, under_way_ui};

/// A path the dialogs ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Base,
    Aligned,
    Adapter,
    Pairs,
    /// Pairs or ratings to learn rewards from.
    Lessons,
}

/// What a vector is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Way {
    #[default]
    Models,
    Adapter,
    Preferences,
    Merge,
}

const WAYS: [(Way, &str, &str); 4] = [
    (Way::Models, "Two models", "The difference of an aligned model to the one it was made from"),
    (Way::Adapter, "LoRA adapter", "A PEFT folder, as one file that knows its model"),
    (Way::Preferences, "Preferences", "Learnt from pairs of a better and a worse answer"),
    (
        Way::Merge,
        "Merged model",
        "The base with the vectors as they are dialled now in its weights",
    ),
];

/// What was filled in; kept while the program runs.
#[derive(Debug)]
pub struct Form {
    way: Way,
    base: String,
    aligned: String,
    adapter: String,
    pairs: String,
    name: String,
    domain: String,
    every_value: bool,
    objective: Objective,
    rank: usize,
    epochs: u64,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            way: Way::default(),
            base: String::new(),
            aligned: String::new(),
            adapter: String::new(),
            pairs: String::new(),
            name: String::new(),
            domain: String::new(),
            every_value: false,
            objective: Objective::default(),
            rank: 16,
            epochs: 1,
        }
    }
}

impl Form {
    /// Fills in a path that was chosen in a dialog, or the model that is loaded.
    pub fn set(&mut self, field: Field, path: &Path) {
        let text = path.display().to_string();
        match field {
            Field::Base => self.base = text,
            Field::Aligned => self.aligned = text,
            Field::Adapter => self.adapter = text,
            Field::Pairs => self.pairs = text,
            Field::Lessons => {}
        }
    }

    /// Whether a base was named yet.
    pub fn has_base(&self) -> bool {
        !self.base.trim().is_empty()
    }

    /// What is to be made, or what is still missing.
    fn making(&self, view: &MakingView<'_>) -> Result<Making, &'static str> {
        let path = |text: &str, missing: &'static str| {
            let text = text.trim();
            if text.is_empty() { Err(missing) } else { Ok(PathBuf::from(text)) }
        };
        let base = path(&self.base, "Name the base model")?;
        let from = match self.way {
            Way::Models => MadeFrom::Aligned {
                model: path(&self.aligned, "Name the aligned model")?,
                every_value: self.every_value,
            },
            Way::Adapter => MadeFrom::Adapter(path(&self.adapter, "Name the adapter's folder")?),
            Way::Preferences => MadeFrom::Preferences {
                pairs: path(&self.pairs, "Name the file of pairs")?,
                objective: self.objective,
                rank: self.rank,
                epochs: self.epochs,
                device: view.device.to_owned(),
            },
            Way::Merge if view.dialled.is_empty() => return Err("No vector is dialled"),
            Way::Merge => MadeFrom::Vectors(view.dialled.to_vec()),
        };
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err(match self.way {
                Way::Merge => "Give the model a name",
                _ => "Give the vector a name",
            });
        }
        let out = match self.way {
            Way::Merge => folder_for(view.models, &name),
            _ => file_for(view.folder, &name),
        };
        Ok(Making { name, domain: self.domain.trim().to_owned(), base, from, out })
    }
}

/// What is drawn.
pub struct MakingView<'a> {
    pub under_way: Option<&'a UnderWay>,
    /// Where vectors are written.
    pub folder: &'a Path,
    /// Where merged models are written.
    pub models: &'a Path,
    /// The vectors that are not at 0.
    pub dialled: &'a [VectorSetting],
    /// Where to learn.
    pub device: &'a str,
}

/// Draws the dialog's inside.
pub fn making_ui(ui: &mut Ui, view: &MakingView<'_>, form: &mut Form, commands: &mut Vec<Command>) {
    ui.horizontal_wrapped(|ui| {
        for (way, name, hover) in WAYS {
            ui.selectable_value(&mut form.way, way, name).on_hover_text(hover);
        }
    });
    let explained = WAYS.iter().find(|(way, ..)| *way == form.way).map_or("", |(.., text)| text);
    ui.label(RichText::new(explained).small().color(tokens(ui).text_weak));
    ui.add_space(space::S);
    fields::fields_ui(ui, form, commands);
    ui.add_space(space::M);
    if let Some(one) = view.under_way {
        return under_way_ui(ui, one, commands);
    }
    let making = form.making(view);
    let (is_ready, hint) = match &making {
        Ok(making) => (true, format!("Written to {}", making.out.display())),
        Err(missing) => (false, (*missing).to_owned()),
    };
    ui.add(egui::Label::new(RichText::new(hint).small().color(tokens(ui).text_weak)).wrap());
    let make = ui.add_enabled_ui(is_ready, |ui| {
        let label = if form.way == Way::Merge { "Write the model" } else { "Make the vector" };
        controls::wide_button(ui, None, label, Weight::Primary)
    });
    if make.inner.clicked()
        && let Ok(making) = making
    {
        commands.push(Command::Make(Box::new(making)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_is_missing_and_then_what_is_to_be_made() {
        let mut form = Form::default();
        let (folder, models) = (Path::new("/data/vectors"), Path::new("/data/models"));
        let view =
            |dialled, device| MakingView { under_way: None, folder, models, dialled, device };
        let cpu = view(&[], "cpu");
        assert_eq!(form.making(&cpu), Err("Name the base model"));
        form.set(Field::Base, Path::new("/models/base"));
        assert_eq!(form.making(&cpu), Err("Name the aligned model"));
        form.set(Field::Aligned, Path::new("/models/aligned"));
        assert_eq!(form.making(&cpu), Err("Give the vector a name"));
        form.name = " Calm ".into();
        let made = form.making(&cpu).unwrap();
        assert_eq!((made.name.as_str(), made.out), ("Calm", folder.join("Calm.safetensors")));
        form.way = Way::Preferences;
        assert_eq!(form.making(&cpu), Err("Name the file of pairs"));
        form.set(Field::Pairs, Path::new("/pairs.jsonl"));
        let made = form.making(&view(&[], "cuda")).unwrap().from;
        assert!(matches!(made, MadeFrom::Preferences { rank: 16, device, .. } if device == "cuda"));
        form.way = Way::Merge;
        assert_eq!(form.making(&cpu), Err("No vector is dialled"));
        let dialled = [VectorSetting::new("calm.safetensors", 0.5)];
        let made = form.making(&view(&dialled, "cpu")).unwrap();
        assert_eq!(made.out, models.join("Calm"), "a folder of its own");
        assert_eq!(made.from, MadeFrom::Vectors(dialled.to_vec()));
    }
}
