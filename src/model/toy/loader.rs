//! Finds a toy, and what belongs to it, at any path; the path's name says what is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::language::{ToyVocabulary, toy_language};
use super::runner::{HIDDEN_SIZE, ToyOptions, ToyRunner, mix, salt_of};
use crate::model::reward::{self, Adapter};
use crate::model::value::ValueHead;
use crate::model::vector::{Part, Vector};
use crate::model::{
    FoundModel, LoadOptions, Loader, Model, ModelFacts, Progress, Runner, SkippedModel, Vocabulary,
};
use crate::platform::{Cancelled, Problem};

/// Loads a toy from any path; one whose name holds `broken` is refused, one that holds `folding` is
/// said to have no place for a system prompt. Any path is a vector, too; one that holds `stranger`
/// was made with another base, one that holds `misfit` cannot be attached. Any path is a reward
/// adapter, too; one that holds `hollow` gives rewards that are no numbers, one that holds `loose`
/// has no unit of strength, one that holds `speaking` is said to have heads over the vocabulary. A
/// model whose name holds `guide` leans to words of its own, and any path is a prefix scorer, too.
/// The gate is passed once for each of ten progress steps when it is a `slow` path.
#[derive(Debug, Clone, Default)]
pub struct ToyLoader {
    pub options: ToyOptions,
}

impl Loader for ToyLoader {
    fn load(&self, path: &Path, options: &LoadOptions, progress: Progress<'_>) -> Result<Model> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let mut facts = self.inspect(path)?;
        for step in 0..=10 {
            if let (true, Some(gate)) = (name.contains("slow"), &self.options.gate) {
                gate.recv().ok();
            }
            if !progress(step * 1000, 10_000) {
                return Err(Cancelled.into());
            }
        }
        let mut toy = self.options.clone();
        toy.context_length = options.context_length.unwrap_or(toy.context_length);
        let mut runner = ToyRunner::new(toy);
        if name.contains("guide") {
            runner = runner.leaning(&name);
        }
        facts.cache_length = runner.context_length();
        Ok(Model { facts, runner: Box::new(runner), language: Arc::new(toy_language()) })
    }

    fn inspect(&self, path: &Path) -> Result<ModelFacts> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if name.contains("broken") {
            return Err(Problem::new("this toy is broken").at(path).hint("take another").into());
        }
        let context_length = match self.options.context_length {
            0 => 2048,
            length => length,
        };
        Ok(ModelFacts {
            path: path.to_path_buf(),
            fingerprint: format!("toy:{name}"),
            template_fingerprint: "toy".into(),
            template_source: "built in".into(),
            system_folded: name.contains("folding"),
            name,
            family: "toy".into(),
            parameters: 10_000,
            vocab_size: ToyVocabulary.size(),
            hidden_size: HIDDEN_SIZE,
            layer_count: 1,
            context_length,
            cache_length: context_length,
            weight_bytes: 10_000,
            cache_bytes: 0,
            stored_as: "nothing".into(),
            held_as: "f32".into(),
            device: "CPU".into(),
            vectors: crate::model::beside::vectors(path),
            rewards: crate::model::beside::rewards(path),
            guides: crate::model::beside::guides(path),
            scorers: crate::model::beside::scorers(path),
            ..ModelFacts::default()
        })
    }

    fn scan(&self, folders: &[PathBuf]) -> (Vec<FoundModel>, Vec<SkippedModel>) {
        let found = FoundModel {
            path: "toy".into(),
            name: "toy".into(),
            store: "bundled".into(),
            bytes: 10_000,
        };
        let skipped = folders
            .iter()
            .map(|path| SkippedModel { path: path.clone(), reason: "not a toy".into() })
            .collect();
        (vec![found], skipped)
    }

    fn open_value_head(&self, path: &Path) -> Result<ValueHead> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if name.contains("headless") {
            return Err(Problem::new("this toy has no score head").at(path).into());
        }
        let salt = salt_of(&name);
        let not_a_number = name.contains("nan");
        let weight = (0..ToyVocabulary.size() * HIDDEN_SIZE).map(|at| match at % 3 {
            0 if not_a_number => f32::NAN,
            _ => (mix(salt ^ at as u64) >> 40) as f32 / (1_u64 << 24) as f32 - 0.5,
        });
        ValueHead::vocabulary(weight.collect(), HIDDEN_SIZE)
    }

    fn open_vector(&self, path: &Path, model: &ModelFacts, any_base: bool) -> Result<Vector> {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if name.contains("broken") {
            return Err(Problem::new("this toy vector is broken").at(path).into());
        }
        if name.contains("stranger") && !any_base {
            return Err(Problem::new("this vector was made with another model").at(path).into());
        }
        let values = name.bytes().map(f32::from).collect::<Vec<_>>();
        let part = Part::Full { shape: vec![values.len()], values };
        let base = if name.contains("stranger") { "another" } else { &model.fingerprint };
        Ok(Vector {
            name,
            base_fingerprint: Some(base.to_owned()),
            base_name: "toy".into(),
            parts: [("toy.weight".to_owned(), part)].into(),
        })
    }

    fn open_reward(&self, path: &Path, model: &ModelFacts) -> Result<Adapter> {
        let facts = self.inspect_reward(path, Some(model))?.facts;
        Ok(Adapter { facts, ..Adapter::default() })
    }

    fn inspect_reward(&self, path: &Path, model: Option<&ModelFacts>) -> Result<reward::About> {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if name.contains("broken") {
            return Err(Problem::new("this is no reward adapter").at(path).into());
        }
        let (base, base_name) = match model {
            Some(model) if !name.contains("stranger") => (&*model.fingerprint, &*model.name),
            _ => ("another", "another"),
        };
        let deviation = reward::Deviation { value: 0.25, candidates: 10, prefixes: 1 };
        let facts = reward::Facts {
            deviation: (!name.contains("loose")).then_some(deviation),
            base: reward::Base {
                fingerprint: base.into(),
                name: base_name.into(),
                template_fingerprint: "toy".into(),
                ..reward::Base::default()
            },
            name,
            ..reward::Facts::default()
        };
        match model.map(|model| facts.check_model(model)) {
            Some(Err(problem)) => Err(problem.at(path).into()),
            _ => {
                let experts = facts.name.contains("speaking");
                let heads = reward::Heads {
                    experts,
                    drafts: 2 * usize::from(experts),
                    ..reward::Heads::default()
                };
                Ok(reward::About { facts, heads, bytes: 1_000_000 })
            }
        }
    }
}
