//! Conversations going out to files and coming back.

use std::fs;

use super::*;
use crate::session::exchange::parse_json;

/// A conversation with two versions of a reply, the older one shown, and everything else it can
/// have.
fn rich(desk: &mut Desk) -> ConversationId {
    let (conversation, question) = say(desk, "What is \"it\"?");
    for text in ["Old", "New"] {
        let mut reply = node(Some(question), Role::Assistant, text);
        reply.tokens = tokens(text);
        reply.recipe = Some(r#"{"model_name":"starter","plan":"seed = 1"}"#.into());
        reply.outcome = Some("{ \"spaced\" : 1.50 }".into());
        desk.handle(Ask::PutNode { conversation, node: Box::new(reply) });
    }
    let tree = open(desk, conversation).tree;
    let leaf = tree.children(Some(question))[0];
    desk.handle(Ask::SetActiveLeaf { conversation, leaf });
    desk.handle(Ask::SetSystemPrompt { conversation, text: Some("Answer.".into()) });
    desk.handle(Ask::SetPlan { conversation, plan: Some("seed = 1\n".into()) });
    conversation
}

fn export(desk: &mut Desk, id: ConversationId, format: ExportFormat, path: &Path) -> String {
    let told = desk.handle(Ask::Export { id, format, path: path.to_path_buf() });
    assert_eq!(told, [Answer::Exported { id, path: path.to_path_buf() }]);
    fs::read_to_string(path).unwrap()
}

#[test]
fn json_comes_back_whole_and_beside_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let id = rich(&mut desk);
    let first = folder.path().join("first.json");
    let text = export(&mut desk, id, ExportFormat::Json, &first);
    let told = desk.handle(Ask::Import { path: first.clone() });
    let [Answer::Imported(imported)] = told.as_slice() else { panic!("{told:?}") };
    assert_ne!(imported.id, id);
    let again = export(&mut desk, imported.id, ExportFormat::Json, &folder.path().join("2.json"));
    assert_eq!(again, text, "every version, token, choice, recipe and date");
    let (old, new) = (open(&mut desk, id), open(&mut desk, imported.id));
    assert!(old.tree.ids().is_disjoint(&new.tree.ids()));
    let shown = |conversation: &crate::session::Conversation| {
        conversation.tree.active_path().iter().map(|node| node.content.clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&new), ["What is \"it\"?", "Old"]);
    assert_eq!(shown(&old), shown(&new));
}

#[test]
fn markdown_is_the_path_that_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let id = rich(&mut desk);
    let text = export(&mut desk, id, ExportFormat::Markdown, &folder.path().join("it.md"));
    assert_eq!(
        text,
        "# What is \"it\"?\n\n## System\n\nAnswer.\n\n## You\n\nWhat is \"it\"?\n\n## starter\n\nOld\n"
    );
}

#[test]
fn what_is_no_whole_conversation_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let id = rich(&mut desk);
    let path = folder.path().join("it.json");
    let sound = export(&mut desk, id, ExportFormat::Json, &path);
    let with = |from: &str, to: &str| {
        assert!(sound.contains(from), "{from}");
        sound.replacen(from, to, 1)
    };
    for (broken, word) in [
        (sound[..sound.len() / 2].to_owned(), "line"),
        ("[1, 2]".into(), "not a conversation"),
        ("{}".into(), "not a conversation"),
        (with("tiller-conversation", "something else"), "not a conversation"),
        (with("\"version\": 1", "\"version\": 2"), "newer"),
        (with("\"parent\": 1", "\"parent\": 77"), "answers none"),
        (with("\"id\": 2", "\"id\": 1"), "two messages"),
        (with("\"role\": \"user\"", "\"role\": \"king\""), "king"),
    ] {
        assert!(parse_json(&broken).unwrap_err().to_string().contains(word), "{word}");
        fs::write(&path, &broken).unwrap();
        let told = desk.handle(Ask::Import { path: path.clone() });
        let [Answer::Failed { problem, .. }] = told.as_slice() else { panic!("{told:?}") };
        assert!(problem.to_string().contains("it.json"), "{problem}");
    }
    let told = desk.handle(Ask::Import { path: folder.path().join("absent.json") });
    assert!(matches!(told.as_slice(), [Answer::Failed { .. }]));
    let told = desk.handle(Ask::List { after: None, limit: 10 });
    let [Answer::Listed { conversations, .. }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(conversations.len(), 1);
}

#[test]
fn a_reply_under_way_elsewhere_comes_in_as_partial() {
    let text = r#"{"format":"tiller-conversation","version":1,"title":"","created_ms":1,
        "changed_ms":99999999999999,"system_prompt":null,"plan":null,"active":null,
        "messages":[{"id":1,"parent":null,"role":"assistant","state":"streaming",
        "created_ms":1,"content":"so far","unknown":true}]}"#;
    let conversation = parse_json(text).unwrap();
    let node = conversation.tree.active_path()[0];
    assert_eq!((node.state, node.content.as_str()), (NodeState::Partial, "so far"));
    assert!(conversation.summary.changed_ms < 99_999_999_999_999, "not from the future");
}
