//! What a vector weighs beside its base: bytes of its factors, and the share of multiplications they
//! add to a token (method, section 11).

use super::{Part, Vector};

/// Values and multiplications of the parts that are matrices in a model's blocks. Embeddings are
/// looked up, norms and biases are added: neither multiplies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Values kept for those matrices: multiplications they add for every token.
    pub values: u64,
    /// Values of the base's own matrices at the same places.
    pub base_values: u64,
}

impl Work {
    /// Counts what a vector's parts hold.
    pub fn of(vector: &Vector) -> Self {
        let mut work = Self::default();
        for (name, part) in &vector.parts {
            let &[a, b] = part.shape().as_slice() else { continue };
            if is_in_a_block(name) {
                work.values += part.value_count() as u64;
                work.base_values += (a * b) as u64;
            }
        }
        work
    }

    /// Multiplications added for every one of the base's at those places: 0.074 is 7.4 % more.
    pub fn share(&self) -> f64 {
        if self.base_values == 0 { 0.0 } else { self.values as f64 / self.base_values as f64 }
    }

    /// Bytes of those values in 16 bits.
    pub fn half_bytes(&self) -> u64 {
        2 * self.values
    }
}

/// Of a layer, by any family's name: `model.layers.3.…`, `transformer.h.3.…`.
fn is_in_a_block(name: &str) -> bool {
    name.split('.')
        .any(|segment| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()))
}

impl Part {
    /// The sizes of a low-rank part without its numbers being looked at.
    #[cfg(test)]
    fn of_rank(rank: usize, outputs: usize, inputs: usize) -> Self {
        let (down, up) = (vec![0.0; rank * inputs], vec![0.0; outputs * rank]);
        Self::LowRank { down, up, rank, inputs, outputs, scale: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector of one rank on all seven products of a Llama-shaped model, embedding and norm beside.
    fn vector(layers: usize, hidden: usize, keys: usize, mlp: usize, rank: usize) -> Vector {
        let mut vector = Vector::default();
        for layer in 0..layers {
            for (name, outputs, inputs) in [
                ("self_attn.q_proj", hidden, hidden),
                ("self_attn.k_proj", keys, hidden),
                ("self_attn.v_proj", keys, hidden),
                ("self_attn.o_proj", hidden, hidden),
                ("mlp.gate_proj", mlp, hidden),
                ("mlp.up_proj", mlp, hidden),
                ("mlp.down_proj", hidden, mlp),
            ] {
                let part = Part::of_rank(rank, outputs, inputs);
                vector.parts.insert(format!("model.layers.{layer}.{name}.weight"), part);
            }
            let norm = Part::Full { shape: vec![hidden], values: vec![0.0; hidden] };
            vector.parts.insert(format!("model.layers.{layer}.input_layernorm.weight"), norm);
        }
        vector.parts.insert("model.embed_tokens.weight".into(), Part::of_rank(rank, 96, hidden));
        vector
    }

    /// Invariant 22: the counters say what the method's table says, for every model in it.
    #[test]
    fn counters_are_those_of_the_table() {
        for (name, [layers, hidden, keys, mlp], values, percent) in [
            ("Qwen2.5-0.5B", [24, 896, 128, 4864], 549_888, 0.154),
            ("Llama-3.2-1B", [16, 2048, 512, 8192], 704_512, 0.072),
            ("Qwen2.5-1.5B", [28, 1536, 256, 8960], 1_154_048, 0.088),
            ("Mistral-7B", [32, 4096, 1024, 14_336], 2_621_440, 0.038),
        ] {
            let work = Work::of(&vector(layers, hidden, keys, mlp, 1));
            assert_eq!(work.values, values, "{name}");
            assert!((100.0 * work.share() - percent).abs() < 5e-4, "{name}: {}", work.share());
        }
        // Three domains at rank 16 on the smallest of them: +7.4 %, 17.6 MB each.
        let work = Work::of(&vector(24, 896, 128, 4864, 16));
        assert_eq!(work.half_bytes(), 17_596_416);
        assert!((3.0 * work.share() - 0.074).abs() < 5e-4, "{}", work.share());
        assert_eq!(Work::of(&Vector::default()).share(), 0.0);
    }

    #[test]
    fn every_value_of_a_matrix_doubles_its_work() {
        let part = Part::Full { shape: vec![4, 6], values: vec![0.0; 24] };
        let parts = [("transformer.h.0.attn.c_attn.weight".to_owned(), part)].into();
        let work = Work::of(&Vector { parts, ..Vector::default() });
        assert_eq!((work.values, work.share()), (24, 1.0));
    }
}
