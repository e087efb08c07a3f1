//! A reward model of its own: a decoder whose head gives one score in place of logits, as Hugging
//! Face `…ForSequenceClassification` folders have it, and those that other trainers leave.

use std::path::Path;

use anyhow::{Result, bail};

use super::checkpoint::{Checkpoint, Format};
use super::decoder::{Decoder, DecoderSpec};
use super::linear::StoredMatrix;
use super::runner::{Runner, StepOutput, Wanted};
use super::{Language, LoadOptions, ModelFacts, Progress, load};
use crate::platform::Problem;

/// What the head is called: by Hugging Face, OpenRLHF, TRL, UltraRM and others.
const HEADS: [&str; 8] = [
    "score.weight",
    "classifier.weight",
    "value_head.weight",
    "reward_head.weight",
    "regression_head.weight",
    "rm_head.weight",
    "v_head.weight",
    "v_head.summary.weight",
];
/// Positions kept room for when nothing is said and the model would take more.
const MOST_TOKENS: usize = 4096;

/// A reward model in memory.
pub struct Scorer {
    pub facts: ModelFacts,
    pub language: Language,
    decoder: Decoder,
    bias: f32,
}

/// The head of a folder that judges texts, with how many scores it gives; `None` for a language
/// model.
fn head(checkpoint: &Checkpoint) -> Option<(&'static str, usize)> {
    let find = |name: &'static str| Some((name, *checkpoint.tensors.get(name)?.shape.first()?));
    HEADS.into_iter().find_map(find)
}

/// True for a folder that holds a reward model rather than a language model.
pub fn is_scorer(checkpoint: &Checkpoint) -> bool {
    let named = checkpoint.config["architectures"][0].as_str().unwrap_or_default();
    checkpoint.format == Format::HuggingFace
        && (named.ends_with("ForSequenceClassification") || head(checkpoint).is_some())
}

impl Scorer {
    /// Loads a reward model.
    ///
    /// # Errors
    /// When the folder holds none, or one that gives several scores; the message names the file.
    pub fn open(path: &Path, options: &LoadOptions, progress: Progress<'_>) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let Some((name, outputs)) = head(&checkpoint) else {
            let heads = HEADS.map(|name| format!("`{name}`")).join(", ");
            bail!(
                Problem::new("this model has no head that gives a score")
                    .at(path)
                    .hint(format!("such a head is called one of {heads}"))
            );
        };
        if outputs != 1 {
            let what = format!("this model's `{name}` gives {outputs} scores, and one is wanted");
            bail!(Problem::new(what).at(path).hint("take a model with one label"));
        }
        let mut spec = DecoderSpec::from_config(&checkpoint.config)?;
        spec.score_head = Some(name.to_owned());
        (spec.tied_head, spec.logit_soft_cap) = (false, None);
        let length = options.context_length.unwrap_or(MOST_TOKENS.min(spec.context_length));
        let options = LoadOptions { context_length: Some(length), ..options.clone() };
        let outlook = load::outlook_of(&checkpoint, spec)?;
        let (decoder, facts, language) = load::decoder(&checkpoint, outlook, &options, progress)?;
        let bias = bias(&checkpoint, name)?;
        Ok(Self { facts, language, decoder, bias })
    }

    /// The decoder: its output's one column of logits is the score, before [`Self::rewards`] adds
    /// the head's bias.
    pub fn runner(&mut self) -> &mut dyn Runner {
        &mut self.decoder
    }

    /// The score of each row of a pass.
    pub fn rewards(&self, output: &StepOutput) -> Vec<f32> {
        output.logits.iter().map(|score| score + self.bias).collect()
    }

    /// The score of a text, read at its last id. What the cache holds of its beginning is used.
    ///
    /// # Errors
    /// When the text is empty or longer than the context.
    pub fn reward(&mut self, ids: &[u32]) -> Result<f32> {
        let kept = super::runner::reuse_prefix(&mut self.decoder, ids)?;
        let output = self.decoder.prefill(&ids[kept..], Wanted::Last)?;
        Ok(output.logits.first().copied().unwrap_or_default() + self.bias)
    }

    /// The scores behind every id of a text.
    ///
    /// # Errors
    /// As for [`Self::reward`].
    pub fn rewards_along(&mut self, ids: &[u32]) -> Result<Vec<f32>> {
        self.decoder.truncate(0)?;
        let output = self.decoder.prefill(ids, Wanted::All)?;
        Ok(self.rewards(&output))
    }
}

/// The head's bias, where it has one.
fn bias(checkpoint: &Checkpoint, head: &str) -> Result<f32> {
    let name = format!("{}bias", head.trim_end_matches("weight"));
    let Some(stored) = checkpoint.tensors.get(&name) else { return Ok(0.0) };
    let bytes = checkpoint.bytes(&name)?;
    let matrix = StoredMatrix { stored: stored.dtype, rows: 1, columns: 1, bytes: &bytes };
    matrix.check()?;
    let mut value = [0.0];
    matrix.widen_rows(0, &mut value)?;
    Ok(value[0])
}
