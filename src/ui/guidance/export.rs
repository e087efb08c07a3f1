//! The tree of a search as a picture and as data.

use std::fmt::Write;

use serde_json::json;

use super::layout::{NODE, extent, place, short_text, value_text};
use crate::decode::search::Boundary;

/// Everything that was told of the search.
pub fn as_json(boundaries: &[Boundary]) -> String {
    let document = json!({ "kind": "tiller-search", "version": 1, "boundaries": boundaries });
    format!("{document:#}\n")
}

/// A picture that needs nothing else: the kept path strong, pruned candidates pale and dashed.
pub fn as_svg(boundaries: &[Boundary]) -> String {
    let placed = place(boundaries);
    let [width, height] = extent(&placed);
    let (width, height) = (width + 32.0, height + 32.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"-16 -16 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>.edge{{fill:none;stroke:#b9b4aa}}.path{{stroke:#0e6b7a;stroke-width:2}}\
         .node{{fill:#fff;stroke:#8a857b}}.best{{stroke:#0e6b7a;stroke-width:2}}\
         .pruned{{stroke-dasharray:4 3}}.pale{{fill:#7d8487}}</style>\n"
    );
    for one in &placed {
        if let Some([x, y]) = one.parent {
            let class = if one.on_path { "edge path" } else { "edge" };
            let (from, to) = (x + NODE[0], one.at[0]);
            let (start, end) = (y + NODE[1] / 2.0, one.at[1] + NODE[1] / 2.0);
            let middle = f32::midpoint(from, to);
            writeln!(
                svg,
                "<path class=\"{class}\" d=\"M{from} {start} C{middle} {start} {middle} {end} {to} {end}\"/>"
            )
            .ok();
        }
    }
    for one in &placed {
        let kept = one.branch.rank.is_some();
        let class = match (one.on_path, kept) {
            (true, _) => "node best",
            (false, true) => "node",
            (false, false) => "node pruned",
        };
        let text = if kept { "" } else { " class=\"pale\"" };
        let [x, y] = one.at;
        let title = escaped(&one.branch.text);
        let (short, value) = (escaped(&short_text(one.branch, 24)), value_text(one.branch));
        writeln!(
            svg,
            "<g><title>{title}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{}\" \
             height=\"{}\" rx=\"6\"/><text{text} x=\"{}\" y=\"{}\">{short}</text><text{text} \
             x=\"{}\" y=\"{}\" font-size=\"10\">{value}</text></g>",
            NODE[0],
            NODE[1],
            x + 8.0,
            y + 16.0,
            x + 8.0,
            y + 31.0,
        )
        .ok();
    }
    svg + "</svg>\n"
}

/// Text that stands for itself in XML; characters XML has no place for are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::layout::tests::demo;
    use super::*;

    #[test]
    fn the_picture_is_whole_xml_with_every_candidate() {
        let svg = as_svg(&demo(3, 4));
        let mut reader = quick_xml::Reader::from_str(&svg);
        let (mut nodes, mut edges) = (0, 0);
        loop {
            match reader.read_event().expect("well-formed") {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Start(tag) if tag.name().as_ref() == b"g" => nodes += 1,
                quick_xml::events::Event::Empty(tag) if tag.name().as_ref() == b"path" => {
                    edges += 1;
                }
                _ => {}
            }
        }
        assert_eq!((nodes, edges), (12, 8));
        assert!(svg.contains("&amp; &lt;more&gt;"), "{svg}");
        assert_eq!(svg.matches("node best").count(), 3);
        assert!(svg.contains("no number"));
    }

    #[test]
    fn the_data_are_read_back() {
        let boundaries = demo(2, 4);
        let read: serde_json::Value = serde_json::from_str(&as_json(&boundaries)).unwrap();
        let read: Vec<Boundary> = serde_json::from_value(read["boundaries"].clone()).unwrap();
        assert_eq!(read, boundaries);
    }
}
