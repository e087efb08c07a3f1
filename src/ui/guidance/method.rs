//! The switchboard of guidance by the names of its methods (IVG, spec section 6): which one a plan
//! is, and what choosing one changes in it.

use crate::steer::{GuidancePlan, ScorerChoice};

/// Where a search begins when one is chosen: W, K, L of the published experiments.
const CHUNKWISE: [usize; 3] = [4, 4, 5];
/// Next tokens ARGS looks at, and what a reward weighs beside a logit: as published.
const NEXT_TOKENS: usize = 10;
const REWARD_WEIGHT: f32 = 1.5;
/// Best of so many.
const SAMPLES: usize = 16;

/// A cell of the switchboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Off,
    /// Guides at token level alone: emulated fine-tuning, proxy-tuning.
    Guides,
    /// A prefix scorer at token level alone: FUDGE, controlled decoding.
    TokenValue,
    /// A scorer over the likeliest next tokens: ARGS.
    Args,
    BestOfN,
    /// Chunk-level beam search over the plain model.
    ChunkSearch,
    /// Guides at token level and a search by an explicit value: integrated value guidance.
    Integrated,
    /// Any other cell.
    Own,
}

impl Method {
    /// Those a person may choose.
    pub const CHOICES: [Self; 7] = [
        Self::Off,
        Self::Guides,
        Self::TokenValue,
        Self::Args,
        Self::BestOfN,
        Self::ChunkSearch,
        Self::Integrated,
    ];

    /// As shown.
    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Guides => "Guides (EFT)",
            Self::TokenValue => "Value per token (FUDGE)",
            Self::Args => "Best next token (ARGS)",
            Self::BestOfN => "Best of N",
            Self::ChunkSearch => "Chunk search (CBS)",
            Self::Integrated => "Guides and search (IVG)",
            Self::Own => "Own mixture",
        }
    }

    /// What it does, in one line.
    pub fn help(self) -> &'static str {
        match self {
            Self::Off => "The model as it is",
            Self::Guides => "A tuned and an untuned model reshape every token",
            Self::TokenValue => "A prefix scorer's value of every next token is added to its score",
            Self::Args => "The scorer judges each of the likeliest next tokens",
            Self::BestOfN => "Whole replies side by side; the scorer takes the best",
            Self::ChunkSearch => "Chunks side by side; the scorer keeps the best, again and again",
            Self::Integrated => "Guides reshape every token, the scorer ranks chunks",
            Self::Own => "A combination without a name of its own",
        }
    }

    /// Which one a plan is.
    pub fn of(guidance: &GuidancePlan) -> Self {
        let guides = guidance.pairs.iter().any(|pair| pair.beta != 0.0);
        let value = guidance.value_weight != 0.0;
        let search = &guidance.search;
        let explicit = matches!(search.scorer, ScorerChoice::File(_));
        match (guides, value, search.is_on()) {
            (false, false, false) => Self::Off,
            (true, false, false) => Self::Guides,
            (false, true, false) if guidance.value_candidates > 0 => Self::Args,
            (false, true, false) => Self::TokenValue,
            (false, false, true) if search.beam_width == 1 && search.chunk_length == 0 => {
                Self::BestOfN
            }
            (false, false, true) => Self::ChunkSearch,
            (true, false, true) if explicit => Self::Integrated,
            _ => Self::Own,
        }
    }

    /// Makes a plan of this method. Guides and scorer stay on the list; what the method does not
    /// use is turned off.
    pub fn apply(self, guidance: &mut GuidancePlan) {
        if self == Self::Own {
            return;
        }
        let guides = matches!(self, Self::Guides | Self::Integrated);
        for pair in &mut guidance.pairs {
            let beta = if pair.beta == 0.0 { 1.0 } else { pair.beta };
            pair.beta = if guides { beta } else { 0.0 };
        }
        let search = &mut guidance.search;
        let has_file = matches!(search.scorer, ScorerChoice::File(_));
        guidance.value_weight = match self {
            Self::TokenValue if has_file => 1.0,
            Self::Args if has_file => REWARD_WEIGHT,
            _ => 0.0,
        };
        guidance.value_candidates = if self == Self::Args { NEXT_TOKENS } else { 0 };
        let [beam_width, successors, chunk_length] = match self {
            Self::BestOfN => [1, SAMPLES, 0],
            Self::ChunkSearch | Self::Integrated => CHUNKWISE,
            _ => [1, 1, search.chunk_length],
        };
        (search.beam_width, search.successors) = (beam_width, successors);
        search.chunk_length = chunk_length;
        if search.is_on() && search.scorer == ScorerChoice::None && !guidance.pairs.is_empty() {
            search.scorer = ScorerChoice::Implicit;
        }
    }

    /// What is missing for it.
    pub fn lacks(self, guidance: &GuidancePlan) -> Option<&'static str> {
        let no_pairs = guidance.pairs.is_empty();
        let no_file = !matches!(guidance.search.scorer, ScorerChoice::File(_));
        match self {
            Self::Guides if no_pairs => Some("Add a tuned model or a vector to guide by"),
            Self::TokenValue if no_file => Some("Choose a prefix scorer"),
            Self::Args if no_file => Some("Choose a scorer, a reward adapter or a reward model"),
            Self::Integrated if no_pairs => Some("Add a tuned model or a vector to guide by"),
            Self::Integrated if no_file => Some("Choose a prefix scorer to rank chunks by"),
            Self::BestOfN | Self::ChunkSearch if no_file && no_pairs => {
                Some("Choose a scorer, or add guides whose log-ratio ranks")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::GuidePair;

    fn full() -> GuidancePlan {
        let pair = GuidePair { tuned: Some("t".into()), beta: 0.5, ..GuidePair::default() };
        let mut guidance = GuidancePlan { pairs: vec![pair], ..GuidancePlan::default() };
        guidance.search.scorer = ScorerChoice::File("v".into());
        guidance
    }

    #[test]
    fn what_was_chosen_is_what_the_plan_is() {
        for method in Method::CHOICES {
            for from in Method::CHOICES {
                let mut guidance = full();
                from.apply(&mut guidance);
                method.apply(&mut guidance);
                assert_eq!(Method::of(&guidance), method, "from {from:?}");
                assert_eq!(method.lacks(&guidance), None);
                assert_eq!(guidance.pairs.len(), 1, "guides stay on the list");
            }
        }
    }

    #[test]
    fn a_strength_that_was_dialled_stays_while_the_method_uses_it() {
        let mut guidance = full();
        Method::Integrated.apply(&mut guidance);
        assert_eq!(guidance.pairs[0].beta, 0.5);
    }

    #[test]
    fn without_a_file_a_search_ranks_by_the_pairs_and_says_what_is_missing() {
        let mut guidance = full();
        guidance.search.scorer = ScorerChoice::None;
        Method::ChunkSearch.apply(&mut guidance);
        assert_eq!(guidance.search.scorer, ScorerChoice::Implicit);
        assert!(Method::Integrated.lacks(&guidance).is_some());
        let mut nothing = GuidancePlan::default();
        Method::ChunkSearch.apply(&mut nothing);
        assert!(Method::ChunkSearch.lacks(&nothing).is_some());
        assert!(Method::of(&GuidancePlan::default()) == Method::Off);
    }
}
