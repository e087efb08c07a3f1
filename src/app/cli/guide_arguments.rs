//! `--guide-tuned`, `--beam-width` and the rest of guidance, for every verb that makes replies.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;

use super::Usage;
use crate::steer::{GuidePair, Plan, ScorerChoice};

#[derive(Debug, Clone, Default, Args)]
pub struct GuideArgs {
    /// A tuned model; its difference to the untuned one reshapes every token. Repeatable.
    #[arg(long = "guide-tuned", value_name = "MODEL")]
    tuned: Vec<PathBuf>,
    /// The same model before it was tuned; without it the base. One for all pairs, or one for each.
    #[arg(long = "guide-untuned", value_name = "MODEL")]
    untuned: Vec<PathBuf>,
    /// In place of a tuned model: the untuned one with this alignment vector. Repeatable.
    #[arg(long = "guide-vector", value_name = "FILE")]
    guide_vectors: Vec<PathBuf>,
    /// Strength of the pairs; 1 unless given, 0 is off. One for all, or one for each.
    #[arg(long = "beta", value_name = "NUMBER", allow_hyphen_values = true)]
    betas: Vec<f32>,
    /// Before guides act, keep only the smallest set of tokens whose mass under the base reaches
    /// this; 1 is off.
    #[arg(long, value_name = "MASS")]
    base_filter: Option<f32>,
    /// What ranks candidates: none, implicit (the pairs' log-ratio), or the path of a prefix scorer,
    /// a reward adapter of the model, or a reward model.
    #[arg(long, value_name = "SCORER")]
    scorer: Option<String>,
    /// Add so much of the prefix scorer's value of every next token to its score.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    value_weight: Option<f32>,
    /// Let the scorer judge so many of the likeliest next tokens, each by itself, and draw no other
    /// (ARGS); 0 is off. With --value-weight.
    #[arg(long, value_name = "COUNT")]
    value_candidates: Option<usize>,
    /// Candidates kept at every ranking.
    #[arg(long, value_name = "W")]
    beam_width: Option<usize>,
    /// Continuations of each candidate that is kept.
    #[arg(long, value_name = "K")]
    successors: Option<usize>,
    /// Tokens between two rankings; 0 ranks whole replies only.
    #[arg(long, value_name = "L")]
    chunk_length: Option<usize>,
    /// Give a finished text one place among the candidates rather than K.
    #[arg(long)]
    skip_finished: bool,
}

impl GuideArgs {
    /// What was asked for, over what a plan says.
    pub fn add_to(&self, plan: &mut Plan) -> Result<()> {
        let usage = |what: String| anyhow!(Usage(what));
        let count = self.tuned.len() + self.guide_vectors.len();
        let given = [("--guide-untuned", self.untuned.len()), ("--beta", self.betas.len())];
        for (what, given) in given {
            // A single beta may be for the pairs of a plan.
            let for_plan = what == "--beta" && !plan.guidance.pairs.is_empty();
            if given > 1 && given != count || given == 1 && count == 0 && !for_plan {
                return Err(usage(format!(
                    "{what} was given {given} times for {count} pairs of guides; give it once, or \
                     once for each"
                )));
            }
        }
        let tuned = self.tuned.iter().map(|path| (Some(path.clone()), None));
        let vectors = self.guide_vectors.iter().map(|path| (None, Some(path.clone())));
        for (at, (tuned, vector)) in tuned.chain(vectors).enumerate() {
            let untuned = self.untuned.get(at).or(self.untuned.first()).cloned();
            let beta = self.betas.get(at).or(self.betas.first()).copied().unwrap_or(1.0);
            plan.guidance.pairs.push(GuidePair { tuned, untuned, vector, beta });
        }
        if let (0, [beta]) = (count, &self.betas[..]) {
            plan.guidance.pairs.iter_mut().for_each(|pair| pair.beta = *beta);
        }
        let guidance = &mut plan.guidance;
        guidance.base_filter = self.base_filter.unwrap_or(guidance.base_filter);
        guidance.value_weight = self.value_weight.unwrap_or(guidance.value_weight);
        guidance.value_candidates = self.value_candidates.unwrap_or(guidance.value_candidates);
        let search = &mut guidance.search;
        search.beam_width = self.beam_width.unwrap_or(search.beam_width);
        search.successors = self.successors.unwrap_or(search.successors);
        search.chunk_length = self.chunk_length.unwrap_or(search.chunk_length);
        search.skip_finished |= self.skip_finished;
        if let Some(scorer) = &self.scorer {
            search.scorer = match scorer.as_str() {
                "none" => ScorerChoice::None,
                "implicit" => ScorerChoice::Implicit,
                path => ScorerChoice::File(path.into()),
            };
        }
        plan.check_guidance().map_err(|problem| usage(problem.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        guides: GuideArgs,
    }

    fn plan(given: &[&str]) -> Result<Plan> {
        let line = Line::try_parse_from(["test"].iter().chain(given)).unwrap();
        let mut plan = Plan::default();
        line.guides.add_to(&mut plan)?;
        Ok(plan)
    }

    #[test]
    fn nothing_asked_for_is_no_guidance() {
        assert!(plan(&[]).unwrap().guidance.is_default());
    }

    #[test]
    fn ivg_on_one_line() {
        let plan = plan(&[
            "--guide-tuned",
            "t",
            "--guide-untuned",
            "u",
            "--beta",
            "0.5",
            "--scorer",
            "v",
            "--beam-width",
            "4",
            "--successors",
            "2",
            "--chunk-length",
            "30",
            "--skip-finished",
        ])
        .unwrap();
        let guidance = plan.guidance;
        let pair = GuidePair {
            tuned: Some("t".into()),
            untuned: Some("u".into()),
            vector: None,
            beta: 0.5,
        };
        assert_eq!(guidance.pairs, [pair]);
        assert_eq!(guidance.search.scorer, ScorerChoice::File("v".into()));
        let search = &guidance.search;
        assert_eq!((search.beam_width, search.successors, search.chunk_length), (4, 2, 30));
        assert!(search.skip_finished);
    }

    #[test]
    fn pairs_share_an_untuned_model_or_have_their_own() {
        let shared = plan(&["--guide-tuned", "a", "--guide-vector", "b", "--guide-untuned", "u"]);
        let shared = shared.unwrap().guidance.pairs;
        assert!(shared.iter().all(|pair| pair.untuned == Some("u".into()) && pair.beta == 1.0));
        assert_eq!(shared[1].vector, Some("b".into()));
        let own = plan(&[
            "--guide-tuned",
            "a",
            "--guide-tuned",
            "b",
            "--guide-untuned",
            "u",
            "--guide-untuned",
            "w",
            "--beta",
            "1",
            "--beta",
            "-0.5",
        ]);
        let own = own.unwrap().guidance.pairs;
        assert_eq!((own[1].untuned.clone(), own[1].beta), (Some("w".into()), -0.5));
    }

    #[test]
    fn what_means_nothing_is_a_wrong_command_line() {
        for given in [
            &["--beta", "1"][..],
            &["--guide-untuned", "u"],
            &["--guide-tuned", "a", "--beta", "1", "--beta", "2"],
            &["--beam-width", "0"],
            &["--beam-width", "2", "--scorer", "implicit"],
            &["--value-weight", "1"],
            &["--value-candidates", "999"],
            &["--guide-tuned", "a", "--beta", "99"],
            &["--base-filter", "0"],
        ] {
            assert!(plan(given).unwrap_err().is::<Usage>(), "{given:?}");
        }
    }
}
