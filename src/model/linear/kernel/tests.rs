//! Every kernel against sums in f64, over odd sizes, and the promise that rows do not mix.

use half::{bf16, f16};

use super::{Columns, Element, Product, plain};

/// Numbers in -1..1 from a small linear congruence; the same on every run.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect()
}

fn check<T: Element>(narrow: impl Fn(f32) -> T) {
    for (m, n, k) in [
        (1, 1, 1),
        (1, 5, 7),
        (1, 13, 64),
        (2, 7, 33),
        (3, 6, 129),
        (4, 9, 40),
        (5, 11, 257),
        (33, 10, 96),
        (130, 3, 70),
        (9, 4, 20_003),
    ] {
        let x = numbers(m * k, 1);
        let w: Vec<T> = numbers(n * k, 2).into_iter().map(&narrow).collect();
        let mut wide = vec![0f32; w.len()];
        T::widen_into(&w, &mut wide);
        let bias = numbers(n, 3);
        let product = Product { x: &x, w: &w, bias: Some(&bias), m, n, k };

        let mut fast = vec![f32::NAN; m * n];
        product.run(&mut fast);
        let mut slow = vec![f32::NAN; m * n];
        plain::rows(&product, 0..n, &Columns::new(&mut slow, m, n));
        for row in 0..m {
            for column in 0..n {
                let exact: f64 = (0..k)
                    .map(|i| f64::from(x[row * k + i]) * f64::from(wide[column * k + i]))
                    .sum::<f64>()
                    + f64::from(bias[column]);
                for got in [fast[row * n + column], slow[row * n + column]] {
                    let allowed = 1e-7 * (k as f64) + 1e-6;
                    assert!((f64::from(got) - exact).abs() < allowed, "{m}x{n}x{k}: {got} {exact}");
                }
            }
        }

        // A row alone gives the bits it gives in company, in whatever pieces the columns come.
        let row = m / 2;
        let alone = Product { x: &x[row * k..(row + 1) * k], m: 1, ..product };
        let mut single = vec![f32::NAN; n];
        let middle = n / 2;
        let columns = Columns::new(&mut single, 1, n);
        // SAFETY: one thread.
        unsafe {
            alone.rows(middle..n, &columns);
            alone.rows(0..middle, &columns);
        }
        assert_eq!(single, fast[row * n..(row + 1) * n]);
    }
}

#[test]
fn f32_rows_match_sums_in_f64() {
    check(|value| value);
}

#[test]
fn bf16_rows_match_sums_in_f64() {
    check(bf16::from_f32);
}

#[test]
fn f16_rows_match_sums_in_f64() {
    check(f16::from_f32);
}

#[test]
fn f16_subnormals_and_infinities_are_widened_as_they_are() {
    let w = [f16::from_bits(1), f16::MIN_POSITIVE, f16::INFINITY, f16::MAX].repeat(2);
    for (at, value) in w.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let mut x = vec![0f32; 8];
        x[at] = 1.0;
        let finite: Vec<f16> =
            w.iter().map(|w| if w.is_finite() { *w } else { f16::ZERO }).collect();
        let product = Product { x: &x, w: &finite, bias: None, m: 1, n: 1, k: 8 };
        let mut out = [0f32];
        product.run(&mut out);
        assert_eq!(out[0], value.to_f32());
    }
}
