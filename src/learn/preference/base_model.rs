//! The base of a vector: a Hugging Face folder of the Llama family, as a network that can be
//! trained, with its text side.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;

use crate::learn::network::{Network, NetworkShape, names};
use crate::learn::ops::Rotary;
use crate::model::Language;
use crate::model::checkpoint::{Checkpoint, Format};
use crate::model::decoder::{
    Activation, DecoderSpec, Family, NormKind, Positions, RopeScaling, RopeSpec,
};
use crate::model::linear::StoredMatrix;
use crate::model::load;
use crate::platform::Problem;

/// A base model ready to be trained on.
pub struct BaseModel {
    pub network: Network,
    pub language: Language,
    pub checkpoint: Checkpoint,
    /// Names the model in the vector's file.
    pub fingerprint: String,
}

impl BaseModel {
    /// Opens a folder and reads its weights as f32.
    ///
    /// # Errors
    /// When it is no Hugging Face folder of a Llama that the trainer can run, by name.
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::open(folder)?;
        if checkpoint.format != Format::HuggingFace {
            return Err(Problem::new("a GGUF file cannot be trained on")
                .at(folder)
                .hint("give the Hugging Face folder it was made from")
                .into());
        }
        let network = network(&checkpoint, device)?;
        let language = load::language(&checkpoint)?;
        let fingerprint = checkpoint.fingerprint();
        Ok(Self { network, language, checkpoint, fingerprint })
    }
}

/// A checkpoint as a network.
///
/// # Errors
/// When the family, a shape or a tensor is not what the trainer can run.
pub fn network(checkpoint: &Checkpoint, device: &Device) -> Result<Network> {
    let refused = || Problem::new("this model cannot be trained on").at(&checkpoint.path);
    let spec = DecoderSpec::from_config(&checkpoint.config).with_context(refused)?;
    let shape = shape(&spec).with_context(|| {
        refused().hint("the trainer knows the family llama, its head tied to the embedding or not")
    })?;
    Network::with(shape.clone(), device, |_, name, count| {
        let mut values = Vec::with_capacity(count);
        for (name, dims) in names::stored(&shape, name) {
            values.extend(tensor(checkpoint, &name, &dims)?);
        }
        Ok(values)
    })
}

/// What the trainer has no operation for is refused rather than left out.
fn shape(spec: &DecoderSpec) -> Result<NetworkShape> {
    if spec.family != Family::Llama {
        bail!("the family `{}` is not one the trainer knows", spec.family.name());
    }
    ensure!(
        !spec.query_key_value_bias && !spec.output_bias && !spec.mlp.bias,
        "its linear layers have biases"
    );
    ensure!(
        spec.mlp.gated && spec.mlp.activation == Activation::Silu,
        "its activation is not the gated SiLU"
    );
    ensure!(spec.norm.kind == NormKind::RootMeanSquare, "its norms are of another kind");
    ensure!(spec.layers.iter().all(|layer| layer.window.is_none()), "it has attention windows");
    let Positions::Rotary(ropes) = &spec.positions else { bail!("its positions are learned") };
    let [rope] = ropes.as_slice() else { bail!("it has several rotary embeddings") };
    ensure!(rope.rotary_size == spec.head_size, "it rotates only a part of each head");
    let shape = NetworkShape {
        vocab_size: spec.vocab_size,
        hidden_size: spec.hidden_size,
        layers: spec.layers.len(),
        heads: spec.head_count,
        key_heads: spec.kv_head_count,
        intermediate_size: spec.mlp.intermediate_size,
        context_length: spec.context_length,
        rope_theta: rope.theta as f32,
        norm_epsilon: spec.norm.epsilon,
        head_size: Some(spec.head_size),
        own_head: !spec.tied_head,
        rotary: rotary(rope, spec.context_length),
    };
    shape.check()?;
    Ok(shape)
}

/// The frequencies, where they are more than powers of the base.
fn rotary(rope: &RopeSpec, context: usize) -> Option<Rotary> {
    if rope.scaling == RopeScaling::None {
        return None;
    }
    let (frequencies, scale) = rope.frequencies(context);
    Some(Rotary { frequencies, scale })
}

/// One tensor of a checkpoint as f32, checked against the shape it should have.
///
/// # Errors
/// When it is missing, of another shape, or holds a value that is not finite.
pub fn tensor(checkpoint: &Checkpoint, name: &str, dims: &[usize]) -> Result<Vec<f32>> {
    let stored = checkpoint.tensor(name)?;
    if stored.shape != dims {
        let what = format!(
            "the tensor {name} has the shape {:?} where the config asks for {dims:?}",
            stored.shape
        );
        return Err(Problem::new(what).at(&checkpoint.path).into());
    }
    let columns = dims.last().copied().unwrap_or(1);
    let bytes = checkpoint.bytes(name)?;
    let count = dims.iter().product::<usize>();
    let matrix =
        StoredMatrix { stored: stored.dtype, rows: count / columns.max(1), columns, bytes: &bytes };
    matrix.check()?;
    let mut values = vec![0.0; count];
    matrix.widen_rows(0, &mut values)?;
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let what = format!("the tensor {name} holds a value that is not finite, at {at}");
        return Err(Problem::new(what).at(&checkpoint.path).into());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decoder::Decoder;
    use crate::model::weights::WeightForm;
    use crate::model::{Runner, Wanted};

    fn golden(name: &str) -> Checkpoint {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        Checkpoint::open(&root.join("tests/golden/families").join(name)).unwrap()
    }

    #[test]
    fn a_llama_of_any_kind_has_the_decoders_logits() {
        for name in ["llama", "llama-rope-linear", "llama-rope-llama3", "llama-rope-yarn"] {
            let checkpoint = golden(name);
            let network = network(&checkpoint, &Device::Cpu).unwrap();
            let ids: Vec<u32> = (0..20).map(|i| (7 * i + 3) % 90).collect();
            let got = network.logits(&ids).unwrap();
            let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
            let form = WeightForm::F32;
            let mut decoder =
                Decoder::load(&checkpoint, spec, &Device::Cpu, form, 64, &mut |_, _| true).unwrap();
            let wanted = decoder.prefill(&ids, Wanted::All).unwrap().logits;
            assert_eq!(got.len(), wanted.len(), "{name}");
            let off = got.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 2e-4, "{name}: {off}");
        }
    }

    #[test]
    fn another_family_is_refused_by_name_with_what_is_known() {
        for (folder, family) in [("qwen2", "`qwen2`"), ("gpt2", "`gpt2`"), ("gemma2", "`gemma2`")] {
            let error = network(&golden(folder), &Device::Cpu).err().unwrap();
            let line = format!("{error:#}");
            assert!(line.contains(family) && line.contains("llama"), "{line}");
        }
        let error = network(&golden("llama-tied"), &Device::Cpu).err().unwrap();
        assert!(format!("{error:#}").contains("biases"), "{error:#}");
    }
}
