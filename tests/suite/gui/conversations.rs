//! The left panel: rename, trash and undo, search, import and export, the palette.

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tiller::app::window::Question;

use super::stage::{Setup, Stage};

#[test]
fn renaming_shows_everywhere_and_lasts() {
    let mut stage = Stage::new();
    stage.talk("An automatic title");
    stage.until("it has its title", |stage| stage.sees("An automatic title"));
    stage.press(Modifiers::NONE, Key::F2);
    stage.retype("Conversation title", "My own name");
    stage.press(Modifiers::NONE, Key::Enter);
    stage.until("list and header show it", |stage| {
        stage.harness.query_all_by_label("My own name").count() >= 2
    });
    let folder = stage.close();
    let mut again = Stage::reopen(Setup::default(), folder);
    again.until("it is there after a restart", |stage| stage.sees("My own name"));
}

#[test]
fn what_was_thrown_away_comes_back_by_undo_and_from_the_trash() {
    let mut stage = Stage::new();
    stage.talk("Keep me");
    stage.until("it is in the list", |stage| stage.sees("Move “Keep me” to trash"));
    stage.click("Move “Keep me” to trash");
    stage.until("undo is offered", |stage| stage.sees("Undo"));
    assert!(!stage.sees("Keep me"));
    stage.click("Undo");
    stage.until("it is back", |stage| stage.sees("Keep me"));

    stage.click("Keep me");
    stage.until("it is open", |stage| stage.sees("Move “Keep me” to trash"));
    stage.press(Modifiers::COMMAND | Modifiers::SHIFT, Key::Delete);
    stage.until("the trash has one", |stage| stage.sees("Trash, 1 item"));
    stage.click("Trash, 1 item");
    stage.click("Restore “Keep me”");
    stage.until("the trash is empty", |stage| stage.shows("The trash is empty"));
    stage.click("Close trash");
    assert!(stage.sees("Keep me"));

    stage.click("Keep me");
    stage.until("it is open", |stage| stage.sees("Move “Keep me” to trash"));
    stage.click("Move “Keep me” to trash");
    stage.until("the trash has one", |stage| stage.sees("Trash, 1 item"));
    stage.click("Trash, 1 item");
    stage.click("Empty");
    stage.click("Delete for good");
    stage.until("it is gone", |stage| stage.shows("1 conversation deleted for good"));
}

#[test]
fn search_finds_words_in_titles_and_in_messages() {
    let mut stage = Stage::new();
    stage.talk("About mountains");
    stage.press(Modifiers::COMMAND, Key::N);
    stage.talk("About valleys");
    stage.press(Modifiers::COMMAND, Key::F);
    stage.type_into("Search conversations", "mountain");
    stage.until("one is found", |stage| stage.shows("1 conversation"));
    assert!(
        !stage
            .harness
            .query_all_by_label("About valleys")
            .any(|node| { node.rect().left() < 200.0 })
    );
    // The word stands only in the replies.
    stage.retype("Search conversations", "harbour");
    stage.until("both are found", |stage| stage.shows("2 conversations"));
    stage.press(Modifiers::NONE, Key::Escape);
    stage.until("the list is back", |stage| stage.shows("Today"));
}

#[test]
fn conversations_go_out_and_come_back_in() {
    let mut stage = Stage::new();
    stage.talk("To be exported");
    let file = stage.path().join("out.json");
    *stage.answer.lock().unwrap() = Some(file.clone());
    stage.palette("Export as JSON");
    stage.until("it is written", |stage| stage.shows("Exported to"));
    assert!(std::fs::read_to_string(&file).unwrap().contains("To be exported"));
    assert_eq!(*stage.asked.lock().unwrap(), [Question::SaveAs("To be exported.json".into())]);

    *stage.answer.lock().unwrap() = Some(file);
    stage.palette("Import conversation");
    stage.until("it is a second one", |stage| stage.shows("The conversation was imported"));

    let markdown = stage.path().join("out.md");
    *stage.answer.lock().unwrap() = Some(markdown.clone());
    stage.palette("Export as Markdown");
    stage.until("it is written", |stage| stage.shows("out.md"));
    assert!(std::fs::read_to_string(&markdown).unwrap().contains("harbour"));
}

#[test]
fn the_palette_does_what_it_lists_and_says_why_it_cannot() {
    let mut stage = Stage::new();
    stage.press(Modifiers::COMMAND, Key::K);
    stage.type_into("Command", "regen");
    assert!(stage.sees("Regenerate"));
    stage.press(Modifiers::NONE, Key::Enter);
    assert!(stage.sees("Command"), "what cannot be done leaves the palette open");
    stage.press(Modifiers::NONE, Key::Escape);
    assert!(!stage.sees("Command"));

    stage.palette("Dark theme");
    assert_eq!(stage.harness.ctx.theme(), egui::Theme::Dark);
    stage.palette("Light theme");
    assert_eq!(stage.harness.ctx.theme(), egui::Theme::Light);
    stage.press(Modifiers::NONE, Key::F1);
    assert!(stage.shows("Keyboard shortcuts") && stage.shows("Ctrl+Enter"));
    stage.press(Modifiers::NONE, Key::Escape);
    stage.press(Modifiers::COMMAND, Key::B);
    stage.settle();
    assert!(!stage.sees("Search conversations"), "the left panel is hidden");
}
