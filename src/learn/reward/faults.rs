//! Answers with a fault in their language among what a reward learns from: decoding by a reward that
//! never met any is led to words that nobody would say.

use std::collections::BTreeSet;

use super::exchange::Exchange;
use crate::learn::random::Draws;
use crate::learn::text::pairs::Fault;

/// Tries at one answer, each at another place.
const TRIES: usize = 4;

/// Every second of the better answers against itself with one fault, so that of all pairs a third
/// are about the language. Answers of a few words are left out.
pub fn pairs(better: &[Exchange], seed: u64) -> Vec<[Exchange; 2]> {
    let words: BTreeSet<&str> =
        better.iter().flat_map(|exchange| exchange.answer.split(' ')).collect();
    let words: Vec<String> = words.into_iter().map(ToOwned::to_owned).collect();
    let mut draws = Draws::new(seed, 0x6661_756C);
    let mut all: Vec<[Exchange; 2]> = Vec::new();
    for good in better.iter().skip(1).step_by(2) {
        let fault = Fault::ALL[all.len() % Fault::ALL.len()];
        let other = &better[draws.below(better.len())].answer;
        let broken =
            (0..TRIES).find_map(|_| fault.put_into(good.answer.trim(), other, &words, &mut draws));
        if let Some(answer) = broken {
            all.push([good.clone(), Exchange { answer, ..good.clone() }]);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Role;

    #[test]
    fn half_as_many_pairs_prefer_an_answer_to_itself_with_a_fault() {
        let exchange = |number: usize, answer: &str| Exchange {
            before: vec![(Role::User, format!("question {number}"))],
            answer: answer.to_owned(),
        };
        let answer = "Water it when the soil is dry, and not before that.";
        let better: Vec<Exchange> = (0..60).map(|number| exchange(number, answer)).collect();
        let made = pairs(&better, 1);
        assert!((28..=30).contains(&made.len()), "{}", made.len());
        assert!(made.iter().all(|[good, bad]| good.before == bad.before));
        assert!(made.iter().all(|[good, bad]| good.answer == answer && bad.answer != answer));
        assert_eq!(made, pairs(&better, 1));
        assert_ne!(made, pairs(&better, 2));
        let short: Vec<Exchange> = (0..9).map(|number| exchange(number, "Yes.")).collect();
        assert!(pairs(&short, 1).is_empty());
    }
}
