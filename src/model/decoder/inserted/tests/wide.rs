//! Every family at a realistic width: the small checkpoints with all their sizes multiplied, random
//! weights, the same type and the same config otherwise. At toy sizes a leak through the order of a
//! sum would not show (spec section 4).

use std::collections::HashMap;

use candle_core::{DType, Tensor};
use serde_json::Value;

use super::untouched::{WEIGHTS, Weights, assert_untouched_by};
use super::*;

/// A family's checkpoint `factor` times as wide, its files written into the folder.
fn widened(folder: &Path, name: &str, factor: usize) -> Checkpoint {
    let from = golden("families").join(name);
    let path = folder.join(format!("{name}-{factor}"));
    std::fs::create_dir(&path).unwrap();
    let text = std::fs::read_to_string(from.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    for size in ["hidden_size", "intermediate_size", "head_dim", "n_embd", "n_inner"] {
        if let Some(was) = config[size].as_u64() {
            config[size] = (was * factor as u64).into();
        }
    }
    std::fs::write(path.join("config.json"), config.to_string()).unwrap();
    let small = family(name);
    let mut made: HashMap<String, Tensor> = HashMap::new();
    for (stream, (name, stored)) in small.tensors.iter().enumerate() {
        let mut shape = stored.shape.clone();
        // Of vocabulary and positions there are as many as before.
        let counted = ["embed_tokens", "lm_head", "wte", "wpe"].iter().any(|n| name.contains(n));
        for size in shape.iter_mut().skip(usize::from(counted)) {
            *size *= factor;
        }
        let (mean, spread) = match shape.len() {
            1 if name.contains("bias") => (0.0, 0.1),
            1 => (1.0, 0.1),
            _ => (0.0, 1.0 / (shape[1] as f32).sqrt()),
        };
        // Drawing twenty million numbers takes its time: some are drawn and repeated.
        let drawn: Vec<f32> =
            (0..4099).map(|at| mean + spread * random::normal(5, stream as u64, at)).collect();
        let count = shape.iter().product();
        let values: Vec<f32> = drawn.into_iter().cycle().take(count).collect();
        let dtype = match stored.dtype.to_string().as_str() {
            "f16" => DType::F16,
            "bf16" => DType::BF16,
            _ => DType::F32,
        };
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        made.insert(name.clone(), tensor.to_dtype(dtype).unwrap());
    }
    candle_core::safetensors::save(&made, path.join("model.safetensors")).unwrap();
    Checkpoint::open(&path).unwrap()
}

/// Spec sections 11.1 and 11.2, for every family: dense types and eight-bit blocks at a hidden size
/// of 576, with each kind of inserted weights in the type the family is stored in.
#[test]
fn every_family_and_type_is_untouched_at_a_realistic_width() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let checkpoint = widened(folder.path(), name, 12);
        assert_eq!(spec(&checkpoint).hidden_size, 576, "{name}");
        for form in [
            WeightForm::Stored,
            WeightForm::F32,
            WeightForm::BF16,
            WeightForm::F16,
            WeightForm::Q8_0,
        ] {
            let weights = match form {
                WeightForm::Stored => &WEIGHTS[..4],
                _ => &[Weights::Mixed][..],
            };
            assert_untouched_by(
                &format!("wide {name} in {form}"),
                &checkpoint,
                form,
                weights,
                false,
            );
        }
    }
}

/// Blocks of 256 need wider rows still.
#[test]
fn every_family_is_untouched_in_blocks_of_four_bits_at_a_realistic_width() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["qwen2", "phi3", "gemma3", "gpt2"] {
        let checkpoint = widened(folder.path(), name, 16);
        let what = format!("wide {name} in four bits");
        assert_untouched_by(&what, &checkpoint, WeightForm::Q4K, &[Weights::Mixed], false);
    }
}
