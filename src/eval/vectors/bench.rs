//! A base with its vectors attached and the questions of every domain: rates at any strengths.

use anyhow::{Result, ensure};

use super::arguments::VectorsArgs;
use crate::eval::levels::{self, Length, LevelQuestion, Rates, Scores};
use crate::eval::load::{load, open_all};
use crate::eval::neutral;
use crate::learn::preference::encoding::Encoded;
use crate::learn::text::Source;
use crate::model::Model;
use crate::model::vector::{Facts, file};
use crate::platform::Problem;

/// The three domains, in the order of vectors, strengths and tables.
pub const DOMAINS: [&str; 3] = ["medical", "legal", "financial"];

/// A strength for each domain's vector.
pub type Strengths = [f64; 3];

/// Everything the tables are measured with.
pub struct Bench {
    pub model: Model,
    /// By domain, for the tables.
    pub questions: [Vec<LevelQuestion>; 3],
    /// By domain, on topics of which nothing was trained on.
    pub unseen: [Vec<LevelQuestion>; 3],
    /// By domain, others, for searching.
    pub searched: [Vec<LevelQuestion>; 3],
    pub neutral: Vec<Encoded>,
    pub facts: [Facts; 3],
}

impl Bench {
    /// Loads base and vectors and draws the questions.
    ///
    /// # Errors
    /// When something cannot be read or does not go together.
    pub fn open(args: &VectorsArgs) -> Result<Self> {
        let source = Source::read(&args.source)?;
        let mut model = load(&args.base)?;
        let files = DOMAINS.map(|domain| args.vectors.join(format!("{domain}.safetensors")));
        model.runner.attach(&open_all(&files, &args.base, false)?)?;
        let mut facts = Vec::new();
        for file in &files {
            facts.push(file::read_facts(file)?);
        }
        let both = args.questions + args.searched;
        let (mut questions, mut searched, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
        for domain in DOMAINS {
            let draw = |unseen, most| {
                levels::questions(&source, &model.language, domain, unseen, most, args.seed)
            };
            let mut some = draw(false, both)?;
            let others = some.split_off(some.len().min(args.questions));
            let what = format!("{domain}: {} held-out questions are too few", some.len());
            ensure!(!others.is_empty(), Problem::new(what).at(&args.source));
            questions.push(some);
            searched.push(others);
            unseen.push(draw(true, args.questions)?);
        }
        let neutral = neutral::exchanges(&source, &model.language, args.neutral)?;
        let three = "there are three domains";
        Ok(Self {
            model,
            questions: questions.try_into().map_err(|_| anyhow::anyhow!(three))?,
            unseen: unseen.try_into().map_err(|_| anyhow::anyhow!(three))?,
            searched: searched.try_into().map_err(|_| anyhow::anyhow!(three))?,
            neutral,
            facts: facts.try_into().map_err(|_| anyhow::anyhow!(three))?,
        })
    }

    /// From now on the vectors are in play at these strengths.
    ///
    /// # Errors
    /// When the runner refuses them.
    pub fn set(&mut self, strengths: Strengths) -> Result<()> {
        self.model.runner.set_strengths(&strengths.map(|strength| strength as f32))
    }

    /// Scores of some domain's questions for the tables, at the strengths set.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn scores(&mut self, domain: usize) -> Result<Vec<Scores>> {
        levels::scores(self.model.runner.as_mut(), &self.questions[domain])
    }

    /// Scores of each domain's questions for the search.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn searched(&mut self, strengths: Strengths) -> Result<[Vec<Scores>; 3]> {
        self.set(strengths)?;
        let mut all = [const { Vec::new() }; 3];
        for (scores, questions) in all.iter_mut().zip(&self.searched) {
            *scores = levels::scores(self.model.runner.as_mut(), questions)?;
        }
        Ok(all)
    }

    /// Rates of each domain over the questions of the tables.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn rates(&mut self, strengths: Strengths) -> Result<[Rates; 3]> {
        self.set(strengths)?;
        let mut rates = [Rates::default(); 3];
        for (domain, rates) in rates.iter_mut().enumerate() {
            *rates = Rates::of(&self.scores(domain)?, LENGTH);
        }
        Ok(rates)
    }

    /// Perplexity of the everyday exchanges at the strengths set.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn neutral_perplexity(&mut self) -> Result<f64> {
        neutral::perplexity(self.model.runner.as_mut(), &self.neutral)
    }
}

/// How lengths count in the bars; the tables show both.
pub const LENGTH: Length = Length::Whole;

/// One vector at a strength and the others at 0.
pub fn alone(domain: usize, strength: f64) -> Strengths {
    let mut strengths = [0.0; 3];
    strengths[domain] = strength;
    strengths
}
