//! Bounds no real model comes near, so that an absurd config is refused before anything is sized
//! after it, and the relations between fields that the forward pass relies on.

use anyhow::Result;

use super::spec::{DecoderSpec, Positions};
use crate::platform::Problem;

pub(super) const LAYERS: usize = 1 << 10;
pub(super) const HEADS: usize = 1 << 12;
pub(super) const HEAD_SIZE: usize = 1 << 12;
pub(super) const WIDTH: usize = 1 << 20;
pub(super) const INTERMEDIATE: usize = 1 << 22;
pub(super) const VOCABULARY: usize = 1 << 24;
pub(super) const CONTEXT: usize = 1 << 26;

/// Checks what the fields must be to each other.
pub(super) fn check(spec: &DecoderSpec) -> Result<()> {
    if !spec.head_count.is_multiple_of(spec.kv_head_count) {
        return Err(Problem::new(format!(
            "the config says num_key_value_heads = {} beside num_attention_heads = {}: the second \
             must be a multiple of the first",
            spec.kv_head_count, spec.head_count
        ))
        .into());
    }
    if spec.query_width() > WIDTH {
        return Err(Problem::new(format!(
            "the config's num_attention_heads × head_dim is {}: at most {WIDTH} is supported",
            spec.query_width()
        ))
        .into());
    }
    if let Positions::Rotary(ropes) = &spec.positions {
        for rope in ropes {
            if rope.rotary_size == 0
                || !rope.rotary_size.is_multiple_of(2)
                || rope.rotary_size > spec.head_size
            {
                return Err(Problem::new(format!(
                    "the config's head_dim × partial_rotary_factor is {} of {}: an even number of \
                     rotated values is wanted",
                    rope.rotary_size, spec.head_size
                ))
                .into());
            }
        }
    }
    Ok(())
}
