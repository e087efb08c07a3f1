//! The one list of what the person can do by name: it feeds menus, tooltips, the palette, the keys
//! and the shortcuts window.

use egui::{Key, KeyboardShortcut, Modifiers};

/// An entry of the list. What it acts on is what is on screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    NewConversation,
    SearchConversations,
    RenameConversation,
    TrashConversation,
    ShowTrash,
    NextConversation,
    PreviousConversation,
    ImportConversation,
    ExportMarkdown,
    ExportJson,
    CopyConversation,
    FocusComposer,
    Stop,
    Regenerate,
    Continue,
    EditLastMessage,
    UndoDials,
    RedoDials,
    ChooseModel,
    OpenModelFile,
    OpenModelFolder,
    UnloadModel,
    AddVector,
    MakeVector,
    LearnRewards,
    ToggleLeftPanel,
    ToggleRightPanel,
    ZoomIn,
    ZoomOut,
    ZoomReset,
    ThemeSystem,
    ThemeLight,
    ThemeDark,
    Settings,
    Shortcuts,
    Palette,
    OpenDataFolder,
    OpenLogFolder,
    Quit,
}

/// The heading an action stands under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Conversation,
    Reply,
    Model,
    View,
    Program,
}

impl Group {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 5] =
        [Self::Conversation, Self::Reply, Self::Model, Self::View, Self::Program];

    /// As shown.
    pub fn label(self) -> &'static str {
        match self {
            Self::Conversation => "Conversation",
            Self::Reply => "Reply",
            Self::Model => "Model",
            Self::View => "View",
            Self::Program => "Program",
        }
    }
}

/// What must hold for an action to make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A conversation with at least one message.
    Messages,
    /// Something to stop.
    Work,
    /// A reply at the end, a model, and no reply under way.
    IdleReply,
    /// A message of the person's.
    OwnMessage,
    Model,
    /// A change of dials that can be undone, or done again.
    Dialled,
    Undone,
}

/// What is on screen, as far as availability asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Situation {
    pub has_messages: bool,
    pub has_own_message: bool,
    pub ends_with_reply: bool,
    pub has_model: bool,
    pub is_replying: bool,
    pub is_loading: bool,
    pub can_undo_dials: bool,
    pub can_redo_dials: bool,
}

/// How an action is said.
#[derive(Debug, Clone, Copy)]
struct Entry {
    action: Action,
    group: Group,
    label: &'static str,
    tooltip: &'static str,
    shortcuts: &'static [KeyboardShortcut],
    needs: Needs,
}

const fn key(modifiers: Modifiers, key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(modifiers, key)
}

const COMMAND: Modifiers = Modifiers::COMMAND;
const COMMAND_SHIFT: Modifiers = Modifiers { shift: true, ..Modifiers::COMMAND };
const COMMAND_ALT: Modifiers = Modifiers { alt: true, ..Modifiers::COMMAND };
const COMMAND_ALT_SHIFT: Modifiers = Modifiers { shift: true, ..COMMAND_ALT };

macro_rules! entries {
    ($($action:ident, $group:ident, $label:literal, $tooltip:literal, [$($shortcut:expr),*], $needs:ident;)*) => {
        const ENTRIES: &[Entry] = &[$(Entry {
            action: Action::$action,
            group: Group::$group,
            label: $label,
            tooltip: $tooltip,
            shortcuts: &[$($shortcut),*],
            needs: Needs::$needs,
        }),*];
    };
}

entries! {
    NewConversation, Conversation, "New conversation", "Start with an empty page", [key(COMMAND, Key::N)], Nothing;
    SearchConversations, Conversation, "Search conversations", "Look in titles and messages", [key(COMMAND, Key::F)], Nothing;
    RenameConversation, Conversation, "Rename conversation", "Give it a name of your own", [key(Modifiers::NONE, Key::F2)], Messages;
    TrashConversation, Conversation, "Move to trash", "Can be undone", [key(COMMAND_SHIFT, Key::Delete)], Messages;
    ShowTrash, Conversation, "Show trash", "Restore conversations or delete them for good", [], Nothing;
    NextConversation, Conversation, "Next conversation", "The one below in the list", [key(COMMAND, Key::PageDown)], Nothing;
    PreviousConversation, Conversation, "Previous conversation", "The one above in the list", [key(COMMAND, Key::PageUp)], Nothing;
    ImportConversation, Conversation, "Import conversation…", "From a JSON file made by export", [], Nothing;
    ExportMarkdown, Conversation, "Export as Markdown…", "The messages on screen, to read elsewhere", [key(COMMAND_SHIFT, Key::E)], Messages;
    ExportJson, Conversation, "Export as JSON…", "Everything: all versions, tokens and recipes", [], Messages;
    CopyConversation, Conversation, "Copy conversation", "All messages on screen, as Markdown", [key(COMMAND_SHIFT, Key::C)], Messages;
    FocusComposer, Reply, "Write a message", "Put the cursor into the message field", [key(COMMAND, Key::L)], Nothing;
    Stop, Reply, "Stop", "End the reply here, or cancel loading", [key(Modifiers::NONE, Key::Escape)], Work;
    Regenerate, Reply, "Regenerate", "Another version of the last reply; this one is kept", [key(COMMAND, Key::Enter)], IdleReply;
    Continue, Reply, "Continue", "Let the model go on where the last reply ends", [key(Modifiers::ALT, Key::Enter)], IdleReply;
    EditLastMessage, Reply, "Edit your last message", "As a new version, answered again", [key(COMMAND_SHIFT, Key::ArrowUp)], OwnMessage;
    UndoDials, Reply, "Undo change of dials", "Vectors, sampling and seed as they were before", [key(COMMAND_ALT, Key::Z)], Dialled;
    RedoDials, Reply, "Redo change of dials", "Take back the undoing", [key(COMMAND_ALT_SHIFT, Key::Z)], Undone;
    ChooseModel, Model, "Choose a model…", "Models on this computer, and how they would fit", [key(COMMAND, Key::M)], Nothing;
    OpenModelFile, Model, "Open model file…", "A GGUF or safetensors file", [key(COMMAND, Key::O)], Nothing;
    OpenModelFolder, Model, "Open model folder…", "A Hugging Face folder", [key(COMMAND_SHIFT, Key::O)], Nothing;
    UnloadModel, Model, "Unload model", "Frees its memory", [], Model;
    AddVector, Model, "Add vector…", "A vector's file, or a LoRA adapter", [], Nothing;
    MakeVector, Model, "Make vector…", "Out of two models, a LoRA adapter or preferences", [], Nothing;
    LearnRewards, Model, "Learn rewards…", "A reward adapter for this model, from preferences or ratings", [], Model;
    ToggleLeftPanel, View, "Conversations panel", "Show or hide the left panel", [key(COMMAND, Key::B)], Nothing;
    ToggleRightPanel, View, "Model panel", "Show or hide the right panel", [key(COMMAND_ALT, Key::B)], Nothing;
    ZoomIn, View, "Zoom in", "Everything larger", [key(COMMAND, Key::Plus), key(COMMAND, Key::Equals)], Nothing;
    ZoomOut, View, "Zoom out", "Everything smaller", [key(COMMAND, Key::Minus)], Nothing;
    ZoomReset, View, "Reset zoom", "Back to 100 %", [key(COMMAND, Key::Num0)], Nothing;
    ThemeSystem, View, "Theme as in the system", "Light or dark as the desktop says", [], Nothing;
    ThemeLight, View, "Light theme", "Dark on light", [], Nothing;
    ThemeDark, View, "Dark theme", "Light on dark", [], Nothing;
    Settings, Program, "Settings…", "Theme, zoom, folders and about", [key(COMMAND, Key::Comma)], Nothing;
    Shortcuts, Program, "Keyboard shortcuts…", "All of them on one page", [key(Modifiers::NONE, Key::F1)], Nothing;
    Palette, Program, "Command palette…", "Find any command by name", [key(COMMAND, Key::K), key(COMMAND_SHIFT, Key::P)], Nothing;
    OpenDataFolder, Program, "Open data folder", "Where conversations and settings lie", [], Nothing;
    OpenLogFolder, Program, "Open log folder", "For reports of what went wrong", [], Nothing;
    Quit, Program, "Quit", "Everything is saved already", [key(COMMAND, Key::Q)], Nothing;
}

impl Action {
    /// All of them, in the order they are shown.
    pub fn all() -> impl Iterator<Item = Self> {
        ENTRIES.iter().map(|entry| entry.action)
    }

    fn entry(self) -> &'static Entry {
        ENTRIES
            .iter()
            .find(|entry| entry.action == self)
            .expect("every action has an entry; a test walks them all")
    }

    /// As shown on buttons and in menus.
    pub fn label(self) -> &'static str {
        self.entry().label
    }

    /// One line more than the label.
    pub fn tooltip(self) -> &'static str {
        self.entry().tooltip
    }

    /// The heading it stands under.
    pub fn group(self) -> Group {
        self.entry().group
    }

    /// The keys that call it, the one to be shown first.
    pub fn shortcuts(self) -> &'static [KeyboardShortcut] {
        self.entry().shortcuts
    }

    /// The shown shortcut in this system's words, empty where there is none.
    pub fn shortcut_text(self, context: &egui::Context) -> String {
        self.shortcuts().first().map(|keys| context.format_shortcut(keys)).unwrap_or_default()
    }

    /// Tooltip and shortcut in one.
    pub fn hover_text(self, context: &egui::Context) -> String {
        let shortcut = self.shortcut_text(context);
        if shortcut.is_empty() {
            self.tooltip().to_owned()
        } else {
            format!("{} ({shortcut})", self.tooltip())
        }
    }

    /// Why it cannot be done now, or `None` when it can.
    pub fn unavailable(self, now: Situation) -> Option<&'static str> {
        let busy = now.is_replying || now.is_loading;
        match self.entry().needs {
            Needs::Nothing => None,
            Needs::Messages => (!now.has_messages).then_some("This conversation is empty"),
            Needs::Work => (!busy).then_some("Nothing is under way"),
            Needs::Dialled => (!now.can_undo_dials).then_some("No dial was changed"),
            Needs::Undone => (!now.can_redo_dials).then_some("Nothing was undone"),
            Needs::Model => (!now.has_model).then_some("No model is loaded"),
            Needs::OwnMessage => (!now.has_own_message).then_some("You have not written yet"),
            Needs::IdleReply if !now.ends_with_reply => Some("There is no reply yet"),
            Needs::IdleReply if !now.has_model => Some("No model is loaded"),
            Needs::IdleReply => now.is_replying.then_some("A reply is under way"),
        }
    }
}

/// The action whose keys were pressed, taken out of the input so that no field sees them too.
///
/// Keys with more modifiers are looked for first: egui matches loosely, so that Ctrl+Shift+P would
/// otherwise be found by Ctrl+P.
pub fn pressed(context: &egui::Context, now: Situation) -> Option<Action> {
    let mut keys: Vec<(KeyboardShortcut, Action)> = ENTRIES
        .iter()
        .flat_map(|entry| entry.shortcuts.iter().map(|keys| (*keys, entry.action)))
        .collect();
    let weight = |keys: &KeyboardShortcut| {
        let modifiers = keys.modifiers;
        u8::from(modifiers.command) + u8::from(modifiers.shift) + u8::from(modifiers.alt)
    };
    keys.sort_by_key(|(keys, _)| std::cmp::Reverse(weight(keys)));
    context.input_mut(|input| {
        keys.into_iter()
            .find(|(keys, action)| {
                action.unavailable(now).is_none() && input.consume_shortcut(keys)
            })
            .map(|(_, action)| action)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_actions_share_keys_or_a_name() {
        let mut keys = Vec::new();
        let mut labels = Vec::new();
        for action in Action::all() {
            assert_eq!(action.entry().action, action);
            assert!(!labels.contains(&action.label()), "{} twice", action.label());
            labels.push(action.label());
            for shortcut in action.shortcuts() {
                assert!(!keys.contains(shortcut), "{shortcut:?} twice");
                keys.push(*shortcut);
            }
        }
    }

    #[test]
    fn texts_follow_the_rules() {
        let opens_a_dialog = [
            Action::ImportConversation,
            Action::ExportMarkdown,
            Action::ExportJson,
            Action::ChooseModel,
            Action::OpenModelFile,
            Action::OpenModelFolder,
            Action::AddVector,
            Action::MakeVector,
            Action::LearnRewards,
            Action::Settings,
            Action::Shortcuts,
            Action::Palette,
        ];
        for action in Action::all() {
            for text in [action.label(), action.tooltip()] {
                assert!(!text.ends_with('.') && !text.ends_with(':'), "{text}");
                assert!(text.starts_with(|first: char| first.is_uppercase()), "{text}");
            }
            let dots = action.label().ends_with('…');
            assert_eq!(dots, opens_a_dialog.contains(&action), "{}", action.label());
        }
    }

    #[test]
    fn regenerate_needs_a_reply_a_model_and_quiet() {
        let ready = Situation {
            has_messages: true,
            has_own_message: true,
            ends_with_reply: true,
            has_model: true,
            ..Situation::default()
        };
        assert_eq!(Action::Regenerate.unavailable(ready), None);
        for not_ready in [
            Situation { ends_with_reply: false, ..ready },
            Situation { has_model: false, ..ready },
            Situation { is_replying: true, ..ready },
        ] {
            assert!(Action::Regenerate.unavailable(not_ready).is_some());
        }
        assert!(Action::Stop.unavailable(ready).is_some());
        assert!(Action::Stop.unavailable(Situation { is_loading: true, ..ready }).is_none());
    }
}
