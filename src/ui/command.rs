//! Everything a person can ask of the program, as data: buttons, keys, menus and the palette all
//! send these, and one handler in `app/` acts on them.

use std::path::PathBuf;

use super::action::Action;
use super::guidance::Part;
use super::making::Field;
use super::transcript::Tint;
use crate::engine::making::Making;
use crate::model::LoadOptions;
use crate::session::{ConversationId, NodeId, PassageShare};
use crate::steer::{Plan, StoreSetting, VectorSetting};

/// One wish of the person.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Something from the list of actions (menus, keys, palette).
    Act(Action),
    /// Send the composer's text.
    Send,
    /// What stands in the composer now.
    SetDraft(String),
    /// Put this text into the composer, replacing what is there.
    UsePrompt(String),
    /// Stop the reply, or cancel what is loading.
    Stop,
    /// Make another version of this reply.
    Regenerate(NodeId),
    /// What the model says here by itself: another version, from the seed of this one.
    ReplyUnsteered(NodeId),
    /// Let the model go on where this reply ends.
    Continue(NodeId),
    /// A new version of a message with this text. With `answer`, a person's message is answered
    /// again and the model goes on from the end of a reply.
    Edit {
        node: NodeId,
        text: String,
        answer: bool,
    },
    /// Continue the conversation from this message in a new one.
    BranchToNewConversation(NodeId),
    /// A new version of this reply: its tokens before `position`, then `token`, then generated.
    BranchAtToken {
        node: NodeId,
        position: usize,
        token: u32,
    },
    /// Show this version (a sibling) and what follows it.
    ShowVersion(NodeId),
    /// Copy to the clipboard.
    CopyText(String),
    NewConversation,
    OpenConversation(ConversationId),
    RenameConversation {
        id: ConversationId,
        title: String,
    },
    /// To the trash, with undo.
    TrashConversation(ConversationId),
    RestoreConversation(ConversationId),
    /// Delete for good what is in the trash.
    EmptyTrash,
    /// The end of the list came into sight.
    MoreConversations,
    /// Look for these words in titles and messages.
    SearchConversations(String),
    /// Load with the options of the settings.
    OpenModel(PathBuf),
    /// Load with these options.
    LoadModel {
        path: PathBuf,
        options: LoadOptions,
    },
    /// Describe a model without loading it.
    InspectModel(PathBuf),
    /// Look through the stores again.
    RescanModels,
    /// Ask for a model file or folder in a dialog.
    ChooseModelFile,
    ChooseModelFolder,
    UnloadModel,
    /// Ask for a folder to scan for models; forget one.
    AddModelFolder,
    RemoveModelFolder(PathBuf),
    /// What every reply of this conversation is told first.
    SetSystemPrompt(String),
    /// The same for conversations that have none of their own.
    SetDefaultSystemPrompt(String),
    SetPlan(Plan),
    /// The same while a vector is being dragged: a reply under way follows at once, and what was
    /// read is read again, if it is to be, when `SetPlan` ends the drag.
    PreviewPlan(Plan),
    /// Ask for a vector in a dialog.
    ChooseVector,
    /// Look at a vector's file or a LoRA adapter's folder, and put it on the list if it is one.
    AddVector(PathBuf),
    /// Put this one on the list.
    PutVector(VectorSetting),
    /// Take it off the list, with undo.
    RemoveVector(PathBuf),
    /// Ask in a dialog for a model to mix with.
    ChooseAligned,
    /// Mix the model with this one, at 0 at first.
    SetAligned(PathBuf),
    /// Mix no more.
    RemoveAligned,
    /// Whether replies measure how far from the base they are.
    SetMeasures(bool),
    /// Ask for a reward adapter in a dialog.
    ChooseReward,
    /// Look at an adapter's file, and show its rewards from the next reply on if it is one.
    AddReward(PathBuf),
    /// Show the rewards of this adapter, or none.
    SetReward(Option<PathBuf>),
    /// Ask for the folder of a reward model to compare with.
    ChooseJudge,
    /// Have a reward model judge the replies on screen; nothing takes it away.
    SetJudge(Option<PathBuf>),
    /// Show a token of a reply with its card.
    GoToToken {
        node: NodeId,
        token: usize,
    },
    /// Ask in a dialog for a path that making a vector wants.
    ChooseForMaking(Field),
    Make(Box<Making>),
    /// Only measure how long it would take.
    EstimateMaking(Box<Making>),
    CancelMaking,
    /// Ask for a guide or a scorer in a dialog.
    ChooseGuide(Part),
    /// Put it into the plan; guides are off until they are turned up.
    AddGuide {
        part: Part,
        path: PathBuf,
    },
    /// A new version of the reply a search made: the path to this candidate, then generated.
    ContinueFromCandidate(usize),
    /// Ask where to write the tree of candidates; the extension says as what.
    ExportTree(&'static str),
    HideTree,
    ShowTree,
    /// Ask for a document in a dialog.
    ChooseDocument,
    /// Ground replies in these files: a datastore is built of them.
    AddDocuments(Vec<PathBuf>),
    /// Take a file's entries out of a datastore.
    RemoveDocument {
        folder: PathBuf,
        file: PathBuf,
    },
    /// Show a file with the desktop's program for it, at a page where that can be asked for.
    OpenDocument {
        file: PathBuf,
        page: Option<u32>,
    },
    /// Show a passage with the page around it.
    ShowPassage(Box<PassageShare>),
    CancelBuilds,
    /// Hold the builds, or let them go on.
    PauseBuilds(bool),
    /// Make the files of a store that are still waiting.
    GoOnBuilding(PathBuf),
    RevealStore(PathBuf),
    RenameStore {
        folder: PathBuf,
        name: String,
    },
    /// To the trash, with undo.
    TrashStore(PathBuf),
    RestoreStore {
        from: PathBuf,
        to: PathBuf,
        /// What the plan said of it.
        setting: Option<StoreSetting>,
    },
    ApplyPreset(String),
    /// The sampling the model's own files recommend.
    ApplyModelDefaults,
    SavePreset(String),
    RenamePreset {
        from: String,
        to: String,
    },
    DeletePreset(String),
    SetTheme(egui::ThemePreference),
    SetZoom(f32),
    /// Whether replies open with their tokens shown.
    SetTokenView(bool),
    SetTint(Tint),
    DismissToast(u64),
}
