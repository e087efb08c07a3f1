//! Markdown text to blocks. Nothing is fetched and nothing runs: images become their alternative
//! text, HTML the text it is, mathematics stays as written.

use std::ops::Range;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::block::{Block, ColumnAlign, Inline, Item, Style, Table};
use super::math;

/// Quotes and lists inside each other beyond this depth are flattened, so that drawing them cannot
/// exhaust the stack.
const DEEPEST: usize = 16;

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
}

/// The blocks of `text`, each with the byte range it came from.
pub fn parse(text: &str) -> Vec<(Range<usize>, Block)> {
    let code = if math::is_likely(text) { code_ranges(text) } else { Vec::new() };
    let protected = math::protect(text, &code);
    let mut builder = Builder { source: text, ..Builder::default() };
    for (event, range) in Parser::new_ext(&protected, options()).into_offset_iter() {
        builder.event(event, range);
    }
    builder.finish()
}

fn code_ranges(text: &str) -> Vec<Range<usize>> {
    Parser::new_ext(text, options())
        .into_offset_iter()
        .filter(|(event, _)| {
            matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock))
        })
        .map(|(_, range)| range)
        .collect()
}

/// A block whose content is still arriving.
enum Open {
    Quote(Vec<Block>),
    List { start: Option<u64>, items: Vec<Item> },
    Item(Item),
    Code { language: String, text: String },
    Html(String),
    Heading(u8),
    Table { table: Table, row: Vec<Inline>, in_header: bool },
}

#[derive(Default)]
struct Builder<'a> {
    source: &'a str,
    done: Vec<(Range<usize>, Block)>,
    open: Vec<Open>,
    inline: Inline,
    style: Style,
    /// How many strong, emphasis and struck marks are open; they may nest.
    depths: [usize; 3],
    /// Depth of images whose alternative text is being collected.
    image_depth: usize,
    /// Where the top-level block under construction begins.
    block: Range<usize>,
    /// How many containers were dropped for being too deep, by their end tags.
    too_deep: usize,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        if self.open.is_empty() && self.inline.text.is_empty() {
            self.block = range.clone();
        }
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(text) => {
                let style = Style { code: true, ..self.style };
                self.inline.push(&text, style);
            }
            // As written, delimiters included.
            Event::InlineMath(_) | Event::DisplayMath(_) => {
                let source = self.source;
                let text = source.get(range).unwrap_or_default();
                self.text(text);
            }
            Event::Html(text) => match self.open.last_mut() {
                Some(Open::Html(html)) => html.push_str(&text),
                _ => self.text(&text),
            },
            Event::InlineHtml(text) => self.inline_html(&text),
            Event::SoftBreak | Event::HardBreak => self.text("\n"),
            Event::Rule => {
                self.flush();
                self.push(Block::Rule);
            }
            Event::TaskListMarker(done) => {
                if let Some(Open::Item(item)) = self.open.last_mut() {
                    item.done = Some(done);
                }
            }
            Event::FootnoteReference(label) => self.text(&format!("[^{label}]")),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => self.open.push(Open::Heading(level_number(level))),
            Tag::BlockQuote(_) if self.open.len() >= DEEPEST => self.too_deep += 1,
            Tag::BlockQuote(_) => {
                self.flush();
                self.open.push(Open::Quote(Vec::new()));
            }
            Tag::List(_) if self.open.len() >= DEEPEST => {
                self.flush();
                self.too_deep += 1;
            }
            Tag::List(start) => {
                self.flush();
                self.open.push(Open::List { start, items: Vec::new() });
            }
            Tag::Item if self.too_deep > 0 => self.flush(),
            Tag::Item => self.open.push(Open::Item(Item::default())),
            Tag::CodeBlock(kind) => {
                self.flush();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => {
                        info.split([' ', ',', '{']).next().unwrap_or_default().to_owned()
                    }
                    CodeBlockKind::Indented => String::new(),
                };
                self.open.push(Open::Code { language, text: String::new() });
            }
            Tag::HtmlBlock => {
                self.flush();
                self.open.push(Open::Html(String::new()));
            }
            Tag::Table(columns) => {
                self.flush();
                let columns = columns.into_iter().map(column_align).collect();
                let table = Table { columns, ..Table::default() };
                self.open.push(Open::Table { table, row: Vec::new(), in_header: false });
            }
            Tag::TableHead => {
                if let Some(Open::Table { in_header, .. }) = self.open.last_mut() {
                    *in_header = true;
                }
            }
            Tag::Strong => self.nest(0, 1),
            Tag::Emphasis => self.nest(1, 1),
            Tag::Strikethrough => self.nest(2, 1),
            Tag::Link { dest_url, .. } => {
                self.inline.links.push(dest_url.into_string());
                self.style.link = Some(self.inline.links.len() - 1);
            }
            Tag::Image { .. } => {
                self.image_depth += 1;
                self.style.substitute = true;
                self.text("image: ");
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.flush(),
            TagEnd::Heading(_) => {
                if let Some(Open::Heading(level)) = self.open.pop() {
                    let text = std::mem::take(&mut self.inline);
                    self.push(Block::Heading { level, text });
                }
            }
            TagEnd::BlockQuote(_) | TagEnd::List(_) if self.too_deep > 0 => {
                self.flush();
                self.too_deep -= 1;
            }
            TagEnd::Item if self.too_deep > 0 => self.flush(),
            TagEnd::BlockQuote(_)
            | TagEnd::List(_)
            | TagEnd::Item
            | TagEnd::CodeBlock
            | TagEnd::HtmlBlock
            | TagEnd::Table => {
                self.flush();
                self.close();
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(Open::Table { row, .. }) = self.open.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::TableHead | TagEnd::TableRow => self.end_row(),
            TagEnd::Strong => self.nest(0, -1),
            TagEnd::Emphasis => self.nest(1, -1),
            TagEnd::Strikethrough => self.nest(2, -1),
            TagEnd::Link => self.style.link = None,
            TagEnd::Image => {
                self.image_depth = self.image_depth.saturating_sub(1);
                self.style.substitute = self.image_depth > 0;
            }
            _ => {}
        }
    }

    fn nest(&mut self, which: usize, change: isize) {
        self.depths[which] = self.depths[which].saturating_add_signed(change);
        let [strong, emphasis, struck] = self.depths.map(|depth| depth > 0);
        self.style = Style { strong, emphasis, struck, ..self.style };
    }

    fn text(&mut self, text: &str) {
        match self.open.last_mut() {
            Some(Open::Code { text: code, .. } | Open::Html(code)) => code.push_str(text),
            _ => self.inline.push(text, self.style),
        }
    }

    /// Models write `<br>` in tables and lists; every other tag is shown.
    fn inline_html(&mut self, tag: &str) {
        let name = tag.trim_matches(['<', '>', '/', ' ']);
        if name.eq_ignore_ascii_case("br") {
            self.text("\n");
        } else {
            self.text(tag);
        }
    }

    /// Make a paragraph of the running text there is (tight list entries have no paragraph tags).
    fn flush(&mut self) {
        let inline = std::mem::take(&mut self.inline);
        if !inline.text.is_empty() {
            self.push(Block::Paragraph(inline));
        }
    }

    fn end_row(&mut self) {
        if let Some(Open::Table { table, row, in_header }) = self.open.last_mut() {
            let mut cells = std::mem::take(row);
            cells.resize(table.columns.len(), Inline::default());
            if std::mem::take(in_header) {
                table.header = cells;
            } else {
                table.rows.push(cells);
            }
        }
    }

    fn close(&mut self) {
        let block = match self.open.pop() {
            None | Some(Open::Heading(_)) => return,
            Some(Open::Item(item)) => {
                if let Some(Open::List { items, .. }) = self.open.last_mut() {
                    items.push(item);
                }
                return;
            }
            Some(Open::Quote(blocks)) => Block::Quote(blocks),
            Some(Open::List { start, items }) => Block::List { start, items },
            Some(Open::Code { language, mut text }) => {
                if text.ends_with('\n') {
                    text.pop();
                }
                Block::Code { language, text }
            }
            Some(Open::Html(html)) => Block::Html(html.trim_end().to_owned()),
            Some(Open::Table { table, .. }) => Block::Table(table),
        };
        self.push(block);
    }

    fn push(&mut self, block: Block) {
        match self.open.last_mut() {
            Some(Open::Quote(blocks) | Open::Item(Item { blocks, .. })) => blocks.push(block),
            // Whatever lies where only entries may is kept as an entry of its own.
            Some(Open::List { items, .. }) => {
                items.push(Item { done: None, blocks: vec![block] });
            }
            _ => self.done.push((self.block.clone(), block)),
        }
    }

    fn finish(mut self) -> Vec<(Range<usize>, Block)> {
        self.flush();
        self.done
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

fn column_align(alignment: Alignment) -> ColumnAlign {
    match alignment {
        Alignment::None | Alignment::Left => ColumnAlign::Start,
        Alignment::Center => ColumnAlign::Middle,
        Alignment::Right => ColumnAlign::End,
    }
}
