//! The systems of the table: cells of the switchboard (IVG, spec section 6), and ARGS.

use super::arguments::GuidanceArgs;
use crate::steer::{GuidancePlan, Plan, Sampling, SearchPlan};

/// One system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum System {
    /// The base alone.
    Base,
    /// The pair at token level.
    Eft,
    /// As many whole replies as the search has candidates, the best by the scorer.
    BestOfN,
    /// Chunk-level beam search by the pair's log-ratio.
    CbsImplicit,
    /// Chunk-level beam search by the scorer.
    CbsExplicit,
    /// The scorer over the likeliest next tokens.
    Args,
    /// The pair at token level and a search by the scorer.
    Ivg,
}

impl System {
    /// In the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Base,
        Self::Eft,
        Self::BestOfN,
        Self::CbsImplicit,
        Self::CbsExplicit,
        Self::Args,
        Self::Ivg,
    ];

    /// As the table has it.
    pub fn name(self, args: &GuidanceArgs) -> String {
        match self {
            Self::Base => "base".to_owned(),
            Self::Eft => "EFT".to_owned(),
            Self::BestOfN => format!("best of {}", args.beam_width * args.successors),
            Self::CbsImplicit => "CBS, implicit".to_owned(),
            Self::CbsExplicit => "CBS, explicit".to_owned(),
            Self::Args => format!("ARGS, {} candidates", args.args_candidates),
            Self::Ivg => "IVG".to_owned(),
        }
    }

    /// The pair acts on every token.
    pub fn guides_tokens(self) -> bool {
        matches!(self, Self::Eft | Self::Ivg)
    }

    /// Candidates are ranked by the pair.
    pub fn ranks_by_pair(self) -> bool {
        self == Self::CbsImplicit
    }

    /// Candidates, or next tokens, are judged by the scorer.
    pub fn asks_scorer(self) -> bool {
        matches!(self, Self::BestOfN | Self::CbsExplicit | Self::Args | Self::Ivg)
    }

    /// How a reply is made; the same temperature for all, top-k and top-p off. The models are not
    /// named in it: they are at hand.
    pub fn plan(self, args: &GuidanceArgs, seed: u64) -> Plan {
        let (w, k, l) = match self {
            Self::Base | Self::Eft | Self::Args => (1, 1, 0),
            Self::BestOfN => (1, args.beam_width * args.successors, 0),
            _ => (args.beam_width, args.successors, args.chunk_length),
        };
        let search = SearchPlan {
            beam_width: w,
            successors: k,
            chunk_length: l,
            skip_finished: args.skip_finished,
            ..SearchPlan::default()
        };
        let sampling =
            Sampling { temperature: args.temperature, top_p: 1.0, ..Sampling::default() };
        Plan {
            seed,
            max_tokens: Some(args.tokens),
            sampling,
            guidance: GuidancePlan { search, ..GuidancePlan::default() }.into(),
            ..Plan::default()
        }
    }
}
