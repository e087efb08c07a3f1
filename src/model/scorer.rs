//! A reward model of its own: a decoder whose head gives one score in place of logits, as Hugging
//! Face `…ForSequenceClassification` folders have it, and those that other trainers leave.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::checkpoint::{Checkpoint, Format};
use super::decoder::{Decoder, DecoderSpec};
use super::linear::StoredMatrix;
use super::runner::{Runner, StepOutput, Wanted};
use super::{Language, LoadOptions, Model, ModelFacts, Progress, load};
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

    /// As a model whose one logit, with the bias added, is the score.
    pub fn into_model(self) -> (Model, f32) {
        let Self { facts, language, decoder, bias } = self;
        (Model { facts, runner: Box::new(decoder), language: Arc::new(language) }, bias)
    }

    /// The decoder: its output's one column of logits is the score, before [`Self::rewards`] adds
    /// the head's bias.
    pub fn runner(&mut self) -> &mut dyn Runner {
        &mut self.decoder
    }

    /// Most positions its cache may hold.
    pub fn context_length(&self) -> usize {
        self.decoder.context_length()
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

#[cfg(test)]
pub(in crate::model) mod tests {
    use std::collections::HashMap;

    use candle_core::Device;
    use safetensors::SafeTensors;
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;
    use crate::model::weights::WeightForm;

    fn root() -> std::path::PathBuf {
        env!("CARGO_MANIFEST_DIR").into()
    }

    /// A golden family's checkpoint with a head beside it, in a folder of its own.
    pub(in crate::model) fn judge(
        family: &str,
        head: &str,
        outputs: usize,
        bias: bool,
    ) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let from = root().join("tests/golden/families").join(family);
        for (from, name) in [
            (&from, "config.json"),
            (&root().join("models/starter"), "tokenizer.json"),
            (&root().join("models/starter"), "tokenizer_config.json"),
        ] {
            std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
        }
        let bytes = std::fs::read(from.join("model.safetensors")).unwrap();
        let stored = SafeTensors::deserialize(&bytes).unwrap();
        let hidden = Checkpoint::open(&from).unwrap().config["hidden_size"].as_u64();
        let hidden = hidden.map_or(32, |hidden| hidden as usize);
        let weight: Vec<u8> =
            weights(outputs * hidden).iter().flat_map(|w| w.to_le_bytes()).collect();
        let value = 0.25_f32.to_le_bytes();
        let mut tensors: HashMap<String, TensorView<'_>> = HashMap::new();
        for (name, view) in stored.tensors() {
            tensors.insert(name, view);
        }
        let view = TensorView::new(Dtype::F32, vec![outputs, hidden], &weight).unwrap();
        tensors.insert(format!("{head}.weight"), view);
        if bias {
            let view = TensorView::new(Dtype::F32, vec![1], &value).unwrap();
            tensors.insert(format!("{head}.bias"), view);
        }
        let bytes = safetensors::serialize(tensors, None).unwrap();
        std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        folder
    }

    fn weights(count: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7 + 3) % 11) as f32 / 11.0 - 0.4).collect()
    }

    fn open(folder: &Path) -> Result<Scorer> {
        let options =
            LoadOptions { device: "cpu".into(), weights: "f32".into(), context_length: Some(32) };
        Scorer::open(folder, &options, &mut |_, _| true)
    }

    #[test]
    fn the_score_is_the_head_times_the_last_state_whatever_the_head_is_called() {
        let ids: Vec<u32> = (0..12).map(|at| (5 * at + 2) % 40).collect();
        for (family, head, bias) in [
            ("llama", "score", false),
            ("qwen2", "value_head", false),
            ("gemma2", "score", false),
            ("qwen3", "v_head.summary", true),
        ] {
            let folder = judge(family, head, 1, bias);
            let mut scorer = open(folder.path()).unwrap();
            let checkpoint =
                Checkpoint::open(&root().join("tests/golden/families").join(family)).unwrap();
            let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
            let (form, cpu) = (WeightForm::F32, Device::Cpu);
            let mut plain =
                Decoder::load(&checkpoint, spec, &cpu, form, 32, &mut |_, _| true).unwrap();
            let hidden = plain.prefill(&ids, Wanted::Last).unwrap().hidden;
            let dot: f32 = hidden.iter().zip(weights(hidden.len())).map(|(h, w)| h * w).sum();
            let wanted = dot + if bias { 0.25 } else { 0.0 };
            let got = scorer.reward(&ids).unwrap();
            assert!(
                (got - wanted).abs() < 1e-4 * wanted.abs().max(1.0),
                "{family}: {got} {wanted}"
            );
            // Read further along, over what the cache holds.
            let longer: Vec<u32> = ids.iter().copied().chain([7]).collect();
            let further = scorer.reward(&longer).unwrap();
            let along = scorer.rewards_along(&longer).unwrap();
            assert!((further - along[12]).abs() < 1e-4 && (got - along[11]).abs() < 1e-4);
        }
    }

    #[test]
    fn several_scores_are_refused_with_their_number() {
        let folder = judge("llama", "score", 3, false);
        let error = open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("`score.weight` gives 3 scores"), "{error}");
    }
}
