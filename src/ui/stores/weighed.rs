//! How much the documents mattered to the last reply, also when they did not.

use egui::{RichText, Ui};

use crate::session::Weighed;
use crate::ui::theme::{space, tokens};
use crate::ui::words::plural;

/// Files named.
const NAMED: usize = 3;

/// Draws it.
pub fn weighed_ui(ui: &mut Ui, weighed: &Weighed) {
    ui.add_space(space::XS);
    let text = RichText::new(sentence(weighed)).small().color(tokens(ui).text_weak);
    let hover = format!(
        "Their mean share was {:.0} %; they moved {:.0} % of the probability",
        100.0 * weighed.lambda,
        100.0 * weighed.mean_moved
    );
    ui.add(egui::Label::new(text).wrap()).on_hover_text(hover);
}

/// The same as one sentence.
pub fn sentence(weighed: &Weighed) -> String {
    if weighed.tokens == 0 {
        return "Last reply: the documents were not asked".to_owned();
    }
    let total = plural(weighed.tokens as u64, "token", "tokens");
    if weighed.moved == 0 {
        let near = if weighed.lambda < 0.01 { ": nothing in them was near" } else { "" };
        return format!("Last reply: the documents moved none of {total}{near}");
    }
    let files: Vec<String> = weighed
        .files
        .iter()
        .take(NAMED)
        .filter_map(|(file, _)| Some(file.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let by =
        if files.is_empty() { String::new() } else { format!(", mostly {}", files.join(", ")) };
    format!("Last reply: the documents moved {} of {total}{by}", weighed.moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_so_also_when_nothing_moved() {
        let none = Weighed { tokens: 5, ..Weighed::default() };
        assert!(sentence(&none).ends_with("none of 5 tokens: nothing in them was near"));
        let some = Weighed {
            tokens: 5,
            moved: 2,
            lambda: 0.4,
            files: vec![("/a/ferry.csv".into(), 1.0)],
            ..Weighed::default()
        };
        assert_eq!(
            sentence(&some),
            "Last reply: the documents moved 2 of 5 tokens, mostly ferry.csv"
        );
    }
}
