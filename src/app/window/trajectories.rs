//! The lines of the plot of rewards: each version of the last reply by the adapter, and by the reward
//! model it is compared with.

use super::chat::{Chat, LiveReply};
use super::commands::judge::Judge;
use crate::session::Role;
use crate::ui::reward::Trajectory;

/// The versions of the last reply on screen that have rewards, the one being written among them.
pub fn trajectories<'a>(
    chat: &'a Chat,
    reply: Option<&'a LiveReply>,
    judge: Option<&'a Judge>,
) -> Vec<Trajectory<'a>> {
    let live = reply.filter(|live| live.conversation == chat.id);
    let tree = &chat.tree;
    let path = tree.active_path();
    let Some(last) = path.iter().rev().find(|node| node.role == Role::Assistant) else {
        return Vec::new();
    };
    let versions = tree.versions(last.id).iter().enumerate().filter_map(|(index, id)| {
        let tokens = match live.filter(|live| live.node.id == *id) {
            Some(live) => &live.node.tokens,
            None => &tree.node(*id)?.tokens,
        };
        let is_shown = *id == last.id;
        Some(Trajectory { node: *id, version: index + 1, is_shown, tokens, judged: None })
    });
    let versions: Vec<Trajectory<'_>> = versions.collect();
    // What a reward model said stands behind what an adapter said: its own lines.
    let judged = versions.iter().filter_map(|version| {
        let judge = judge?;
        let rewards = judge.read.get(&version.node)?.as_slice();
        Some(Trajectory { judged: Some((&judge.name, rewards)), ..*version })
    });
    let judged: Vec<Trajectory<'_>> = judged.collect();
    let has_points = |line: &Trajectory<'_>| line.points().next().is_some();
    versions.into_iter().chain(judged).filter(has_points).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::window::chat::new_node;
    use crate::session::{NodeState, TokenTrace};
    use crate::steer::Plan;

    #[test]
    fn what_a_reward_model_says_is_a_line_of_its_own_beside_the_adapter_s() {
        let mut chat = Chat::fresh(Plan::default());
        let said = |reward| TokenTrace { reward, ..TokenTrace::default() };
        let asked = new_node(None, Role::User, "Hello".into(), NodeState::Finished, 1);
        let mut reply =
            new_node(Some(asked.id), Role::Assistant, "Hi".into(), NodeState::Finished, 2);
        reply.tokens = vec![said(Some(0.5)), said(None)];
        let id = reply.id;
        chat.tree.add(asked).unwrap();
        chat.tree.add(reply).unwrap();
        let names = |judge: Option<&Judge>| -> Vec<(String, usize)> {
            let lines = trajectories(&chat, None, judge);
            lines.iter().map(|line| (line.name(), line.points().count())).collect()
        };
        assert_eq!(names(None), [("Version 1".to_owned(), 1)]);
        let mut judge = Judge { name: "careful".into(), ..Judge::default() };
        judge.read.insert(id, Vec::new());
        assert!(judge.is_reading());
        assert_eq!(names(Some(&judge)), [("Version 1".to_owned(), 1)], "it still reads");
        judge.read.insert(id, vec![2.0, 3.0]);
        assert!(!judge.is_reading());
        let both = [("Version 1".to_owned(), 1), ("Version 1 by careful".to_owned(), 2)];
        assert_eq!(names(Some(&judge)), both);
    }
}
