//! A reward model of its own: every weight of a copy of the base is trained, with a score head in
//! place of its output, and written as a Hugging Face ForSequenceClassification folder. What an
//! inserted stream is compared with.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor, Var};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::arguments::RewardArgs;
use super::learner::Rewarder;
use super::texts::{Lessons, Text};
use super::told::Told;
use super::trainer::{self, Outcome};
use crate::learn::base::export::named;
use crate::learn::base::optimizer::Trained;
use crate::learn::network::{Batch, Network};
use crate::learn::ops::IGNORED;
use crate::learn::preference::base_model;
use crate::learn::random;
use crate::model::checkpoint::{Checkpoint, read_json};
use crate::model::load;
use crate::platform::{Problem, atomic};

/// The head's name in the folder.
const SCORE: &str = "score.weight";

/// A network whose final state is worth a score.
pub struct Judge {
    network: Network,
    /// `[1, hidden]`.
    score: Var,
    texts: Arc<Vec<Text>>,
}

impl Judge {
    /// A copy of a base with a head that has learned nothing, `normal(0, 0.01 / √hidden)` as the
    /// inserted one begins.
    ///
    /// # Errors
    /// When the base is not of a kind the trainer can run.
    pub fn begin(
        checkpoint: &Checkpoint,
        texts: Arc<Vec<Text>>,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let network = base_model::network(checkpoint, device)?;
        let hidden = network.shape.hidden_size;
        let spread = 0.01 / (hidden as f32).sqrt();
        let draw = |at| spread * random::normal(seed, 0x7363_6F72, at);
        let values: Vec<f32> = (0..hidden as u64).map(draw).collect();
        let score = Var::from_tensor(&Tensor::from_vec(values, (1, hidden), device)?)?;
        Ok(Self { network, score, texts })
    }
}

impl Trained for Judge {
    /// The output head of its own, where the base has one, takes no part.
    fn trained(&self) -> Vec<(String, &Var)> {
        let body = self.network.parameters().into_iter().filter(|(name, _)| name != "head");
        body.chain([("score".to_owned(), &self.score)]).collect()
    }
}

impl Rewarder for Judge {
    fn ready(&self, _texts: &[usize]) -> Result<()> {
        Ok(())
    }

    fn rewards(&self, texts: &[usize], reads: &[(usize, usize)]) -> Result<Tensor> {
        let (mut ids, mut starts, mut firsts) = (Vec::new(), Vec::new(), Vec::new());
        for number in texts {
            let text = &self.texts[*number].ids;
            let first = ids.len() as u32;
            firsts.push(first);
            starts.extend(std::iter::repeat_n(first, text.len()));
            ids.extend_from_slice(text);
        }
        let reads: Vec<u32> =
            reads.iter().map(|(text, position)| firsts[*text] + *position as u32).collect();
        let batch = Batch {
            size: 1,
            sequence: ids.len(),
            targets: Arc::new(vec![IGNORED; ids.len()]),
            ids,
            starts: Arc::new(starts),
            strengths: None,
        };
        let reads = Tensor::new(reads, &self.network.device)?;
        let last = self.network.hidden(&batch)?.index_select(&reads, 0)?;
        Ok(last.matmul(&self.score.as_tensor().t()?)?.squeeze(1)?)
    }
}

/// Trains one and writes its folder.
///
/// # Errors
/// As for [`super::run()`].
pub fn run(
    args: &RewardArgs,
    checkpoint: Checkpoint,
    context: usize,
    cancelled: &impl Fn() -> bool,
    tell: &mut impl FnMut(Told<'_>),
) -> Result<Outcome> {
    if args.out.join("config.json").exists() {
        let problem = Problem::new("there is a model in this folder already");
        return Err(problem.at(&args.out).hint("name another folder").into());
    }
    let device = crate::learn::base::device(&args.device)?;
    let language = load::language(&checkpoint)?;
    let mut lessons =
        Lessons::read(args.files(), &language, context, &mut |line| tell(Told::Line(line)))?;
    lessons.keep(args.most, args.most_held_out, args.schedule.seed);
    let texts = Arc::new(lessons.texts.clone());
    let judge = Judge::begin(&checkpoint, texts, args.schedule.seed, &device)?;
    let trained = "every weight and a score".to_owned();
    let recipe = trainer::recipe(args, &checkpoint.fingerprint(), &lessons, trained);
    let dtype = written(&checkpoint);
    let rounded = |judge: &Judge| round(judge, dtype);
    let outcome = trainer::train(args, &judge, &lessons, recipe, rounded, cancelled, tell)?;
    if let Some(scale) = lessons.scale {
        // There is no bias to take up the mean: only the unit is the ratings'.
        judge.score.set(&judge.score.as_tensor().affine(scale.deviation, 0.0)?.detach())?;
    }
    write(&args.out, &judge, &checkpoint, dtype)?;
    trainer::finish(&args.out)?;
    tell(Told::Line(&format!("done: {}", args.out.display())));
    Ok(outcome)
}

/// The type the base is stored in, so that both take as much memory.
fn written(checkpoint: &Checkpoint) -> DType {
    let stored = checkpoint.tensors.values().max_by_key(|tensor| tensor.byte_length);
    match stored.map(|tensor| tensor.dtype.to_string()).as_deref() {
        Some("f16") => DType::F16,
        Some("bf16") => DType::BF16,
        _ => DType::F32,
    }
}

fn round(judge: &Judge, dtype: DType) -> Result<()> {
    if dtype == DType::F32 {
        return Ok(());
    }
    for (_, var) in judge.trained() {
        let rounded = var.as_tensor().detach().to_dtype(dtype)?;
        var.set(&rounded.to_dtype(DType::F32)?)?;
    }
    Ok(())
}

/// Writes the folder; its config comes last, so that a folder with one is whole.
fn write(folder: &Path, judge: &Judge, base: &Checkpoint, dtype: DType) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| Problem::new("cannot make this folder").at(folder))?;
    for name in [
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
        "chat_template.jinja",
    ] {
        let from = base.path.join(name);
        if from.is_file() {
            std::fs::copy(&from, folder.join(name))
                .with_context(|| Problem::new("cannot be copied").at(&from))?;
        }
    }
    let mut tensors = named(&judge.network)?;
    tensors.retain(|(name, _, _)| name != "lm_head.weight");
    let score = judge.score.flatten_all()?.to_vec1::<f32>()?;
    tensors.push((SCORE.to_owned(), vec![1, score.len()], score));
    let stored = match dtype {
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        _ => Dtype::F32,
    };
    let narrow = |values: &[f32]| -> Vec<u8> {
        match stored {
            Dtype::F16 => {
                values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect()
            }
            Dtype::BF16 => {
                values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect()
            }
            _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    };
    let data: Vec<Vec<u8>> = tensors.iter().map(|(_, _, values)| narrow(values)).collect();
    for ((name, _, values), _) in tensors.iter().zip(&data) {
        ensure!(values.iter().all(|value| value.is_finite()), "{name} is no longer finite");
    }
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, dims, _), data)| Ok((name, TensorView::new(stored, dims.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let facts = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let weights = safetensors::serialize(views, Some(facts))?;
    atomic::write(&folder.join("model.safetensors"), &weights)?;
    let path = base.path.join("config.json");
    let mut config: Value = read_json(&path)?.context("the base's config.json went away")?;
    let named = config["architectures"][0].as_str().unwrap_or("LlamaForCausalLM");
    let family = named.split("For").next().unwrap_or("Llama");
    config["architectures"] = json!([format!("{family}ForSequenceClassification")]);
    config["num_labels"] = json!(1);
    config["id2label"] = json!({ "0": "LABEL_0" });
    config["label2id"] = json!({ "LABEL_0": 0 });
    if config["pad_token_id"].is_null() {
        let end = base.end_of_text_ids.first().copied().unwrap_or_default();
        config["pad_token_id"] = json!(end);
    }
    let text = serde_json::to_string_pretty(&config)? + "\n";
    atomic::write(&folder.join("config.json"), text.as_bytes())?;
    Ok(())
}
