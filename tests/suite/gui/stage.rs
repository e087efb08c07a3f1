//! The real window over the real keeper and the real engine's threads, with the toy model where a
//! checkpoint would be; driven through the accessibility tree.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use tempfile::TempDir;
use tiller::app::window::{Parts, Places, Question, Window};
use tiller::engine::Engine;
use tiller::model::Loader;
use tiller::model::load::Checkpoints;
use tiller::model::toy::{ToyLoader, ToyOptions};
use tiller::session::{Keeper, Settings, Theme};

/// What a test starts with.
pub struct Setup {
    pub size: [f32; 2],
    pub settings: Settings,
    pub toy: ToyOptions,
    /// Opened on start; a name with `broken` in it is refused by the toy.
    pub model: Option<&'static str>,
    /// A real model's folder, opened in place of the toy.
    pub checkpoint: Option<PathBuf>,
    /// Otherwise nothing is opened and nothing looked for by itself.
    pub begins: bool,
}

impl Setup {
    /// A window that has no model.
    pub fn without_model() -> Self {
        Self { model: None, begins: false, ..Self::default() }
    }
}

impl Default for Setup {
    fn default() -> Self {
        // Greedy, so that the toy says its sentence.
        let settings = Settings { default_preset: "Greedy".into(), ..Settings::default() };
        Self {
            size: [1200.0, 800.0],
            settings,
            toy: ToyOptions::default(),
            model: Some("toy model"),
            checkpoint: None,
            begins: true,
        }
    }
}

/// A window under test.
pub struct Stage {
    pub harness: Harness<'static, Window>,
    woken: Receiver<()>,
    /// What the next file dialog answers, and what was asked.
    pub answer: Arc<Mutex<Option<PathBuf>>>,
    pub asked: Arc<Mutex<Vec<Question>>>,
    /// Dropped last, after the keeper has closed its files.
    folder: Arc<TempDir>,
}

impl Stage {
    /// A window over an empty folder, with its model loaded.
    pub fn new() -> Self {
        Self::open(Setup::default())
    }

    pub fn open(setup: Setup) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        Self::reopen(setup, folder)
    }

    /// A window over what another one left; that one must be dropped first.
    pub fn reopen(setup: Setup, folder: Arc<TempDir>) -> Self {
        let (wake, woken) = unbounded();
        let answer = Arc::new(Mutex::new(None));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, questions, data) =
            (Arc::clone(&answer), Arc::clone(&asked), folder.path().to_owned());
        let model = setup.checkpoint.clone().or(setup.model.map(PathBuf::from));
        let opened = model.clone();
        let harness = Harness::builder()
            .with_size(setup.size)
            .with_step_dt(1.0 / 20.0)
            .with_theme(match setup.settings.theme {
                Theme::Light => egui::Theme::Light,
                Theme::System | Theme::Dark => egui::Theme::Dark,
            })
            .build_eframe(move |creation| {
                tiller::ui::theme::install(&creation.egui_ctx);
                let waker = |context: &egui::Context, wake: &Sender<()>| {
                    let (context, wake) = (context.clone(), wake.clone());
                    move || {
                        context.request_repaint();
                        // A test that is over listens no more.
                        wake.send(()).ok();
                    }
                };
                let loader: Arc<dyn Loader> = match setup.checkpoint {
                    Some(_) => Arc::new(Checkpoints),
                    None => Arc::new(ToyLoader { options: setup.toy }),
                };
                let handle = Engine::start_with(loader, waker(&creation.egui_ctx, &wake))
                    .expect("the engine starts");
                let database = data.join("tiller.db");
                let keeper = Keeper::start(database.clone(), waker(&creation.egui_ctx, &wake))
                    .expect("the keeper starts");
                let settings_file = data.join("settings.toml");
                let places = Places {
                    database,
                    settings: settings_file,
                    log_folder: data.join("log"),
                    data_folder: data,
                };
                let dialogs: tiller::app::window::Dialogs = Arc::new(move |question| {
                    questions.lock().expect("no panic holds it").push(question.clone());
                    let answer = answers.lock().expect("no panic holds it").take();
                    wake.send(()).ok();
                    answer
                });
                let parts =
                    Parts { handle, keeper, dialogs, places, settings: setup.settings.clone() };
                let mut window = Window::new(&creation.egui_ctx, parts);
                if setup.begins {
                    window.begin(opened);
                }
                window
            });
        let mut stage = Self { harness, woken, answer, asked, folder };
        let loads = |path: PathBuf| {
            let name = path.to_string_lossy().into_owned();
            !name.contains("broken") && !name.contains("slow")
        };
        if model.is_some_and(loads) {
            stage.until("the model is loaded", |stage| stage.sees("Ready"));
        }
        stage.until("the presets are read", |stage| stage.shows("Greedy"));
        stage
    }

    /// Ends this window as closing it does; what it kept stays for the next.
    pub fn close(self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lets files fall on the window.
    pub fn drop_files(&mut self, paths: &[PathBuf]) {
        let files = paths.iter().map(|path| Arc::new(Dropped(path.clone())) as _);
        self.harness.input_mut().dropped_files.extend(files);
        self.settle();
    }

    /// Steps until something holds; the threads' wake-ups are what is waited for in between.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            self.harness.step();
            if holds(self) {
                // One more, so that what was just drawn can be clicked.
                self.harness.step();
                return;
            }
            assert!(
                Instant::now() < give_up,
                "waited in vain until {what}; on screen: {}",
                self.text()
            );
            self.woken.recv_timeout(Duration::from_millis(20)).ok();
        }
    }

    /// A few frames, for what needs no thread.
    pub fn settle(&mut self) {
        self.harness.run_steps(4);
    }

    /// Something on screen has exactly this name.
    pub fn sees(&self, label: &str) -> bool {
        self.harness.query_all_by_label(label).next().is_some()
    }

    /// This text is part of something on screen, name or value.
    pub fn shows(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// All names and values on screen.
    pub fn text(&self) -> String {
        let mut words = Vec::new();
        let root = self.harness.root();
        collect(&root.accesskit_node(), &mut words);
        words.join("\n")
    }

    /// Clicks what has this name.
    pub fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.settle();
    }

    /// The text field of this name.
    fn field<'a>(&'a self, label: &'a str) -> egui_kittest::Node<'a> {
        let is_field = |role| matches!(role, Role::TextInput | Role::MultilineTextInput);
        self.harness
            .query_all_by_label(label)
            .find(|node| is_field(node.accesskit_node().role()))
            .unwrap_or_else(|| panic!("no field {label}; on screen: {}", self.text()))
    }

    /// Types into the field of this name.
    pub fn type_into(&mut self, label: &str, text: &str) {
        self.field(label).focus();
        self.harness.step();
        self.field(label).type_text(text);
        self.settle();
    }

    /// Replaces what stands in the field of this name.
    pub fn retype(&mut self, label: &str, text: &str) {
        self.field(label).focus();
        self.harness.step();
        self.harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        self.harness.step();
        self.field(label).type_text(text);
        self.settle();
    }

    /// Calls a command by its name.
    pub fn palette(&mut self, name: &str) {
        self.press(egui::Modifiers::COMMAND, egui::Key::K);
        self.type_into("Command", name);
        self.press(egui::Modifiers::NONE, egui::Key::Enter);
    }

    fn slider_node<'a>(&'a self, label: &'a str) -> egui_kittest::Node<'a> {
        self.harness.get_by_role_and_label(Role::Slider, label)
    }

    /// Where a slider stands.
    pub fn slider(&self, label: &str) -> f64 {
        let value = self.slider_node(label).accesskit_node().numeric_value();
        // Values of the plan are f32.
        value.map(|value| (value * 1e4).round() / 1e4).expect("sliders have a value")
    }

    pub fn set_slider(&mut self, label: &str, value: f64) {
        self.slider_node(label).set_value_accesskit(value);
        self.settle();
    }

    /// What the list of presets shows as chosen.
    pub fn preset(&self) -> String {
        let combo = self.harness.get_by_role_and_label(Role::ComboBox, "Preset");
        combo.value().unwrap_or_default()
    }

    /// Chooses a preset.
    pub fn choose_preset(&mut self, name: &str) {
        self.harness.get_by_role_and_label(Role::ComboBox, "Preset").click();
        self.settle();
        let entry = self.harness.query_all_by_label(name).last().expect("in the open list");
        entry.click();
        self.settle();
    }

    pub fn press(&mut self, modifiers: egui::Modifiers, key: egui::Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.settle();
    }

    /// Sends a message and waits for the whole reply.
    pub fn talk(&mut self, text: &str) {
        self.type_into("Message", text);
        self.press(egui::Modifiers::NONE, egui::Key::Enter);
        self.until("the reply is whole", |stage| {
            stage.sees("Ready") && !stage.harness.state().is_replying()
        });
    }
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }
    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("only the path is asked for".into())
    }
}

fn collect(node: &egui_kittest::kittest::AccessKitNode<'_>, words: &mut Vec<String>) {
    words.extend(node.label());
    words.extend(node.value());
    for child in node.children() {
        collect(&child, words);
    }
}
