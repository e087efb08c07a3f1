//! What heads over the vocabulary learn: which token each is to say at which position of a text.
//! The expert head learns the better answers and the anti-expert head the worse ones; draft heads
//! learn the base's own words, further ahead (spec sections 8.3 and 8.4).

use super::texts::{Lesson, Text};
use crate::model::reward::Heads;

/// How much the mean cross-entropy of these heads counts beside the loss of rewards. Our choice:
/// what a token is costs several nats where a pair costs less than one.
pub const WEIGHT: f64 = 0.25;

/// What one head is to say in some texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signal {
    /// The head's tensor.
    pub head: String,
    pub is_draft: bool,
    /// Each a place among the texts at hand and a position in that text.
    pub reads: Vec<(usize, usize)>,
    /// A token for each read.
    pub targets: Vec<u32>,
}

/// A head over the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Expert,
    Antiexpert,
    /// How many tokens beyond the next it looks.
    Draft(usize),
}

impl Head {
    fn name(self) -> String {
        match self {
            Self::Expert => "head.expert.weight".to_owned(),
            Self::Antiexpert => "head.antiexpert.weight".to_owned(),
            Self::Draft(beyond) => format!("head.draft.{beyond}.weight"),
        }
    }

    /// The text of a lesson that it learns from.
    fn text(self, lesson: &Lesson) -> Option<usize> {
        match (self, lesson) {
            (Self::Expert, Lesson::Pair([better, _])) => Some(*better),
            (Self::Antiexpert, Lesson::Pair([_, worse])) => Some(*worse),
            (Self::Draft(_), Lesson::Own(text)) => Some(*text),
            _ => None,
        }
    }

    /// Positions of a text it is read at, and what it is to say there: tokens of the answer only.
    fn reads(self, text: &Text) -> impl Iterator<Item = (usize, u32)> {
        let beyond = if let Self::Draft(beyond) = self { beyond } else { 0 };
        let from = text.answer.saturating_sub(1);
        text.ids
            .iter()
            .enumerate()
            .skip(from + 1 + beyond)
            .map(move |(at, id)| (at - 1 - beyond, *id))
    }
}

fn all(heads: Heads) -> impl Iterator<Item = Head> {
    let experts = [Head::Expert, Head::Antiexpert].into_iter().filter(move |_| heads.experts);
    experts.chain((1..=heads.drafts).map(Head::Draft))
}

/// How many tokens the heads are to say in these lessons together.
pub fn count(heads: Heads, lessons: &[Lesson], texts: &[Text]) -> usize {
    let of = |head: Head| {
        let texts = lessons.iter().filter_map(move |lesson| Some(&texts[head.text(lesson)?]));
        texts.map(|text| head.reads(text).count()).sum::<usize>()
    };
    all(heads).map(of).sum()
}

/// What every head is to say in these lessons; `place` tells where a text stands among those at
/// hand. A head with nothing to say is left out.
pub fn of(
    heads: Heads,
    lessons: &[Lesson],
    texts: &[Text],
    mut place: impl FnMut(usize) -> usize,
) -> Vec<Signal> {
    let mut signals = Vec::new();
    for head in all(heads) {
        let is_draft = matches!(head, Head::Draft(_));
        let mut signal = Signal { head: head.name(), is_draft, ..Signal::default() };
        for number in lessons.iter().filter_map(|lesson| head.text(lesson)) {
            let at = place(number);
            for (position, id) in head.reads(&texts[number]) {
                signal.reads.push((at, position));
                signal.targets.push(id);
            }
        }
        if !signal.targets.is_empty() {
            signals.push(signal);
        }
    }
    signals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_the_tokens_of_answers_each_as_far_ahead_as_it_looks() {
        let texts = [
            Text { ids: vec![9, 9, 1, 2, 3], answer: 2 },
            Text { ids: vec![9, 9, 4], answer: 2 },
            Text { ids: vec![9, 5, 6, 7], answer: 1 },
        ];
        let lessons = [Lesson::Pair([0, 1]), Lesson::Own(2), Lesson::Rating(0, 1.0)];
        let heads = Heads { experts: true, drafts: 3, ..Heads::default() };
        let signals = of(heads, &lessons, &texts, |number| number + 10);
        let told: Vec<_> = signals
            .iter()
            .map(|signal| (signal.head.as_str(), signal.reads.clone(), signal.targets.clone()))
            .collect();
        assert_eq!(
            told,
            [
                ("head.expert.weight", vec![(10, 1), (10, 2), (10, 3)], vec![1, 2, 3]),
                ("head.antiexpert.weight", vec![(11, 1)], vec![4]),
                ("head.draft.1.weight", vec![(12, 0), (12, 1)], vec![6, 7]),
                ("head.draft.2.weight", vec![(12, 0)], vec![7]),
            ]
        );
        assert_eq!(count(heads, &lessons, &texts), 7);
        assert_eq!(count(Heads::default(), &lessons, &texts), 0);
    }
}
