//! What is only seen from inside: the weights stay as they are, whatever the sliders do, and a
//! change allocates nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use sha2::{Digest, Sha256};

use super::{Decoder, for_each_linear, for_each_norm};
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::DecoderSpec;
use crate::model::runner::{Runner, Wanted};
use crate::model::vector::{Part, Vector};
use crate::model::weights::WeightForm;

fn load(name: &str, form: WeightForm) -> (Decoder, Arc<Vector>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(name);
    let checkpoint = Checkpoint::open(&path).unwrap();
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    let device = Device::Cpu;
    let decoder = Decoder::load(&checkpoint, spec, &device, form, 64, &mut |_, _| true).unwrap();
    // One part for every tensor: factors for matrices, every value for the rest.
    let mut parts = BTreeMap::new();
    for (seed, (name, tensor)) in checkpoint.tensors.iter().enumerate() {
        let value = |at: usize| ((at * 7919 + seed * 104_729) % 2003) as f32 / 2003.0 - 0.5;
        let part = match *tensor.shape.as_slice() {
            [outputs, inputs] => Part::LowRank {
                down: (0..2 * inputs).map(value).collect(),
                up: (0..outputs * 2).map(|at| value(at) / 8.0).collect(),
                rank: 2,
                inputs,
                outputs,
                scale: 1.0,
            },
            _ => Part::Full {
                shape: tensor.shape.clone(),
                values: (0..tensor.element_count()).map(|at| value(at) / 8.0).collect(),
            },
        };
        parts.insert(name.clone(), part);
    }
    let vector = Vector { name: "made".into(), parts, ..Vector::default() };
    (decoder, Arc::new(vector))
}

/// A hash over everything a weight, bias or norm holds.
fn hash(decoder: &mut Decoder) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut take = |tensor: &candle_core::Tensor| {
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        values.iter().for_each(|value| hash.update(value.to_le_bytes()));
    };
    for_each_linear(&mut decoder.blocks, &mut decoder.head, |_, linear| {
        take(&linear.weight().to_f32()?);
        linear.bias().into_iter().for_each(&mut take);
        Ok(())
    })
    .unwrap();
    let rows = decoder.embedding.shape()[0] as u32;
    take(&decoder.embedding.rows(&(0..rows).collect::<Vec<_>>()).unwrap());
    let mut norms = String::new();
    for_each_norm(&mut decoder.blocks, &mut decoder.final_norm, |_, norm| {
        norms += &format!("{norm:?}");
    });
    hash.update(norms);
    hash.finalize().to_vec()
}

#[test]
fn a_thousand_slider_moves_leave_the_weights_and_the_logits_as_they_were() {
    for (name, form) in [
        ("qwen2", WeightForm::F32),
        ("qwen3", WeightForm::BF16),
        ("gemma3", WeightForm::F32),
        ("llama", WeightForm::Q8_0),
    ] {
        let (mut decoder, vector) = load(name, form);
        let ids = [5, 17, 40, 3, 88, 9];
        let plain = decoder.prefill(&ids, Wanted::All).unwrap();
        decoder.attach(&[Arc::clone(&vector), vector]).unwrap();
        let before = hash(&mut decoder);
        for step in 0..1000u32 {
            let value = |salt: u32| (step.wrapping_mul(2_654_435_761) ^ salt) as f32 / 1.5e9 - 1.4;
            decoder.set_strengths(&[value(0), value(77)]).unwrap();
            if step % 250 == 0 {
                decoder.truncate(0).unwrap();
                let steered = decoder.prefill(&ids, Wanted::All).unwrap();
                assert_ne!(steered.logits, plain.logits, "{name}");
            }
        }
        decoder.set_strengths(&[0.0, 0.0]).unwrap();
        assert_eq!(hash(&mut decoder), before, "{name}");
        decoder.truncate(0).unwrap();
        assert_eq!(decoder.prefill(&ids, Wanted::All).unwrap(), plain, "{name}");
    }
}

#[test]
fn a_twin_is_the_plain_model_with_a_cache_of_its_own() {
    for form in [WeightForm::F32, WeightForm::Stored] {
        let (mut decoder, vector) = load("llama-tied", form);
        let plain = decoder.prefill(&[5, 17, 40], Wanted::All).unwrap();
        decoder.truncate(0).unwrap();
        decoder.attach(&[vector]).unwrap();
        decoder.set_strengths(&[0.7]).unwrap();
        let steered = decoder.prefill(&[5, 17, 40], Wanted::All).unwrap();
        assert_ne!(steered, plain);
        let mut twin = decoder.twin().unwrap();
        assert!(twin.is_empty() && twin.set_strengths(&[0.7]).is_err());
        assert_eq!(twin.prefill(&[5, 17, 40], Wanted::All).unwrap(), plain, "bit for bit");
        decoder.truncate(0).unwrap();
        assert_eq!(decoder.prefill(&[5, 17, 40], Wanted::All).unwrap(), steered, "unmoved by it");
    }
}
