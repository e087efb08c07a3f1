//! The kernels for every other processor: plain code that compilers turn into vector code.

use std::ops::Range;

use super::{Columns, Element, Product};

/// Sums kept apart, so that a compiler may use vectors without reordering any addition.
const LANES: usize = 8;

/// Computes outputs `rows`; shapes were checked by [`Product::rows`].
pub fn rows<T: Element>(product: &Product<'_, T>, rows: Range<usize>, out: &Columns<'_>) {
    let k = product.k;
    let mut widened = vec![0f32; k];
    for w in rows {
        // Once per weight row, however many activation rows there are.
        T::widen_into(&product.w[w * k..(w + 1) * k], &mut widened);
        let bias = product.bias.map_or(0.0, |bias| bias[w]);
        for x in 0..product.m {
            let sum = dot(&product.x[x * k..(x + 1) * k], &widened) + bias;
            // SAFETY: this call alone writes the columns `rows`.
            unsafe { out.set(x, w, sum) };
        }
    }
}

/// A dot product in a fixed order: eight interleaved sums, added pairwise, then the rest.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_runs, a_rest) = a.as_chunks::<LANES>();
    let (b_runs, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_runs.iter().zip(b_runs) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let four: [f32; 4] = std::array::from_fn(|lane| sums[lane] + sums[lane + 4]);
    let mut sum = (four[0] + four[2]) + (four[1] + four[3]);
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += a * b;
    }
    sum
}
