//! What the desk promises, on real databases.

mod exchange;
mod lists;
mod opening;
mod search;

use super::*;
use crate::session::ask::{BranchOut, FinishedNode};
use crate::session::token::{Alternative, TokenTrace};
use crate::session::tree::{Node, NodeId, NodeState, Role};

fn desk(path: &Path) -> Desk {
    Desk::open(path.to_path_buf()).unwrap().0
}

fn node(parent: Option<NodeId>, role: Role, content: &str) -> Node {
    Node {
        id: NodeId::fresh(),
        parent,
        role,
        content: content.into(),
        state: NodeState::Finished,
        created_ms: 5,
        tokens: Vec::new(),
        recipe: None,
        outcome: None,
    }
}

fn tokens(text: &str) -> Vec<TokenTrace> {
    let token = |(id, c): (usize, char)| TokenTrace {
        id: id as u32,
        text: c.to_string(),
        logprob: -0.1 * id as f32,
        entropy: 1.5,
        alternatives: vec![Alternative { id: 7, text: "x".into(), logprob: f32::NEG_INFINITY }],
        reward: None,
    };
    text.chars().enumerate().map(token).collect()
}

/// The first checkpoint of a reply.
fn checkpoint(node: NodeId, text: &str) -> Ask {
    Ask::Checkpoint { node, content: text.into(), from: 0, tokens: tokens(text) }
}

/// Says something in a new conversation.
fn say(desk: &mut Desk, text: &str) -> (ConversationId, NodeId) {
    let (conversation, node) = (ConversationId::fresh(), node(None, Role::User, text));
    let id = node.id;
    let told = desk.handle(Ask::PutNode { conversation, node: Box::new(node) });
    assert!(told.contains(&Answer::Kept(id)), "{told:?}");
    (conversation, id)
}

fn open(desk: &mut Desk, id: ConversationId) -> crate::session::Conversation {
    match desk.handle(Ask::Open(id)).remove(0) {
        Answer::Opened(conversation) => *conversation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_turn_is_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    let (conversation, question) = say(&mut first, "Why is the sky blue?");
    let mut reply = node(Some(question), Role::Assistant, "");
    reply.state = NodeState::Streaming;
    first.handle(Ask::PutNode { conversation, node: Box::new(reply.clone()) });
    assert!(first.handle(checkpoint(reply.id, "Be")).is_empty());
    let finished = FinishedNode {
        node: reply.id,
        content: "Because".into(),
        state: NodeState::Finished,
        tokens: tokens("Because"),
        recipe: Some("{}".into()),
        outcome: None,
    };
    let told = first.handle(Ask::FinishNode(Box::new(finished)));
    assert!(told.contains(&Answer::Finished(reply.id)));
    // A checkpoint that comes late changes nothing.
    first.handle(checkpoint(reply.id, "Be"));
    drop(first);

    let mut second = desk(&path);
    let found = open(&mut second, conversation);
    assert_eq!(found.summary.title, "Why is the sky blue?");
    assert_eq!(found.tree.active_leaf(), Some(reply.id));
    let kept = found.tree.node(reply.id).unwrap();
    assert_eq!((kept.content.as_str(), kept.state), ("Because", NodeState::Finished));
    let told = second.handle(Ask::Tokens(reply.id));
    assert_eq!(told, [Answer::Tokens { node: reply.id, tokens: tokens("Because") }]);
}

#[test]
fn a_checkpoint_writes_only_the_tokens_that_are_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    let (conversation, question) = say(&mut first, "Why?");
    // Gone on from: the tokens it begins with are kept with it.
    let mut reply = node(Some(question), Role::Assistant, "Be");
    (reply.state, reply.tokens) = (NodeState::Streaming, tokens("Be"));
    first.handle(Ask::PutNode { conversation, node: Box::new(reply.clone()) });
    let whole = "Because of the light";
    let mut bytes = Vec::new();
    for end in (3..whole.len()).step_by(4) {
        let from = if end == 3 { 2 } else { end - 4 };
        let new = tokens(whole)[from..end].to_vec();
        let content = whole[..end].into();
        first.handle(Ask::Checkpoint { node: reply.id, content, from, tokens: new });
        bytes.push(first.store().part_bytes_for_test(reply.id));
    }
    let grown: Vec<_> = bytes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(grown.len(), 4);
    assert!(grown.iter().all(|bytes| *bytes > 0 && *bytes <= grown[0] + 8), "{grown:?}");
    drop(first);
    // Killed here: the next start makes one trace of it.
    let mut second = desk(&path);
    let content = open(&mut second, conversation).tree.node(reply.id).unwrap().content.clone();
    let told = second.handle(Ask::Tokens(reply.id));
    assert_eq!(
        told,
        [Answer::Tokens { node: reply.id, tokens: tokens(whole)[..content.len()].to_vec() }]
    );
    assert_eq!(content, &whole[..19]);
    assert_eq!(second.store().part_bytes_for_test(reply.id), 0);
}

#[test]
fn checkpoints_that_wait_for_the_disk_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    let (conversation, question) = say(&mut first, "Why?");
    let mut reply = node(Some(question), Role::Assistant, "");
    reply.state = NodeState::Streaming;
    first.handle(Ask::PutNode { conversation, node: Box::new(reply.clone()) });
    let pages = first.store().page_count();
    first.store().limit_pages(pages);
    let whole = "light ".repeat(3000);
    for (from, end) in [(0, 9000), (9000, 12_000), (12_000, 18_000)] {
        let (content, new) = (whole[..end].into(), tokens(&whole)[from..end].to_vec());
        first.handle(Ask::Checkpoint { node: reply.id, content, from, tokens: new });
    }
    assert_eq!(first.waiting.len(), 1);
    first.store().limit_pages(u32::MAX);
    assert_eq!(first.retry().last(), Some(&Answer::CaughtUp));
    drop(first);
    let mut second = desk(&path);
    assert_eq!(open(&mut second, conversation).tree.node(reply.id).unwrap().content, whole);
    let told = second.handle(Ask::Tokens(reply.id));
    assert_eq!(told, [Answer::Tokens { node: reply.id, tokens: tokens(&whole) }]);
}

#[test]
fn a_full_disk_holds_changes_back_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut desk = desk(&path);
    let (conversation, first) = say(&mut desk, "short");
    let pages = desk.store().page_count();
    desk.store().limit_pages(pages);

    let long = node(Some(first), Role::User, &"long words without end ".repeat(4000));
    let told = desk.handle(Ask::PutNode { conversation, node: Box::new(long.clone()) });
    let [Answer::Failed { problem, waiting: 1 }] = told.as_slice() else { panic!("{told:?}") };
    assert!(problem.to_string().contains("disk"), "{problem}");
    // What follows waits behind it, in order, and is not told again.
    let after = node(Some(long.id), Role::Assistant, "after");
    assert!(desk.handle(Ask::PutNode { conversation, node: Box::new(after.clone()) }).is_empty());
    for text in ["a", "ab", "abc"] {
        desk.handle(Ask::SetDraft { conversation: None, text: text.into() });
    }
    assert!(desk.is_waiting() && desk.retry().is_empty());
    assert_eq!(desk.waiting.len(), 3, "drafts of one conversation take each other's place");
    // Reading goes on, and what was there is untouched.
    assert_eq!(open(&mut desk, conversation).tree.len(), 1);

    desk.store().limit_pages(u32::MAX);
    let told = desk.retry();
    assert!(told.contains(&Answer::Kept(long.id)) && told.contains(&Answer::Kept(after.id)));
    assert_eq!(told.last(), Some(&Answer::CaughtUp));
    assert!(!desk.is_waiting());
    let tree = open(&mut desk, conversation).tree;
    assert_eq!(tree.path_to(after.id), [first, long.id, after.id]);
    assert_eq!(desk.handle(Ask::Draft), [Answer::Draft("abc".into())]);
}

#[test]
fn versions_and_the_path_shown_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    let (conversation, question) = say(&mut first, "one");
    let put = |desk: &mut Desk, parent, role, text: &str| {
        let node = node(Some(parent), role, text);
        let id = node.id;
        desk.handle(Ask::PutNode { conversation, node: Box::new(node) });
        id
    };
    let old_reply = put(&mut first, question, Role::Assistant, "old");
    let follow_up = put(&mut first, old_reply, Role::User, "and then?");
    let new_reply = put(&mut first, question, Role::Assistant, "new");
    let ours = open(&mut first, conversation).tree;
    assert_eq!(ours.active_leaf(), Some(new_reply));
    assert_eq!(ours.remembered_leaf(Some(old_reply)), Some(follow_up));
    first.handle(Ask::SetActiveLeaf { conversation, leaf: follow_up });
    drop(first);
    let mut second = desk(&path);
    let ours = open(&mut second, conversation).tree;
    assert_eq!(ours.path_to(ours.active_leaf().unwrap()), [question, old_reply, follow_up]);
    assert_eq!(ours.versions(old_reply), [old_reply, new_reply]);
    // A message of another conversation is no leaf of this one.
    let (_, stranger) = say(&mut second, "elsewhere");
    let told = second.handle(Ask::SetActiveLeaf { conversation, leaf: stranger });
    assert!(matches!(told.as_slice(), [Answer::Failed { waiting: 0, .. }]), "{told:?}");
    let orphan = node(Some(stranger), Role::User, "lost");
    let told = second.handle(Ask::PutNode { conversation, node: Box::new(orphan) });
    assert!(matches!(told.as_slice(), [Answer::Failed { waiting: 0, .. }]), "{told:?}");
    assert_eq!(open(&mut second, conversation).tree, ours);
}

#[test]
fn a_branch_is_a_conversation_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let (from, question) = say(&mut desk, "Tell me of the sea");
    let mut reply = node(Some(question), Role::Assistant, "Salt");
    reply.tokens = tokens("Salt");
    desk.handle(Ask::PutNode { conversation: from, node: Box::new(reply.clone()) });
    desk.handle(Ask::SetSystemPrompt { conversation: from, text: Some("Be salty".into()) });
    desk.handle(Ask::SetPlan { conversation: from, plan: Some("seed = 3".into()) });
    let branch = open(&mut desk, from).tree.branch_out(reply.id).unwrap();
    let to = ConversationId::fresh();
    let copies = branch.copies.clone();
    let told = desk.handle(Ask::BranchOut(Box::new(BranchOut { from, to, copies })));
    assert!(matches!(&told[..], [Answer::Changed(summary)] if summary.id == to), "{told:?}");
    let (old, new) = (open(&mut desk, from), open(&mut desk, to));
    assert_eq!(new.tree, branch.tree);
    assert_eq!((&new.system_prompt, &new.plan), (&old.system_prompt, &old.plan));
    assert_eq!(new.summary.title, "Tell me of the sea");
    let copy = branch.copies[1].1;
    let told = desk.handle(Ask::Tokens(copy));
    assert_eq!(told, [Answer::Tokens { node: copy, tokens: tokens("Salt") }]);
    // The original going for good leaves the copy whole.
    desk.handle(Ask::Trash(from));
    assert_eq!(desk.handle(Ask::EmptyTrash), [Answer::TrashEmptied(1)]);
    assert_eq!(open(&mut desk, to).tree, branch.tree);
}

#[test]
fn drafts_survive_and_are_forgotten_when_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    let (conversation, _) = say(&mut first, "hello");
    let draft = |conversation, text: &str| Ask::SetDraft { conversation, text: text.into() };
    first.handle(draft(Some(conversation), "half a thou"));
    first.handle(draft(None, "not begun"));
    drop(first);
    let mut second = desk(&path);
    assert_eq!(open(&mut second, conversation).draft, "half a thou");
    assert_eq!(second.handle(Ask::Draft), [Answer::Draft("not begun".into())]);
    second.handle(draft(None, ""));
    assert_eq!(second.handle(Ask::Draft), [Answer::Draft(String::new())]);
}

#[test]
fn presets_are_kept_beside_the_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let save = |name: &str, plan: &str| Ask::SavePreset { name: name.into(), plan: plan.into() };
    let names = |told: &[Answer]| match told {
        [Answer::Presets(presets)] => {
            presets.iter().map(|preset| preset.name.clone()).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let refused =
        |told: Vec<Answer>| matches!(told.as_slice(), [Answer::Failed { waiting: 0, .. }]);
    desk.handle(save("mine", "seed = 1"));
    desk.handle(save("mine", "seed = 2"));
    let built_in = ["Precise", "Balanced", "Creative", "Greedy"];
    let all = names(&desk.handle(save("Also mine", "seed = 3")));
    assert_eq!(all, [&built_in[..], &["Also mine", "mine"]].concat());
    assert!(refused(desk.handle(save("Greedy", "seed = 1"))));
    assert!(refused(desk.handle(save("broken", "seed = = 1"))));
    assert!(refused(desk.handle(save("  ", "seed = 1"))));
    let rename = |from: &str, to: &str| Ask::RenamePreset { from: from.into(), to: to.into() };
    assert!(refused(desk.handle(rename("mine", "Also mine"))));
    assert!(refused(desk.handle(rename("Greedy", "Greedier"))));
    let all = names(&desk.handle(rename("mine", "yours")));
    assert_eq!(all, [&built_in[..], &["Also mine", "yours"]].concat());
    assert!(refused(desk.handle(Ask::DeletePreset("Balanced".into()))));
    let told = desk.handle(Ask::DeletePreset("Also mine".into()));
    let [Answer::Presets(presets)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(presets[4].plan, "seed = 2");
    assert!(presets[..4].iter().all(|preset| preset.built_in));
}

#[test]
fn settings_that_could_not_be_written_are_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let blocked = folder.path().join("taken");
    std::fs::write(&blocked, "a file where the folder should be").unwrap();
    let path = blocked.join("settings.toml");
    let (first, second, third) = (
        Settings::default(),
        Settings { zoom: 1.5, ..Settings::default() },
        Settings { zoom: 1.5, sidebar: false, ..Settings::default() },
    );
    let save = |before: &Settings, after: &Settings| Ask::SaveSettings {
        path: path.clone(),
        before: Box::new(before.clone()),
        after: Box::new(after.clone()),
    };
    let told = desk.handle(save(&first, &second));
    assert!(matches!(told.as_slice(), [Answer::Failed { .. }]), "{told:?}");
    desk.handle(save(&second, &third));
    assert!(desk.is_waiting() && desk.retry().is_empty());
    std::fs::remove_file(&blocked).unwrap();
    assert_eq!(desk.retry(), [Answer::SettingsSaved]);
    assert_eq!(settings::load(&path).settings, third);
    assert!(!desk.is_waiting());
}

#[test]
fn a_disk_that_is_for_reading_only_is_written_once_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let (conversation, first) = say(&mut desk, "before");
    desk.make_read_only();
    assert_eq!(open(&mut desk, conversation).tree.len(), 1);
    let second = node(Some(first), Role::Assistant, "meanwhile");
    let told = desk.handle(Ask::PutNode { conversation, node: Box::new(second.clone()) });
    let [Answer::Failed { problem, waiting: 1 }] = told.as_slice() else { panic!("{told:?}") };
    assert!(problem.to_string().contains("writable"), "{problem}");
    let told = desk.retry();
    assert!(told.contains(&Answer::Kept(second.id)), "{told:?}");
    assert_eq!(told.last(), Some(&Answer::CaughtUp));
    assert_eq!(open(&mut desk, conversation).tree.len(), 2);
}
