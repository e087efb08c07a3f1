//! Works off what is asked, one wish after the other: changes in order and held in memory while
//! the disk refuses them, everything else at once. Knows nothing of threads.

use std::collections::VecDeque;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

use super::ask::{Answer, Ask, ExportFormat, Ready};
use super::exchange;
use super::settings::{self, Settings};
use super::store::{self, Store, Trouble};
use super::tree::ConversationId;
use crate::platform::{Problem, atomic};

type Result<T> = std::result::Result<T, Trouble>;

/// The database and what has not reached it yet.
pub struct Desk {
    path: PathBuf,
    store: Store,
    /// The database could not be opened for writing.
    not_kept: bool,
    /// Changes that are still to be made, oldest first.
    waiting: VecDeque<Ask>,
    /// The person was told that the disk refuses.
    told: bool,
    /// Settings that could not be written: the file, what it says, what it should say.
    unsaved: Option<(PathBuf, Box<Settings>, Box<Settings>)>,
}

impl Desk {
    /// Opens the database, whatever state it is in.
    pub fn open(path: PathBuf) -> std::result::Result<(Self, Ready), Problem> {
        let opened = store::open(&path).map_err(Trouble::into_problem)?;
        let ready = Ready {
            recovered: opened.recovered,
            moved_aside: opened.moved_aside,
            backup: opened.backup,
            not_kept: opened.not_kept,
        };
        let desk = Self {
            path,
            store: opened.store,
            not_kept: ready.not_kept.is_some(),
            waiting: VecDeque::new(),
            told: false,
            unsaved: None,
        };
        Ok((desk, ready))
    }

    /// Whether something is held in memory because the disk refused it.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.unsaved.is_some()
    }

    /// Does what is asked; gives what there is to tell.
    pub fn handle(&mut self, ask: Ask) -> Vec<Answer> {
        let mut told = Vec::new();
        if let Ask::SaveSettings { path, before, after } = ask {
            // What the file still says is older than what this wish knows.
            let before = match self.unsaved.take() {
                Some((unsaved, older, _)) if unsaved == path => older,
                _ => before,
            };
            self.save_settings(path, before, after, &mut told);
        } else if is_change(&ask) {
            let mut ask = ask;
            self.waiting.retain_mut(|waiting| !replaces(&mut ask, waiting));
            self.waiting.push_back(ask);
            self.work_off(&mut told);
        } else {
            let mut found = self.look_up(&ask);
            if matches!(&found, Err(trouble) if trouble.is_index_damage()) {
                self.mend_index();
                found = self.look_up(&ask);
            }
            match found {
                Ok(answer) => told.push(answer),
                Err(trouble) => self.report(trouble, &mut told),
            }
        }
        told
    }

    /// Tries again what the disk refused.
    pub fn retry(&mut self) -> Vec<Answer> {
        let mut told = Vec::new();
        if self.not_kept
            && !self.waiting.is_empty()
            && let Some(store) = store::reopen(&self.path)
        {
            self.store = store;
            self.not_kept = false;
        }
        self.work_off(&mut told);
        if let Some((path, before, after)) = self.unsaved.take() {
            let mut settings_told = Vec::new();
            self.save_settings(path, before, after, &mut settings_told);
            // The person knows already that it fails.
            settings_told.retain(|answer| !matches!(answer, Answer::Failed { .. }));
            told.extend(settings_told);
        }
        told
    }

    fn work_off(&mut self, told: &mut Vec<Answer>) {
        let (mut mended, mut fresh) = (false, false);
        while let Some(ask) = self.waiting.pop_front() {
            match self.change(&ask, told) {
                Ok(()) => {}
                Err(trouble) if trouble.may_pass() => {
                    self.waiting.push_front(ask);
                    if !self.told {
                        self.told = true;
                        let waiting = self.waiting.len();
                        told.push(Answer::Failed { problem: trouble.into_problem(), waiting });
                    }
                    return;
                }
                Err(trouble) if trouble.is_index_damage() && !mended => {
                    mended = true;
                    self.waiting.push_front(ask);
                    self.mend_index();
                }
                // Once on a fresh database; what leans on lost messages is refused there.
                Err(trouble) if trouble.is_corruption() && !fresh => {
                    fresh = true;
                    self.waiting.push_front(ask);
                    self.report(trouble, told);
                }
                Err(trouble) => {
                    let waiting = self.waiting.len();
                    told.push(Answer::Failed { problem: trouble.into_problem(), waiting });
                }
            }
        }
        if std::mem::take(&mut self.told) {
            told.push(Answer::CaughtUp);
        }
    }

    /// Tells of a failure; when the file is damaged, begins a fresh one beside it.
    fn report(&mut self, trouble: Trouble, told: &mut Vec<Answer>) {
        let corrupt = trouble.is_corruption();
        let problem = trouble.into_problem();
        told.push(Answer::Failed { problem, waiting: self.waiting.len() });
        if corrupt {
            match self.begin_afresh() {
                Ok(to) => told.push(Answer::MovedAside { to }),
                Err(problem) => {
                    told.push(Answer::Failed { problem, waiting: self.waiting.len() });
                }
            }
        }
    }

    /// The search index can always be made again from the texts.
    fn mend_index(&mut self) {
        match self.store.rebuild_index() {
            Ok(()) => tracing::warn!("the search index was damaged and is made again"),
            Err(trouble) => tracing::error!("the search index cannot be made again: {trouble}"),
        }
    }

    fn begin_afresh(&mut self) -> std::result::Result<PathBuf, Problem> {
        // Closed before it is moved; an open file cannot be moved everywhere.
        self.store = store::in_memory().map_err(Trouble::into_problem)?;
        self.not_kept = true;
        let to = store::move_aside(&self.path).map_err(|error| {
            Problem::new(format!("the damaged database stays: {error}")).at(&self.path)
        })?;
        let opened = store::open(&self.path).map_err(Trouble::into_problem)?;
        self.store = opened.store;
        match opened.not_kept {
            None => {
                self.not_kept = false;
                Ok(to)
            }
            Some(problem) => Err(problem),
        }
    }

    fn look_up(&mut self, ask: &Ask) -> Result<Answer> {
        Ok(match ask {
            Ask::List { after, limit } => {
                let (conversations, next) = self.store.list(*after, *limit)?;
                Answer::Listed { conversations, next }
            }
            Ask::ListTrash { after, limit } => {
                let (conversations, next) = self.store.list_trash(*after, *limit)?;
                Answer::TrashListed { conversations, next }
            }
            Ask::Search { ticket, query, limit } => {
                Answer::Found { ticket: *ticket, hits: self.store.search(query, *limit)? }
            }
            Ask::Open(id) => Answer::Opened(Box::new(self.store.conversation(*id)?)),
            Ask::Tokens(node) => Answer::Tokens { node: *node, tokens: self.store.tokens(*node)? },
            Ask::Draft => Answer::Draft(self.store.draft(None)?),
            Ask::ListPresets => Answer::Presets(self.store.presets()?),
            Ask::Export { id, format, path } => self.export(*id, *format, path)?,
            Ask::Import { path } => {
                let imported = exchange::read_json(path)?;
                Answer::Imported(self.store.put_conversation(&imported)?)
            }
            other => unreachable!("{:?} changes something", discriminant(other)),
        })
    }

    /// Makes one change; `told` is added to only when it is made.
    fn change(&mut self, ask: &Ask, told: &mut Vec<Answer>) -> Result<()> {
        let store = &mut self.store;
        match ask {
            Ask::PutNode { conversation, node } => {
                let line = store.put_node(*conversation, node)?;
                told.push(Answer::Kept(node.id));
                told.extend(line.map(Answer::Changed));
            }
            Ask::Checkpoint { node, content, from, tokens } => {
                store.checkpoint(*node, content, *from, tokens)?;
            }
            Ask::FinishNode(finished) => {
                let line = store.finish_node(finished)?;
                told.push(Answer::Finished(finished.node));
                told.extend(line.map(Answer::Changed));
            }
            Ask::SetActiveLeaf { conversation, leaf } => {
                store.set_active_leaf(*conversation, *leaf)?;
            }
            Ask::SetSystemPrompt { conversation, text } => {
                store.set_system_prompt(*conversation, text.as_deref())?;
            }
            Ask::SetPlan { conversation, plan } => {
                store.set_plan(*conversation, plan.as_deref())?
            }
            Ask::SetDraft { conversation, text } => store.set_draft(*conversation, text)?,
            Ask::Rename { id, title } => {
                told.extend(store.rename(*id, title)?.map(Answer::Changed));
            }
            Ask::Trash(id) => told.push(Answer::Trashed(store.set_trashed(*id, true)?)),
            Ask::Restore(id) => told.push(Answer::Restored(store.set_trashed(*id, false)?)),
            Ask::EmptyTrash => told.push(Answer::TrashEmptied(store.empty_trash()?)),
            Ask::BranchOut(branch) => told.push(Answer::Changed(store.branch_out(branch)?)),
            Ask::SavePreset { name, plan } => {
                store.save_preset(name, plan)?;
                told.push(Answer::Presets(store.presets()?));
            }
            Ask::RenamePreset { from, to } => {
                store.rename_preset(from, to)?;
                told.push(Answer::Presets(store.presets()?));
            }
            Ask::DeletePreset(name) => {
                store.delete_preset(name)?;
                told.push(Answer::Presets(store.presets()?));
            }
            other => unreachable!("{:?} changes nothing", discriminant(other)),
        }
        Ok(())
    }

    fn export(&self, id: ConversationId, format: ExportFormat, path: &Path) -> Result<Answer> {
        let conversation = self.store.conversation(id)?;
        let text = match format {
            ExportFormat::Markdown => exchange::markdown(&conversation),
            ExportFormat::Json => {
                let mut whole = conversation;
                for node in whole.tree.ids() {
                    let tokens = self.store.tokens(node)?;
                    if let Some(node) = whole.tree.node_mut(node) {
                        node.tokens = tokens;
                    }
                }
                exchange::json(&whole)
            }
        };
        atomic::write(path, text.as_bytes())?;
        Ok(Answer::Exported { id, path: path.to_path_buf() })
    }

    fn save_settings(
        &mut self,
        path: PathBuf,
        before: Box<Settings>,
        after: Box<Settings>,
        told: &mut Vec<Answer>,
    ) {
        match settings::save(&path, &before, &after) {
            Ok(()) => told.push(Answer::SettingsSaved),
            Err(problem) => {
                self.unsaved = Some((path, before, after));
                told.push(Answer::Failed { problem, waiting: self.waiting.len() });
            }
        }
    }

    /// As on a disk that is for reading only.
    #[cfg(test)]
    pub(super) fn make_read_only(&mut self) {
        self.store = Store::read_only_for_test(&self.path);
        self.not_kept = true;
    }

    /// The database, for tests that look behind the desk.
    #[cfg(test)]
    pub(super) fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Where the database lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a wish changes the database and so must be made in order and never be dropped.
fn is_change(ask: &Ask) -> bool {
    match ask {
        Ask::PutNode { .. }
        | Ask::Checkpoint { .. }
        | Ask::FinishNode(_)
        | Ask::SetActiveLeaf { .. }
        | Ask::SetSystemPrompt { .. }
        | Ask::SetPlan { .. }
        | Ask::SetDraft { .. }
        | Ask::Rename { .. }
        | Ask::Trash(_)
        | Ask::Restore(_)
        | Ask::EmptyTrash
        | Ask::BranchOut(_)
        | Ask::SavePreset { .. }
        | Ask::RenamePreset { .. }
        | Ask::DeletePreset(_) => true,
        // Settings are a file of their own; an import can be asked for again.
        Ask::List { .. }
        | Ask::ListTrash { .. }
        | Ask::Search { .. }
        | Ask::Open(_)
        | Ask::Tokens(_)
        | Ask::Draft
        | Ask::ListPresets
        | Ask::Export { .. }
        | Ask::Import { .. }
        | Ask::SaveSettings { .. } => false,
    }
}

/// Whether the older wish, still waiting, is of no use once the newer one is done; keeps memory
/// bounded while a full disk holds everything up. What the newer one builds on moves into it.
fn replaces(newer: &mut Ask, older: &mut Ask) -> bool {
    match (newer, older) {
        (
            Ask::Checkpoint { node: a, from, tokens, .. },
            Ask::Checkpoint { node: b, from: start, tokens: before, .. },
        ) if a == b => {
            before.append(tokens);
            (*from, *tokens) = (*start, std::mem::take(before));
            true
        }
        (Ask::FinishNode(a), Ask::Checkpoint { node: b, .. }) => a.node == *b,
        (Ask::SetDraft { conversation: a, .. }, Ask::SetDraft { conversation: b, .. }) => a == b,
        (Ask::SetPlan { conversation: a, .. }, Ask::SetPlan { conversation: b, .. })
        | (
            Ask::SetSystemPrompt { conversation: a, .. },
            Ask::SetSystemPrompt { conversation: b, .. },
        ) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
