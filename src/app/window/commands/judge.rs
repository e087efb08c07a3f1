//! A reward model that judges the replies on screen, for comparison: choose one, take it away, have
//! it read what it has not read yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::app::window::state::Window;
use crate::engine::judging::{Judged, Judging};
use crate::engine::{Prompt, Request};
use crate::session::{NodeId, Role};

/// The reward model that judges, and what it said.
#[derive(Debug, Default)]
pub struct Judge {
    pub path: PathBuf,
    /// What it calls itself, once it has read something.
    pub name: String,
    /// Its scores by reply; empty while it reads.
    pub read: BTreeMap<NodeId, Vec<f32>>,
}

impl Judge {
    /// It reads something just now.
    pub fn is_reading(&self) -> bool {
        self.read.values().any(Vec::is_empty)
    }
}

impl Window {
    /// Has a reward model judge the replies of the conversation; `None` lets go of it.
    pub(in crate::app::window) fn set_judge(&mut self, path: Option<&Path>) {
        if path.is_none() {
            self.tell(Request::DropJudge);
        }
        self.judge = path.map(|path| Judge { path: path.to_owned(), ..Judge::default() });
    }

    /// Has the versions of the last reply read that were not, one after the other.
    pub(in crate::app::window) fn look_at_judged(&mut self) {
        let Some(judge) = &self.judge else { return };
        if judge.is_reading() || self.reply.is_some() || self.engine.model.is_none() {
            return;
        }
        let tree = &self.chat.tree;
        let path = tree.active_path();
        let Some(last) = path.iter().rev().find(|node| node.role == Role::Assistant) else {
            return;
        };
        let mut versions = tree.versions(last.id).iter().filter_map(|id| tree.node(*id));
        let new =
            versions.find(|node| !node.tokens.is_empty() && !judge.read.contains_key(&node.id));
        let Some(node) = new else { return };
        let judging = Judging {
            path: judge.path.clone(),
            node: node.id,
            prompt: Prompt::Chat(self.chat.turns_to(node.parent, &self.settings.system_prompt)),
            tokens: node.tokens.iter().map(|token| token.id).collect(),
        };
        if let Some(judge) = &mut self.judge {
            judge.read.insert(judging.node, Vec::new());
        }
        self.tell(Request::Judge(Box::new(judging)));
    }

    /// What a reward model said of a reply.
    pub(in crate::app::window) fn take_judged(
        &mut self,
        path: &Path,
        node: NodeId,
        outcome: Result<Box<Judged>, String>,
    ) {
        let Some(judge) = self.judge.as_mut().filter(|judge| judge.path == path) else { return };
        match outcome {
            Ok(judged) => {
                judge.name = judged.name;
                // One that said nothing is not asked again.
                let said = if judged.rewards.is_empty() { vec![f32::NAN] } else { judged.rewards };
                judge.read.insert(node, said);
            }
            Err(why) => {
                self.judge = None;
                self.panels.toasts.error(why);
            }
        }
    }
}
