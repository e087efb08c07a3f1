//! `eval starter`: the figures of models/starter/README.md.

use anyhow::Result;

use super::arguments::StarterArgs;
use super::load::load;
use super::perplexity::{self, Scored};
use super::report::{self, Asked};
use super::trigram::Trigram;
use super::{replies, wellformed};
use crate::learn::base::corpus::Message;
use crate::learn::random::Draws;
use crate::learn::text::{Composer, Level, Part, Question, Source, held_out};
use crate::model::Model;
use crate::steer::Plan;

/// Longest answer that counts as ending by itself.
const MOST_TOKENS: usize = 250;
/// What the samples ask; one of them was never trained on.
const SAMPLES: [&str; 10] = [
    "Hello",
    "What can you do?",
    "How come the sky is blue?",
    "Tell me a short story",
    "I have had a headache since this morning. What should I do?",
    "What should I know about high blood pressure?",
    "My landlord wants to raise the rent. Is that right?",
    "Can you explain index funds to me?",
    "What do you think of the robot film?",
    "You are stupid!",
];

/// Measures and tells line by line.
///
/// # Errors
/// When a model or the source cannot be read.
pub fn run(args: &StarterArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    let source = Source::read(&args.source)?;
    let mut base = load(&args.base)?;
    let mut guide = load(&args.guide)?;
    for (name, model) in [("base", &base), ("guide", &guide)] {
        tell(&format!("{name}: {} parameters", model.facts.parameters));
    }
    perplexities(args, &source, &mut base, &mut guide, &mut tell)?;
    let asked = ask_all(args, &source, &mut base)?;
    for line in report::well_formed_lines(&asked).iter().chain(&report::level_lines(&asked)) {
        tell(line);
    }
    for (number, question) in SAMPLES.iter().enumerate() {
        let answer = replies::ask(&mut base, question, 1000 + number as u64, &plan(args))?;
        tell(&format!("> {question}\n{}", answer.text));
    }
    Ok(())
}

fn plan(args: &StarterArgs) -> Plan {
    let mut plan = Plan { seed: args.seed, max_tokens: Some(MOST_TOKENS), ..Plan::default() };
    plan.sampling.temperature = args.temperature;
    plan
}

fn perplexities(
    args: &StarterArgs,
    source: &Source,
    base: &mut Model,
    guide: &mut Model,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let conversations = |part, count| -> Vec<Vec<Message>> {
        let mut composer = Composer::new(source, part, args.seed);
        (0..count).map(|_| composer.conversation()).collect()
    };
    let mut trigram = Trigram::new(base.runner.vocab_size());
    for messages in conversations(Part::Training, args.conversations) {
        trigram.learn(&perplexity::encode(&base.language, &messages)?.ids);
    }
    let held_out: Result<Vec<Scored>> = conversations(Part::HeldOut, args.held_out)
        .iter()
        .map(|messages| perplexity::encode(&base.language, messages))
        .collect();
    let held_out = held_out?;
    let context = base.runner.context_length();
    let baseline = perplexity::of_trigram(&trigram, &held_out, context);
    tell(&format!(
        "perplexity over {} held-out tokens, {} of them in answers",
        baseline.tokens, baseline.answer_tokens
    ));
    tell("model         all    ratio   answers    ratio");
    tell(&report::perplexity_line("trigram", &baseline, &baseline));
    for (name, model) in [("base", base), ("guide", guide)] {
        let loss = perplexity::of_model(model.runner.as_mut(), &held_out)?;
        tell(&report::perplexity_line(name, &loss, &baseline));
    }
    Ok(())
}

/// Draws the questions, half of them from the expert domains, and asks each once.
fn ask_all(args: &StarterArgs, source: &Source, base: &mut Model) -> Result<Vec<Asked>> {
    let mut draws = Draws::new(args.seed, 0x6576_616C);
    let (mut everyday, mut expert): (Vec<Question>, Vec<Question>) =
        held_out::questions(source).into_iter().partition(|q| q.domain == "everyday");
    draws.shuffle(&mut everyday);
    draws.shuffle(&mut expert);
    everyday.truncate(args.questions / 2);
    expert.truncate(args.questions - everyday.len());
    let plan = plan(args);
    let mut asked = Vec::new();
    for (number, question) in expert.into_iter().chain(everyday).enumerate() {
        let answer = replies::ask(base, &question.text, number as u64, &plan)?;
        let verdict = wellformed::check(&answer, &question.keywords);
        let level = nearest_level(source, &question, &answer.text);
        asked.push(Asked { question, verdict, level });
    }
    Ok(asked)
}

/// The level whose answers to this question share the most words with this one.
fn nearest_level(source: &Source, question: &Question, answer: &str) -> Option<Level> {
    let topic =
        source.experts.iter().find(|t| t.domain == question.domain && t.name == question.topic)?;
    let domain = source.domains.iter().find(|d| d.name == topic.domain)?;
    let mut best: Option<(f64, Level)> = None;
    for level in Level::ALL {
        let mut stored: Vec<String> = topic.answers(level).clone();
        if level == Level::Avoidance {
            stored.extend(domain.avoid.iter().map(|text| topic.filled(text)));
        }
        for text in stored {
            let likeness = likeness(&text, answer);
            if best.is_none_or(|(most, _)| likeness > most) {
                best = Some((likeness, level));
            }
        }
    }
    best.map(|(_, level)| level)
}

/// Words in common over words in either (Jaccard).
fn likeness(a: &str, b: &str) -> f64 {
    let words = |text: &str| -> std::collections::BTreeSet<String> {
        text.split_whitespace().map(str::to_lowercase).collect()
    };
    let (a, b) = (words(a), words(b));
    a.intersection(&b).count() as f64 / a.union(&b).count().max(1) as f64
}
