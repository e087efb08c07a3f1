//! All that the window knows while it runs. What is kept lies with the keeper; what could be
//! derived is not here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::time::Instant;

use egui::Context;

use super::chat::{Chat, LiveReply};
use super::commands::judge::Judge;
use super::counting::Counting;
use super::jobs::{Dialogs, Jobs};
use super::keeping::Unkept;
use super::library::Library;
use super::tree::KeptTree;
use crate::engine::EngineHandle;
use crate::platform::Instance;
use crate::platform::instance::Listener;
use crate::session::{
    Ask, ConversationId, Keeper, NodeId, Settings, TokenReferences, TokenTrace, Weighed,
    WindowPlace,
};
use crate::steer::Plan;
use crate::ui::Command;
use crate::ui::action::Situation;
use crate::ui::conversations::ConversationsState;
use crate::ui::dialogs::{About, Dialog};
use crate::ui::engine_state::EngineState;
use crate::ui::guidance::tree::TreeState;
use crate::ui::making::UnderWay;
use crate::ui::reward::KnownRewards;
use crate::ui::sampling::PresetEntry;
use crate::ui::side::SideState;
use crate::ui::stores::StoreEntry;
use crate::ui::toasts::Toasts;
use crate::ui::transcript::TranscriptState;
use crate::ui::vectors::Known;

/// Where things lie.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub database: PathBuf,
    pub settings: PathBuf,
    pub data_folder: PathBuf,
    pub log_folder: PathBuf,
}

/// The running window.
pub struct Window {
    pub(super) context: Context,
    pub(super) handle: EngineHandle,
    pub(super) keeper: Keeper,
    pub(super) jobs: Jobs,
    pub(super) places: Places,
    pub(super) settings: Settings,
    /// Where the window stands now; in the settings once it has stood there for a moment.
    pub(super) place: WindowPlace,
    pub(super) engine: EngineState,
    pub(super) chat: Chat,
    pub(super) reply: Option<LiveReply>,
    pub(super) tree_of: Option<TreeOf>,
    /// What was kept with the reply on screen.
    pub(super) kept_tree: Option<KeptTree>,
    pub(super) library: Library,
    pub(super) presets: Vec<PresetEntry>,
    /// What is known of vectors' files.
    pub(super) vectors: BTreeMap<PathBuf, Known>,
    /// Those that come onto the list once they have been looked at.
    pub(super) adding_vectors: Vec<PathBuf>,
    /// Replies measure how far from the base they are.
    pub(super) measures: bool,
    /// What is known of reward adapters' files, for the model in memory.
    pub(super) rewards: KnownRewards,
    /// The reward model that judges the replies on screen.
    pub(super) judge: Option<Judge>,
    /// The one that is taken once it has been looked at.
    pub(super) adding_reward: Option<PathBuf>,
    /// What is being made.
    pub(super) making: Option<UnderWay>,
    /// The datastores there are, and what they did to the last reply with any of them on.
    pub(super) stores: Vec<StoreEntry>,
    pub(super) weighed: Option<Weighed>,
    pub(super) builds_are_paused: bool,
    /// Documents dropped in this frame.
    pub(super) dropped: Vec<PathBuf>,
    /// What datastores did to the replies on screen, read from their outcomes once.
    pub(super) references: HashMap<NodeId, Vec<TokenReferences>>,
    pub(super) counting: Counting,
    /// Bytes of memory that were free when the model dialog opened.
    pub(super) free_memory: Option<u64>,
    pub(super) about: About,
    /// What must wait until the tokens of a message have been read.
    pub(super) waiting: Vec<(NodeId, Command)>,
    /// Messages whose tokens were asked for and that have none.
    pub(super) without_tokens: HashSet<NodeId>,
    /// A conversation was asked for and has not been read yet; only the last one asked for counts.
    pub(super) opening: Option<crate::session::ConversationId>,
    /// What was changed on screen and is not with the keeper yet.
    pub(super) unkept: Unkept,
    pub(super) panels: Panels,
    /// Nothing else was asked for: the model that ships with the program is opened when found.
    pub(super) wants_bundled: bool,
    /// The window is still to fill the screen.
    pub(super) maximizes: bool,
    /// Hears second starts; ends before the lock is given back.
    pub(super) listener: Option<Listener>,
    /// The lock on the data folder.
    pub(super) instance: Option<Instance>,
    pub(super) started: Instant,
    pub(super) frames: u64,
}

/// Where the newest reply stands, whose candidates the engine tells of.
pub(super) struct TreeOf {
    pub conversation: ConversationId,
    pub node: NodeId,
    /// The message it answers.
    pub parent: Option<NodeId>,
    /// What was given of it.
    pub content: String,
    pub tokens: Vec<TokenTrace>,
}

/// What the panels remember between frames.
#[derive(Default)]
pub(super) struct Panels {
    pub conversations: ConversationsState,
    pub side: SideState,
    pub transcript: TranscriptState,
    pub dialog: Option<Dialog>,
    /// What was filled in to make a vector.
    pub making: crate::ui::making::Form,
    /// The same to learn rewards.
    pub learning: crate::ui::making::LearningForm,
    pub toasts: Toasts,
    pub tree: TreeState,
    pub hides_tree: bool,
}

/// What a window is made of.
pub struct Parts {
    pub handle: EngineHandle,
    pub keeper: Keeper,
    pub dialogs: Dialogs,
    pub places: Places,
    pub settings: Settings,
}

impl Window {
    /// A window over a running engine and keeper; asks them for what it shows first.
    pub fn new(context: &Context, parts: Parts) -> Self {
        let Parts { handle, keeper, dialogs, places, settings } = parts;
        let about = About {
            version: env!("CARGO_PKG_VERSION"),
            features: features(),
            device: String::new(),
            data_folder: places.data_folder.display().to_string(),
        };
        let mut window = Self {
            jobs: Jobs::new(context.clone(), dialogs),
            context: context.clone(),
            handle,
            keeper,
            places,
            place: settings.window,
            settings,
            engine: EngineState::default(),
            chat: Chat::fresh(Plan::default()),
            reply: None,
            tree_of: None,
            kept_tree: None,
            library: Library::default(),
            presets: Vec::new(),
            vectors: BTreeMap::new(),
            adding_vectors: Vec::new(),
            measures: false,
            rewards: KnownRewards::new(),
            judge: None,
            adding_reward: None,
            making: None,
            stores: Vec::new(),
            weighed: None,
            builds_are_paused: false,
            dropped: Vec::new(),
            references: HashMap::new(),
            counting: Counting::default(),
            free_memory: None,
            about,
            waiting: Vec::new(),
            without_tokens: HashSet::new(),
            opening: None,
            unkept: Unkept::default(),
            panels: Panels::default(),
            wants_bundled: false,
            maximizes: false,
            listener: None,
            instance: None,
            started: Instant::now(),
            frames: 0,
        };
        window.apply_look();
        window.list_stores();
        window.ask(Ask::ListPresets);
        window.ask(Ask::Draft);
        window.read_more();
        window.ask(Ask::ListTrash { after: None, limit: super::library::PAGE });
        window.panels.transcript.focus_composer();
        window
    }

    /// Asks the keeper.
    pub(super) fn ask(&self, ask: Ask) {
        self.keeper.send(ask);
    }

    /// Asks for the next page of conversations.
    pub(super) fn read_more(&mut self) {
        self.library.is_reading = true;
        let after = self.library.next;
        self.ask(Ask::List { after, limit: super::library::PAGE });
    }

    /// What is on screen, as far as the availability of actions asks.
    pub(super) fn situation(&self) -> Situation {
        Situation {
            has_messages: self.chat.has_begun(),
            has_own_message: self.chat.last_own().is_some(),
            ends_with_reply: self.chat.last_reply().is_some(),
            has_model: self.engine.model.is_some(),
            is_replying: self.reply.is_some(),
            is_loading: self.engine.loading.is_some(),
            can_undo_dials: self.chat.history.can_undo(),
            can_redo_dials: self.chat.history.can_redo(),
        }
    }

    /// A reply is asked for or being written.
    pub fn is_replying(&self) -> bool {
        self.reply.is_some()
    }
}

/// The Cargo features of this build that a person may care about.
fn features() -> Vec<&'static str> {
    let all = [
        ("CUDA", cfg!(feature = "cuda")),
        ("Metal", cfg!(feature = "metal")),
        ("inspection", cfg!(feature = "inspection")),
    ];
    all.into_iter().filter_map(|(name, on)| on.then_some(name)).collect()
}
