//! The actions of menus, keys and palette, each said with the commands that do it.

use egui::{Context, Key, Modifiers};

use crate::app::window::jobs::Question;
use crate::app::window::state::Window;
use crate::platform::desktop;
use crate::session::Role;
use crate::ui::action::{self, Action};
use crate::ui::conversations::start_renaming;
use crate::ui::dialogs::Dialog;
use crate::ui::{Command, words};

impl Window {
    /// The action whose keys were pressed. Esc belongs to what is open first: a dialog, an editor.
    pub(in crate::app::window) fn pressed(&self, context: &Context) -> Option<Action> {
        let has_dialog = self.panels.dialog.is_some() || egui::Popup::is_any_open(context);
        let types_elsewhere =
            self.panels.transcript.wants_escape() || self.panels.conversations.renaming.is_some();
        let escapes = context.input(|input| input.key_pressed(Key::Escape));
        if escapes && (has_dialog || types_elsewhere) {
            return None;
        }
        // An editor in place answers with the same keys that regenerate and continue.
        let enters = context.input(|input| input.key_pressed(Key::Enter));
        if enters && (has_dialog || types_elsewhere) {
            return None;
        }
        let action = action::pressed(context, self.situation())?;
        let is_plain = matches!(&self.panels.dialog, Some(Dialog::Palette(_)))
            && action.shortcuts().iter().all(|keys| keys.modifiers == Modifiers::NONE);
        (!is_plain).then_some(action)
    }

    /// Does it, if it can be done now.
    pub(super) fn act(&mut self, action: Action) {
        if action.unavailable(self.situation()).is_some() {
            return;
        }
        let reply = self.chat.last_reply().map(|node| node.id);
        match action {
            Action::NewConversation => self.new_conversation(),
            Action::SearchConversations => {
                self.show_left(true);
                self.panels.conversations.focus_search = true;
            }
            Action::RenameConversation => {
                if let Some(summary) = &self.chat.summary {
                    start_renaming(&mut self.panels.conversations, summary);
                    self.show_left(true);
                }
            }
            Action::TrashConversation => self.trash(self.chat.id),
            Action::ShowTrash => {
                self.show_left(true);
                self.panels.conversations.shows_trash = true;
            }
            Action::NextConversation => self.step_conversation(true),
            Action::PreviousConversation => self.step_conversation(false),
            Action::ImportConversation => self.question(Question::ConversationFile),
            Action::ExportMarkdown => self.export("md"),
            Action::ExportJson => self.export("json"),
            Action::CopyConversation => self.copy_conversation(),
            Action::FocusComposer => self.panels.transcript.focus_composer(),
            Action::Stop => self.stop(),
            Action::Regenerate => {
                if let Some(reply) = reply {
                    self.regenerate(reply);
                }
            }
            Action::Continue => {
                if let Some(reply) = reply {
                    self.continue_reply(reply);
                }
            }
            Action::EditLastMessage => {
                if let Some(node) = self.chat.last_own() {
                    self.panels.transcript.edit(node.id, &node.content);
                }
            }
            Action::UndoDials => self.undo_dials(),
            Action::RedoDials => self.redo_dials(),
            Action::AddVector => self.question(Question::VectorFile),
            Action::MakeVector => self.open_making(),
            Action::LearnRewards => self.panels.dialog = Some(Dialog::Learning),
            Action::ChooseModel => self.open_model_dialog(),
            Action::OpenModelFile => self.question(Question::ModelFile),
            Action::OpenModelFolder => self.question(Question::ModelFolder),
            Action::UnloadModel => self.run(Command::UnloadModel),
            Action::ToggleLeftPanel => {
                let (shown, _) = self.panels_shown();
                self.show_left(!shown);
            }
            Action::ToggleRightPanel => {
                let (_, shown) = self.panels_shown();
                self.show_right(!shown);
            }
            Action::ZoomIn => self.set_zoom(self.settings.zoom + 0.1),
            Action::ZoomOut => self.set_zoom(self.settings.zoom - 0.1),
            Action::ZoomReset => self.set_zoom(1.0),
            Action::ThemeSystem => self.set_theme(egui::ThemePreference::System),
            Action::ThemeLight => self.set_theme(egui::ThemePreference::Light),
            Action::ThemeDark => self.set_theme(egui::ThemePreference::Dark),
            Action::Settings => self.open_dialog(Dialog::Settings(Default::default())),
            Action::Shortcuts => self.open_dialog(Dialog::Shortcuts),
            Action::Palette => self.open_dialog(Dialog::Palette(Default::default())),
            Action::OpenDataFolder => self.open_folder(&self.places.data_folder.clone()),
            Action::OpenLogFolder => self.open_folder(&self.places.log_folder.clone()),
            Action::Quit => self.context.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }

    /// The same action again closes what it opened.
    fn open_dialog(&mut self, dialog: Dialog) {
        let is_open =
            self.panels.dialog.as_ref().is_some_and(|open| {
                std::mem::discriminant(open) == std::mem::discriminant(&dialog)
            });
        self.panels.dialog = (!is_open).then_some(dialog);
    }

    fn open_model_dialog(&mut self) {
        self.free_memory = free_memory();
        self.open_dialog(Dialog::Model(Default::default()));
        if self.engine.found.is_empty() && !self.engine.is_scanning {
            self.scan();
        }
    }

    fn open_folder(&mut self, folder: &std::path::Path) {
        if let Err(problem) = desktop::open_folder(folder) {
            self.panels.toasts.error(problem.to_string());
        }
    }

    fn export(&mut self, extension: &str) {
        let title: String = self
            .chat
            .title()
            .chars()
            .map(|c| if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_') { c } else { '-' })
            .take(60)
            .collect();
        self.question(Question::SaveAs(format!("{}.{extension}", title.trim())));
    }

    fn copy_conversation(&mut self) {
        let path = self.chat.tree.active_path();
        let messages: Vec<String> = path
            .iter()
            .map(|node| {
                let who = match node.role {
                    Role::System => "System",
                    Role::User => "You",
                    Role::Assistant => "Model",
                };
                format!("**{who}**\n\n{}", node.content.trim())
            })
            .collect();
        let count = words::plural(messages.len() as u64, "message", "messages");
        self.context.copy_text(messages.join("\n\n"));
        self.panels.toasts.info(format!("Copied {count}"));
    }
}

/// Bytes of memory that programs can still have.
fn free_memory() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    (system.available_memory() > 0).then(|| system.available_memory())
}
