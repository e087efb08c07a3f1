//! What a decoder is made of, as plain data: one description that every family is read into.
//!
//! Nothing below this file asks which family a checkpoint belongs to; it asks whether there is a
//! query norm, a window, a soft cap. A new family is a new reader in `families.rs`.

use anyhow::Result;

use super::rope::RopeSpec;
use super::{families, limits};

/// The families the decoder can be described for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Phi3,
    Gemma2,
    Gemma3,
    Gpt2,
}

impl Family {
    /// Every family, in the order they are listed to a person.
    pub const ALL: [Family; 8] = [
        Family::Llama,
        Family::Mistral,
        Family::Qwen2,
        Family::Qwen3,
        Family::Phi3,
        Family::Gemma2,
        Family::Gemma3,
        Family::Gpt2,
    ];

    /// The `model_type` of its Hugging Face config.
    pub fn name(self) -> &'static str {
        match self {
            Family::Llama => "llama",
            Family::Mistral => "mistral",
            Family::Qwen2 => "qwen2",
            Family::Qwen3 => "qwen3",
            Family::Phi3 => "phi3",
            Family::Gemma2 => "gemma2",
            Family::Gemma3 => "gemma3_text",
            Family::Gpt2 => "gpt2",
        }
    }
}

/// How activations are normalised, at every norm of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormSpec {
    pub kind: NormKind,
    /// Added to the mean square (or variance) under the root.
    pub epsilon: f32,
}

/// The kinds of norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// `x / rms(x) · w`.
    RootMeanSquare,
    /// `x / rms(x) · (1 + w)`, the product in f32: Gemma stores its norm weights around zero.
    RootMeanSquarePlusOne,
    /// Mean removed, with weight and bias (GPT-2).
    Layer,
}

/// How a token knows where it stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Positions {
    /// Rotated queries and keys; a layer names one of these by index.
    Rotary(Vec<RopeSpec>),
    /// A learned row per position, added to the embedding.
    Learned,
}

/// The nonlinearity of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Silu,
    /// The tanh approximation (`gelu_pytorch_tanh`, `gelu_new`).
    GeluTanh,
    /// Through the error function.
    Gelu,
    Relu,
}

/// The feed-forward half of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlpSpec {
    /// `down(act(gate(x)) · up(x))` when true, `down(act(up(x)))` otherwise.
    pub gated: bool,
    pub activation: Activation,
    pub intermediate_size: usize,
    pub bias: bool,
}

/// What may differ from layer to layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerSpec {
    /// Keys a query sees, itself included; `None` sees all of them.
    pub window: Option<usize>,
    /// Which of the rotary embeddings it uses.
    pub rope: usize,
    /// Queries times keys are multiplied by this.
    pub attention_scale: f32,
}

/// How a checkpoint spells and lays out its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `model.layers.0.self_attn.q_proj.weight`.
    Llama,
    /// `transformer.h.0.attn.c_attn.weight`.
    Gpt2,
}

/// A decoder as data.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderSpec {
    pub family: Family,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub head_count: usize,
    /// Heads of keys and values; each serves `head_count / kv_head_count` query heads.
    pub kv_head_count: usize,
    pub head_size: usize,
    /// Positions the model was made for.
    pub context_length: usize,
    pub norm: NormSpec,
    pub positions: Positions,
    pub layers: Vec<LayerSpec>,
    pub mlp: MlpSpec,
    /// Biases on the query, key and value projections.
    pub query_key_value_bias: bool,
    /// A bias on the projection behind the attention.
    pub output_bias: bool,
    /// Queries and keys are normalised per head before they are rotated.
    pub query_key_norm: bool,
    /// Attention and MLP outputs are normalised before they join the residual stream.
    pub post_norms: bool,
    /// One tensor holds the query, key and value projections, one below the other.
    pub fused_query_key_value: bool,
    /// One tensor holds the gate and up projections, one below the other.
    pub fused_gate_up: bool,
    pub naming: Naming,
    /// The head multiplies with the embedding matrix.
    pub tied_head: bool,
    /// The tensor that gives one score in place of logits, of a model that judges texts.
    pub score_head: Option<String>,
    /// `cap · tanh(score / cap)` on attention scores.
    pub attention_soft_cap: Option<f32>,
    /// `cap · tanh(logit / cap)` on logits.
    pub logit_soft_cap: Option<f32>,
    /// Embeddings are multiplied by this, rounded to the type the embeddings are stored in.
    pub embedding_scale: Option<f32>,
}

impl DecoderSpec {
    /// Reads a Hugging Face config, old or new (`rope_scaling` or `rope_parameters`), flat or
    /// nested under `text_config`.
    ///
    /// Errors name the field that is missing or absurd, and an unknown family with the known ones.
    pub fn from_config(config: &serde_json::Value) -> Result<DecoderSpec> {
        let spec = families::read(config)?;
        limits::check(&spec)?;
        Ok(spec)
    }

    /// How many query heads share one key and value head.
    pub fn group_size(&self) -> usize {
        self.head_count / self.kv_head_count
    }

    /// Columns of all query heads together.
    pub fn query_width(&self) -> usize {
        self.head_count * self.head_size
    }

    /// Columns of all key (or value) heads together.
    pub fn key_width(&self) -> usize {
        self.kv_head_count * self.head_size
    }

    /// Family parameters worth showing, name and value.
    pub fn details(&self) -> Vec<(String, String)> {
        let mut rows = vec![
            ("Layers".to_owned(), self.layers.len().to_string()),
            ("Hidden size".to_owned(), self.hidden_size.to_string()),
            ("Heads".to_owned(), format!("{} ({} key/value)", self.head_count, self.kv_head_count)),
            ("Head size".to_owned(), self.head_size.to_string()),
            ("MLP size".to_owned(), self.mlp.intermediate_size.to_string()),
            ("Vocabulary".to_owned(), self.vocab_size.to_string()),
            ("Context".to_owned(), self.context_length.to_string()),
        ];
        match &self.positions {
            Positions::Learned => rows.push(("Positions".to_owned(), "learned".to_owned())),
            Positions::Rotary(ropes) => {
                let said: Vec<String> = ropes.iter().map(RopeSpec::phrase).collect();
                rows.push(("Positions".to_owned(), said.join("; ")));
            }
        }
        let windowed: Vec<usize> = self.layers.iter().filter_map(|layer| layer.window).collect();
        if let Some(window) = windowed.first() {
            let text = format!("{window} on {} of {} layers", windowed.len(), self.layers.len());
            rows.push(("Sliding window".to_owned(), text));
        }
        if self.tied_head {
            rows.push(("Head".to_owned(), "tied to the embeddings".to_owned()));
        }
        rows
    }
}
