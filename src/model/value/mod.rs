//! The head of a prefix scorer (FUDGE form): a linear map from the final hidden state to the value
//! of the text so far (IVG, arXiv 2409.17819, spec section 4.1).

mod file;

use std::path::Path;

use anyhow::{Result, ensure};

use super::checkpoint::Checkpoint;
use super::vector::values::widen;
use crate::platform::Problem;

pub use file::{HeadFacts, is_head, write};

/// The tensor that makes a checkpoint a prefix scorer.
pub const SCORE_HEAD: &str = "score_head.weight";

/// What of the states of a text a head reads.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The state of the last token: what the published prefix scorers read, whose trunks were trained
    /// for it.
    #[default]
    Last,
    /// The mean of the states of the reply so far: a trunk as it is says in its last state what comes
    /// next, and in all of them together what has been said.
    Mean,
}

/// A linear head on the final hidden state.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueHead {
    /// `[outputs, width]`, f32.
    weight: Vec<f32>,
    width: usize,
    /// Added to every output; it tells no candidates apart, but makes values rewards.
    bias: f32,
    pooling: Pooling,
    /// The model it reads, where it is a file of its own.
    trunk: Option<HeadFacts>,
}

impl ValueHead {
    /// One output per token: output v after a prefix is the value of the prefix followed by v.
    ///
    /// # Errors
    /// When the weight is not `[vocabulary, width]`.
    pub fn vocabulary(weight: Vec<f32>, width: usize) -> Result<Self> {
        ensure!(width > 0 && !weight.is_empty() && weight.len().is_multiple_of(width), "no head");
        Ok(Self { weight, width, bias: 0.0, pooling: Pooling::Last, trunk: None })
    }

    /// A single output: the value of the prefix whose last token the state is of.
    pub fn scalar(weight: Vec<f32>) -> Self {
        Self::scalar_with_bias(weight, 0.0)
    }

    /// The same, and what is added to it.
    pub fn scalar_with_bias(weight: Vec<f32>, bias: f32) -> Self {
        Self { width: weight.len(), weight, bias, pooling: Pooling::Last, trunk: None }
    }

    /// The same head over other states of the text.
    #[must_use]
    pub fn with_pooling(self, pooling: Pooling) -> Self {
        Self { pooling, ..self }
    }

    /// Which states of the text it reads.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// The model it was made for, where it is a file of its own; else that is the checkpoint it is
    /// part of.
    pub fn trunk(&self) -> Option<&HeadFacts> {
        self.trunk.as_ref()
    }

    /// Columns of the hidden state it reads.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows: 1, or the vocabulary's size.
    pub fn outputs(&self) -> usize {
        self.weight.len() / self.width
    }

    /// Whether a prefix's value is read at its last token rather than one before it.
    pub fn is_scalar(&self) -> bool {
        self.outputs() == 1
    }

    /// One output for a hidden state of `width` numbers; NaN for an output there is not.
    pub fn output(&self, hidden: &[f32], output: usize) -> f32 {
        let row = self.weight.get(output * self.width..(output + 1) * self.width);
        row.map_or(f32::NAN, |row| dot(row, hidden) + self.bias)
    }

    /// All outputs for a hidden state.
    pub fn outputs_for<'a>(&'a self, hidden: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        self.weight.chunks_exact(self.width).map(|row| dot(row, hidden) + self.bias)
    }
}

/// Summed in a fixed order, f64, and rounded once.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}

/// Reads the head of a prefix scorer: a file `learn value` wrote, or a checkpoint that holds
/// `score_head.weight`, `[vocabulary, hidden]` or `[1, hidden]`.
///
/// # Errors
/// When there is none, or its shape is not that of the model.
pub fn open(path: &Path) -> Result<ValueHead> {
    if let Some(head) = file::read(path)? {
        return Ok(head);
    }
    let checkpoint = Checkpoint::open(path)?;
    let Some(tensor) = checkpoint.tensors.get(SCORE_HEAD) else {
        let what = format!("this model holds no {SCORE_HEAD}, so it is no prefix scorer");
        let hint = "make one with `tiller learn value`, or choose another scorer";
        return Err(Problem::new(what).at(path).hint(hint).into());
    };
    let hidden = checkpoint.config["hidden_size"].as_u64().or(checkpoint.config["n_embd"].as_u64());
    let (shape, wanted) = (tensor.shape.clone(), hidden.unwrap_or(0));
    let [outputs, width] = shape[..] else {
        return Err(wrong_shape(path, &shape, wanted));
    };
    let vocabulary = checkpoint.config["vocab_size"].as_u64().unwrap_or(0);
    if width as u64 != wanted || width == 0 || outputs != 1 && outputs as u64 != vocabulary {
        return Err(wrong_shape(path, &shape, wanted));
    }
    let weight = widen(tensor.dtype, &checkpoint.bytes(SCORE_HEAD)?)?;
    if let Some(wrong) = weight.iter().find(|value| !value.is_finite()) {
        let what = format!("{SCORE_HEAD} holds {wrong}");
        return Err(Problem::new(what).at(path).hint("train the scorer again").into());
    }
    Ok(ValueHead { weight, width, bias: 0.0, pooling: Pooling::Last, trunk: None })
}

fn wrong_shape(path: &Path, shape: &[usize], hidden: u64) -> anyhow::Error {
    let what = format!(
        "{SCORE_HEAD} has the shape {shape:?}, and [1, {hidden}] or [vocabulary, {hidden}] is read"
    );
    Problem::new(what).at(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_gives_one_output_or_all() {
        let head = ValueHead::vocabulary(vec![1.0, 2.0, 0.5, -1.0, 0.0, 3.0], 2).unwrap();
        assert_eq!((head.outputs(), head.width(), head.is_scalar()), (3, 2, false));
        let all: Vec<f32> = head.outputs_for(&[2.0, 1.0]).collect();
        assert_eq!(all, [4.0, 0.0, 3.0]);
        assert_eq!(head.output(&[2.0, 1.0], 2), 3.0);
        assert!(head.output(&[2.0, 1.0], 3).is_nan());
        assert!(ValueHead::vocabulary(vec![1.0; 3], 2).is_err());
        assert_eq!(ValueHead::scalar(vec![1.0, -1.0]).output(&[3.0, 1.0], 0), 2.0);
    }

    #[test]
    fn a_model_without_a_head_is_refused_by_name() {
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter");
        let error = open(&starter).unwrap_err().to_string();
        assert!(error.contains(SCORE_HEAD) && error.contains("learn value"), "{error}");
    }
}
