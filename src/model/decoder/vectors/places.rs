//! Where a parameter of a checkpoint ends up in the decoder: which projection and which of its
//! outputs (several parameters may be stacked into one product), which norm, which table.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;

use super::super::names::Names;
use super::super::spec::{DecoderSpec, NormKind, Positions};
use crate::platform::Problem;

/// A projection or a norm of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    QueryKeyValue(usize, usize),
    Output(usize),
    GateUp(usize, usize),
    Down(usize),
    Head,
    /// By layer and kind, in the order in which a layer has them.
    Norm(usize, usize),
    FinalNorm,
}

/// Where one parameter belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Weight {
        target: Target,
        outputs: Range<usize>,
        inputs: usize,
        /// The checkpoint stores it `[inputs, outputs]`.
        input_first: bool,
    },
    Bias {
        target: Target,
        outputs: Range<usize>,
    },
    NormWeight {
        target: Target,
        width: usize,
    },
    NormBias {
        target: Target,
        width: usize,
    },
    Embedding {
        rows: usize,
        columns: usize,
    },
    Positions {
        rows: usize,
        columns: usize,
    },
}

/// Every parameter's place by its bare name.
pub(super) struct Places {
    by_name: BTreeMap<String, Place>,
    head: String,
    /// The head multiplies with the embedding.
    pub(super) tied: bool,
}

impl Places {
    /// `stacked` says of each layer whether query, key and value (and gate and up) became one
    /// product at load; `input_first` that the checkpoint stores projections `[inputs, outputs]`.
    pub(super) fn of(
        spec: &DecoderSpec,
        names: &Names,
        stacked: &[[bool; 2]],
        input_first: bool,
    ) -> Self {
        let mut by_name = BTreeMap::new();
        let mut put = |name: String, place: Place| {
            by_name.insert(Names::bare(&name).to_owned(), place);
        };
        let hidden = spec.hidden_size;
        let (rows, columns) = (spec.vocab_size, hidden);
        put(names.embedding.clone(), Place::Embedding { rows, columns });
        if spec.positions == Positions::Learned {
            let rows = spec.context_length;
            put(names.positions.clone(), Place::Positions { rows, columns });
        }
        for (layer, [attention, mlp]) in stacked.iter().copied().enumerate() {
            let own = names.layer(spec, layer);
            let mut linear = |name: &str, target, outputs: Range<usize>, inputs| {
                let weight =
                    Place::Weight { target, outputs: outputs.clone(), inputs, input_first };
                put(format!("{name}.weight"), weight);
                put(format!("{name}.bias"), Place::Bias { target, outputs });
            };
            let (query, key) = (spec.query_width(), spec.key_width());
            let inner = spec.mlp.intermediate_size;
            let widths: &[usize] = match own.query_key_value.len() {
                1 => &[query + 2 * key],
                _ => &[query, key, key],
            };
            let groups = [(attention, &own.query_key_value, widths), {
                let fused = own.gate_up.len() == 1 && spec.fused_gate_up;
                (mlp, &own.gate_up, if fused { &[2 * inner][..] } else { &[inner, inner][..] })
            }];
            for (group, (stacked, own, widths)) in groups.into_iter().enumerate() {
                let mut first = 0;
                for (index, (name, width)) in own.iter().zip(widths).enumerate() {
                    let (product, from) = if stacked { (0, first) } else { (index, 0) };
                    let target = match group {
                        0 => Target::QueryKeyValue(layer, product),
                        _ => Target::GateUp(layer, product),
                    };
                    linear(name, target, from..from + width, hidden);
                    first += width;
                }
            }
            linear(&own.output, Target::Output(layer), 0..hidden, query);
            linear(&own.down, Target::Down(layer), 0..hidden, inner);
            let norms = [
                (own.attention_norm, true, hidden),
                (own.query_norm, spec.query_key_norm, spec.head_size),
                (own.key_norm, spec.query_key_norm, spec.head_size),
                (own.attention_post_norm, spec.post_norms, hidden),
                (own.mlp_norm, true, hidden),
                (own.mlp_post_norm, spec.post_norms, hidden),
            ];
            for (kind, (name, _, width)) in
                norms.into_iter().enumerate().filter(|(_, (_, there, _))| *there)
            {
                let target = Target::Norm(layer, kind);
                put(format!("{name}.weight"), Place::NormWeight { target, width });
                if spec.norm.kind == NormKind::Layer {
                    put(format!("{name}.bias"), Place::NormBias { target, width });
                }
            }
        }
        let (target, width) = (Target::FinalNorm, hidden);
        put(format!("{}.weight", names.final_norm), Place::NormWeight { target, width });
        if spec.norm.kind == NormKind::Layer {
            put(format!("{}.bias", names.final_norm), Place::NormBias { target, width });
        }
        let outputs = 0..spec.vocab_size;
        let head = Names::bare(&names.head).to_owned();
        // A head of its own is `[out, in]` in every family.
        let weight =
            Place::Weight { target: Target::Head, outputs, inputs: hidden, input_first: false };
        put(names.head.clone(), weight);
        Self { by_name, head, tied: spec.tied_head }
    }

    /// Where a vector's part belongs. Errors when the model has no such parameter.
    pub(super) fn find(&self, name: &str) -> Result<Place> {
        self.by_name.get(Names::bare(name)).cloned().ok_or_else(|| {
            Problem::new(format!("the model has no tensor {name}"))
                .hint("take a vector made for this model")
                .into()
        })
    }

    /// True for the name of the head's weight.
    pub(super) fn is_head(&self, name: &str) -> bool {
        Names::bare(name) == self.head
    }
}
