//! Runs a search over toy models from a few settings.

use anyhow::Result;

use super::table::{Table, TableRunner};
use crate::decode::guide::{Candidate, Guides, RowForwards};
use crate::decode::reply::Ending;
use crate::decode::search::{Boundary, ChunkScorer, Search, SearchProgress};
use crate::decode::{Knobs, Passes, Reply, ReplyStart};
use crate::model::Language;
use crate::steer::{GuidancePlan, Plan, Sampling, SearchPlan};

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub text: String,
    pub ids: Vec<u32>,
    pub ending: Option<Ending>,
    pub boundaries: Vec<Boundary>,
    pub fed: RowForwards,
}

/// W, K, L and most tokens of a reply.
pub fn plan(beam_width: usize, successors: usize, chunk_length: usize, tokens: usize) -> Plan {
    let search = SearchPlan { beam_width, successors, chunk_length, ..SearchPlan::default() };
    Plan {
        seed: 11,
        max_tokens: Some(tokens),
        sampling: Sampling { temperature: 1.0, top_p: 1.0, ..Sampling::default() },
        guidance: GuidancePlan { search, ..GuidancePlan::default() }.into(),
        ..Plan::default()
    }
}

/// A scorer that is a function of the reply's ids and of whether it has ended.
pub struct Scored<F>(pub F);

impl<F: FnMut(&[u32], bool) -> f32 + Send> ChunkScorer for Scored<F> {
    fn name(&self) -> String {
        "a function".to_owned()
    }
    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<f32>> {
        Ok(candidates.iter().map(|one| (self.0)(one.ids, one.finished)).collect())
    }
}

/// A value that tells most rows apart.
pub fn spread(ids: &[u32]) -> f32 {
    ids.iter().fold(0.5_f32, |value, id| (value * 3.7 + *id as f32 * 0.61).fract())
}

/// What is run: models and a prompt.
pub struct Stage {
    pub language: Language,
    pub table: Table,
    pub prompt: Vec<u32>,
    pub reply: u64,
}

impl Stage {
    pub fn new(language: Language, table: Table) -> Self {
        Self { language, table, prompt: vec![0, 1], reply: 1 }
    }

    /// A reply to the prompt, of which nothing is read yet.
    fn begin<'a>(
        &'a self,
        runner: &mut TableRunner,
        knobs: &'a mut Knobs,
        plan: &Plan,
    ) -> Reply<'a> {
        let start = ReplyStart {
            reply: self.reply,
            ids: self.prompt.clone(),
            prompt_len: self.prompt.len(),
            ..ReplyStart::default()
        };
        let mut passes = Passes::default();
        Reply::begin(&self.language, runner, &mut passes, knobs, start, plan.clone()).unwrap().0
    }

    /// Runs to the end; `look` sees the search after every advance.
    pub fn run_with(
        &self,
        plan: &Plan,
        guides: &mut Guides,
        scorer: &mut dyn ChunkScorer,
        mut look: impl FnMut(&mut Search<'_>, &TableRunner),
    ) -> Run {
        let mut runner = TableRunner::new(self.table);
        let mut knobs = Knobs::default();
        let mut reply = self.begin(&mut runner, &mut knobs, plan);
        while !reply.is_prompted() {
            reply.advance(&mut runner, &mut []).unwrap();
        }
        let prompted = reply.into_prompted(false).ok().unwrap();
        let mut search = Search::begin(prompted, &mut runner, usize::MAX).unwrap();
        let mut run = Run {
            text: String::new(),
            ids: Vec::new(),
            ending: None,
            boundaries: Vec::new(),
            fed: RowForwards::default(),
        };
        let take = |run: &mut Run, tokens: Vec<crate::session::TokenTrace>| {
            for token in tokens {
                run.text += &token.text;
                run.ids.push(token.id);
            }
        };
        while run.ending.is_none() && !search.is_over() {
            let progress = search.advance(&mut runner, guides, &mut [], scorer).unwrap();
            match progress {
                SearchProgress::Stepped => {}
                SearchProgress::Ranked(boundary, tokens) => {
                    run.boundaries.push(*boundary);
                    take(&mut run, tokens);
                }
                SearchProgress::Ended(boundary, tokens, ending) => {
                    run.boundaries.push(*boundary);
                    take(&mut run, tokens);
                    run.ending = Some(ending);
                }
            }
            look(&mut search, &runner);
        }
        run.fed = search.row_forwards();
        search.finish(&mut runner).unwrap();
        assert_eq!(crate::model::Runner::ids(&runner), self.prompt, "only the prompt is left");
        run
    }

    pub fn run(&self, plan: &Plan, scorer: &mut dyn ChunkScorer) -> Run {
        self.run_with(plan, &mut Guides::default(), scorer, |_, _| {})
    }

    /// Plain sampling of one row, by the reply machine that knows of no search.
    pub fn plain(&self, plan: &Plan, guides: Option<Guides>) -> Vec<u32> {
        let mut runner = TableRunner::new(self.table);
        let mut knobs = Knobs::default();
        let mut reply = self.begin(&mut runner, &mut knobs, plan);
        let mut rules: Vec<Box<dyn crate::decode::TokenRule>> = Vec::new();
        if let Some(guides) = guides {
            let handle = std::sync::Arc::new(parking_lot::Mutex::new(guides));
            rules.push(Box::new(crate::decode::guide::GuideRule(handle)));
        }
        let mut ids = Vec::new();
        loop {
            match reply.advance(&mut runner, &mut rules).unwrap() {
                crate::decode::Progress::Prefilled { .. } => {}
                crate::decode::Progress::Tokens(tokens) => {
                    ids.extend(tokens.iter().map(|token| token.id));
                }
                crate::decode::Progress::Ended(tokens, _) => {
                    ids.extend(tokens.iter().map(|token| token.id));
                    return ids;
                }
            }
        }
    }
}
