//! The automatic title of a conversation: the beginning of what the person first said.

/// Longest automatic title, in characters.
const LONGEST: usize = 60;

/// The title for a conversation that begins with this message; empty when it says nothing.
pub fn from_first_message(message: &str) -> String {
    let line = message
        .lines()
        .map(|line| line.trim().trim_start_matches(['#', '>', '`', '*', '-', ' ']).trim())
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let clean: String =
        line.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect();
    let words = clean.split(' ').filter(|word| !word.is_empty());
    let title = words.collect::<Vec<_>>().join(" ");
    if title.chars().count() <= LONGEST {
        return title;
    }
    let cut: String = title.chars().take(LONGEST).collect();
    // Break at a word where there is one; scripts without spaces are cut between characters.
    let end = cut.rfind(' ').filter(|&end| end > cut.len() / 2).unwrap_or(cut.len());
    format!("{}…", cut[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::from_first_message;

    #[test]
    fn takes_the_first_line_that_says_something() {
        assert_eq!(
            from_first_message("\n\n## Why is\tthe  sky blue?\nTell me."),
            "Why is the sky blue?"
        );
        assert_eq!(from_first_message("  \n "), "");
    }

    #[test]
    fn breaks_long_ones_at_a_word_and_never_inside_a_character() {
        let title = from_first_message(&"several words ".repeat(20));
        assert!(title.ends_with("words…") || title.ends_with("several…"), "{title}");
        assert!(title.chars().count() <= 61);
        let title = from_first_message(&"天空为什么是蓝色的".repeat(20));
        assert_eq!(title.chars().count(), 61);
    }
}
