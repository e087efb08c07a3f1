//! Texts with final rewards out of the same source, for a prefix scorer: what each answer is worth,
//! said once for the whole of it.

use serde::{Deserialize, Serialize};

use super::compose::Part;
use super::expert::{self, Level};
use super::source::Source;
use crate::learn::random::Draws;

/// One line of a file of rewarded texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rated {
    pub prompt: String,
    pub response: String,
    pub reward: f32,
}

/// Every question on a film with every answer without slots: 1 for praise, −1 for a pan.
pub fn sentiment(source: &Source, part: Part) -> Vec<Rated> {
    let mut all = Vec::new();
    let has_no_slot = |text: &&String| !text.contains('{');
    for topic in source.topics.iter().filter(|topic| topic.rows.is_empty()) {
        let asks = if part == Part::Training { &topic.ask } else { &topic.held_out };
        for prompt in asks.iter().filter(has_no_slot) {
            for (answers, reward) in [(&topic.praise, 1.0), (&topic.pan, -1.0)] {
                all.extend(answers.iter().filter(has_no_slot).map(|response| Rated {
                    prompt: prompt.clone(),
                    response: response.clone(),
                    reward,
                }));
            }
        }
    }
    all
}

/// Every question of the expert domains with an answer of each level, drawn: 1 for an expert one,
/// 0 for a generic one, −1 for one that declines.
pub fn expertise(source: &Source, part: Part, seed: u64) -> Vec<Rated> {
    let mut draws = Draws::new(seed, 0x7261_7465);
    let domains = expert::by_name(&source.domains);
    let mut all = Vec::new();
    for topic in &source.experts {
        let Some(domain) = domains.get(topic.domain.as_str()) else { continue };
        let questions = match part {
            Part::Training => topic.trained_questions(domain),
            Part::HeldOut => topic.test_questions(domain),
        };
        for prompt in questions {
            for (level, reward) in Level::ALL.into_iter().zip([-1.0, 0.0, 1.0]) {
                let own = topic.answers(level);
                let shared = if level == Level::Avoidance { domain.avoid.len() } else { 0 };
                let response = match draws.below(own.len() + shared) {
                    at if at < own.len() => own[at].clone(),
                    at => topic.filled(&domain.avoid[at - own.len()]),
                };
                all.push(Rated { prompt: prompt.clone(), response, reward });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn each_answer_has_its_reward_and_training_sees_no_test_question() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter/source");
        let source = Source::read(&folder).unwrap();
        for of in [sentiment, |source: &Source, part| expertise(source, part, 1)] {
            let (training, held_out) = (of(&source, Part::Training), of(&source, Part::HeldOut));
            assert!(training.len() > 1000 && held_out.len() > 200, "{}", held_out.len());
            let sum: f32 = training.iter().map(|rated| rated.reward).sum();
            assert!(sum.abs() < 0.02 * training.len() as f32, "{sum} of {}", training.len());
            let asked: std::collections::HashSet<&str> =
                training.iter().map(|rated| rated.prompt.as_str()).collect();
            assert!(held_out.iter().all(|rated| !asked.contains(rated.prompt.as_str())));
            assert!(training.iter().all(|rated| !rated.response.contains('{')));
        }
        let robot = sentiment(&source, Part::Training);
        let loved = robot.iter().find(|rated| rated.response.starts_with("I loved it. The robot"));
        assert_eq!(loved.unwrap().reward, 1.0);
    }
}
