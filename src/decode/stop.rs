//! Stop strings over streamed text: what may become one is held back until it is sure.

/// Watches a reply's text for the first stop string to be complete.
#[derive(Debug, Clone, Default)]
pub struct StopWatch {
    stops: Vec<String>,
    held: String,
}

/// What a piece of text leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This many bytes of all that was held back and pushed belong to the reply for certain.
    Settled(usize),
    /// The reply ends after this many bytes; this stop string follows.
    Stop { bytes: usize, stop: String },
}

impl StopWatch {
    /// Watches for these; empty ones are left out.
    pub fn new(stops: &[String]) -> Self {
        Self {
            stops: stops.iter().filter(|s| !s.is_empty()).cloned().collect(),
            held: String::new(),
        }
    }

    /// Takes the next piece of the reply.
    ///
    /// Looks at one character after the other, so that the outcome does not depend on how the text
    /// was cut into tokens: the string that is complete first ends the reply, the longest of those
    /// that end at the same character.
    pub fn push(&mut self, piece: &str) -> Verdict {
        if self.stops.is_empty() {
            let held = std::mem::take(&mut self.held);
            return Verdict::Settled(held.len() + piece.len());
        }
        let start = self.held.len();
        self.held.push_str(piece);
        for (at, c) in piece.char_indices() {
            let seen = &self.held[..start + at + c.len_utf8()];
            let hit =
                self.stops.iter().filter(|stop| seen.ends_with(*stop)).max_by_key(|s| s.len());
            if let Some(stop) = hit {
                let verdict = Verdict::Stop { bytes: seen.len() - stop.len(), stop: stop.clone() };
                self.held.clear();
                return verdict;
            }
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let settled = self.held.len() - keep;
        self.held.drain(..settled);
        Verdict::Settled(settled)
    }

    /// Other strings from now on; what is held back stays so until the next piece.
    pub fn replace(&mut self, stops: &[String]) {
        self.stops = Self::new(stops).stops;
    }
}

/// Bytes at the end of `text` that begin `stop` without completing it.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len().min(text.len() + 1))
        .rev()
        .filter(|length| stop.is_char_boundary(*length))
        .find(|length| text.ends_with(&stop[..*length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs pieces through; what comes out, what stopped it, and what was held at the end.
    fn run(stops: &[&str], pieces: &[&str]) -> (String, Option<String>, String) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut watch = StopWatch::new(&stops);
        let (mut out, mut waiting) = (String::new(), String::new());
        for piece in pieces {
            waiting.push_str(piece);
            match watch.push(piece) {
                Verdict::Settled(bytes) => out.extend(waiting.drain(..bytes)),
                Verdict::Stop { bytes, stop } => {
                    out.extend(waiting.drain(..bytes));
                    return (out, Some(stop), String::new());
                }
            }
        }
        (out, None, waiting)
    }

    #[test]
    fn finds_a_stop_across_pieces_and_ends_before_it() {
        let (out, stop, _) = run(&["END", "\n\n"], &["one E", "N", "D two"]);
        assert_eq!((out.as_str(), stop.as_deref()), ("one ", Some("END")));
        let (out, stop, _) = run(&["\n\n"], &["a\n", "b\n", "\nc"]);
        assert_eq!((out.as_str(), stop.as_deref()), ("a\nb", Some("\n\n")));
    }

    #[test]
    fn holds_back_only_what_may_become_a_stop() {
        let (out, stop, held) = run(&["STOP"], &["no ST", "ART ST"]);
        assert_eq!((out.as_str(), stop, held.as_str()), ("no START ", None, "ST"));
        let (out, _, held) = run(&["ends«»"], &["ends«"]);
        assert_eq!((out.as_str(), held.as_str()), ("", "ends«"));
    }

    #[test]
    fn of_two_ending_together_the_longer_wins() {
        let (out, stop, _) = run(&["b", "ab"], &["xab"]);
        assert_eq!((out.as_str(), stop.as_deref()), ("x", Some("ab")));
        let (out, stop, _) = run(&["abcd", "bc"], &["xabcd"]);
        assert_eq!((out.as_str(), stop.as_deref()), ("xa", Some("bc")), "complete first");
        let (out, stop, _) = run(&["", "q"], &["abc"]);
        assert_eq!((out.as_str(), stop), ("abc", None));
    }

    proptest! {
        #[test]
        fn cutting_the_text_differently_changes_nothing(
            text in "[abé]{0,24}",
            stops in prop::collection::vec("[abé]{1,4}", 0..4),
            cuts in prop::collection::vec(0_usize..24, 0..6),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let chars: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|c| *c <= chars.len()).collect();
            cuts.extend([0, chars.len()]);
            cuts.sort_unstable();
            let pieces: Vec<String> =
                cuts.windows(2).map(|w| chars[w[0]..w[1]].iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let whole = run(&stops, &[&text]);
            let cut = run(&stops, &pieces);
            prop_assert_eq!(&whole, &cut);
            let (out, stop, held) = cut;
            if let Some(stop) = stop {
                let begins = format!("{}{}", out, stop);
                prop_assert!(text.starts_with(&begins));
            } else {
                prop_assert_eq!(out + &held, text);
            }
        }
    }
}
