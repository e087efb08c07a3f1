//! What attention gives and its gradients, beside plain loops and finite differences.

use super::*;
use crate::learn::ops::check;

fn shape(sequence: usize, heads: usize, key_heads: usize, starts: Vec<u32>) -> AttentionShape {
    AttentionShape {
        batch: starts.len() / sequence,
        sequence,
        heads,
        key_heads,
        head_dim: 4,
        rope_theta: 10_000.0,
        rotary: None,
        starts: Arc::new(starts),
    }
}

#[test]
fn backward_is_the_derivative_with_shared_keys_and_documents() {
    let shape = shape(5, 4, 2, vec![0, 0, 2, 2, 2, 0, 1, 1, 3, 4]);
    let joint = check::random((10, shape.joint_width()), 6);
    check::gradients(
        &[joint],
        |v| causal_attention(&v[0], &shape),
        |v| plain::causal_attention(&v[0], &shape),
    );
}

#[test]
fn blocks_of_queries_agree_with_the_whole() {
    let starts = (0..150).map(|i| if i < 70 { 0 } else { 70 }).collect();
    let shape = shape(150, 2, 1, starts);
    let joint = check::random((150, shape.joint_width()), 7);
    check::same(
        &[joint],
        |v| causal_attention(&v[0], &shape),
        |v| plain::causal_attention(&v[0], &shape),
    );
}
