//! What blocks goes on a thread of its own: file dialogs. The outcome comes back as a command.

use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use egui::Context;

use crate::platform::atomic;
use crate::ui::guidance::Part;
use crate::ui::making::Field;

/// What the person is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A model file to open.
    ModelFile,
    /// A folder with a model in it.
    ModelFolder,
    /// A vector's file, or a file of a LoRA adapter's folder.
    VectorFile,
    /// A model to mix with: a GGUF file, or a file of its folder.
    AlignedModel,
    /// A reward adapter's file.
    RewardFile,
    /// The folder of a reward model to compare with.
    JudgeFolder,
    /// A path that making a vector asks for.
    ForMaking(Field),
    /// A document to ground replies in.
    Document,
    /// A folder to look for models in.
    FolderOfModels,
    /// Where to write an export; the proposed file name.
    SaveAs(String),
    /// A conversation to import.
    ConversationFile,
    /// A guide or a scorer: a GGUF file, a file of a model's folder, or a vector.
    Guide(Part),
    /// Where to write the tree of candidates; the proposed file name.
    SaveTree(String),
    /// No question: a file was written, or why not.
    Written(Option<String>),
}

/// Asks a question with a dialog and waits for the answer; `None` is a cancelled dialog. Tests put
/// an answer of their own in its place.
pub type Dialogs = Arc<dyn Fn(&Question) -> Option<PathBuf> + Send + Sync>;

/// Answers that may wait for the window; a dialog's own thread waits for room beyond that.
const WAITING: usize = 8;

/// Questions under way.
pub struct Jobs {
    context: Context,
    dialogs: Dialogs,
    answers: Receiver<(Question, PathBuf)>,
    answer: Sender<(Question, PathBuf)>,
}

impl Jobs {
    pub fn new(context: Context, dialogs: Dialogs) -> Self {
        let (answer, answers) = bounded(WAITING);
        Self { context, dialogs, answers, answer }
    }

    /// Opens a dialog beside the window.
    pub fn ask(&self, question: Question) -> std::io::Result<()> {
        let (dialogs, answer, context) =
            (Arc::clone(&self.dialogs), self.answer.clone(), self.context.clone());
        std::thread::Builder::new().name("tiller-dialog".into()).spawn(move || {
            if let Some(path) = dialogs(&question) {
                // The window may be gone by now.
                answer.send((question, path)).ok();
                context.request_repaint();
            }
        })?;
        Ok(())
    }

    /// Makes a file and writes it beside the window; `Question::Written` tells how that went.
    pub fn write(
        &self,
        path: PathBuf,
        make: impl FnOnce() -> anyhow::Result<Vec<u8>> + Send + 'static,
    ) -> std::io::Result<()> {
        let (answer, context) = (self.answer.clone(), self.context.clone());
        std::thread::Builder::new().name("tiller-dialog".into()).spawn(move || {
            let written = make().and_then(|bytes| Ok(atomic::write(&path, &bytes)?));
            let problem = written.err().map(|error| format!("{error:#}"));
            answer.send((Question::Written(problem), path)).ok();
            context.request_repaint();
        })?;
        Ok(())
    }

    /// A way to hand over a model to open from another thread.
    pub fn post(&self) -> impl Fn(Option<PathBuf>) + Send + 'static {
        let answer = self.answer.clone();
        move |model| {
            if let Some(path) = model {
                answer.send((Question::ModelFile, path)).ok();
            }
        }
    }

    /// The next answer, if there is one.
    pub fn answered(&self) -> Option<(Question, PathBuf)> {
        self.answers.try_recv().ok()
    }
}

/// The system's own dialogs.
pub fn system_dialogs() -> Dialogs {
    Arc::new(|question| {
        let dialog = rfd::FileDialog::new();
        match question {
            Question::ModelFile => dialog
                .set_title("Open a model file")
                .add_filter("Models", &["gguf", "safetensors"])
                .add_filter("All files", &["*"])
                .pick_file(),
            Question::ModelFolder => dialog.set_title("Open a model folder").pick_folder(),
            Question::FolderOfModels => {
                dialog.set_title("Add a folder to look for models in").pick_folder()
            }
            Question::VectorFile => dialog
                .set_title("Add a vector, or the adapter_config.json of a LoRA adapter")
                .add_filter("Vectors and LoRA adapters", &["safetensors", "json"])
                .add_filter("All files", &["*"])
                .pick_file(),
            Question::ForMaking(field @ (Field::Pairs | Field::Lessons)) => dialog
                .set_title(match field {
                    Field::Pairs => "Preference pairs",
                    _ => "Preference pairs or rated answers",
                })
                .add_filter("Lines of JSON", &["jsonl", "json"])
                .add_filter("All files", &["*"])
                .pick_file(),
            Question::ForMaking(field) => dialog
                .set_title(match field {
                    Field::Adapter => "The folder of a LoRA adapter",
                    Field::Aligned => "The folder of the aligned model",
                    _ => "The folder of the base model",
                })
                .pick_folder(),
            Question::AlignedModel => dialog
                .set_title("Mix with a model: a GGUF file, or config.json of a model's folder")
                .add_filter("Models", &["gguf", "safetensors", "json"])
                .add_filter("All files", &["*"])
                .pick_file(),
            Question::RewardFile => dialog
                .set_title("Add a reward adapter")
                .add_filter("Reward adapters", &["safetensors"])
                .add_filter("All files", &["*"])
                .pick_file(),
            Question::JudgeFolder => {
                dialog.set_title("Compare with a reward model: its folder").pick_folder()
            }
            Question::Document => {
                dialog.set_title("Add a document to ground replies in").pick_file()
            }
            Question::SaveAs(name) => {
                dialog.set_title("Export the conversation").set_file_name(name).save_file()
            }
            Question::Guide(Part::Vector) => dialog
                .set_title("Guide by a vector")
                .add_filter("Vectors and LoRA adapters", &["safetensors", "json"])
                .add_filter("All files", &["*"])
                .pick_file(),
            Question::Guide(_) => dialog
                .set_title("Choose a model: a GGUF file, or config.json of a model's folder")
                .add_filter("Models", &["gguf", "safetensors", "json"])
                .add_filter("All files", &["*"])
                .pick_file(),
            Question::SaveTree(name) => {
                dialog.set_title("Export the candidates").set_file_name(name).save_file()
            }
            // Nothing is asked.
            Question::Written(_) => None,
            Question::ConversationFile => dialog
                .set_title("Import a conversation")
                .add_filter("Conversations", &["json"])
                .pick_file(),
        }
    })
}
