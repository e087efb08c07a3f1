//! The base's own answers, greedy, to the prompts of the lessons: what draft heads learn from (spec
//! section 8.4).

use std::collections::{HashMap, HashSet};

use anyhow::Result;

use super::texts::{Lesson, Lessons, Text};
use crate::model::decoder::Decoder;
use crate::model::{Language, Runner, Wanted};

/// Prompts answered at most, to train on and to be held out.
const MOST_PROMPTS: [usize; 2] = [600, 60];
/// Tokens of an answer at most.
const MOST_TOKENS: usize = 64;
/// Shorter ones hold nothing to draft.
const LEAST_TOKENS: usize = 3;

/// Has the base answer prompts of the lessons and adds a lesson for each answer. `go_on` is asked
/// before each.
///
/// # Errors
/// When a pass fails or `go_on` does.
pub fn answer(
    base: &mut Decoder,
    language: &Language,
    lessons: &mut Lessons,
    context: usize,
    go_on: impl Fn() -> Result<()>,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let mut known: HashMap<Text, usize> =
        lessons.texts.iter().cloned().enumerate().map(|(number, text)| (text, number)).collect();
    let wanted = [prompts(lessons, &lessons.training), prompts(lessons, &lessons.held_out)];
    let mut counts = [0; 2];
    for (kind, (prompts, most)) in wanted.into_iter().zip(MOST_PROMPTS).enumerate() {
        let all = prompts.len();
        let asked = all.min(most);
        for place in 0..asked {
            go_on()?;
            // Evenly spread: neighbours in a file are often alike.
            let prompt = &prompts[place * all / asked];
            let ids = greedy(base, language, prompt, context)?;
            if ids.len() < prompt.len() + LEAST_TOKENS {
                continue;
            }
            let text = Text { ids, answer: prompt.len() };
            let number = *known.entry(text).or_insert_with_key(|text| {
                lessons.texts.push(text.clone());
                lessons.texts.len() - 1
            });
            let list = if kind == 0 { &mut lessons.training } else { &mut lessons.held_out };
            list.push(Lesson::Own(number));
            counts[kind] += 1;
        }
    }
    let [trained, held_out] = counts;
    tell(&format!(
        "the model answered {trained} prompts itself to draft from, {held_out} held out"
    ));
    Ok(())
}

/// The prompts of lessons, each once, in order.
fn prompts(lessons: &Lessons, some: &[Lesson]) -> Vec<Vec<u32>> {
    let mut seen = HashSet::new();
    let prompt = |lesson: &Lesson| {
        let text = &lessons.texts[lesson.texts()[0]];
        text.ids[..text.answer].to_vec()
    };
    some.iter().map(prompt).filter(|prompt| seen.insert(prompt.clone())).collect()
}

/// The prompt and the likeliest tokens behind it, the end marker included.
fn greedy(
    base: &mut Decoder,
    language: &Language,
    prompt: &[u32],
    context: usize,
) -> Result<Vec<u32>> {
    base.truncate(0)?;
    let mut ids = prompt.to_vec();
    let mut output = base.prefill(prompt, Wanted::Last)?;
    let longest = context.min(prompt.len() + MOST_TOKENS);
    while ids.len() < longest {
        let logits = output.logits_of(0);
        let best =
            (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a)));
        let next = best.unwrap_or_default() as u32;
        ids.push(next);
        if language.ends_reply(next) || ids.len() == longest {
            break;
        }
        output = base.step(&[next])?;
    }
    base.truncate(0)?;
    Ok(ids)
}
