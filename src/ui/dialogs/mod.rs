//! What opens above the window: palette, settings, shortcuts, the model picker. One at a time.

mod about;
mod frame;
mod palette;
mod passage;
mod settings;
mod shortcuts;

pub use about::About;
pub use frame::dialog_ui;
pub use palette::{PaletteState, palette_ui};
pub use passage::{PassageState, passage_ui};
pub use settings::{SettingsState, SettingsView, settings_ui};
pub use shortcuts::shortcuts_ui;

/// The dialog that is open.
#[derive(Debug)]
pub enum Dialog {
    Palette(PaletteState),
    Model(super::model::PickerState),
    Settings(SettingsState),
    Shortcuts,
    Passage(PassageState),
    /// Making a vector; what was filled in outlives the dialog.
    Making,
    /// Learning rewards; likewise.
    Learning,
}
