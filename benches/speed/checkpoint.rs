//! Writes a checkpoint of random weights: a GGUF file of a Qwen2-shaped model.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Result;
use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use crate::shape::Shape;

/// Random rows that are quantized; a matrix repeats them, since quantizing takes its time.
const ROWS: usize = 32;

/// Writes the file with its matrices in `wanted`, as far as their rows are whole blocks of it.
pub fn write(path: &Path, shape: Shape, wanted: GgmlDType) -> Result<()> {
    let (hidden, mlp) = (shape.hidden, shape.mlp);
    let keys = shape.kv_heads * shape.head_size();
    let wide = Matrices::new(hidden, wanted)?;
    let tall = Matrices::new(mlp, wanted)?;
    let mut tensors: Vec<(String, QTensor)> =
        vec![("token_embd.weight".into(), wide.matrix(shape.vocab)?)];
    tensors.push(("output_norm.weight".into(), ones(hidden)?));
    for layer in 0..shape.layers {
        let mut add = |name: &str, tensor| tensors.push((format!("blk.{layer}.{name}"), tensor));
        add("attn_norm.weight", ones(hidden)?);
        add("attn_q.weight", wide.matrix(hidden)?);
        add("attn_k.weight", wide.matrix(keys)?);
        add("attn_v.weight", wide.matrix(keys)?);
        add("attn_q.bias", ones(hidden)?);
        add("attn_k.bias", ones(keys)?);
        add("attn_v.bias", ones(keys)?);
        add("attn_output.weight", wide.matrix(hidden)?);
        add("ffn_norm.weight", ones(hidden)?);
        add("ffn_gate.weight", wide.matrix(mlp)?);
        add("ffn_up.weight", wide.matrix(mlp)?);
        add("ffn_down.weight", tall.matrix(hidden)?);
    }
    let count = |count: usize| Value::U32(count as u32);
    let metadata = [
        ("general.architecture", Value::String("qwen2".into())),
        ("general.name", Value::String(format!("random {}", shape.name))),
        ("qwen2.block_count", count(shape.layers)),
        ("qwen2.context_length", count(4096)),
        ("qwen2.embedding_length", count(hidden)),
        ("qwen2.feed_forward_length", count(mlp)),
        ("qwen2.attention.head_count", count(shape.heads)),
        ("qwen2.attention.head_count_kv", count(shape.kv_heads)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
        ("qwen2.rope.freq_base", Value::F32(1e6)),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut BufWriter::new(File::create(path)?), &metadata, &tensors)?;
    Ok(())
}

/// The type llama.cpp's quantizer takes where rows are not whole blocks of 256.
fn whole_blocks(wanted: GgmlDType, columns: usize) -> GgmlDType {
    if columns.is_multiple_of(wanted.block_size()) {
        return wanted;
    }
    match wanted {
        GgmlDType::Q2K | GgmlDType::Q3K => GgmlDType::Q4_0,
        GgmlDType::Q4K => GgmlDType::Q5_0,
        GgmlDType::Q5K => GgmlDType::Q5_1,
        _ => GgmlDType::Q8_0,
    }
}

/// Makes matrices of one width.
struct Matrices {
    dtype: GgmlDType,
    columns: usize,
    bytes: Vec<u8>,
}

impl Matrices {
    fn new(columns: usize, wanted: GgmlDType) -> Result<Self> {
        let dtype = whole_blocks(wanted, columns);
        let mut state = 1u64;
        let values: Vec<f32> = (0..ROWS * columns)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) / (columns as f32).sqrt()
            })
            .collect();
        let mut blocks = dtype.cpu_zeros(values.len());
        blocks.from_float(&values);
        let blocks = QTensor::new(QStorage::Cpu(blocks), (ROWS, columns))?;
        Ok(Self { dtype, columns, bytes: blocks.data()?.into_owned() })
    }

    fn matrix(&self, rows: usize) -> Result<QTensor> {
        let row = self.bytes.len() / ROWS;
        let bytes: Vec<u8> = self.bytes.iter().copied().cycle().take(rows * row).collect();
        let storage = QStorage::from_data(bytes.into(), &Device::Cpu, self.dtype)?;
        Ok(QTensor::new(storage, (rows, self.columns))?)
    }
}

fn ones(count: usize) -> Result<QTensor> {
    let mut values = GgmlDType::F32.cpu_zeros(count);
    values.from_float(&vec![1.0; count]);
    Ok(QTensor::new(QStorage::Cpu(values), count)?)
}
