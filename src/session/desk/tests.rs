//! What the desk promises, on real databases.

use super::*;
use crate::session::ask::FinishedNode;
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
    };
    text.chars().enumerate().map(token).collect()
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
    assert!(first.handle(Ask::Checkpoint { node: reply.id, content: "Be".into() }).is_empty());
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
    first.handle(Ask::Checkpoint { node: reply.id, content: "Be".into() });
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
