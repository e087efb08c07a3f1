//! Where the window stood when it was last closed and how wide its panels were, as settings.

use toml_edit::{Array, Item, Value};

use super::Entry;

/// The window's place on the screen. Numbers are the system's own points, whatever the zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPlace {
    /// Width and height of what is inside its frame.
    pub size: [u32; 2],
    /// Its upper left corner; `None` leaves it to the system, and some systems never tell.
    pub position: Option<[i32; 2]>,
    /// It fills the screen; `size` and `position` are what it goes back to.
    pub is_maximized: bool,
    /// Width of the list of conversations.
    pub sidebar_width: u32,
    /// Width of the panel with model and sampling.
    pub side_panel_width: u32,
}

impl WindowPlace {
    /// The smallest window that can be used.
    pub const LEAST_SIZE: [u32; 2] = [640, 480];
    /// What no screen reaches; larger numbers are mistakes.
    const MOST: i64 = 100_000;
    /// Widths a panel can have.
    const PANEL: std::ops::RangeInclusive<i64> = 100..=2_000;
}

impl Default for WindowPlace {
    fn default() -> Self {
        Self {
            size: [1200, 800],
            position: None,
            is_maximized: false,
            sidebar_width: 250,
            side_panel_width: 310,
        }
    }
}

pub(super) const SIZE: Entry = Entry {
    table: "window",
    key: "size",
    meaning: "width and height of the window, in points; the default where it does not fit",
    read: |item, settings| match pair(item) {
        Some([width, height])
            if (i64::from(WindowPlace::LEAST_SIZE[0])..=WindowPlace::MOST).contains(&width)
                && (i64::from(WindowPlace::LEAST_SIZE[1])..=WindowPlace::MOST)
                    .contains(&height) =>
        {
            settings.window.size = [width as u32, height as u32];
            true
        }
        _ => false,
    },
    write: |settings| Some(array(settings.window.size.map(i64::from))),
};

pub(super) const POSITION: Entry = Entry {
    table: "window",
    key: "position",
    meaning: "where the upper left corner of the window is; without it the system chooses",
    read: |item, settings| match pair(item) {
        Some(corner) if corner.iter().all(|at| at.abs() <= WindowPlace::MOST) => {
            settings.window.position = Some(corner.map(|at| at as i32));
            true
        }
        _ => false,
    },
    write: |settings| settings.window.position.map(|corner| array(corner.map(i64::from))),
};

pub(super) const MAXIMIZED: Entry = Entry {
    table: "window",
    key: "maximized",
    meaning: "whether the window fills the screen, true or false",
    read: |item, settings| match item.as_bool() {
        Some(maximized) => {
            settings.window.is_maximized = maximized;
            true
        }
        None => false,
    },
    write: |settings| Some(settings.window.is_maximized.into()),
};

pub(super) const SIDEBAR_WIDTH: Entry = Entry {
    table: "window",
    key: "sidebar-width",
    meaning: "width of the list of conversations, in points",
    read: |item, settings| match width(item) {
        Some(width) => {
            settings.window.sidebar_width = width;
            true
        }
        None => false,
    },
    write: |settings| Some(i64::from(settings.window.sidebar_width).into()),
};

pub(super) const SIDE_PANEL_WIDTH: Entry = Entry {
    table: "window",
    key: "side-panel-width",
    meaning: "width of the panel with model and sampling, in points",
    read: |item, settings| match width(item) {
        Some(width) => {
            settings.window.side_panel_width = width;
            true
        }
        None => false,
    },
    write: |settings| Some(i64::from(settings.window.side_panel_width).into()),
};

fn pair(item: &Item) -> Option<[i64; 2]> {
    let array = item.as_array().filter(|array| array.len() == 2)?;
    Some([array.get(0)?.as_integer()?, array.get(1)?.as_integer()?])
}

fn array(numbers: [i64; 2]) -> Value {
    Value::Array(numbers.into_iter().collect::<Array>())
}

fn width(item: &Item) -> Option<u32> {
    let width = item.as_integer().filter(|width| WindowPlace::PANEL.contains(width))?;
    u32::try_from(width).ok()
}
