//! The models of one run, and one reply of a system.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use parking_lot::Mutex;

use super::arguments::GuidanceArgs;
use super::system::System;
use super::task::Prompt;
use crate::decode::guide::{
    Guides, Judgement, Pair, PairHandle, PrefixScorer, Reading, Side, ValueHandle,
    shared_vocabulary,
};
use crate::decode::search::{ChunkScorer, Constant, Explicit, LogRatio, Search, SearchProgress};
use crate::decode::{Knobs, Passes, Reply, ReplyStart};
use crate::eval::load::{load, open_all};
use crate::eval::replies::prompt_ids;
use crate::model::load::Checkpoints;
use crate::model::reward::Adapter;
use crate::model::value::Pooling;
use crate::model::vector::{Vector, fingerprint};
use crate::model::{LoadOptions, Loader, Model, Runner, ScorerFile};
use crate::platform::{Problem, fnv};
use crate::session::Role;

/// The base, its guides and its scorer.
pub struct Bench {
    pub base: Model,
    guide: Model,
    vector: Vec<Arc<Vector>>,
    scorer: Scorer,
    /// Ids that base and guide share.
    shared_by_guide: usize,
    shared_by_trunk: usize,
}

/// What ranks, and how it says of itself that it was made.
struct Scorer {
    trunk: Trunk,
    judgement: Judgement,
    /// Beside a twin of the base.
    adapter: Option<Box<Adapter>>,
    made: String,
}

/// What the scorer reads texts with.
enum Trunk {
    Base,
    Guide,
    Own(Box<Model>),
}

/// One reply and what it took, its prompt included.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spoken {
    pub text: String,
    pub ids: Vec<u32>,
    pub seconds: f64,
    /// Rows times new tokens of the base, and of guides and scorer together (spec section 10).
    pub base_rows: usize,
    pub other_rows: usize,
}

impl Scorer {
    /// A prefix scorer, a reward adapter of the base, or a reward model.
    fn open(path: &Path, base: &Model, guide: &Model) -> Result<Self> {
        let opened = Checkpoints.open_scorer(path, &base.facts, &LoadOptions::default())?;
        let with = |trunk, judgement, made| Self { trunk, judgement, adapter: None, made };
        let head = match opened {
            ScorerFile::Head(head) => head,
            ScorerFile::Adapter(adapter) => {
                let made = format!("a reward adapter: {}", adapter.facts.how_made);
                let adapter = Some(adapter);
                return Ok(Self { adapter, ..with(Trunk::Base, Judgement::Stream, made) });
            }
            ScorerFile::Model { model, bias } => {
                let made = format!("the reward model {}", model.facts.name);
                return Ok(with(Trunk::Own(model), Judgement::Logit(bias), made));
            }
        };
        let (trunk, made) = match head.trunk() {
            None => (Trunk::Own(load(path)?.into()), "a checkpoint".to_owned()),
            Some(facts) => {
                let wanted = &facts.trunk_fingerprint;
                let trunk = match () {
                    () if *wanted == base.facts.fingerprint => Trunk::Base,
                    () if *wanted == guide.facts.fingerprint => Trunk::Guide,
                    () => {
                        let own = load(&facts.trunk_path)?;
                        if own.facts.fingerprint != *wanted {
                            let what =
                                format!("this scorer was made with another {}", facts.trunk_name);
                            return Err(Problem::new(what).at(path).hint("train it again").into());
                        }
                        Trunk::Own(own.into())
                    }
                };
                (trunk, facts.how_made.clone())
            }
        };
        Ok(with(trunk, Judgement::Head(head), made))
    }
}

impl Bench {
    /// Loads everything.
    ///
    /// # Errors
    /// When something cannot be read, or its vocabulary is not the base's.
    pub fn open(args: &GuidanceArgs) -> Result<Self> {
        let (base, guide) = (load(&args.base)?, load(&args.guide)?);
        let vector = open_all(&[args.vector()], &args.guide, false)?;
        let scorer = Scorer::open(&args.scorer(), &base, &guide)?;
        let shared = |other: &Model| {
            let (a, b) = (base.language.vocabulary.as_ref(), other.language.vocabulary.as_ref());
            shared_vocabulary(a, b).map_err(|parting| parting.problem(&other.facts.name))
        };
        let shared_by_guide = shared(&guide)?;
        let shared_by_trunk = match &scorer.trunk {
            Trunk::Base => shared(&base)?,
            Trunk::Guide => shared_by_guide,
            Trunk::Own(own) => shared(own)?,
        };
        Ok(Self { base, guide, vector, scorer, shared_by_guide, shared_by_trunk })
    }

    /// What the scorer says of itself.
    pub fn scorer_made(&self) -> &str {
        &self.scorer.made
    }

    /// Names the models, the vector and the scorer by what they hold.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn fingerprints(&self, args: &GuidanceArgs) -> Result<String> {
        let vector: Vec<String> = self.vector.iter().map(|vector| fingerprint(vector)).collect();
        // A checkpoint holds its head; a head or an adapter of its own names its trunk.
        let path = args.scorer();
        let scorer = match &self.scorer.trunk {
            Trunk::Own(own) if path.is_dir() => own.facts.fingerprint.clone(),
            _ => {
                let cannot = || Problem::new("this file cannot be read").at(&path);
                let bytes = std::fs::read(&path).with_context(cannot)?;
                format!("{:016x}", fnv::hash(bytes))
            }
        };
        let base = &self.base.facts.fingerprint;
        let guide = &self.guide.facts.fingerprint;
        Ok(format!("base {base}, guide {guide} with {}, scorer {scorer}", vector.join(" ")))
    }

    fn pair(&self, prompt: &Prompt, given: usize) -> Result<PairHandle> {
        let mut tuned = twin(&self.guide)?;
        tuned.attach(&self.vector)?;
        tuned.set_strengths(&[1.0])?;
        let tuned = side(tuned, &self.guide, prompt, given)?;
        let untuned = side(twin(&self.guide)?, &self.guide, prompt, given)?;
        let pair = Pair::new("pair".to_owned(), tuned, Some(untuned), self.shared_by_guide);
        Ok(Arc::new(Mutex::new(pair)))
    }

    fn value(&self, prompt: &Prompt, given: usize) -> Result<ValueHandle> {
        let Scorer { trunk, judgement, adapter, .. } = &self.scorer;
        let trunk = match trunk {
            Trunk::Base => &self.base,
            Trunk::Guide => &self.guide,
            Trunk::Own(own) => own,
        };
        // A mean over the reply begins where the reply does.
        let pools = matches!(judgement, Judgement::Head(head) if head.pooling() == Pooling::Mean);
        let given = if pools { 0 } else { given };
        let mut runner = twin(trunk)?;
        if let Some(adapter) = adapter {
            runner.insert(Some(adapter))?;
        }
        let side = side(runner, trunk, prompt, given)?;
        let (name, judgement) = ("scorer".to_owned(), judgement.clone());
        let scorer = PrefixScorer::new(name, side, judgement, self.shared_by_trunk);
        Ok(Arc::new(Mutex::new(scorer)))
    }

    /// One reply; `number` tells the draws of different prompts apart.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn reply(
        &mut self,
        system: System,
        prompt: &Prompt,
        number: u64,
        seed: u64,
        args: &GuidanceArgs,
    ) -> Result<Spoken> {
        let begun = Instant::now();
        let (asked, ids) = begun_ids(&self.base, prompt)?;
        let given = ids.len() - asked;
        let needs_pair = system.guides_tokens() || system.ranks_by_pair();
        let pair = needs_pair.then(|| self.pair(prompt, given)).transpose()?;
        let value = system.asks_scorer().then(|| self.value(prompt, given)).transpose()?;
        let mut guides = Guides { base_filter: 1.0, ..Guides::default() };
        if system.guides_tokens() {
            guides.pairs.extend(pair.iter().map(|pair| (Arc::clone(pair), args.beta)));
        }
        if system == System::Args {
            guides.value = value.iter().map(|value| (Arc::clone(value), args.args_weight)).next();
            guides.value_candidates = args.args_candidates;
        }
        let mut scorer: Box<dyn ChunkScorer> = match (&pair, &value) {
            _ if system == System::Args => Box::new(Constant),
            (Some(pair), None) if system.ranks_by_pair() => {
                Box::new(LogRatio(vec![Arc::clone(pair)]))
            }
            (_, Some(value)) => Box::new(Explicit(Arc::clone(value))),
            _ => Box::new(Constant),
        };
        let mut spoken = self.search(
            system.plan(args, seed),
            ReplyStart { reply: number, ids, prompt_len: asked, ..ReplyStart::default() },
            &mut guides,
            scorer.as_mut(),
        )?;
        if let Some(pair) = pair {
            spoken.other_rows += pair.lock().row_forwards().map(|fed| fed.total()).sum::<usize>();
        }
        if let Some(value) = value {
            spoken.other_rows += value.lock().row_forwards().total();
        }
        spoken.text.insert_str(0, &prompt.opening);
        spoken.seconds = begun.elapsed().as_secs_f64();
        Ok(spoken)
    }

    fn search(
        &mut self,
        plan: crate::steer::Plan,
        start: ReplyStart,
        guides: &mut Guides,
        scorer: &mut dyn ChunkScorer,
    ) -> Result<Spoken> {
        let runner = self.base.runner.as_mut();
        let (mut passes, mut knobs) = (Passes::default(), Knobs::default());
        let language = &self.base.language;
        let (mut reply, _) = Reply::begin(language, runner, &mut passes, &mut knobs, start, plan)?;
        while !reply.is_prompted() {
            reply.advance(runner, &mut [])?;
        }
        let prompted = reply.into_prompted(false).map_err(|_| anyhow!("the prompt is not read"))?;
        let mut search = Search::begin(prompted, runner, usize::MAX)?;
        let mut spoken = Spoken::default();
        let mut take = |tokens: Vec<crate::session::TokenTrace>| {
            for token in tokens {
                spoken.text += &token.text;
                spoken.ids.push(token.id);
            }
        };
        loop {
            match search.advance(runner, guides, &mut [], scorer)? {
                SearchProgress::Stepped => {}
                SearchProgress::Ranked(_, tokens) => take(tokens),
                SearchProgress::Ended(_, tokens, _) => {
                    take(tokens);
                    break;
                }
            }
        }
        spoken.base_rows = search.row_forwards().total();
        search.finish(runner)?;
        Ok(spoken)
    }
}

fn twin(model: &Model) -> Result<Box<dyn Runner>> {
    model.runner.twin().with_context(|| {
        Problem::new("this model cannot be used twice at once").at(&model.facts.path)
    })
}

/// A model that follows candidates of a reply by the base's own ids, of which so many are given.
fn side(runner: Box<dyn Runner>, model: &Model, prompt: &Prompt, given: usize) -> Result<Side> {
    let prompt = prompt_ids(&model.language, &prompt.text)?;
    let end_of_text = model.language.end_of_text_ids.first().copied();
    Ok(Side::new(runner, Reading::Ids { prompt }, end_of_text, given))
}

/// The ids of a question with the opening of its reply, and how many are the question's.
fn begun_ids(model: &Model, prompt: &Prompt) -> Result<(usize, Vec<u32>)> {
    let template = model.language.template.as_ref().context("this model has no chat template")?;
    let asked = prompt_ids(&model.language, &prompt.text)?;
    let text = template.render(&[(Role::User, prompt.text.as_str())], true)?;
    let ids = model.language.vocabulary.encode(&(text + &prompt.opening), true)?;
    ensure!(ids.starts_with(&asked), "the opening changes how the question is read");
    Ok((asked.len(), ids))
}
