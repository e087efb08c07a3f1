//! What this program is: version, features, device, and that it stays offline.

use egui::{RichText, Ui};

use crate::ui::theme::{self, space};

/// The facts shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    pub version: &'static str,
    /// Cargo features of this build.
    pub features: Vec<&'static str>,
    /// The device in use, empty without a model.
    pub device: String,
    pub data_folder: String,
}

/// Draws them.
pub fn about_ui(ui: &mut Ui, about: &About) {
    let features =
        if about.features.is_empty() { "CPU only".to_owned() } else { about.features.join(", ") };
    ui.label(RichText::new(format!("Tiller {}", about.version)).font(theme::strong_font(ui, 16.0)));
    ui.label("Steer a local language model while it speaks");
    ui.add_space(space::S);
    let rows = [
        ("Build", features.as_str()),
        ("Device", if about.device.is_empty() { "No model loaded" } else { &about.device }),
        ("Data", &about.data_folder),
        ("Licence", "MIT or Apache-2.0"),
    ];
    for (name, value) in rows {
        crate::ui::model::facts::line_ui(ui, name, value, "");
    }
    ui.add_space(space::S);
    ui.label(
        "Everything stays on this computer. This build contains no code that could fetch or send \
         anything over a network.",
    );
}
