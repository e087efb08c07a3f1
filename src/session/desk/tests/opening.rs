//! Databases in every state a start may find them in.

use std::fs;

use super::*;

fn beside(path: &Path, part: &str) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| name.contains(part));
    names.sort();
    names
}

#[test]
fn a_reply_cut_short_becomes_partial_and_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    let (conversation, question) = say(&mut first, "question");
    let mut reply = node(Some(question), Role::Assistant, "");
    reply.state = NodeState::Streaming;
    first.handle(Ask::PutNode { conversation, node: Box::new(reply.clone()) });
    first.handle(Ask::Checkpoint {
        node: reply.id,
        content: "so far".into(),
        from: 0,
        tokens: tokens("so far"),
    });
    drop(first);
    let (mut second, ready) = Desk::open(path.clone()).unwrap();
    assert_eq!(ready.recovered, [(conversation, reply.id)]);
    let kept = open(&mut second, conversation).tree.node(reply.id).unwrap().clone();
    assert_eq!((kept.state, kept.content.as_str()), (NodeState::Partial, "so far"));
    drop(second);
    assert_eq!(Desk::open(path).unwrap().1, Ready::default(), "reported once");
}

#[test]
fn a_damaged_file_is_moved_aside_and_a_fresh_one_begun() {
    for damage in ["not a database", "cut", "scribbled over"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiller.db");
        let mut first = desk(&path);
        for _ in 0..30 {
            say(&mut first, &"words to fill pages ".repeat(60));
        }
        drop(first);
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            "not a database" => bytes = b"hello, I am a text file of some length".repeat(300),
            "cut" => bytes.truncate(bytes.len() / 2),
            _ => bytes[4096..20000].fill(0xA5),
        }
        fs::write(&path, &bytes).unwrap();
        let (mut second, ready) = Desk::open(path.clone()).unwrap();
        let aside = ready.moved_aside.clone().unwrap_or_else(|| panic!("{damage}: {ready:?}"));
        assert_eq!(fs::read(&aside).unwrap(), bytes, "{damage}: kept to the byte");
        assert!(aside.to_string_lossy().contains("damaged-20"), "{}", aside.display());
        assert_eq!(ready.not_kept, None);
        let (conversation, _) = say(&mut second, "life goes on");
        drop(second);
        let (mut third, ready) = Desk::open(path).unwrap();
        assert_eq!(ready, Ready::default());
        assert_eq!(open(&mut third, conversation).tree.len(), 1);
    }
}

#[test]
fn damage_met_while_running_does_not_end_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    for _ in 0..30 {
        say(&mut first, &"words to fill pages ".repeat(60));
    }
    drop(first);
    let mut running = desk(&path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    running.store().forget_pages_for_test();
    let mut told = Vec::new();
    let (conversation, hello) = (ConversationId::fresh(), node(None, Role::User, "hello"));
    told.extend(running.handle(Ask::Search { ticket: 1, query: "words".into(), limit: 9 }));
    told.extend(running.handle(Ask::PutNode { conversation, node: Box::new(hello.clone()) }));
    assert!(told.iter().any(|answer| matches!(answer, Answer::MovedAside { .. })), "{told:?}");
    assert!(told.contains(&Answer::Kept(hello.id)), "{told:?}");
    // Closing the damaged one must not have taken the log of the fresh one with it.
    assert!(folder.path().join("tiller.db-wal").exists());
    let log_file = |name: &&String| name.ends_with("-wal") || name.ends_with("-shm");
    assert_eq!(beside(&path, "damaged").iter().filter(|name| !log_file(name)).count(), 1);
    drop(running);
    assert_eq!(open(&mut desk(&path), conversation).tree.len(), 1);
}

#[test]
fn what_is_not_ours_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.db");
    let connection = rusqlite::Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE bookmark (url TEXT)").unwrap();
    drop(connection);
    let newer = folder.path().join("newer.db");
    drop(desk(&newer));
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.execute_batch("PRAGMA user_version = 99; PRAGMA journal_mode = DELETE").unwrap();
    drop(connection);
    for (path, word) in [(foreign, "another program"), (newer, "newer")] {
        let before = fs::read(&path).unwrap();
        let (mut desk, ready) = Desk::open(path.clone()).unwrap();
        let problem = ready.not_kept.expect("nothing can be kept").to_string();
        assert!(problem.contains(word), "{problem}");
        say(&mut desk, "the program runs on");
        drop(desk);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert!(beside(&path, "damaged").is_empty());
    }
}

#[test]
fn a_folder_that_cannot_be_written_leaves_the_program_running() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "a file where the folder should be").unwrap();
    let (mut desk, ready) = Desk::open(taken.join("tiller.db")).unwrap();
    let problem = ready.not_kept.expect("nothing can be kept").to_string();
    assert!(problem.contains("tiller.db"), "{problem}");
    let (conversation, _) = say(&mut desk, "in memory");
    assert_eq!(open(&mut desk, conversation).summary.title, "in memory");
    assert_eq!(fs::read_to_string(&taken).unwrap(), "a file where the folder should be");
}

#[test]
fn a_damaged_index_is_made_again_and_nothing_else_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    let (conversation, _) = say(&mut first, "a walrus on the beach");
    let find = |desk: &mut Desk| {
        let told = desk.handle(Ask::Search { ticket: 1, query: "walrus".into(), limit: 9 });
        let [Answer::Found { hits, .. }] = told.as_slice() else { panic!("{told:?}") };
        hits.iter().map(|hit| hit.conversation.id).collect::<Vec<_>>()
    };
    // Met while running …
    first.store().damage_index_for_test();
    assert_eq!(find(&mut first), [conversation]);
    // … by a change …
    first.store().damage_index_for_test();
    let (other, _) = say(&mut first, "another walrus");
    assert_eq!(find(&mut first), [other, conversation]);
    // … and on the next start.
    first.store().damage_index_for_test();
    drop(first);
    let (mut second, ready) = Desk::open(path.clone()).unwrap();
    assert_eq!(ready, Ready::default());
    assert_eq!(find(&mut second), [other, conversation]);
    second.store().check_index_for_test();
    assert!(beside(&path, "damaged").is_empty());
}
