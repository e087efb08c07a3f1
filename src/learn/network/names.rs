//! How the network's joint matrices are called, one by one, in a Hugging Face folder.

use super::NetworkShape;

/// Name, shape and values of one tensor of a folder.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// The tensors of a Llama's folder that one parameter stands for, top to bottom: name and shape.
pub fn stored(shape: &NetworkShape, parameter: &str) -> Vec<(String, Vec<usize>)> {
    let (hidden, dim) = (shape.hidden_size, shape.head_dim());
    let inner = shape.intermediate_size;
    let (layer, name) = match parameter.split_once('.') {
        Some((layer, name)) => (format!("model.layers.{layer}."), name),
        None => (String::new(), parameter),
    };
    let parts: Vec<(&str, Vec<usize>)> = match name {
        "embedding" => vec![("model.embed_tokens", vec![shape.vocab_size, hidden])],
        "head" => vec![("lm_head", vec![shape.vocab_size, hidden])],
        "final_norm" => vec![("model.norm", vec![hidden])],
        "attention_norm" => vec![("input_layernorm", vec![hidden])],
        "mlp_norm" => vec![("post_attention_layernorm", vec![hidden])],
        "joint" => vec![
            ("self_attn.q_proj", vec![shape.heads * dim, hidden]),
            ("self_attn.k_proj", vec![shape.key_heads * dim, hidden]),
            ("self_attn.v_proj", vec![shape.key_heads * dim, hidden]),
        ],
        "attention_out" => vec![("self_attn.o_proj", vec![hidden, shape.heads * dim])],
        "gate_up" => {
            vec![("mlp.gate_proj", vec![inner, hidden]), ("mlp.up_proj", vec![inner, hidden])]
        }
        _ => vec![("mlp.down_proj", vec![hidden, inner])],
    };
    parts.into_iter().map(|(part, dims)| (format!("{layer}{part}.weight"), dims)).collect()
}

/// Cuts a parameter's values into those tensors.
pub fn split(shape: &NetworkShape, parameter: &str, values: &[f32]) -> Vec<Named> {
    let mut rest = values;
    let mut all = Vec::new();
    for (name, dims) in stored(shape, parameter) {
        let (part, behind) = rest.split_at(dims.iter().product());
        all.push((name, dims, part.to_vec()));
        rest = behind;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_split_without_a_rest() {
        let shape = NetworkShape {
            vocab_size: 11,
            hidden_size: 8,
            layers: 2,
            heads: 4,
            key_heads: 2,
            intermediate_size: 6,
            context_length: 16,
            rope_theta: 1e4,
            norm_epsilon: 1e-5,
            head_size: Some(6),
            own_head: true,
            rotary: None,
        };
        let mut names = std::collections::BTreeSet::new();
        for (name, dims) in shape.parameters() {
            let parts = stored(&shape, &name);
            let count: usize = parts.iter().map(|(_, d)| d.iter().product::<usize>()).sum();
            assert_eq!(count, dims.iter().product::<usize>(), "{name}");
            names.extend(parts.into_iter().map(|(name, _)| name));
        }
        assert_eq!(names.len(), 2 * 9 + 3);
        assert!(names.contains("model.layers.1.self_attn.v_proj.weight"));
    }
}
