//! Every setting as an entry that describes itself: key, meaning, how it is read and written. The
//! comments in a fresh file come from here.

use std::path::{Path, PathBuf};

use toml_edit::{Array, Item, Value};

use super::{Settings, Theme, TokenColours, window};

/// One setting in the file.
pub struct Entry {
    /// The table it stands in; empty for the top of the file.
    pub table: &'static str,
    pub key: &'static str,
    /// What it does and which values it takes, for the comment above it.
    pub meaning: &'static str,
    /// Takes a value over, or leaves everything as it is and gives false.
    pub(super) read: fn(&Item, &mut Settings) -> bool,
    /// The value for the file; `None` leaves the key out.
    pub(super) write: fn(&Settings) -> Option<Value>,
}

/// The zoom a window can still be used at.
const ZOOM: std::ops::RangeInclusive<f64> = 0.5..=4.0;

const THEMES: [(&str, Theme); 3] =
    [("system", Theme::System), ("light", Theme::Light), ("dark", Theme::Dark)];

const COLOURS: [(&str, TokenColours); 2] =
    [("logprob", TokenColours::Logprob), ("entropy", TokenColours::Entropy)];

const WEIGHTS: [&str; 6] = ["auto", "f32", "bf16", "f16", "q8_0", "q4_k"];

/// All settings, in the order of a fresh file.
pub const ENTRIES: &[Entry] = &[
    Entry {
        table: "",
        key: "theme",
        meaning: "system, light or dark",
        read: |item, settings| named(item, &THEMES, &mut settings.theme),
        write: |settings| Some(name_of(settings.theme, &THEMES).into()),
    },
    Entry {
        table: "",
        key: "zoom",
        meaning: "scale of everything in the window, 0.5 to 4.0",
        read: |item, settings| {
            let number = item.as_float().or_else(|| item.as_integer().map(|whole| whole as f64));
            match number.filter(|zoom| ZOOM.contains(zoom)) {
                Some(zoom) => put(&mut settings.zoom, zoom as f32),
                None => false,
            }
        },
        // Through its shortest decimal form, so that 1.1 does not become 1.10000002384….
        write: |settings| settings.zoom.to_string().parse::<f64>().ok().map(Value::from),
    },
    Entry {
        table: "",
        key: "default-preset",
        meaning: "name of the preset a new conversation starts with",
        read: |item, settings| text(item, &mut settings.default_preset),
        write: |settings| Some(settings.default_preset.as_str().into()),
    },
    Entry {
        table: "",
        key: "system-prompt",
        meaning: "what a model is told first in conversations that say nothing else; \"\" is none",
        read: |item, settings| text(item, &mut settings.system_prompt),
        write: |settings| Some(settings.system_prompt.as_str().into()),
    },
    Entry {
        table: "model",
        key: "last",
        meaning: "the model that is opened again on the next start",
        read: |item, settings| match item.as_str() {
            Some(path) if !path.is_empty() => put(&mut settings.last_model, Some(path.into())),
            _ => false,
        },
        write: |settings| settings.last_model.as_deref().and_then(Path::to_str).map(Value::from),
    },
    Entry {
        table: "model",
        key: "recent",
        meaning: "models opened before, the last one first",
        read: |item, settings| paths(item, &mut settings.recent_models),
        write: |settings| Some(array_of(&settings.recent_models)),
    },
    Entry {
        table: "model",
        key: "folders",
        meaning: "folders to look for models in, besides the known stores",
        read: |item, settings| paths(item, &mut settings.model_folders),
        write: |settings| Some(array_of(&settings.model_folders)),
    },
    Entry {
        table: "load",
        key: "device",
        meaning: "auto, cpu, cuda, cuda:1 or metal",
        read: |item, settings| match item.as_str() {
            Some(device) if is_device(device) => put(&mut settings.load.device, device.into()),
            _ => false,
        },
        write: |settings| Some(settings.load.device.as_str().into()),
    },
    Entry {
        table: "load",
        key: "weights",
        meaning: "auto, f32, bf16, f16, q8_0 or q4_k",
        read: |item, settings| match item.as_str() {
            Some(form) if WEIGHTS.contains(&form) => put(&mut settings.load.weights, form.into()),
            _ => false,
        },
        write: |settings| Some(settings.load.weights.as_str().into()),
    },
    Entry {
        table: "load",
        key: "context-length",
        meaning: "tokens a conversation may take; without it the model's own, capped by memory",
        read: |item, settings| match item
            .as_integer()
            .and_then(|number| usize::try_from(number).ok())
        {
            Some(length) if length > 0 => put(&mut settings.load.context_length, Some(length)),
            _ => false,
        },
        write: |settings| {
            settings.load.context_length.and_then(|n| i64::try_from(n).ok()).map(Value::from)
        },
    },
    Entry {
        table: "window",
        key: "sidebar",
        meaning: "whether the list of conversations is shown, true or false",
        read: |item, settings| flag(item, &mut settings.sidebar),
        write: |settings| Some(settings.sidebar.into()),
    },
    Entry {
        table: "window",
        key: "side-panel",
        meaning: "whether the panel with model and sampling is shown, true or false",
        read: |item, settings| flag(item, &mut settings.side_panel),
        write: |settings| Some(settings.side_panel.into()),
    },
    window::SIZE,
    window::POSITION,
    window::MAXIMIZED,
    window::SIDEBAR_WIDTH,
    window::SIDE_PANEL_WIDTH,
    Entry {
        table: "window",
        key: "token-view",
        meaning: "whether replies open in the token view, true or false",
        read: |item, settings| flag(item, &mut settings.token_view),
        write: |settings| Some(settings.token_view.into()),
    },
    Entry {
        table: "window",
        key: "token-colours",
        meaning: "what the token view tints tokens by: logprob or entropy",
        read: |item, settings| named(item, &COLOURS, &mut settings.token_colours),
        write: |settings| Some(name_of(settings.token_colours, &COLOURS).into()),
    },
];

fn put<T>(place: &mut T, value: T) -> bool {
    *place = value;
    true
}

fn text(item: &Item, place: &mut String) -> bool {
    item.as_str().is_some_and(|text| put(place, text.to_owned()))
}

fn paths(item: &Item, place: &mut Vec<PathBuf>) -> bool {
    match item.as_array() {
        Some(array) if array.iter().all(Value::is_str) => {
            put(place, array.iter().filter_map(Value::as_str).map(PathBuf::from).collect())
        }
        _ => false,
    }
}

fn array_of(paths: &[PathBuf]) -> Value {
    Value::Array(paths.iter().filter_map(|path| path.to_str()).collect::<Array>())
}

fn flag(item: &Item, place: &mut bool) -> bool {
    item.as_bool().is_some_and(|flag| put(place, flag))
}

fn named<T: Copy>(item: &Item, names: &[(&str, T)], place: &mut T) -> bool {
    let found = item.as_str().and_then(|name| names.iter().find(|(known, _)| *known == name));
    found.is_some_and(|&(_, value)| put(place, value))
}

fn name_of<T: PartialEq>(value: T, names: &[(&'static str, T)]) -> &'static str {
    names.iter().find(|(_, named)| *named == value).map_or("", |(name, _)| name)
}

fn is_device(device: &str) -> bool {
    let number = device.strip_prefix("cuda:").map(str::parse::<usize>);
    matches!(device, "auto" | "cpu" | "cuda" | "metal") || matches!(number, Some(Ok(_)))
}
