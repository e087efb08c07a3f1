//! Writing, reading, stopping, and every way to make another version.

use std::sync::Arc;

use crossbeam_channel::bounded;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT, Queryable};
use tiller::model::Vocabulary;
use tiller::model::toy::{SENTENCE, ToyOptions, ToyVocabulary};
use tiller::session::{
    Ask, ConversationId, Keeper, Node, NodeId, NodeState, Role as NodeRole, TokenTrace,
};

use super::stage::{Setup, Stage};

#[test]
fn a_message_is_answered_and_both_are_there_after_a_restart() {
    let mut stage = Stage::new();
    stage.talk("Where does the boat go?");
    assert!(stage.shows(SENTENCE), "{}", stage.text());
    assert!(stage.shows("Ended by itself"));
    assert!(stage.shows("tokens/s"));
    let folder = stage.close();

    let mut again = Stage::reopen(Setup::default(), folder);
    again.until("the list is read", |stage| stage.sees("Where does the boat go?"));
    again.click("Where does the boat go?");
    again.until("the reply is back", |stage| stage.shows(SENTENCE));
}

#[test]
fn stop_ends_a_reply_and_keeps_what_there_is() {
    let (pass, gate) = bounded(64);
    let mut stage = Stage::open(Setup {
        toy: ToyOptions { gate: Some(gate), ..Default::default() },
        ..Setup::default()
    });
    stage.type_into("Message", "Go on");
    stage.press(Modifiers::NONE, Key::Enter);
    for _ in 0..4 {
        pass.send(()).unwrap();
    }
    stage.until("some of the reply is there", |stage| stage.shows("The wind"));
    assert!(stage.sees("Stop"));
    stage.press(Modifiers::NONE, Key::Escape);
    // The pass under way may still want its turn.
    pass.send(()).unwrap();
    stage.until("it has stopped", |stage| stage.shows("Stopped by you"));
    assert!(stage.shows("The wind"));
    assert!(!stage.shows("harbour"), "{}", stage.text());
    drop(pass);
    stage.click("Continue reply");
    stage.until("it has gone on to the end", |stage| stage.shows(SENTENCE));
}

#[test]
fn a_reply_that_a_kill_cut_short_keeps_its_tokens_and_can_be_gone_on_with() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    // What a kill leaves: a reply still being written, and its checkpoints.
    let keeper = Keeper::start(folder.path().join("tiller.db"), || {}).unwrap();
    let conversation = ConversationId::fresh();
    let node = |parent, role, content: &str, state| Node {
        id: NodeId::fresh(),
        parent,
        role,
        content: content.into(),
        state,
        created_ms: 1,
        tokens: Vec::new(),
        recipe: None,
        outcome: None,
    };
    let question = node(None, NodeRole::User, "Where to?", NodeState::Finished);
    let reply = node(Some(question.id), NodeRole::Assistant, "", NodeState::Streaming);
    let token = |id: u32, text: &str| TokenTrace {
        id,
        text: text.into(),
        logprob: -0.25,
        entropy: 0.5,
        alternatives: Vec::new(),
        reward: None,
    };
    // As the toy tokenizes them.
    let words = ToyVocabulary.encode("The wind", false).unwrap();
    let tokens: Vec<_> =
        words.iter().map(|id| token(*id, &ToyVocabulary.token_text(*id))).collect();
    let id = reply.id;
    keeper.send(Ask::PutNode { conversation, node: Box::new(question) });
    keeper.send(Ask::PutNode { conversation, node: Box::new(reply) });
    for (at, token) in tokens.into_iter().enumerate() {
        let content = ["The", "The wind"][at.min(1)].into();
        keeper.send(Ask::Checkpoint { node: id, content, from: at, tokens: vec![token] });
    }
    keeper.close();

    let mut stage = Stage::reopen(Setup::default(), folder);
    stage.until("it is said", |stage| stage.shows("1 reply kept as far as written"));
    stage.click("Where to?");
    stage.until("its text is back", |stage| stage.shows("The wind"));
    stage.until("its tokens are read", |stage| stage.sees("Show tokens"));
    stage.click("Show tokens");
    stage.until("its tokens are shown", |stage| {
        stage.harness.query_by_label_contains("token 2 ‘").is_some()
    });
    stage.click("Continue reply");
    stage.until("it has gone on to the end", |stage| stage.shows(SENTENCE));
}

#[test]
fn the_tokens_of_a_reply_are_kept_while_it_is_written() {
    let (pass, gate) = bounded(1);
    let toy = ToyOptions { gate: Some(gate), sentence: "a ".repeat(4000), ..Default::default() };
    let mut stage = Stage::open(Setup { toy, ..Setup::default() });
    // Slow enough that it is still being written when a second has passed.
    let feeder = std::thread::spawn(move || {
        while pass.send(()).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    stage.type_into("Message", "Go on");
    stage.press(Modifiers::NONE, Key::Enter);
    let database = stage.path().join("tiller.db");
    let parts = move || {
        let connection = rusqlite::Connection::open(&database).unwrap();
        let sql = "SELECT count(*), min(start) FROM trace_part";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        connection.query_row(sql, [], row).unwrap()
    };
    stage.until("two checkpoints have their tokens", |_| {
        let (count, first): (i64, Option<i64>) = parts();
        count >= 2 && first == Some(0)
    });
    stage.press(Modifiers::NONE, Key::Escape);
    stage.until("it has stopped", |stage| stage.shows("Stopped by you"));
    stage.until("the whole has taken their place", |_| parts().0 == 0);
    drop(stage);
    feeder.join().unwrap();
}

#[test]
fn regenerating_keeps_the_version_before() {
    let mut stage = Stage::new();
    stage.talk("Again");
    stage.press(Modifiers::COMMAND, Key::Enter);
    stage.until("there are two versions", |stage| stage.shows("2 / 2") && stage.sees("Ready"));
    stage.click("Previous version");
    stage.until("the first is shown", |stage| stage.shows("1 / 2"));
}

#[test]
fn an_edited_message_is_answered_again_and_the_first_stays() {
    let mut stage = Stage::new();
    stage.talk("First wording");
    stage.press(Modifiers::COMMAND | Modifiers::SHIFT, Key::ArrowUp);
    stage.retype("Edit message", "Second wording");
    stage.press(Modifiers::COMMAND, Key::Enter);
    stage.until("the new wording is answered", |stage| {
        stage.shows("Second wording") && stage.shows("2 / 2") && stage.sees("Ready")
    });
    assert!(stage.shows(SENTENCE));
    stage.click("Previous version");
    stage.until("the first wording is back", |stage| stage.shows("First wording"));
}

#[test]
fn a_token_can_be_replaced_by_another_the_model_weighed() {
    let mut stage = Stage::new();
    stage.talk("Branch");
    stage.click("Show tokens");
    let second = stage.harness.get_by_label_contains("token 2 ‘");
    second.click();
    stage.settle();
    fn other(stage: &Stage) -> Option<egui_kittest::Node<'_>> {
        let mut all = stage.harness.query_all_by_label_contains("Branch with ‘");
        all.find(|node| !node.accesskit_node().is_disabled())
    }
    stage.until("the alternatives can be chosen", |stage| other(stage).is_some());
    other(&stage).expect("just seen").click();
    stage.until("the branch is a second version", |stage| {
        stage.shows("2 / 2") && stage.sees("Ready")
    });
}

#[test]
fn a_branch_is_a_conversation_of_its_own() {
    let mut stage = Stage::new();
    stage.talk("Original");
    let branch = "Branch to a new conversation";
    let last = stage.harness.query_all_by_label(branch).last().expect("on the reply");
    last.click();
    stage.until("there are two in the list", |stage| {
        stage.harness.query_all_by_label("Original").count() >= 2
    });
    assert!(stage.shows(SENTENCE));
}

#[test]
fn nothing_can_be_sent_without_a_model_and_the_window_says_so() {
    let mut stage = Stage::open(Setup::without_model());
    stage.type_into("Message", "Anyone there?");
    stage.press(Modifiers::NONE, Key::Enter);
    assert!(stage.shows("Load a model first"));
    assert!(stage.shows("Anyone there?"), "the draft stays");
}

#[test]
fn an_idle_window_does_not_repaint() {
    let mut stage = Stage::new();
    stage.talk("Then be still");
    // Animations and the count of the draft come to rest.
    stage.harness.run_steps(60);
    let asked = |stage: &Stage| {
        let output = stage.harness.output();
        output.viewport_output.values().map(|viewport| viewport.repaint_delay).min()
    };
    assert_eq!(asked(&stage), Some(std::time::Duration::MAX));
}

#[test]
fn an_example_is_gone_on_from_behind() {
    let mut stage = Stage::new();
    // The composer had the keyboard, empty, before the words were put into it.
    stage.click("Why is the sky blue?");
    stage.harness.event(egui::Event::Text(" And red?".into()));
    stage.until("the words follow it", |stage| stage.shows("Why is the sky blue? And red?"));
}
