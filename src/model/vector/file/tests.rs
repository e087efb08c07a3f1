//! A vector's file there and back, and files that are none.

use std::path::Path;

use super::*;
use crate::model::vector::{Calibration, Facts, Part, Vector};

fn vector() -> Vector {
    let factors = Part::LowRank {
        down: vec![1.0, 2.0, 3.0],
        up: vec![0.5, -0.25],
        rank: 1,
        inputs: 3,
        outputs: 2,
        scale: 2.0,
    };
    let gains = Part::Full { shape: vec![2], values: vec![0.125, -1.0] };
    let bias = Part::Replacement { shape: vec![2], values: vec![4.0, 0.0] };
    Vector {
        name: "medical".into(),
        base_fingerprint: Some("ab".into()),
        base_name: "starter".into(),
        parts: [
            ("model.layers.0.self_attn.q_proj.weight", factors),
            ("model.norm.weight", gains),
            ("model.layers.0.self_attn.q_proj.bias", bias),
        ]
        .map(|(name, part)| (name.to_owned(), part))
        .into(),
    }
}

#[test]
fn comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("medical.safetensors");
    let facts = Facts {
        domain: "medical".into(),
        kept_energy: [("x".to_owned(), 0.99)].into(),
        calibration: Some(Calibration {
            safe_range: Some([-1.0, 1.25]),
            leak: [("legal".to_owned(), 0.1)].into(),
            ..Default::default()
        }),
        ..Facts::default()
    };
    for precision in [Precision::F32, Precision::F16] {
        write(&path, &vector(), &facts, precision).unwrap();
        assert_eq!(read(&path).unwrap(), (vector(), facts.clone()));
        assert_eq!(read_facts(&path).unwrap(), facts);
    }
    let other = Facts { how_made: "by hand".into(), ..Facts::default() };
    replace_facts(&path, other.clone()).unwrap();
    assert_eq!(read(&path).unwrap(), (vector(), other));
    // Any reader of the format can read it.
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(safetensors::SafeTensors::deserialize(&bytes).unwrap().len(), 4);
}

/// Writes a file of the given tensors, all zeros, under our format.
fn written(path: &Path, tensors: &[(&str, &[usize])]) {
    let data: Vec<u8> = vec![0; 1024];
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, shape)| {
            let bytes = &data[..4 * shape.iter().product::<usize>()];
            let dtype = safetensors::Dtype::F32;
            let view = safetensors::tensor::TensorView::new(dtype, shape.to_vec(), bytes);
            (*name, view.unwrap())
        })
        .collect();
    let metadata = [("format", FORMAT), ("facts", r#"{"name": "x", "kind": "lora"}"#)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let bytes = safetensors::serialize(views, Some(metadata.into())).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_no_whole_vector_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.safetensors");
    type Tensors<'a> = &'a [(&'a str, &'a [usize])];
    let cases: [(Tensors<'_>, &str); 5] = [
        (&[("a.weight.down", &[2, 3])], "a.weight.up"),
        (&[("a.weight.up", &[2, 3])], "a.weight.down"),
        (&[("a.weight.down", &[2, 3]), ("a.weight.up", &[3, 1])], "do not multiply"),
        (&[("a.weight", &[2])], "`a.weight` is no tensor"),
        (&[("a.delta", &[2]), ("a.replacement", &[2])], "two forms"),
    ];
    for (tensors, said) in cases {
        written(&path, tensors);
        let line = read(&path).unwrap_err().to_string();
        assert!(line.contains(said) && line.contains("bad.safetensors"), "{line}");
    }
    written(&path, &[]);
    assert_eq!(read(&path).unwrap().0.parts.len(), 0);
}

#[test]
fn values_that_no_file_should_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut bad = vector();
    bad.parts.insert("n".into(), Part::Full { shape: vec![1], values: vec![1e9] });
    let error = write(&path, &bad, &Facts::default(), Precision::F16).unwrap_err();
    assert!(error.to_string().contains("`n.delta`"), "{error}");
    write(&path, &bad, &Facts::default(), Precision::F32).unwrap();
    // One bit pattern in the file turned into an infinity.
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).rposition(|four| four == 1e9_f32.to_le_bytes()).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let line = read(&path).unwrap_err().to_string();
    assert!(line.contains("`n`") && line.contains("not finite"), "{line}");
    bad.parts.insert("n".into(), Part::Full { shape: vec![1], values: vec![f32::NAN] });
    assert!(write(&path, &bad, &Facts::default(), Precision::F32).is_err());
}

#[test]
fn differences_in_f64_are_there_for_whoever_wants_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.safetensors");
    let wide = |name: &str| Ok((name == "model.norm.weight").then(|| vec![0.1_f64, -1.0]));
    write_wide(&path, &vector(), &Facts::default(), Precision::F32, &wide).unwrap();
    let (read, _) = read(&path).unwrap();
    assert_eq!(read.parts["model.norm.weight"].dense().unwrap(), [0.1_f32, -1.0]);
    let file = WideDeltas::open(&path).unwrap();
    assert_eq!(file.get("model.norm.weight").unwrap(), [0.1, -1.0]);
    assert!(file.get("model.layers.0.self_attn.q_proj.weight").is_none());
    replace_facts(&path, Facts::default()).unwrap();
    assert_eq!(WideDeltas::open(&path).unwrap().get("model.norm.weight").unwrap(), [0.1, -1.0]);
}
