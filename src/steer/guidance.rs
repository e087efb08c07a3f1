//! What a plan says of guidance: guides that reshape every token, and a search that ranks chunks
//! (IVG, arXiv 2409.17819; spec sections 3 to 6).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::platform::Problem;

/// Most candidates side by side.
pub const MOST_ROWS: usize = 256;
/// Largest strength of a pair, either way.
pub const MOST_BETA: f32 = 8.0;

/// Both levels of guidance. The default is no guidance at all, and then nothing here is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct GuidancePlan {
    /// Before guides act, keep only the smallest set of tokens whose mass under the base alone
    /// reaches this (DExperts); 1 is off.
    pub base_filter: f32,
    /// How much of a prefix scorer's own outlook on every next token is added (FUDGE); 0 is off.
    pub value_weight: f32,
    /// Above 0, the scorer judges so many of the likeliest next tokens each by itself, and no other
    /// is drawn (ARGS); 0 reads what a vocabulary head says of all of them.
    pub value_candidates: usize,
    /// Tuned and untuned models.
    pub pairs: Vec<GuidePair>,
    /// Chunks side by side, ranked by a scorer.
    pub search: SearchPlan,
}

/// A tuned and an untuned model; their difference, times beta, is added to the scores of the base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct GuidePair {
    /// The tuned model; without it, the untuned one with `vector`.
    pub tuned: Option<PathBuf>,
    /// The untuned model; without it, the base itself.
    pub untuned: Option<PathBuf>,
    /// An alignment vector that makes the untuned model the tuned one.
    pub vector: Option<PathBuf>,
    /// How much of the difference; 0 is off.
    pub beta: f32,
}

/// Chunk-level beam search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct SearchPlan {
    /// W: candidates kept at every boundary.
    pub beam_width: usize,
    /// K: continuations of each.
    pub successors: usize,
    /// L: tokens between two boundaries; 0 ranks whole replies only (best of N).
    pub chunk_length: usize,
    /// What ranks candidates.
    pub scorer: ScorerChoice,
    /// Give a finished text one place instead of K, and the places it frees to texts that go on.
    /// Off is the published procedure.
    pub skip_finished: bool,
}

/// What gives a candidate its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScorerChoice {
    /// Nothing: all candidates are worth the same, and the first one is kept.
    #[default]
    None,
    /// The sum of the pairs' log-ratios over the reply.
    Implicit,
    /// A prefix scorer (a head, or a checkpoint with one), a reward adapter of the base, or a reward
    /// model.
    File(PathBuf),
}

impl Default for GuidancePlan {
    fn default() -> Self {
        Self {
            base_filter: 1.0,
            value_weight: 0.0,
            value_candidates: 0,
            pairs: Vec::new(),
            search: SearchPlan::default(),
        }
    }
}

impl Default for GuidePair {
    fn default() -> Self {
        Self { tuned: None, untuned: None, vector: None, beta: 1.0 }
    }
}

impl Default for SearchPlan {
    fn default() -> Self {
        Self {
            beam_width: 1,
            successors: 1,
            chunk_length: 5,
            scorer: ScorerChoice::None,
            skip_finished: false,
        }
    }
}

impl GuidePair {
    /// The same two models, whatever the strength.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.tuned, &self.untuned, &self.vector) == (&other.tuned, &other.untuned, &other.vector)
    }
}

impl SearchPlan {
    /// n: candidates side by side.
    pub fn rows(&self) -> usize {
        self.beam_width.saturating_mul(self.successors)
    }

    /// With one candidate there is nothing to choose.
    pub fn is_on(&self) -> bool {
        self.rows() > 1
    }
}

impl GuidancePlan {
    /// Nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Some pair or scorer changes the scores of tokens.
    pub fn acts_on_tokens(&self) -> bool {
        self.value_weight != 0.0 || self.pairs.iter().any(|pair| pair.beta != 0.0)
    }

    /// Pairs that are to be in memory: those in play, or all where a search ranks by them.
    pub fn pairs_in_play(&self) -> impl Iterator<Item = &GuidePair> {
        let ranks = self.search.is_on() && self.search.scorer == ScorerChoice::Implicit;
        self.pairs.iter().filter(move |pair| ranks || pair.beta != 0.0)
    }

    /// The prefix scorer that is to be in memory.
    pub fn scorer_in_play(&self) -> Option<&PathBuf> {
        let used = self.search.is_on() || self.value_weight != 0.0;
        match &self.search.scorer {
            ScorerChoice::File(path) if used => Some(path),
            _ => None,
        }
    }
}

impl Plan {
    /// # Errors
    /// When a number of the guidance means nothing.
    pub fn check_guidance(&self) -> Result<(), Problem> {
        let GuidancePlan { base_filter, value_weight, value_candidates, pairs, search } =
            &*self.guidance;
        let wrong = |what: String, hint: &str| Err(Problem::new(what).hint(hint));
        if !(*base_filter > 0.0 && *base_filter <= 1.0) {
            let hint = "it must be above 0 and at most 1 (off)";
            return wrong(format!("base-filter is {base_filter}"), hint);
        }
        if !value_weight.is_finite() {
            return wrong(format!("value-weight is {value_weight}"), "give a number; 0 is off");
        }
        if *value_weight != 0.0 && !matches!(search.scorer, ScorerChoice::File(_)) {
            let what = "value-weight needs a prefix scorer".to_owned();
            return wrong(what, "name one as the scorer, or set value-weight to 0");
        }
        if *value_candidates > MOST_ROWS {
            let what = format!("value-candidates is {value_candidates}");
            return wrong(what, &format!("it must be from 0 (off) to {MOST_ROWS}"));
        }
        for pair in pairs {
            if !(pair.beta.is_finite() && pair.beta.abs() <= MOST_BETA) {
                let what = format!("a beta of {} means nothing for a pair of guides", pair.beta);
                return wrong(what, &format!("give one from -{MOST_BETA} to {MOST_BETA}"));
            }
            match (&pair.tuned, &pair.vector) {
                (Some(_), None) | (None, Some(_)) => {}
                (Some(_), Some(_)) => {
                    let what = "a pair of guides names a tuned model and a vector".to_owned();
                    return wrong(what, "give one of the two");
                }
                (None, None) => {
                    let what = "a pair of guides has no tuned model".to_owned();
                    return wrong(what, "name a tuned model, or a vector that makes one");
                }
            }
        }
        let parts = [
            ("beam-width", search.beam_width),
            ("successors", search.successors),
            ("beam-width times successors", search.rows()),
        ];
        for (what, value) in parts {
            if !(1..=MOST_ROWS).contains(&value) {
                let hint = format!("it must be from 1 to {MOST_ROWS}");
                return wrong(format!("{what} is {value}"), &hint);
            }
        }
        if search.is_on() && search.scorer == ScorerChoice::Implicit && pairs.is_empty() {
            let what = "the implicit scorer needs a pair of guides".to_owned();
            return wrong(what, "name a tuned and an untuned model, or choose another scorer");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_plan_without_guidance_says_nothing_of_it() {
        let text = toml::to_string(&Plan::default()).unwrap();
        assert!(!text.contains("guidance"), "{text}");
        assert!(!Plan::default().guidance.acts_on_tokens());
        assert!(Plan::default().check_guidance().is_ok());
    }

    #[test]
    fn guidance_goes_through_toml_and_back() {
        let pair = GuidePair {
            tuned: Some("tuned".into()),
            untuned: Some("C:\\untuned".into()),
            vector: None,
            beta: 0.5,
        };
        let vector = GuidePair { vector: Some("v".into()), beta: 1.0, ..GuidePair::default() };
        let search = SearchPlan {
            beam_width: 4,
            successors: 4,
            chunk_length: 0,
            scorer: ScorerChoice::File("scorer".into()),
            skip_finished: true,
        };
        let guidance = GuidancePlan {
            base_filter: 0.9,
            value_weight: 1.0,
            value_candidates: 10,
            pairs: vec![pair, vector],
            search,
        };
        let made = Plan { guidance: guidance.into(), ..Plan::default() };
        assert_eq!(plan(&toml::to_string(&made).unwrap()), made);
        assert!(made.check_guidance().is_ok());
        let implicit = plan("[guidance.search]\nscorer = \"implicit\"\n");
        assert_eq!(implicit.guidance.search.scorer, ScorerChoice::Implicit);
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for (text, said) in [
            ("[guidance]\nbase-filter = 0.0", "base-filter"),
            ("[guidance]\nvalue-weight = nan", "value-weight"),
            ("[guidance]\nvalue-weight = 1.0", "prefix scorer"),
            ("[guidance]\nvalue-candidates = 1000", "value-candidates"),
            ("[[guidance.pairs]]\nbeta = 1.0", "no tuned"),
            ("[[guidance.pairs]]\ntuned = \"a\"\nvector = \"b\"", "one of the two"),
            ("[[guidance.pairs]]\ntuned = \"a\"\nbeta = 9.0", "beta"),
            ("[guidance.search]\nbeam-width = 0", "beam-width"),
            ("[guidance.search]\nbeam-width = 100\nsuccessors = 100", "times"),
            ("[guidance.search]\nbeam-width = 2\nscorer = \"implicit\"", "pair"),
        ] {
            let error = plan(text).check_guidance().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(toml::from_str::<Plan>("[guidance]\nbeta = 1.0").is_err());
    }

    #[test]
    fn only_what_is_used_is_brought_into_memory() {
        let mut plan = plan("[[guidance.pairs]]\ntuned = \"a\"\nbeta = 0.0");
        assert_eq!(plan.guidance.pairs_in_play().count(), 0);
        plan.guidance.search.scorer = ScorerChoice::Implicit;
        assert_eq!(plan.guidance.pairs_in_play().count(), 0, "one candidate is not ranked");
        plan.guidance.search.successors = 2;
        assert_eq!(plan.guidance.pairs_in_play().count(), 1);
        plan.guidance.search.scorer = ScorerChoice::File("s".into());
        assert!(plan.guidance.scorer_in_play().is_some());
        plan.guidance.search.successors = 1;
        assert!(plan.guidance.scorer_in_play().is_none());
    }
}
