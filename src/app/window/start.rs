//! Opens the window over a fresh engine and keeper.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::jobs::system_dialogs;
use super::state::{Parts, Places, Window};
use crate::engine::Engine;
use crate::session::{Keeper, settings};
use crate::ui::Command;
use crate::ui::theme;

/// Environment variable that makes the program print how long its first frame took, and end.
const FIRST_FRAME: &str = "TILLER_FIRST_FRAME";

pub fn run(model: Option<PathBuf>) -> ExitCode {
    let started = Instant::now();
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Tiller")
            .with_app_id("tiller")
            .with_inner_size([1200.0, 800.0])
            .with_min_inner_size([640.0, 480.0])
            .with_drag_and_drop(true),
        persist_window: false,
        ..eframe::NativeOptions::default()
    };
    let opened = eframe::run_native(
        "tiller",
        options,
        Box::new(move |creation| {
            let mut window = assemble(&creation.egui_ctx)?;
            window.started = started;
            window.begin(model);
            Ok(Box::new(window))
        }),
    );
    match opened {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "tiller: the window cannot be opened ({error}); is there a display? Without one, \
                 `tiller say` talks in the terminal"
            );
            ExitCode::FAILURE
        }
    }
}

/// The window with everything below it running.
fn assemble(context: &egui::Context) -> Result<Window> {
    theme::install(context);
    let places = places()?;
    let loaded = settings::load(&places.settings);
    let wake = |context: &egui::Context| {
        let context = context.clone();
        move || context.request_repaint()
    };
    let handle = Engine::start(wake(context))?;
    let keeper = Keeper::start(places.database.clone(), wake(context))?;
    let parts =
        Parts { handle, keeper, dialogs: system_dialogs(), places, settings: loaded.settings };
    let mut window = Window::new(context, parts);
    for note in loaded.notes {
        window.panels.toasts.warn(note.to_string());
    }
    Ok(window)
}

fn places() -> Result<Places> {
    let folders = directories::ProjectDirs::from("", "", "tiller")
        .context("this account has no home folder to keep conversations in")?;
    let data_folder = folders.data_dir().to_owned();
    std::fs::create_dir_all(&data_folder)
        .with_context(|| format!("{} cannot be made", data_folder.display()))?;
    Ok(Places {
        database: data_folder.join("tiller.db"),
        settings: folders.config_dir().join("settings.toml"),
        log_folder: data_folder.join("logs"),
        data_folder,
    })
}

impl Window {
    /// Opens the model that is asked for, or the one of the last time.
    pub fn begin(&mut self, model: Option<PathBuf>) {
        let last = self.settings.last_model.clone().filter(|path| path.exists());
        if let Some(path) = model.or(last) {
            self.run(Command::OpenModel(path));
        }
        self.scan();
    }
}

/// When asked to, says how long it took until the first frame stood on the screen, and ends.
pub fn first_frame(frames: u64, started: Instant, context: &egui::Context) {
    if frames > 2 || std::env::var_os(FIRST_FRAME).is_none() {
        return;
    }
    if frames == 1 {
        // The second pass begins when the first frame has been handed to the screen.
        context.request_repaint();
        return;
    }
    println!("{}", started.elapsed().as_millis());
    context.send_viewport_cmd(egui::ViewportCommand::Close);
}
