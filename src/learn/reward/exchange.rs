//! What one line of training data says: an answer and what was said before it, as prompt and
//! answer, as a transcript of the HH data set, or as a list of messages.

use serde::Deserialize;

use crate::learn::base::corpus::Message;
use crate::learn::lines::Kind;
use crate::session::Role;

/// An answer with everything said before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub before: Vec<(Role, String)>,
    pub answer: String,
}

/// A line of a file of pairs.
pub const PAIR: Kind = Kind {
    one: "a preference pair",
    form: "{\"prompt\": \"…\", \"chosen\": \"…\", \"rejected\": \"…\"}, or \"chosen\" and \"rejected\" \
           as whole transcripts",
};

/// A line of a file of ratings.
pub const RATING: Kind = Kind {
    one: "a rated answer",
    form: "{\"prompt\": \"…\", \"answer\": \"…\", \"rating\": 0.5}",
};

/// A text, or messages.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Text(String),
    Messages(Vec<Message>),
}

#[derive(Deserialize)]
struct PairLine {
    prompt: Option<Said>,
    chosen: Option<Said>,
    rejected: Option<Said>,
}

#[derive(Deserialize)]
struct RatingLine {
    prompt: Option<Said>,
    #[serde(alias = "response", alias = "completion")]
    answer: Option<Said>,
    #[serde(alias = "score", alias = "reward")]
    rating: Option<f64>,
}

/// The better and the worse answer of a line; the reason when it is no pair.
pub fn pair(line: &str) -> Result<[Exchange; 2], String> {
    let PairLine { prompt, chosen, rejected } =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let before = prompt.map(|prompt| before("prompt", prompt)).transpose()?;
    Ok([
        exchange("chosen", chosen, before.as_deref())?,
        exchange("rejected", rejected, before.as_deref())?,
    ])
}

/// The answer of a line and its rating; the reason when it is none.
pub fn rating(line: &str) -> Result<(Exchange, f64), String> {
    let RatingLine { prompt, answer, rating } =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let before = prompt.map(|prompt| before("prompt", prompt)).transpose()?;
    let rating = rating.ok_or("`rating` is missing")?;
    if !rating.is_finite() {
        return Err("`rating` is no number".to_owned());
    }
    Ok((exchange("answer", answer, before.as_deref())?, rating))
}

/// What was said before the answer.
fn before(name: &str, said: Said) -> Result<Vec<(Role, String)>, String> {
    let messages = match said {
        Said::Messages(messages) => turns(messages)?,
        Said::Text(text) if is_transcript(&text) => {
            let mut turns = transcript(&text);
            // `…Assistant:` with nothing behind it only opens the answer.
            turns.pop_if(|(role, content)| *role == Role::Assistant && content.is_empty());
            turns
        }
        Said::Text(text) => vec![(Role::User, text)],
    };
    match messages.iter().any(|(_, content)| !content.trim().is_empty()) {
        true => Ok(messages),
        false => Err(format!("`{name}` is empty")),
    }
}

/// An answer, behind the prompt or with everything said before it.
fn exchange(
    name: &str,
    said: Option<Said>,
    before: Option<&[(Role, String)]>,
) -> Result<Exchange, String> {
    let said = said.ok_or_else(|| format!("`{name}` is missing"))?;
    let (before, answer) = match said {
        Said::Text(text) if before.is_some() && !is_transcript(&text) => {
            (before.unwrap_or_default().to_vec(), text)
        }
        Said::Text(text) if is_transcript(&text) => split(name, transcript(&text))?,
        Said::Text(_) => return Err("`prompt` is missing, and it is no transcript".to_owned()),
        Said::Messages(messages) => {
            let (own, answer) = split(name, turns(messages)?)?;
            // Some files repeat the prompt in each list, others keep it apart.
            let before = before.unwrap_or_default();
            let whole =
                if own.starts_with(before) { own } else { [before, own.as_slice()].concat() };
            (whole, answer)
        }
    };
    match answer.trim().is_empty() {
        true => Err(format!("`{name}` is empty")),
        false if before.is_empty() => Err(format!("nothing is said before the answer of `{name}`")),
        false => Ok(Exchange { before, answer }),
    }
}

type Turns = Vec<(Role, String)>;

fn split(name: &str, mut turns: Turns) -> Result<(Turns, String), String> {
    match turns.pop() {
        Some((Role::Assistant, answer)) => Ok((turns, answer)),
        _ => Err(format!("`{name}` does not end with the assistant's words")),
    }
}

fn turns(messages: Vec<Message>) -> Result<Turns, String> {
    let turn = |Message { role, content }: Message| {
        let role = match role.as_str() {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => return Err(format!("the role `{other}` is none of system, user, assistant")),
        };
        Ok((role, content))
    };
    messages.into_iter().map(turn).collect()
}

const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";

fn is_transcript(text: &str) -> bool {
    text.trim_start().starts_with(HUMAN.trim_start())
}

/// The turns of an HH transcript, trimmed.
fn transcript(text: &str) -> Turns {
    let text = format!("\n\n{}", text.trim_start());
    let mut turns = Vec::new();
    let mut rest = text.as_str();
    loop {
        let (role, behind) = match (rest.strip_prefix(HUMAN), rest.strip_prefix(ASSISTANT)) {
            (Some(behind), _) => (Role::User, behind),
            (None, Some(behind)) => (Role::Assistant, behind),
            (None, None) => return turns,
        };
        let next = [HUMAN, ASSISTANT].iter().filter_map(|mark| behind.find(mark)).min();
        let end = next.unwrap_or(behind.len());
        turns.push((role, behind[..end].trim().to_owned()));
        rest = &behind[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(turns: &[(Role, String)]) -> Vec<(Role, &str)> {
        turns.iter().map(|(role, text)| (*role, text.as_str())).collect()
    }

    #[test]
    fn every_form_of_a_pair_is_understood() {
        let line = r#"{"prompt": "a?", "chosen": "b", "rejected": "c", "margin": 2}"#;
        let [chosen, rejected] = pair(line).unwrap();
        assert_eq!(said(&chosen.before), [(Role::User, "a?")]);
        assert_eq!((chosen.answer.as_str(), rejected.answer.as_str()), ("b", "c"));

        // The two transcripts of the HH data set, and the form with a prompt of its own.
        let line = r#"{"chosen": "\n\nHuman: a?\n\nAssistant: b\n\nline\n\nHuman: c?\n\nAssistant: d",
            "rejected": "\n\nHuman: a?\n\nAssistant: b\n\nline\n\nHuman: c?\n\nAssistant: e"}"#;
        let [chosen, rejected] = pair(&line.replace("\n            ", " ")).unwrap();
        let before = [(Role::User, "a?"), (Role::Assistant, "b\n\nline"), (Role::User, "c?")];
        assert_eq!(
            (said(&chosen.before), said(&rejected.before)),
            (before.to_vec(), before.to_vec())
        );
        assert_eq!((chosen.answer.as_str(), rejected.answer.as_str()), ("d", "e"));
        let line = r#"{"prompt": "\n\nHuman: a?\n\nAssistant:", "chosen": " b", "rejected": " c"}"#;
        let [chosen, _] = pair(line).unwrap();
        assert_eq!(said(&chosen.before), [(Role::User, "a?")]);

        let line = r#"{"chosen": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}],
            "rejected": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "c"}]}"#;
        let [chosen, rejected] = pair(line).unwrap();
        assert_eq!(said(&chosen.before), [(Role::User, "a?")]);
        assert_eq!(rejected.answer, "c");
    }

    #[test]
    fn ratings_carry_their_number() {
        let (exchange, rating) =
            super::rating(r#"{"prompt": "a?", "response": "b", "score": -1.5}"#).unwrap();
        assert_eq!((exchange.answer.as_str(), rating), ("b", -1.5));
        let reason = super::rating(r#"{"prompt": "a?", "answer": "b"}"#).unwrap_err();
        assert_eq!(reason, "`rating` is missing");
    }

    #[test]
    fn a_bad_line_has_a_reason() {
        for (line, reason) in [
            ("nonsense", "expected"),
            (r#"{"prompt": "a", "chosen": "b"}"#, "`rejected` is missing"),
            (r#"{"prompt": " ", "chosen": "b", "rejected": "c"}"#, "`prompt` is empty"),
            (r#"{"prompt": "a", "chosen": " ", "rejected": "c"}"#, "`chosen` is empty"),
            (r#"{"chosen": "b", "rejected": "c"}"#, "no transcript"),
            (
                r#"{"chosen": "\n\nHuman: a?", "rejected": "\n\nHuman: a?\n\nAssistant: b"}"#,
                "does not end with the assistant",
            ),
            (
                r#"{"chosen": "\n\nAssistant: a", "rejected": "\n\nHuman: a?\n\nAssistant: b"}"#,
                "no transcript",
            ),
            (r#"{"prompt": 5, "chosen": "b", "rejected": "c"}"#, "did not match"),
        ] {
            let said = pair(line).unwrap_err();
            assert!(said.contains(reason), "{line}: {said}");
        }
    }
}
