//! Markdown: what each shape becomes, and that a reply can break off anywhere.

use egui_kittest::kittest::NodeT as _;
use proptest::prelude::*;
use tiller::ui::transcript::markdown::{Block, Document, parse::parse};

use super::*;

fn blocks(text: &str) -> Vec<Block> {
    parse(text).into_iter().map(|(_, block)| block).collect()
}

/// The words of a block and all it contains.
fn words(block: &Block) -> String {
    match block {
        Block::Paragraph(text) | Block::Heading { text, .. } => text.text.clone(),
        Block::Code { text, .. } | Block::Html(text) => text.clone(),
        Block::Quote(blocks) => blocks.iter().map(words).collect::<Vec<_>>().join(" "),
        Block::List { items, .. } => items
            .iter()
            .flat_map(|item| item.blocks.iter().map(words))
            .collect::<Vec<_>>()
            .join(" "),
        Block::Table(table) => table
            .rows
            .iter()
            .flatten()
            .chain(&table.header)
            .map(|cell| cell.text.clone())
            .collect::<Vec<_>>()
            .join(" "),
        Block::Rule => String::new(),
    }
}

#[test]
fn every_shape_becomes_its_block() {
    let found = blocks(demo::MARKDOWN);
    let names: Vec<&str> = found
        .iter()
        .map(|block| match block {
            Block::Paragraph(_) => "paragraph",
            Block::Heading { .. } => "heading",
            Block::Code { .. } => "code",
            Block::Quote(_) => "quote",
            Block::List { start: Some(1), .. } => "numbered list",
            Block::List { .. } => "list",
            Block::Table(_) => "table",
            Block::Rule => "rule",
            Block::Html(_) => "html",
        })
        .collect();
    let expected = [
        "heading",
        "paragraph",
        "heading",
        "numbered list",
        "list",
        "quote",
        "code",
        "table",
        "rule",
        "html",
        "paragraph",
    ];
    assert_eq!(names, expected);
    let Block::List { items, .. } = &found[3] else { panic!("{:?}", found[3]) };
    assert_eq!(items.len(), 3);
    let Block::List { items: inner, .. } = &items[1].blocks[1] else { panic!("nested list") };
    assert!(matches!(inner[1].blocks[1], Block::List { .. }), "three levels deep");
    let Block::List { items: tasks, .. } = &found[4] else { panic!("{:?}", found[4]) };
    assert_eq!((tasks[0].done, tasks[1].done), (Some(true), Some(false)));
    let Block::Code { language, text } = &found[6] else { panic!("{:?}", found[6]) };
    assert_eq!(language, "rust");
    assert!(text.starts_with("/// Degrees") && text.ends_with('}'));
    let Block::Table(table) = &found[7] else { panic!("{:?}", found[7]) };
    assert_eq!((table.columns.len(), table.rows.len()), (3, 2));
}

#[test]
fn styles_links_and_images_are_kept_in_the_running_text() {
    let found =
        blocks("A *b* **c** `d` ~~e~~ [f](https://g.example) ![h](https://i.example/j.png)");
    let Block::Paragraph(text) = &found[0] else { panic!("{found:?}") };
    assert_eq!(text.text, "A b c d e f image: h");
    let style_of = |word: &str| {
        let at = text.text.find(word).expect("is there");
        text.spans.iter().find(|span| span.range.contains(&at)).expect("has a span").style
    };
    assert!(style_of("b").emphasis && style_of("c").strong && style_of("d").code);
    assert!(style_of("e").struck && style_of("h").substitute);
    assert_eq!(style_of("f").link, Some(0));
    assert_eq!(text.links, ["https://g.example"]);
}

#[test]
fn mathematics_stays_as_written() {
    for math in [
        r"\(a_1 * b_1 * c_1\)",
        r"\[\sum_{i=1}^n x_i * y_i \\ z\]",
        "$F_t = r \\times m$",
        "$$\nx^2 * y^2 * z\n$$",
    ] {
        let found = blocks(&format!("see {math} there"));
        let shown = found.iter().map(words).collect::<Vec<_>>().join("\n");
        assert_eq!(shown, format!("see {math} there"));
    }
    assert_eq!(words(&blocks("from $5 to $6 each")[0]), "from $5 to $6 each");
    assert_eq!(words(&blocks(r"`\(a\)`")[0]), r"\(a\)");
}

#[test]
fn a_reply_growing_by_bytes_ends_as_the_whole() {
    let mut growing = Document::default();
    for end in 0..=demo::MARKDOWN.len() {
        if demo::MARKDOWN.is_char_boundary(end) {
            growing.set_growing(&demo::MARKDOWN[..end]);
        }
    }
    let mut whole = Document::default();
    whole.set_finished(demo::MARKDOWN);
    for (grown, whole) in growing.blocks.iter().zip(&whole.blocks) {
        assert_eq!(grown, whole);
    }
    assert_eq!(growing.blocks.len(), whole.blocks.len());
}

#[test]
fn only_the_tail_of_a_growing_reply_is_parsed_again() {
    let paragraphs: String = (0..200).map(|n| format!("Paragraph *{n}* of many.\n\n")).collect();
    let mut document = Document::default();
    document.set_growing(&paragraphs);
    let mut text = paragraphs.clone();
    for word in ["One", " more", " word"] {
        text.push_str(word);
        let parsed = document.set_growing(&text);
        assert!(parsed < 60, "{parsed} bytes of {} were parsed", text.len());
    }
    assert_eq!(document.set_growing(&text), 0, "nothing new, nothing parsed");
    assert_eq!(document.blocks.len(), 201);
}

#[test]
fn a_finished_message_is_parsed_once() {
    let mut harness = open(Desk::with(vec![demo::node(1, Role::Assistant, demo::MARKDOWN)]));
    harness.run_steps(20);
    assert_eq!(harness.state().state.counts().parses, 1);
    harness.state_mut().nodes[0].content.push_str("\n\nMore.");
    harness.run_steps(3);
    assert_eq!(harness.state().state.counts().parses, 2);
    harness.get_by_label("More.");
}

#[test]
fn links_open_in_the_browser_but_only_web_and_mail() {
    let text = "[site](https://example.org/a) and [file](file:///etc/passwd)";
    let mut harness = open(Desk::with(vec![demo::node(1, Role::Assistant, text)]));
    let link = accesskit::Role::Link;
    harness.get_by_role_and_label(link, "file").click();
    harness.run();
    assert!(opened(&harness).is_none());
    harness.get_by_role_and_label(link, "site").click();
    let mut address = None;
    for _ in 0..4 {
        harness.step();
        address = address.or_else(|| opened(&harness));
    }
    assert_eq!(address.as_deref(), Some("https://example.org/a"));
}

fn opened(harness: &Harness<'static, Desk>) -> Option<String> {
    harness.output().platform_output.commands.iter().find_map(|command| match command {
        egui::OutputCommand::OpenUrl(open) => Some(open.url.clone()),
        _ => None,
    })
}

#[test]
fn html_is_text_and_can_be_read_aloud() {
    let desk = Desk::with(vec![demo::node(1, Role::Assistant, demo::MARKDOWN)]);
    let mut harness = window(desk, [900.0, 1600.0], egui::Theme::Light);
    harness.run();
    let html = harness.get_by_label("<aside>HTML is shown as text</aside>");
    assert!(html.accesskit_node().role() == accesskit::Role::Label);
    harness.get_by_label("image: a small boat");
    harness.get_by_label("How a tiller works");
}

#[test]
fn scripts_from_the_right_and_without_spaces_are_drawn() {
    let nodes = vec![
        demo::node(1, Role::User, demo::HEBREW),
        demo::node(2, Role::Assistant, demo::SCRIPTS),
    ];
    let mut harness = window(Desk::with(nodes), [420.0, 700.0], egui::Theme::Light);
    harness.run();
    // For the screen reader the text stays in its logical order.
    harness.get_by_label(demo::HEBREW);
    harness.get_by_label_contains("舵柄は船");
    let english = harness.get_by_label_contains("English with").rect();
    assert!(english.right() <= 420.0, "wraps inside the window: {english:?}");
}

#[test]
fn quotes_and_lists_beyond_all_measure_are_drawn() {
    let text = format!("{} deep\n\n{}x", "> ".repeat(300), "- ".repeat(300));
    let harness = open(Desk::with(vec![demo::node(1, Role::Assistant, &text)]));
    harness.get_by_label_contains("deep");
}

/// Pieces that make, break and nest every shape.
fn markdown_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("```"),
        Just("```rust\n"),
        Just("~~~"),
        Just("**"),
        Just("*"),
        Just("_"),
        Just("`"),
        Just("# "),
        Just("- "),
        Just("1. "),
        Just("> "),
        Just("| a | b |\n"),
        Just("|---|:-:|\n"),
        Just("| c |"),
        Just("[x]"),
        Just("(http://e.x)"),
        Just("![i]("),
        Just("<b>"),
        Just("<!--"),
        Just("\n"),
        Just("\n\n"),
        Just("    "),
        Just("\t"),
        Just("$"),
        Just("$$"),
        Just("\\("),
        Just("\\)"),
        Just("\\["),
        Just("\\]"),
        Just("---\n"),
        Just("word "),
        Just("é漢שלום"),
        Just("😀\u{200d}"),
        Just("&amp;"),
        Just("- [ ] "),
        Just("~~"),
        Just("[^1]"),
        Just(":\n"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn text_that_breaks_off_anywhere_is_parsed(text in markdown_text()) {
        let mut document = Document::default();
        for (end, _) in text.char_indices() {
            document.set_growing(&text[..end]);
        }
        document.set_growing(&text);
        prop_assert!(document.settled() <= document.blocks.len());
        for (range, _) in parse(&text) {
            prop_assert!(text.get(range).is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn text_that_breaks_off_anywhere_is_drawn(text in markdown_text()) {
        let mut desk = Desk::with(vec![demo::node(1, Role::User, "Go on")]);
        desk.streaming = Some((String::new(), Vec::new()));
        let mut harness = window(desk, [500.0, 400.0], egui::Theme::Dark);
        for (end, _) in text.char_indices().step_by(7) {
            harness.state_mut().streaming = Some((text[..end].to_owned(), Vec::new()));
            harness.step();
        }
        harness.state_mut().streaming = Some((text, Vec::new()));
        harness.step();
    }
}
