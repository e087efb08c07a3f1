//! The split form against the concatenated one of spec section 3: one wider model with zero blocks,
//! written down plainly in f64, its norms over the first features only (spec sections 11.10, 18).

use std::collections::BTreeMap;

use super::*;
use crate::model::reward::Values;
use crate::model::runner::{Runner, Wanted};

type Rows = Vec<Vec<f64>>;

/// A matrix with its rows.
struct Matrix(Rows);

impl Matrix {
    fn times(&self, x: &[f64]) -> Vec<f64> {
        self.0.iter().map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    }
}

struct Wide<'a> {
    checkpoint: &'a Checkpoint,
    spec: DecoderSpec,
    adapter: &'a BTreeMap<String, Values>,
    sizes: Sizes,
}

impl Wide<'_> {
    fn base(&self, name: &str) -> Rows {
        let tensor = self.checkpoint.tensor(name).unwrap();
        let bytes = self.checkpoint.bytes(name).unwrap();
        let values = crate::model::vector::values::widen(tensor.dtype, &bytes).unwrap();
        let columns = *tensor.shape.last().unwrap();
        values.chunks(columns).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect()
    }

    fn own(&self, name: &str) -> Rows {
        let tensor = &self.adapter[name];
        let columns = *tensor.shape.last().unwrap();
        let rows = tensor.values.chunks(columns);
        rows.map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect()
    }

    /// `[W 0; W']`, spec section 3.2.
    fn concatenated(&self, layer: usize, base: &str, own: &str) -> Matrix {
        let mut rows = self.base(&format!("model.layers.{layer}.{base}.weight"));
        let own = self.own(&format!("layers.{layer}.{own}.weight"));
        rows.iter_mut().for_each(|row| row.resize(own[0].len(), 0.0));
        Matrix(rows.into_iter().chain(own).collect())
    }

    /// The statistics run over the first features only: the one line that changes in an engine.
    fn norm(&self, x: &[f64], base: &str, own: &str) -> Vec<f64> {
        let d = self.spec.hidden_size;
        let square: f64 = x[..d].iter().map(|x| x * x).sum::<f64>() / d as f64;
        let scale = 1.0 / (square + f64::from(self.spec.norm.epsilon)).sqrt();
        let weight: Vec<f64> = self.base(base).into_iter().chain(self.own(own)).flatten().collect();
        x.iter().zip(weight).map(|(x, w)| x * scale * w).collect()
    }

    fn rotate(&self, head: &mut [f64], position: usize) {
        let half = head.len() / 2;
        for pair in 0..half {
            let angle = position as f64 * 10000f64.powf(-(pair as f64) / half as f64);
            let (a, b) = (head[pair], head[pair + half]);
            head[pair] = a * angle.cos() - b * angle.sin();
            head[pair + half] = b * angle.cos() + a * angle.sin();
        }
    }

    /// The reward at every position, and the original final states.
    fn forward(&self, ids: &[u32]) -> (Vec<f64>, Rows) {
        let (spec, sizes) = (&self.spec, self.sizes);
        let (d, size) = (spec.hidden_size, spec.head_size);
        let embedding = self.base("model.embed_tokens.weight");
        let mut x: Rows = ids
            .iter()
            .map(|id| {
                let row = &embedding[*id as usize];
                row.iter().chain(&row[..sizes.width]).copied().collect()
            })
            .collect();
        for layer in 0..spec.layers.len() {
            let of = |name: &str| format!("model.layers.{layer}.{name}.weight");
            let own = |name: &str| format!("layers.{layer}.{name}.weight");
            let normed: Rows = x
                .iter()
                .map(|x| self.norm(x, &of("input_layernorm"), &own("attention_norm")))
                .collect();
            let all = |base: &str, own: &str| -> Rows {
                let matrix = self.concatenated(layer, base, own);
                normed.iter().map(|x| matrix.times(x)).collect()
            };
            let mut queries = all("self_attn.q_proj", "query");
            let mut keys = all("self_attn.k_proj", "key");
            let values = all("self_attn.v_proj", "value");
            for row in queries.iter_mut().chain(&mut keys).enumerate() {
                for head in row.1.chunks_mut(size) {
                    self.rotate(head, row.0 % ids.len());
                }
            }
            // Which key head a query head reads: originals among originals, inserted among theirs.
            let (heads, kv) = (spec.head_count, spec.kv_head_count);
            let key_of = |head: usize| match head.checked_sub(heads) {
                None => head * kv / heads,
                Some(inserted) => kv + inserted * sizes.key_heads / sizes.query_heads,
            };
            let output = {
                let base = self.base(&of("self_attn.o_proj"));
                let width = base[0].len();
                let own = self.own(&own("output"));
                let zeros = vec![0.0; own[0].len() - width];
                let base = base.into_iter().map(|row| [row, zeros.clone()].concat());
                Matrix(base.chain(own).collect())
            };
            for at in 0..ids.len() {
                let mut mixed = Vec::new();
                for (head, query) in queries[at].chunks(size).enumerate() {
                    let of = |row: &[f64]| row[key_of(head) * size..][..size].to_vec();
                    let scores: Vec<f64> = (0..=at)
                        .map(|past| {
                            let dot: f64 =
                                of(&keys[past]).iter().zip(query).map(|(k, q)| k * q).sum();
                            (dot / (size as f64).sqrt()).exp()
                        })
                        .collect();
                    let sum: f64 = scores.iter().sum();
                    let mut out = vec![0.0; size];
                    for (past, score) in scores.iter().enumerate() {
                        for (out, value) in out.iter_mut().zip(of(&values[past])) {
                            *out += score / sum * value;
                        }
                    }
                    mixed.extend(out);
                }
                let added = output.times(&mixed);
                x[at].iter_mut().zip(added).for_each(|(x, more)| *x += more);
            }
            let gate = self.concatenated(layer, "mlp.gate_proj", "gate");
            let up = self.concatenated(layer, "mlp.up_proj", "up");
            let down = self.concatenated(layer, "mlp.down_proj", "down");
            for x in &mut x {
                let normed = self.norm(x, &of("post_attention_layernorm"), &own("mlp_norm"));
                let silu = |z: f64| z / (1.0 + (-z).exp());
                let inner: Vec<f64> = gate
                    .times(&normed)
                    .into_iter()
                    .zip(up.times(&normed))
                    .map(|(gate, up)| silu(gate) * up)
                    .collect();
                let added = down.times(&inner);
                x.iter_mut().zip(added).for_each(|(x, more)| *x += more);
            }
        }
        let head = self.own("head.reward.weight");
        let bias = self.own("head.reward.bias")[0][0];
        let last: Rows =
            x.iter().map(|x| self.norm(x, "model.norm.weight", "final_norm.weight")).collect();
        let reward = last
            .iter()
            .map(|x| x[d..].iter().zip(&head[0]).map(|(x, w)| x * w).sum::<f64>() + bias)
            .collect();
        (reward, last.into_iter().map(|x| x[..d].to_vec()).collect())
    }
}

#[test]
fn split_equals_concatenated() {
    let checkpoint = family("llama");
    let made = drawn(&checkpoint, Recipe { divisor: 2, ..Recipe::default() });
    let sizes = made.facts.sizes;
    assert!(sizes.query_heads > sizes.key_heads, "heads share keys: {sizes:?}");
    let spec = spec(&checkpoint);
    let wide = Wide { checkpoint: &checkpoint, spec, adapter: &made.tensors, sizes };
    let (reward, hidden) = wide.forward(&IDS);
    let mut decoder = load(&checkpoint, WeightForm::F32);
    decoder.insert(Some(&made)).unwrap();
    let output = decoder.prefill(&IDS, Wanted::All).unwrap();
    for (row, (reward, hidden)) in reward.iter().zip(&hidden).enumerate() {
        for (ours, exact) in output.hidden_of(row).iter().zip(hidden) {
            assert!(
                (f64::from(*ours) - exact).abs() < 1e-4 * (1.0 + exact.abs()),
                "{ours} {exact}"
            );
        }
        let ours = f64::from(output.reward[row]);
        assert!((ours - reward).abs() < 1e-4 * (1.0 + reward.abs()), "{ours} is not {reward}");
    }
}
