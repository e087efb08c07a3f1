//! The original is untouched by whatever stands beside it, and the stream beside it is what it is
//! said to be (spec section 11).

mod alike;
mod reference;
mod untouched;
mod wide;

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::initialise;
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::{Decoder, DecoderSpec};
use crate::model::reward::{
    Adapter, Facts, Heads, Initialisation, Insertion, Precision, Shape, Sizes, Start,
};
use crate::model::weights::WeightForm;
use crate::platform::random;

/// One small checkpoint per family, and those that lay their tensors out differently.
const FAMILIES: [&str; 10] = [
    "llama",
    "llama-tied",
    "mistral",
    "qwen2",
    "qwen3",
    "phi3",
    "gemma2",
    "gemma3",
    "gpt2",
    "gpt2-bare",
];

const IDS: [u32; 12] = [3, 17, 4, 9, 22, 5, 11, 30, 8, 2, 19, 6];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn family(name: &str) -> Checkpoint {
    Checkpoint::open(&golden("families").join(name)).unwrap()
}

fn spec(checkpoint: &Checkpoint) -> DecoderSpec {
    DecoderSpec::from_config(&checkpoint.config).unwrap()
}

fn load(checkpoint: &Checkpoint, form: WeightForm) -> Decoder {
    let spec = spec(checkpoint);
    Decoder::load(checkpoint, spec, &Device::Cpu, form, 64, &mut |_, _| true).unwrap()
}

/// What an adapter is made of, and how.
#[derive(Clone, Copy)]
struct Recipe {
    how: Initialisation,
    start: Start,
    insertion: Insertion,
    divisor: usize,
    heads: Heads,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            how: Initialisation::Mirror,
            start: Start::Hidden,
            insertion: Insertion::default(),
            divisor: 4,
            heads: Heads::default(),
        }
    }
}

fn adapter(checkpoint: &Checkpoint, recipe: Recipe) -> Adapter {
    let spec = spec(checkpoint);
    let facts = Facts {
        name: "test".into(),
        sizes: Sizes::one_in(recipe.divisor, &spec),
        insertion: recipe.insertion,
        start: recipe.start,
        initialisation: recipe.how,
        ..Facts::default()
    };
    let shape = Shape::new(&facts, recipe.heads, &spec).unwrap();
    let tensors = initialise(checkpoint, &shape, recipe.how, 7).unwrap();
    Adapter { facts, tensors, precision: Precision::F32 }
}

/// Every value drawn anew, larger than any initialisation: nothing is a copy or zero by chance.
fn drawn(checkpoint: &Checkpoint, recipe: Recipe) -> Adapter {
    let mut made = adapter(checkpoint, recipe);
    for (stream, (name, tensor)) in made.tensors.iter_mut().enumerate() {
        let columns = tensor.shape.last().copied().unwrap_or(1) as f32;
        let (mean, spread) = match tensor.shape.len() {
            2 => (0.0, 1.5 / columns.sqrt()),
            _ if name.contains("norm.weight") => (1.0, 0.2),
            _ => (0.0, 0.3),
        };
        for (at, value) in tensor.values.iter_mut().enumerate() {
            *value = mean + spread * random::normal(11, stream as u64, at as u64);
        }
    }
    made
}
