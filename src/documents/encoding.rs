//! Bytes to text: a byte order mark, valid UTF-8, what the file itself declares, or a guess by
//! the letters; and the refusal of what is no text at all.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::platform::Problem;

/// One character in this many may be a control character or unreadable before it is no text.
const ONE_STRANGE_IN: usize = 50;
/// Bytes the guess is made from.
const SAMPLE_BYTES: usize = 1 << 20;

/// Decodes text, line ends made `\n`. `declared` is what the file says of itself.
///
/// # Errors
/// When it is no text.
pub fn decode(bytes: &[u8], declared: Option<&str>) -> Result<String, Problem> {
    let (text, _) = choose(bytes, declared).decode_with_bom_removal(bytes);
    let mut strange = 0;
    let mut text_out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut count = 0;
    while let Some(c) = rest.next() {
        count += 1;
        match c {
            '\r' => {
                rest.next_if_eq(&'\n');
                text_out.push('\n');
            }
            // A form feed parts pages; nobody wants to read one.
            '\u{c}' => text_out.push('\n'),
            '\n' | '\t' => text_out.push(c),
            '\u{fffd}' => {
                strange += 1;
                text_out.push(c);
            }
            c if c.is_control() => strange += 1,
            c => text_out.push(c),
        }
    }
    if strange * ONE_STRANGE_IN > count {
        let what = "this is no text, whatever its name says";
        return Err(Problem::new(what).hint("leave it out"));
    }
    Ok(text_out)
}

fn choose(bytes: &[u8], declared: Option<&str>) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding;
    }
    if let Some(wide) = without_mark(bytes) {
        return wide;
    }
    if std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    if let Some(encoding) = declared.and_then(|label| Encoding::for_label(label.as_bytes()))
        && encoding != UTF_8
    {
        return encoding;
    }
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, true);
    detector.guess(None, Utf8Detection::Allow)
}

/// UTF-16 without its mark: every other byte of mostly Latin text is 0.
fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(4096) & !1];
    if sample.is_empty() {
        return None;
    }
    let zeros = |at: usize| sample.iter().skip(at).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), sample.len() / 2);
    if odd * 3 > half * 2 && even * 20 < half {
        return Some(UTF_16LE);
    }
    (even * 3 > half * 2 && odd * 20 < half).then_some(UTF_16BE)
}
