//! Whether two checkpoints are one architecture, and which tensor of one is which of the other.

use anyhow::Result;
use serde_json::Value;

use crate::model::checkpoint::{Checkpoint, StoredType, read_json};
use crate::model::decoder::{DecoderSpec, is_known_surplus};
use crate::model::vector::fit::bare;
use crate::platform::Problem;

/// The tensors to subtract: the base's name and the aligned model's.
#[derive(Debug)]
pub struct Pairs {
    pub names: Vec<(String, String)>,
    pub unmatched: Vec<String>,
}

/// Pairs the tensors of two checkpoints.
///
/// # Errors
/// When they are not the same model but for their weights.
pub fn pairs(base: &Checkpoint, aligned: &Checkpoint) -> Result<Pairs> {
    let refuse = |what: String| Problem::new(what).at(&aligned.path);
    let hint = "give two checkpoints of one model";
    let spec = same_architecture(base, aligned)?;
    for checkpoint in [base, aligned] {
        let quantized =
            |dtype: StoredType| matches!(dtype, StoredType::Quantized(_)).then_some(dtype);
        let found = checkpoint
            .tensors
            .iter()
            .find_map(|(name, tensor)| Some((name, quantized(tensor.dtype)?)));
        if let Some((name, dtype)) = found {
            let what =
                format!("tensor `{name}` is quantised ({dtype}), which cannot be subtracted");
            let hint = "give the original weights; the vector works beside quantised ones, too";
            return Err(Problem::new(what).at(&checkpoint.path).hint(hint).into());
        }
    }
    let wanted = |name: &&String| !is_known_surplus(&spec, name);
    let mut names = Vec::new();
    let mut unmatched = Vec::new();
    let (mut of_base, mut of_aligned) = (0, 0);
    for name in base.tensors.keys().filter(wanted) {
        of_base += 1;
        let other = partner(aligned, name);
        let Some(tensor) = aligned.tensors.get(other) else {
            unmatched.push(name.clone());
            continue;
        };
        let (one, two) = (&base.tensors[name].shape, &tensor.shape);
        if one != two {
            let resized = one.len() == 2
                && one.get(1) == two.get(1)
                && ["embed_tokens.weight", "wte.weight", "lm_head.weight"].contains(&bare(name));
            let what = format!("tensor `{name}` is {one:?} in the base and {two:?} here");
            let problem = if resized {
                refuse(format!("{what}: the vocabulary was resized")).hint(
                    "new words cannot be added by a slider; align the model without new tokens",
                )
            } else {
                refuse(what).hint(hint)
            };
            return Err(problem.into());
        }
        names.push((name.clone(), other.to_owned()));
    }
    for name in aligned.tensors.keys().filter(wanted) {
        of_aligned += 1;
        if !base.tensors.contains_key(partner(base, name)) {
            unmatched.push(name.clone());
        }
    }
    if unmatched.len() * 100 > of_base.max(of_aligned) {
        let what = format!(
            "{} of {} tensors have no partner in the other model, `{}` for one",
            unmatched.len(),
            of_base.max(of_aligned),
            unmatched[0]
        );
        return Err(refuse(what).hint(hint).into());
    }
    Ok(Pairs { names, unmatched })
}

/// The name that another checkpoint gives to a parameter; the same name when it has no such.
pub fn partner<'a>(other: &'a Checkpoint, name: &'a str) -> &'a str {
    if other.tensors.contains_key(name) {
        return name;
    }
    let found = other.tensors.keys().find(|candidate| bare(candidate) == bare(name));
    found.map_or(name, String::as_str)
}

fn same_architecture(base: &Checkpoint, aligned: &Checkpoint) -> Result<DecoderSpec> {
    let refuse = |what: String| {
        anyhow::Error::from(
            Problem::new(what).at(&aligned.path).hint("give two checkpoints of one model"),
        )
    };
    let one = DecoderSpec::from_config(&base.config)?;
    let two = DecoderSpec::from_config(&aligned.config)?;
    if one.vocab_size != two.vocab_size {
        let sizes = format!("{} words, the base has {}", two.vocab_size, one.vocab_size);
        return Err(refuse(format!("the vocabulary was resized: {sizes}")));
    }
    // A fine-tune may raise or lower the context without being another model.
    let two = DecoderSpec { context_length: one.context_length, ..two };
    if one != two {
        let (a, b) = (format!("{one:?}"), format!("{two:?}"));
        let differing = a.split(", ").zip(b.split(", ")).find(|(a, b)| a != b);
        let (a, b) = differing.unwrap_or(("", ""));
        return Err(refuse(format!("the configs differ: `{b}`, the base has `{a}`")));
    }
    let vocabulary = |checkpoint: &Checkpoint| -> Result<Value> {
        let path = checkpoint.path.join("tokenizer.json");
        let tokenizer: Option<Value> = read_json(&path)?;
        Ok(tokenizer.map_or(Value::Null, |mut tokenizer| tokenizer["model"]["vocab"].take()))
    };
    let folders = base.path.is_dir() && aligned.path.is_dir();
    if folders && !same_words(&vocabulary(base)?, &vocabulary(aligned)?) {
        return Err(refuse("its tokenizer has another vocabulary than the base's".into()));
    }
    Ok(one)
}

/// A missing tokenizer says nothing.
fn same_words(one: &Value, two: &Value) -> bool {
    one.is_null() || two.is_null() || one == two
}
