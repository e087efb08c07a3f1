//! Every format read from files made here, and every way a file can be bad.

use std::io::{Cursor, Write};
use std::path::PathBuf;

use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;

fn read_bytes_as(name: &str, bytes: &[u8]) -> Result<Document, Problem> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path).map(|(_, document)| document)
}

fn text_of(name: &str, bytes: &[u8]) -> String {
    read_bytes_as(name, bytes).unwrap().text.as_str().to_owned()
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    let error = read_bytes_as(name, bytes).unwrap_err().to_string();
    assert!(error.contains(name), "{error}");
    assert!(!error.contains('\n'), "{error}");
    error
}

/// The place of the first occurrence of some text.
fn place(document: &Document, needle: &str) -> String {
    let at = document.text.as_str().find(needle).expect(needle);
    let places = document.text.places();
    places[places.partition_point(|(start, _)| *start <= at) - 1].1.to_string()
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A PDF of one line of text per page; `None` is a page of nothing, as a scan has it.
fn pdf(pages: &[Option<&str>]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|at| format!("{} 0 R", 4 + 2 * at)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!(
            "<< /Type /Pages /Kids [{}] /Count {} /MediaBox [0 0 300 200] >>",
            kids.join(" "),
            pages.len()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".into(),
    ];
    for (at, page) in pages.iter().enumerate() {
        let stream =
            page.map_or(String::new(), |text| format!("BT /F1 12 Tf 20 100 Td ({text}) Tj ET"));
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            5 + 2 * at
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()));
    }
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", at + 1).unwrap();
    }
    let start = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    let count = objects.len() + 1;
    write!(file, "trailer << /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").unwrap();
    file
}

#[test]
fn plain_text_and_code_keep_their_lines_and_encodings() {
    let document = read_bytes_as("a.txt", b"one\r\ntwo\rthree\n").unwrap();
    assert_eq!(document.text.as_str(), "one\ntwo\nthree\n");
    assert_eq!(place(&document, "three"), "line 3");
    assert_eq!(text_of("a.rs", b"fn main() {}\n"), "fn main() {}\n");
    assert_eq!(text_of("README", "ohne Endung".as_bytes()), "ohne Endung\n");
    let german =
        "Die Fähre fährt täglich außer montags über den Fluss; größere Gepäckstücke kosten";
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(german);
    assert_eq!(text_of("a.md", &latin), format!("{german}\n"));
    let (japanese, _, _) = encoding_rs::SHIFT_JIS.encode("船は毎日午前八時に港を出ます。");
    assert_eq!(text_of("b.txt", &japanese), "船は毎日午前八時に港を出ます。\n");
    let wide: Vec<u8> = german.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(text_of("wide.txt", &wide), format!("{german}\n"));
    assert_eq!(text_of("marked.txt", &[&[0xff, 0xfe], &wide[..]].concat()), format!("{german}\n"));
}

#[test]
fn a_pdf_is_read_by_page_and_a_bad_page_costs_that_page() {
    let bytes = pdf(&[Some("The ferry leaves at eight."), None, Some("No dogs on board.")]);
    let document = read_bytes_as("ferry.pdf", &bytes).unwrap();
    assert_eq!(place(&document, "ferry leaves"), "page 1");
    assert_eq!(place(&document, "No dogs"), "page 3");
    // A page without a media box makes the library panic.
    let bare = " ".repeat("/MediaBox [0 0 300 200]".len());
    let cut = String::from_utf8(bytes).unwrap().replace("/MediaBox [0 0 300 200]", &bare);
    let error = refusal("cut.pdf", cut.as_bytes());
    assert!(error.contains("scanned"), "{error}");
}

#[test]
fn scanned_encrypted_and_malformed_pdfs_are_refused_by_name() {
    assert!(refusal("scan.pdf", &pdf(&[None, None])).contains("scanned"));
    assert!(refusal("junk.pdf", b"%PDF-1.7\njunk that goes nowhere").contains("broken"));
    assert!(refusal("none.pdf", b"not one at all").contains("no PDF"));
    let text = String::from_utf8(pdf(&[Some("secret")])).unwrap();
    let locked = text.replace(
        "/Root 1 0 R",
        "/Root 1 0 R /ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 \
         /O <0102030405060708091011121314151617181920212223242526272829303132> \
         /U <0102030405060708091011121314151617181920212223242526272829303132> >>",
    );
    assert!(refusal("locked.pdf", locked.as_bytes()).contains("encrypted"));
    // Whatever is cut off or changed, it is a line and not a panic.
    let whole = pdf(&[Some("The ferry leaves at eight."), Some("Twice")]);
    for length in (0..whole.len()).step_by(61) {
        read_bytes_as("cut.pdf", &whole[..length]).ok();
        let mut changed = whole.clone();
        changed[length] ^= 0x15;
        read_bytes_as("changed.pdf", &changed).ok();
    }
}

const DOCX: &str = r#"<?xml version="1.0"?><w:document xmlns:w="w"><w:body>
<w:p><w:r><w:t>House rules &amp; keys</w:t></w:r></w:p>
<w:p><w:r><w:t xml:space="preserve">The boiler </w:t></w:r><w:r><w:t>is in the attic.</w:t><w:tab/><w:t>x</w:t></w:r>
<w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Monday</w:t></w:r></w:p></w:tc>
<w:tc><w:p><w:r><w:t>paper</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>"#;

#[test]
fn docx_and_odt_are_read_by_paragraph_and_row() {
    let bytes = zipped(&[("word/document.xml", DOCX.as_bytes())]);
    let document = read_bytes_as("house.docx", &bytes).unwrap();
    let expected = "House rules & keys\n\nThe boiler is in the attic.\tx\n\nMonday\tpaper\n\n";
    assert_eq!(document.text.as_str(), expected);
    assert_eq!(place(&document, "boiler"), "paragraph 2");

    let odt = r#"<office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="b">
        <text:h>Rules</text:h><text:p>Two<text:s text:c="3"/>spaces<text:line-break/>and a line
        <text:note><text:note-body><text:p>aside</text:p></text:note-body></text:note></text:p>
        <table:table-row><table:table-cell><text:p>Monday</text:p></table:table-cell>
        <table:table-cell><text:p>paper</text:p></table:table-cell></table:table-row>
        </office:document-content>"#;
    let text = text_of("rules.odt", &zipped(&[("content.xml", odt.as_bytes())]));
    assert!(text.starts_with("Rules\n\nTwo   spaces\nand a line"), "{text}");
    assert!(text.contains("Monday\tpaper") && !text.contains("aside"), "{text}");
    let locked = zipped(&[
        ("META-INF/manifest.xml", b"<m><manifest:encryption-data/></m>"),
        ("content.xml", b"\x8f\x01"),
    ]);
    assert!(refusal("locked.odt", &locked).contains("encrypted"));
}

#[test]
fn an_epub_is_read_in_the_order_of_its_spine() {
    let package = r#"<package><manifest><item id="b" href="two.xhtml"/><item id="a" href="text/one%201.xhtml"/>
        </manifest><spine><itemref idref="a"/><itemref idref="b"/><itemref idref="gone"/></spine></package>"#;
    let members: [(&str, &[u8]); 4] = [
        (
            "META-INF/container.xml",
            br#"<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"#,
        ),
        ("OEBPS/book.opf", package.as_bytes()),
        ("OEBPS/two.xhtml", b"<html><body><p>Second chapter</p></body></html>"),
        ("OEBPS/text/one 1.xhtml", b"<html><body><h1>First</h1><p>chapter</p></body></html>"),
    ];
    let document = read_bytes_as("book.epub", &zipped(&members)).unwrap();
    assert_eq!(place(&document, "First"), "chapter 1");
    assert_eq!(place(&document, "Second"), "chapter 2");
    assert!(refusal("book.epub", &zipped(&members[1..])).contains("container.xml"));
}

#[test]
fn a_bomb_is_refused_when_it_has_given_too_much() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..10 {
        zip.write_all(&zeros).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 20);
    assert!(refusal("bomb.docx", &bytes).contains("unpacks to more than 8 MiB"));
}

#[test]
fn a_web_page_gives_what_a_reader_sees() {
    let page = "<html><head><title>t</title><meta charset='windows-1252'><style>p{}</style></head>\
        <body><h1>F\u{e4}hre</h1><script>alert(1)</script><p>One &amp; two</p>\
        <table><tr><td>Monday</td><td>paper</td></tr></table></body></html>";
    let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(page);
    let document = read_bytes_as("page.html", &bytes).unwrap();
    let text = document.text.as_str();
    assert!(text.contains("F\u{e4}hre") && text.contains("One & two"), "{text}");
    assert!(text.contains("Monday") && !text.contains("alert"), "{text}");
    assert_eq!(place(&document, "One"), "paragraph 2");
}

#[test]
fn tables_say_what_their_values_mean() {
    let document =
        read_bytes_as("a.csv", b"port,leaves\nSkerry,08:15\n\"Low, Quay\",09:40\n").unwrap();
    assert_eq!(
        document.text.as_str(),
        "port: Skerry; leaves: 08:15\nport: Low, Quay; leaves: 09:40\n"
    );
    assert_eq!(place(&document, "Low"), "row 3");
    assert_eq!(text_of("b.csv", b"port;price\nSkerry;1,50\n"), "port: Skerry; price: 1,50\n");
    assert_eq!(text_of("c.tsv", b"a\tb\n1\t2\n"), "a: 1; b: 2\n");
    let pairs = read_bytes_as("d.csv", b"Question,Answer\nWhen?,At eight.\n,\n").unwrap().pairs;
    assert_eq!((pairs.len(), pairs[0].answer.as_str()), (1, "At eight."));
}

#[test]
fn json_lines_make_pairs_choices_texts_and_notes() {
    let lines = r#"{"question": "When?", "answer": "At eight."}
{"prompt": "Who?", "options": ["a cat", "a dog", "an owl"], "answer": "B"}
{"question": "What?", "choices": ["red", "blue"], "answer": 1}
{"question": "Where?", "options": ["here", "there"], "gold": "there"}
{"text": "A plain one."}
{"port": "Skerry", "boats": 2}
not json at all
{"question": "Bad?", "options": ["one"], "answer": 0}
[1, 2]
"#;
    let document = read_bytes_as("a.jsonl", lines.as_bytes()).unwrap();
    assert_eq!(document.pairs[0].place, Place::Line(1));
    let answers: Vec<usize> = document.choices.iter().map(|choice| choice.answer).collect();
    assert_eq!(answers, [1, 1, 1]);
    assert_eq!(document.text.as_str(), "A plain one.\nport: Skerry; boats: 2\n");
    assert_eq!(document.notes.len(), 3, "{:?}", document.notes);
    assert!(document.notes[0].starts_with("line 7 "));
}

#[test]
fn what_is_no_document_is_refused_with_what_to_do() {
    let noise: Vec<u8> =
        (0..4096_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(refusal("noise.txt", &noise).contains("no text"));
    assert!(refusal("noise", &[&b"\x7fELF"[..], &noise].concat()).contains("no text"));
    assert!(refusal("old.doc", b"\xd0\xcf\x11\xe0").contains("docx"));
    assert!(refusal("fake.docx", b"plain text").contains("no docx"));
    assert!(refusal("torn.docx", b"PK\x03\x04torn").contains("unpacked"));
    assert!(refusal("empty.txt", b" \n\n").contains("no text in this file"));
    let folder = TempDir::new().unwrap();
    assert!(read(folder.path()).is_err());
    assert!(read(&folder.path().join("gone.txt")).unwrap_err().what.contains("no such file"));
    // A file as large as a log of 2 GB costs nothing: it is refused by its size.
    let path: PathBuf = folder.path().join("huge.log");
    std::fs::File::create(&path).unwrap().set_len(2 << 30).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("2048 MiB") && error.contains("huge.log"), "{error}");
}

#[test]
fn a_reader_that_panics_or_hangs_costs_one_file() {
    let panics = contained::run(Duration::from_secs(60), || -> Result<(), Problem> { panic!("x") });
    assert!(panics.unwrap_err().what.contains("broken"));
    let (_held, never) = crossbeam_channel::bounded::<()>(0);
    let hangs = contained::run(Duration::from_millis(20), move || {
        never.recv().ok();
        Ok(())
    });
    assert!(hangs.unwrap_err().what.contains("takes longer"));
}

#[test]
fn the_origin_names_the_bytes_that_were_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, "abc").unwrap();
    let (origin, _) = read(&path).unwrap();
    assert!(origin.hash.starts_with("ba7816bf8f01cfea414140de5dae2223"));
    assert_eq!(looked_at(&path), Some((3, origin.modified_nanos)));
    assert_eq!(looked_at(folder.path()), None);
}
