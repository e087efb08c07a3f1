//! Alignment vectors as files: made, read, written, merged.

mod broken;
mod extracted;
mod peft;
mod verbs;

use std::path::{Path, PathBuf};

use candle_core::Device;
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::weights::WeightForm;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

fn checkpoint(folder: &Path) -> Checkpoint {
    Checkpoint::open(folder).unwrap()
}

fn decoder(checkpoint: &Checkpoint) -> Decoder {
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    let (form, mut progress) = (WeightForm::F32, |_, _| true);
    Decoder::load(checkpoint, spec, &Device::Cpu, form, 64, &mut progress).unwrap()
}

/// The logits of one pass over `ids`, in f32.
fn logits(folder: &Path, ids: &[u32]) -> Vec<f32> {
    decoder(&checkpoint(folder)).prefill(ids, Wanted::All).unwrap().logits
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    // Not `f32::max`, which would pass over a NaN.
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, x| if x <= most { most } else { x })
}

/// A file's tensors with every float value passed through `change`, in `dtype` where one is given.
fn rewrite(
    from: &Path,
    to: &Path,
    dtype: Option<Dtype>,
    mut change: impl FnMut(&str, usize, f32) -> f32,
) {
    let bytes = std::fs::read(from).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        let out = dtype.unwrap_or(view.dtype());
        let width = if view.dtype() == Dtype::F32 { 4 } else { 2 };
        let mut data = Vec::new();
        for (index, value) in view.data().chunks_exact(width).enumerate() {
            let value = match view.dtype() {
                Dtype::F32 => f32::from_le_bytes(value.try_into().unwrap()),
                Dtype::F16 => f16::from_le_bytes(value.try_into().unwrap()).to_f32(),
                Dtype::BF16 => bf16::from_le_bytes(value.try_into().unwrap()).to_f32(),
                other => panic!("{other:?}"),
            };
            let value = change(&name, index, value);
            match out {
                Dtype::F32 => data.extend(value.to_le_bytes()),
                Dtype::F16 => data.extend(f16::from_f32(value).to_le_bytes()),
                Dtype::BF16 => data.extend(bf16::from_f32(value).to_le_bytes()),
                other => panic!("{other:?}"),
            }
        }
        tensors.push((name, out, view.shape().to_vec(), data));
    }
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    std::fs::write(to, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A copy of a golden checkpoint with its values changed.
fn changed(
    name: &str,
    dtype: Option<Dtype>,
    mut change: impl FnMut(&str, usize, f32) -> f32,
) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden("families").join(name)).unwrap() {
        let path = entry.unwrap().path();
        let to = home.path().join(path.file_name().unwrap());
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            rewrite(&path, &to, dtype, &mut change);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
    home
}

/// What training might do to a value, and worse: steps large and small, zeros, signs turned.
fn trained(name: &str, index: usize, value: f32) -> f32 {
    if name.contains("layers.0.mlp") || name.contains("h.0.mlp") {
        return value;
    }
    let step = ((index * 2_654_435_761) >> 7) as u32 as f32 / u32::MAX as f32 - 0.5;
    match index % 97 {
        0 => 0.0,
        1 => -value,
        2 => value * 1e-5,
        3 => -0.0,
        _ => value + 0.02 * step,
    }
}

/// Every file of a folder with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}
