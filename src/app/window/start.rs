//! Opens the window over a fresh engine and keeper.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use super::jobs::system_dialogs;
use super::place;
use super::state::{Parts, Places, Window};
use crate::engine::Engine;
use crate::platform::instance::{self, Listener, Note};
use crate::platform::{Folders, Instance, Problem, logs};
use crate::session::Keeper;
use crate::session::settings::{self, Loaded};
use crate::ui::Command;
use crate::ui::theme;

/// Environment variable that makes the program print how long its first frame took, and end.
const FIRST_FRAME: &str = "TILLER_FIRST_FRAME";

pub fn run(model: Option<PathBuf>) -> ExitCode {
    let started = Instant::now();
    match open(model, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn open(model: Option<PathBuf>, started: Instant) -> Result<()> {
    let folders = Folders::find(None)?;
    folders.make()?;
    logs::start(Some(&folders.logs));
    // What is handed to another window is read from another folder.
    let model = model.map(|path| std::path::absolute(&path).unwrap_or(path));
    let Some(instance) = Instance::claim(&folders.data)? else {
        let note = Note { model };
        if instance::hand_over(&folders.data, &note)? {
            println!("Tiller runs already; its window has been asked to come forward");
            return Ok(());
        }
        let problem = Problem::new("another Tiller has this data folder and does not answer");
        return Err(problem.at(&folders.data).hint("end it, or name another folder").into());
    };
    let loaded = settings::load(&folders.settings_file());
    let options = eframe::NativeOptions {
        viewport: place::builder(&loaded.settings.window)
            .with_title("Tiller")
            .with_app_id("tiller")
            .with_drag_and_drop(true),
        // Kept among the settings, in the folder that was named, rather than where the toolkit would.
        persist_window: false,
        ..eframe::NativeOptions::default()
    };
    let create: eframe::AppCreator<'_> = Box::new(move |creation| {
        let mut window = assemble(&creation.egui_ctx, &folders, loaded)?;
        window.come_on_screen(&place::screens(creation));
        window.started = started;
        window.listener = listen(&instance, &window);
        window.begin(model);
        // Held until the window is gone.
        window.instance = Some(instance);
        Ok(Box::new(window))
    });
    eframe::run_native("tiller", options, create).map_err(|error| {
        Problem::new(format!("the window cannot be opened: {error}"))
            .hint("without a display `tiller say` talks in the terminal")
            .into()
    })
}

/// The window with everything below it running.
fn assemble(context: &egui::Context, folders: &Folders, loaded: Loaded) -> Result<Window> {
    theme::install(context);
    let places = Places {
        database: folders.database(),
        settings: folders.settings_file(),
        data_folder: folders.data.clone(),
        log_folder: folders.logs.clone(),
    };
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

/// A second start leaves a note here: the window comes forward and opens its model.
fn listen(instance: &Instance, window: &Window) -> Option<Listener> {
    let (context, post) = (window.context.clone(), window.jobs.post());
    let listener = instance.listen(move |note| {
        post(note.model);
        context.send_viewport_cmd(egui::ViewportCommand::Minimized(false));
        context.send_viewport_cmd(egui::ViewportCommand::Focus);
        context.request_repaint();
    });
    listener.inspect_err(|error| tracing::warn!("a second start will not be heard: {error}")).ok()
}

impl Window {
    /// Opens the model that is asked for, or the one of the last time.
    pub fn begin(&mut self, model: Option<PathBuf>) {
        let last = self.settings.last_model.clone().filter(|path| path.exists());
        self.wants_bundled = true;
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
