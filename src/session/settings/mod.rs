//! Settings: what the person set once for the whole program, in one TOML file they can edit.

mod entries;
mod file;
mod window;

use std::path::PathBuf;

pub use entries::{ENTRIES, Entry};
pub use file::{Loaded, Note, load, save};
pub use window::WindowPlace;

/// What the person set, once for the whole program.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub theme: Theme,
    /// Scale of everything in the window; 1 is the system's own.
    pub zoom: f32,
    /// The model opened last, opened again on the next start.
    pub last_model: Option<PathBuf>,
    /// Models opened before, the last one first.
    pub recent_models: Vec<PathBuf>,
    /// Folders to look for models in, besides the known stores.
    pub model_folders: Vec<PathBuf>,
    pub load: LoadSettings,
    /// Name of the preset a new conversation starts with.
    pub default_preset: String,
    /// System prompt of conversations that have none of their own; empty is none.
    pub system_prompt: String,
    /// Whether the list of conversations is shown.
    pub sidebar: bool,
    /// Whether the panel with model and sampling is shown.
    pub side_panel: bool,
    pub window: WindowPlace,
    /// Whether replies open in the token view.
    pub token_view: bool,
    pub token_colours: TokenColours,
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

/// What the token view tints tokens by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenColours {
    #[default]
    Logprob,
    Entropy,
}

/// How models are brought into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadSettings {
    /// `auto`, `cpu`, `cuda`, `cuda:1` or `metal`.
    pub device: String,
    /// `auto`, `f32`, `bf16`, `f16`, `q8_0` or `q4_k`.
    pub weights: String,
    /// Positions of KV cache; `None` takes the model's own, capped by memory.
    pub context_length: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            zoom: 1.0,
            last_model: None,
            recent_models: Vec::new(),
            model_folders: Vec::new(),
            load: LoadSettings::default(),
            default_preset: "Balanced".into(),
            system_prompt: String::new(),
            sidebar: true,
            side_panel: true,
            window: WindowPlace::default(),
            token_view: false,
            token_colours: TokenColours::Logprob,
        }
    }
}

impl Default for LoadSettings {
    fn default() -> Self {
        Self { device: "auto".into(), weights: "auto".into(), context_length: None }
    }
}
