//! Which tensors a decoder is made of: their names in the checkpoint and the shapes they must have.
//!
//! The list is made from the spec alone and checked against the checkpoint's headers before
//! anything is read, so a missing tensor or a lying config costs nothing.

use anyhow::Result;

use super::spec::{DecoderSpec, Naming, NormKind};

/// The names of one layer's tensors, without `.weight` and `.bias`.
#[derive(Debug, Clone)]
pub(super) struct LayerNames {
    pub(super) attention_norm: String,
    /// One name (fused) or three (query, key, value).
    pub(super) query_key_value: Vec<String>,
    pub(super) query_norm: String,
    pub(super) key_norm: String,
    pub(super) output: String,
    pub(super) attention_post_norm: String,
    pub(super) mlp_norm: String,
    /// One name (fused, or not gated) or two (gate, up).
    pub(super) gate_up: Vec<String>,
    pub(super) down: String,
    pub(super) mlp_post_norm: String,
}

/// The names of all tensors of a checkpoint.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
    pub(super) embedding: String,
    /// Only learned positions have one.
    pub(super) positions: String,
    pub(super) final_norm: String,
    pub(super) head: String,
}

/// One tensor the spec asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// `[out, in]` for a weight.
    pub(super) shape: Vec<usize>,
}

impl Names {
    /// Finds under which prefix a checkpoint keeps its decoder; `holds` tells whether a tensor is
    /// there. Multimodal checkpoints nest it, bare ones have no prefix at all.
    pub(super) fn find(spec: &DecoderSpec, holds: impl Fn(&str) -> bool) -> Names {
        let (prefixes, embedding): (&[(&str, &str)], &str) = match spec.naming {
            Naming::Llama => (
                &[
                    ("model.", "lm_head"),
                    ("model.language_model.", "lm_head"),
                    ("language_model.model.", "language_model.lm_head"),
                    ("", "lm_head"),
                ],
                "embed_tokens.weight",
            ),
            Naming::Gpt2 => (&[("transformer.", "lm_head"), ("", "lm_head")], "wte.weight"),
        };
        let (prefix, head) = prefixes
            .iter()
            .find(|(prefix, _)| holds(&format!("{prefix}{embedding}")))
            .unwrap_or(&prefixes[0]);
        let final_norm = match spec.naming {
            Naming::Llama => "norm",
            Naming::Gpt2 => "ln_f",
        };
        Names {
            prefix: (*prefix).to_owned(),
            embedding: format!("{prefix}{embedding}"),
            positions: format!("{prefix}wpe.weight"),
            final_norm: format!("{prefix}{final_norm}"),
            head: spec.score_head.clone().unwrap_or_else(|| format!("{head}.weight")),
        }
    }

    /// What a name is without the prefix that one or another kind of checkpoint puts in front of
    /// its decoder, so that a vector fits whichever it is applied to.
    pub(super) fn bare(name: &str) -> &str {
        [
            "model.language_model.",
            "language_model.model.",
            "language_model.",
            "model.",
            "transformer.",
        ]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
    }

    /// The names of one layer.
    pub(super) fn layer(&self, spec: &DecoderSpec, index: usize) -> LayerNames {
        let prefix = &self.prefix;
        match spec.naming {
            Naming::Llama => {
                let of = |name: &str| format!("{prefix}layers.{index}.{name}");
                let mlp_norm = if spec.post_norms {
                    "pre_feedforward_layernorm"
                } else {
                    "post_attention_layernorm"
                };
                LayerNames {
                    attention_norm: of("input_layernorm"),
                    query_key_value: if spec.fused_query_key_value {
                        vec![of("self_attn.qkv_proj")]
                    } else {
                        ["q", "k", "v"].map(|kind| of(&format!("self_attn.{kind}_proj"))).to_vec()
                    },
                    query_norm: of("self_attn.q_norm"),
                    key_norm: of("self_attn.k_norm"),
                    output: of("self_attn.o_proj"),
                    attention_post_norm: of("post_attention_layernorm"),
                    mlp_norm: of(mlp_norm),
                    gate_up: if spec.fused_gate_up {
                        vec![of("mlp.gate_up_proj")]
                    } else if spec.mlp.gated {
                        vec![of("mlp.gate_proj"), of("mlp.up_proj")]
                    } else {
                        vec![of("mlp.up_proj")]
                    },
                    down: of("mlp.down_proj"),
                    mlp_post_norm: of("post_feedforward_layernorm"),
                }
            }
            Naming::Gpt2 => {
                let of = |name: &str| format!("{prefix}h.{index}.{name}");
                LayerNames {
                    attention_norm: of("ln_1"),
                    query_key_value: vec![of("attn.c_attn")],
                    query_norm: String::new(),
                    key_norm: String::new(),
                    output: of("attn.c_proj"),
                    attention_post_norm: String::new(),
                    mlp_norm: of("ln_2"),
                    gate_up: vec![of("mlp.c_fc")],
                    down: of("mlp.c_proj"),
                    mlp_post_norm: String::new(),
                }
            }
        }
    }

    /// Calls `each` for every tensor the spec asks for; the first error ends it.
    ///
    /// A visitor rather than a list: a config that claims a thousand layers is refused at the
    /// first missing tensor.
    pub(super) fn visit(
        &self,
        spec: &DecoderSpec,
        mut each: impl FnMut(Wanted) -> Result<()>,
    ) -> Result<()> {
        let hidden = spec.hidden_size;
        each(Wanted { name: self.embedding.clone(), shape: vec![spec.vocab_size, hidden] })?;
        if spec.positions == super::spec::Positions::Learned {
            let shape = vec![spec.context_length, hidden];
            each(Wanted { name: self.positions.clone(), shape })?;
        }
        for index in 0..spec.layers.len() {
            self.visit_layer(spec, index, &mut each)?;
        }
        visit_norm(spec, &self.final_norm, hidden, &mut each)?;
        if !spec.tied_head {
            let outputs = if spec.score_head.is_some() { 1 } else { spec.vocab_size };
            each(Wanted { name: self.head.clone(), shape: vec![outputs, hidden] })?;
        }
        Ok(())
    }

    fn visit_layer(
        &self,
        spec: &DecoderSpec,
        index: usize,
        each: &mut impl FnMut(Wanted) -> Result<()>,
    ) -> Result<()> {
        let names = self.layer(spec, index);
        let (hidden, query, key) = (spec.hidden_size, spec.query_width(), spec.key_width());
        let mut linear = |name: &str, outputs: usize, inputs: usize, bias: bool| -> Result<()> {
            let shape = vec![outputs, inputs];
            each(Wanted { name: format!("{name}.weight"), shape })?;
            if bias {
                each(Wanted { name: format!("{name}.bias"), shape: vec![outputs] })?;
            }
            Ok(())
        };
        let widths =
            if spec.fused_query_key_value { vec![query + 2 * key] } else { vec![query, key, key] };
        for (name, width) in names.query_key_value.iter().zip(widths) {
            linear(name, width, hidden, spec.query_key_value_bias)?;
        }
        linear(&names.output, hidden, query, spec.output_bias)?;
        let inner = spec.mlp.intermediate_size;
        let width = if spec.fused_gate_up { 2 * inner } else { inner };
        for name in &names.gate_up {
            linear(name, width, hidden, spec.mlp.bias)?;
        }
        linear(&names.down, hidden, inner, spec.mlp.bias)?;
        visit_norm(spec, &names.attention_norm, hidden, each)?;
        visit_norm(spec, &names.mlp_norm, hidden, each)?;
        if spec.post_norms {
            visit_norm(spec, &names.attention_post_norm, hidden, each)?;
            visit_norm(spec, &names.mlp_post_norm, hidden, each)?;
        }
        if spec.query_key_norm {
            visit_norm(spec, &names.query_norm, spec.head_size, each)?;
            visit_norm(spec, &names.key_norm, spec.head_size, each)?;
        }
        Ok(())
    }
}

fn visit_norm(
    spec: &DecoderSpec,
    name: &str,
    width: usize,
    each: &mut impl FnMut(Wanted) -> Result<()>,
) -> Result<()> {
    each(Wanted { name: format!("{name}.weight"), shape: vec![width] })?;
    if spec.norm.kind == NormKind::Layer {
        each(Wanted { name: format!("{name}.bias"), shape: vec![width] })?;
    }
    Ok(())
}

/// True for what a model with a score head carries besides: that head's bias, and the head of the
/// language model it was made from.
fn is_beside(head: &str, name: &str) -> bool {
    let bias = head.strip_suffix("weight").is_some_and(|head| name == format!("{head}bias"));
    bias || name.ends_with("lm_head.weight")
}

/// True for tensors that real checkpoints carry and no decoder needs: rotary tables, causal masks,
/// a head beside tied embeddings, the parts of a multimodal model that are not its text decoder.
pub(crate) fn is_known_surplus(spec: &DecoderSpec, name: &str) -> bool {
    let mask = name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
    name.ends_with("rotary_emb.inv_freq")
        || name.contains("rotary_emb.")
        || (spec.naming == Naming::Gpt2 && mask)
        || (spec.tied_head && name.ends_with("lm_head.weight"))
        || spec.score_head.as_ref().is_some_and(|head| is_beside(head, name))
        || name == crate::model::value::SCORE_HEAD
        || name.starts_with("rope_freqs")
        || name.contains("rope_factors_")
        || ["vision_tower.", "multi_modal_projector.", "vision_model."]
            .iter()
            .any(|part| name.starts_with(part) || name.starts_with(&format!("model.{part}")))
}
