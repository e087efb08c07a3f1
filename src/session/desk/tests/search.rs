//! Finding conversations.

use super::*;
use crate::session::ask::SearchHit;

fn search(desk: &mut Desk, query: &str) -> Vec<SearchHit> {
    match desk.handle(Ask::Search { ticket: 3, query: query.into(), limit: 20 }).remove(0) {
        Answer::Found { ticket: 3, hits } => hits,
        other => panic!("{other:?}"),
    }
}

fn found(desk: &mut Desk, query: &str) -> Vec<ConversationId> {
    search(desk, query).into_iter().map(|hit| hit.conversation.id).collect()
}

#[test]
fn words_and_beginnings_of_words_are_found_in_every_script() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let english = say(&mut desk, "The Lighthouse keeper wrote letters").0;
    let chinese = say(&mut desk, "天空为什么是蓝色的？").0;
    let japanese = say(&mut desk, "灯台はどこですか").0;
    let german = say(&mut desk, "Größere ÄRGERNISSE überall").0;
    let arabic = say(&mut desk, "لماذا السماء زرقاء").0;
    for (query, expected) in [
        ("light", english),
        ("LIGHTH keep", english),
        ("keeper \"wrote letters\"", english),
        ("天空为什么", chinese),
        ("蓝色", chinese),
        ("天", chinese),
        ("灯台", japanese),
        ("ですか", japanese),
        ("ärger", german),
        ("Ä", german),
        ("السماء", arabic),
    ] {
        assert_eq!(found(&mut desk, query), [expected], "{query}");
    }
    for nothing in ["", "  ", "keeper absent", "\"wrote keeper\"", "蓝天", "keeper 天"] {
        assert!(found(&mut desk, nothing).is_empty(), "{nothing}");
    }
}

#[test]
fn accents_make_no_difference_in_titles_and_messages() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let cafe = say(&mut desk, "Le Café de la gare").0;
    let decomposed = say(&mut desk, "cafe\u{301} con leche").0;
    let german = say(&mut desk, "Das gilt überall").0;
    desk.handle(Ask::Rename { id: german, title: "Fußgänger".into() });
    for query in ["cafe", "Café", "CAFE\u{301}", "fé", "fe\u{301}"] {
        // Both may have been made in the same millisecond: their order means nothing.
        let hits = found(&mut desk, query);
        assert_eq!(hits.len(), 2, "{query}");
        assert!(hits.contains(&decomposed) && hits.contains(&cafe), "{query}");
    }
    for query in ["uber", "über", "\"gilt uber\"", "ganger", "gän", "Fußganger", "gilt uberall"]
    {
        assert_eq!(found(&mut desk, query), [german], "{query}");
    }
    let hits = search(&mut desk, "uberall");
    let message = hits[0].message.as_ref().unwrap();
    assert_eq!(&message.snippet[message.marks[0].clone()], "überall");
    // Words of accents alone say nothing.
    assert!(found(&mut desk, "\u{301}").is_empty());
}

#[test]
fn nothing_a_person_types_is_a_command_to_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let said = r#"5" pipe AND NOT (title:x) NEAR/2 a*b ^c -d {e} 100% under_score 'q' \"#;
    let ours = say(&mut desk, said).0;
    say(&mut desk, "something quite different");
    for word in said.split_whitespace() {
        assert_eq!(found(&mut desk, word), [ours], "{word}");
    }
    for query in ["\"", "\"\"", "\"\"\"", "\u{0}", "\u{0}abc", "a\" OR \"b", "*", "%%%", "___"] {
        assert!(found(&mut desk, query).len() < 2, "{query:?}");
    }
}

#[test]
fn a_hit_shows_where() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let (in_message, first) = say(&mut desk, "About boats");
    let text =
        format!("{} The harbour\nmaster sleeps. {}", "Calm sea. ".repeat(30), "x".repeat(500));
    let reply = node(Some(first), Role::Assistant, &text);
    let reply_id = reply.id;
    desk.handle(Ask::PutNode { conversation: in_message, node: Box::new(reply) });
    let (in_title, _) = say(&mut desk, "nothing of it here");
    desk.handle(Ask::Rename { id: in_title, title: "Harbour dues".into() });
    desk.store().backdate_for_test(in_title, 1000);

    let hits = search(&mut desk, "harbour");
    assert_eq!(hits.len(), 2);
    // Titles first, although the other one changed later.
    assert_eq!(hits[0].conversation.id, in_title);
    let marked: Vec<&str> =
        hits[0].title_marks.iter().map(|mark| &hits[0].conversation.title[mark.clone()]).collect();
    assert_eq!(marked, ["Harbour"]);
    assert_eq!(hits[0].message, None);
    let message = hits[1].message.as_ref().unwrap();
    assert_eq!(message.node, reply_id);
    let marked: Vec<&str> =
        message.marks.iter().map(|mark| &message.snippet[mark.clone()]).collect();
    assert_eq!(marked, ["harbour"]);
    assert!(message.snippet.contains("harbour master") && message.snippet.chars().count() < 200);
}

#[test]
fn the_index_follows_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let (conversation, question) = say(&mut desk, "question");
    let mut reply = node(Some(question), Role::Assistant, "");
    reply.state = NodeState::Streaming;
    desk.handle(Ask::PutNode { conversation, node: Box::new(reply.clone()) });
    desk.handle(checkpoint(reply.id, "walrus"));
    assert_eq!(found(&mut desk, "walrus"), [conversation]);
    let finished = FinishedNode {
        node: reply.id,
        content: "narwhal".into(),
        state: NodeState::Finished,
        tokens: Vec::new(),
        recipe: None,
        outcome: None,
    };
    desk.handle(Ask::FinishNode(Box::new(finished)));
    assert!(found(&mut desk, "walrus").is_empty());
    assert_eq!(found(&mut desk, "narwhal"), [conversation]);
    desk.handle(Ask::Rename { id: conversation, title: "unicorn".into() });
    assert_eq!(found(&mut desk, "unicorn"), [conversation]);
    desk.handle(Ask::Trash(conversation));
    assert!(found(&mut desk, "narwhal").is_empty() && found(&mut desk, "unicorn").is_empty());
    desk.handle(Ask::Restore(conversation));
    assert_eq!(found(&mut desk, "na"), [conversation]);
    // Even what no text should hold.
    let odd = say(&mut desk, "zero\0one \u{2}two\u{fffd} 👩‍🚀 e\u{301}").0;
    assert_eq!(found(&mut desk, "two"), [odd]);
    desk.store().check_index_for_test();
    desk.handle(Ask::Trash(odd));
    desk.handle(Ask::EmptyTrash);
    desk.store().check_index_for_test();
}
