//! Takes in what the keeper answers: lists, conversations, presets, and what could not be kept.

use super::chat::Chat;
use super::state::Window;
use crate::session::{Answer, NodeId, Preset, Ready};
use crate::steer::Plan;
use crate::ui::sampling::PresetEntry;
use crate::ui::{Command, conversations, words};

impl Window {
    pub(super) fn take_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Ready(ready) => self.take_ready(&ready),
            Answer::Listed { conversations, next } => self.library.add_page(conversations, next),
            Answer::TrashListed { conversations, .. } => self.library.trash = conversations,
            Answer::Found { ticket, hits } => self.library.take_hits(ticket, hits),
            Answer::Opened(conversation) => {
                if self.opening == Some(conversation.summary.id) {
                    self.opening = None;
                    let plan = self.default_plan();
                    self.show(Chat::opened(*conversation, plan));
                }
            }
            Answer::Tokens { node, tokens } => {
                // So that nothing asks for them again, without end.
                if tokens.is_empty() {
                    self.without_tokens.insert(node);
                }
                if let Some(node) = self.chat.tree.node_mut(node) {
                    node.tokens = tokens;
                }
                let (ready, rest) =
                    self.waiting.drain(..).partition(|(waits_for, _)| *waits_for == node);
                self.waiting = rest;
                let ready: Vec<(NodeId, Command)> = ready;
                for (_, command) in ready {
                    self.run(command);
                }
            }
            Answer::Changed(summary) => {
                if summary.id == self.chat.id {
                    self.chat.summary = Some(summary.clone());
                }
                self.library.put(summary);
            }
            Answer::Imported(summary) => {
                let id = summary.id;
                self.library.put(summary);
                self.panels.toasts.info("The conversation was imported");
                self.run(Command::OpenConversation(id));
            }
            Answer::Trashed(summary) => {
                self.library.remove(summary.id);
                self.library.trash.retain(|line| line.id != summary.id);
                let title = conversations::title_of(&summary).to_owned();
                let undo = Command::RestoreConversation(summary.id);
                self.library.trash.insert(0, summary);
                self.panels.toasts.offer(format!("“{title}” is in the trash"), "Undo", undo);
            }
            Answer::Restored(summary) => {
                self.library.trash.retain(|line| line.id != summary.id);
                self.library.put(summary);
            }
            Answer::TrashEmptied(count) => {
                self.library.trash.clear();
                let count = words::plural(count as u64, "conversation", "conversations");
                self.panels.toasts.info(format!("{count} deleted for good"));
            }
            Answer::Draft(text) => {
                if !self.chat.has_begun() && self.chat.draft.is_empty() {
                    self.chat.draft = text;
                    self.panels.transcript.draft_replaced();
                }
            }
            Answer::Presets(presets) => {
                let entry = |preset: Preset| {
                    let plan: Plan = toml::from_str(&preset.plan).ok()?;
                    Some(PresetEntry { name: preset.name, is_built_in: preset.built_in, plan })
                };
                self.presets = presets.into_iter().filter_map(entry).collect();
                if !self.chat.has_begun() && self.chat.plan == Plan::default() {
                    self.chat.plan = self.default_plan();
                }
            }
            Answer::Exported { path, .. } => {
                self.panels.toasts.info(format!("Exported to {}", path.display()));
            }
            Answer::Failed { problem, waiting } => {
                let held = match waiting {
                    0 => String::new(),
                    _ => "; nothing is lost, it is tried again".to_owned(),
                };
                self.panels.toasts.error(format!("{problem}{held}"));
            }
            Answer::CaughtUp => self.panels.toasts.info("Everything is saved again"),
            Answer::MovedAside { to } => self.panels.toasts.error(format!(
                "The conversations could not be read any more and were moved to {}; a fresh start \
                 was made",
                to.display()
            )),
            Answer::Kept(_) | Answer::Finished(_) | Answer::SettingsSaved => {}
        }
    }

    fn take_ready(&mut self, ready: &Ready) {
        if !ready.recovered.is_empty() {
            let count = ready.recovered.len() as u64;
            let replies = words::plural(count, "reply", "replies");
            self.panels
                .toasts
                .warn(format!("Tiller did not close properly; {replies} kept as far as written"));
        }
        if let Some(to) = &ready.moved_aside {
            self.panels.toasts.error(format!(
                "The conversations could not be read and were moved to {}",
                to.display()
            ));
        }
        if let Some(problem) = &ready.not_kept {
            self.panels.toasts.error(format!("Nothing can be saved: {problem}"));
        }
    }
}
