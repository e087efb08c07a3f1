//! The reward adapter of a conversation: look at one, put it on, take it off; jump to a token.

use std::path::{Path, PathBuf};

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::model::reward::About;
use crate::session::NodeId;
use crate::steer::RewardSetting;
use crate::ui::reward::KnownReward;

impl Window {
    /// Has an adapter looked at; it is taken when it is one for this model.
    pub(in crate::app::window) fn add_reward(&mut self, path: &Path) {
        self.adding_reward = Some(path.to_path_buf());
        self.tell(Request::InspectReward { path: path.to_path_buf() });
    }

    /// What an adapter that was looked at is.
    pub(in crate::app::window) fn take_reward(
        &mut self,
        path: PathBuf,
        outcome: Result<Box<About>, String>,
    ) {
        let was_added = self.adding_reward.take_if(|adding| *adding == path).is_some();
        match outcome {
            Err(why) if was_added => self.panels.toasts.error(why),
            Err(why) => {
                self.rewards.insert(path, KnownReward::Refused(why));
            }
            Ok(about) => {
                self.rewards.insert(path.clone(), KnownReward::About(about));
                if was_added {
                    // Shown and deciding nothing: no reply changes unasked.
                    self.set_reward(Some(path));
                }
            }
        }
    }

    pub(super) fn set_reward(&mut self, path: Option<PathBuf>) {
        let mut plan = self.chat.plan.clone();
        plan.reward = path.map(RewardSetting::shown);
        self.set_plan(plan);
    }

    /// Has the plan's adapter and those that came with the model looked at, when nothing is known of
    /// them yet.
    pub(in crate::app::window) fn look_at_rewards(&mut self) {
        let came = self.engine.model.iter().flat_map(|model| &model.rewards);
        let paths = self.chat.plan.reward.iter().map(|reward| &reward.path).chain(came);
        let is_new = |path: &&PathBuf| !self.rewards.contains_key(*path);
        let new: Vec<PathBuf> = paths.filter(is_new).cloned().collect();
        for path in new {
            self.rewards.insert(path.clone(), KnownReward::Reading);
            self.tell(Request::InspectReward { path });
        }
    }

    /// Shows a token of a reply with its card, whichever version it is in.
    pub(super) fn go_to_token(&mut self, node: NodeId, token: usize) {
        if !self.chat.tree.active_path().iter().any(|shown| shown.id == node) {
            self.show_version(node);
        }
        self.panels.transcript.pin_token(node, token);
    }
}
