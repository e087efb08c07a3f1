//! Where the words of a search stand in a text, and the piece of text to show around them.

use std::ops::Range;

use super::accents::without_accent;

/// Characters shown before the first match, and after its beginning.
const BEFORE: usize = 40;
const AFTER: usize = 120;

/// The words of a query; what stands between double quotes is one word, spaces and all.
pub fn words(query: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (number, part) in query.split('"').enumerate() {
        if number % 2 == 1 {
            words.push(part.trim().to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether every word is somewhere in the text, with or without its capitals and accents.
pub fn holds_all(text: &str, words: &[String]) -> bool {
    let text = fold(text);
    words.iter().all(|word| !find(&text, &fold_word(word)).is_empty())
}

/// Where any of the words stands, in bytes of the text, in order and without overlaps.
pub fn marks(text: &str, words: &[String]) -> Vec<Range<usize>> {
    let text = fold(text);
    let mut marks: Vec<Range<usize>> =
        words.iter().flat_map(|word| find(&text, &fold_word(word))).collect();
    marks.sort_by_key(|mark| (mark.start, mark.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for mark in marks {
        match merged.last_mut() {
            Some(last) if mark.start <= last.end => last.end = last.end.max(mark.end),
            _ => merged.push(mark),
        }
    }
    merged
}

/// One line of text around the first match, and where the matches stand in it.
pub fn snippet(text: &str, words: &[String]) -> (String, Vec<Range<usize>>) {
    let marks = marks(text, words);
    let first = marks.first().map_or(0, |mark| mark.start);
    let start = text[..first].char_indices().rev().take(BEFORE).last().map_or(first, |at| at.0);
    let end = text[first..].char_indices().nth(AFTER).map_or(text.len(), |at| first + at.0);
    let lead = if start > 0 { "…" } else { "" };
    let tail = if end < text.len() { "…" } else { "" };
    // Line breaks and tabs are one byte each, as is the space that takes their place.
    let piece = text[start..end].replace(['\n', '\r', '\t'], " ");
    let moved = marks
        .into_iter()
        .filter(|mark| mark.start < end)
        .map(|mark| mark.start - start + lead.len()..mark.end.min(end) - start + lead.len())
        .collect();
    (format!("{lead}{piece}{tail}"), moved)
}

/// Lower-case characters without accents, each with the bytes of the text it came from.
fn fold(text: &str) -> Vec<(char, Range<usize>)> {
    let mut folded: Vec<(char, Range<usize>)> = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let bytes = at..at + c.len_utf8();
        for low in c.to_lowercase() {
            match (without_accent(low), folded.last_mut()) {
                (Some(plain), _) => folded.push((plain, bytes.clone())),
                // An accent behind its letter is marked with it.
                (None, Some((_, before))) => before.end = bytes.end,
                (None, None) => {}
            }
        }
    }
    folded
}

/// The characters of a word as they are compared: lower-case, without accents.
pub fn fold_word(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).filter_map(without_accent).collect()
}

fn find(text: &[(char, Range<usize>)], word: &[char]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if word.is_empty() {
        return found;
    }
    let mut at = 0;
    while at + word.len() <= text.len() {
        let piece = &text[at..at + word.len()];
        if piece.iter().map(|(c, _)| c).eq(word) {
            found.push(piece[0].1.start..piece[word.len() - 1].1.end);
            at += word.len();
        } else {
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_make_one_word_and_may_stay_open() {
        assert_eq!(words(r#"blue "the sky" is"#), ["blue", "the sky", "is"]);
        assert_eq!(words(r#"say "hel"#), ["say", "hel"]);
        assert!(words(r#"  "" " "#).is_empty());
    }

    #[test]
    fn marks_are_bytes_of_the_original() {
        let found = |text: &str, query: &str| -> Vec<String> {
            marks(text, &words(query)).into_iter().map(|mark| text[mark].to_owned()).collect()
        };
        assert_eq!(found("Ärger über ÜBERALL", "über"), ["über", "ÜBER"]);
        // İ becomes two characters in lower case; the mark is still the one that stands there.
        assert_eq!(found("İstanbul", "i\u{307}st"), ["İst"]);
        assert_eq!(found("天空为什么是蓝色的", "蓝色"), ["蓝色"]);
        assert_eq!(found("Café, cafe, CAFE\u{301}!", "café"), ["Café", "cafe", "CAFE\u{301}"]);
        assert_eq!(found("Ärger über ÜBERALL", "uber"), ["über", "ÜBER"]);
        assert_eq!(found("abcabc", "abc bca"), ["abcabc"]);
        assert!(found("nothing here", "else").is_empty());
    }

    #[test]
    fn words_are_told_apart_by_letters_not_by_accents() {
        assert!(holds_all("El Niño", &words("nino el")) && holds_all("nino", &words("niño")));
        assert!(!holds_all("Ørsted", &words("orsted")), "a letter of its own");
    }

    #[test]
    fn the_snippet_is_one_line_around_the_first_match() {
        let text = format!("{}\nthe needle\nlies {}", "hay ".repeat(50), "天".repeat(300));
        let (piece, marks) = snippet(&text, &words("needle"));
        assert_eq!(&piece[marks[0].clone()], "needle");
        assert!(piece.starts_with('…') && piece.ends_with('…') && !piece.contains('\n'));
        let (piece, marks) = snippet("short", &words("absent"));
        assert_eq!((piece.as_str(), marks.len()), ("short", 0));
    }
}
