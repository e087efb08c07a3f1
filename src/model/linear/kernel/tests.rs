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

/// Thin products against sums in f64, over odd sizes, runs with gaps and both ways to compute them.
fn check_panels<T: Element>(zero: T, narrow: impl Fn(f32) -> T) {
    use super::panels::{Block, Coordinates, Panels, Place, Run, add, add_panel_plain};
    for (rows, outputs, rank) in [(1, 32, 3), (1, 70, 16), (2, 33, 5), (3, 31, 8), (7, 100, 9)] {
        let up: Vec<T> = numbers(outputs * rank, 6).into_iter().map(&narrow).collect();
        let mut wide = vec![0f32; up.len()];
        T::widen_into(&up, &mut wide);
        let panels = Panels::pack(outputs, rank, zero, |output, index| up[output * rank + index]);
        // The first and the last rank are in play; between them is a gap in both.
        let runs =
            [Run { first: 0, count: 1, column: 2 }, Run { first: rank - 2, count: 2, column: 4 }];
        let width = 7;
        let h = numbers(rows * width, 7);
        let before = numbers(rows * (outputs + 5), 8);
        let mut y = before.clone();
        let block = Block { panels: &panels, first_output: 3, runs: &runs };
        let coordinates = Coordinates { values: &h, rows, width };
        add(&[block], coordinates, &mut y, outputs + 5);
        let mut plain = vec![0f32; rows * 32];
        let columns = Columns::new(&mut plain, rows, 32);
        let place = Place { column: 0, count: outputs.min(32) };
        // SAFETY: one thread; runs and place lie within panel, rows and output.
        unsafe { add_panel_plain(panels.panel(0), &runs, coordinates, &columns, place) };
        for row in 0..rows {
            for column in 0..outputs + 5 {
                let got = y[row * (outputs + 5) + column];
                let was = before[row * (outputs + 5) + column];
                let Some(output) = column.checked_sub(3).filter(|output| *output < outputs) else {
                    assert_eq!(got, was);
                    continue;
                };
                let added: f64 = runs
                    .iter()
                    .flat_map(|run| (0..run.count).map(move |at| (run.first + at, run.column + at)))
                    .map(|(index, at)| {
                        f64::from(wide[output * rank + index]) * f64::from(h[row * width + at])
                    })
                    .sum();
                assert!((f64::from(got) - f64::from(was) - added).abs() < 1e-6, "{got} {added}");
                if output < 32 {
                    assert!((f64::from(plain[row * 32 + output]) - added).abs() < 1e-6);
                }
            }
        }
        // A row alone gives the bits it gives in company.
        let alone = Coordinates { values: &h[(rows - 1) * width..], rows: 1, width };
        let mut single = before[(rows - 1) * (outputs + 5)..].to_vec();
        let block = Block { panels: &panels, first_output: 3, runs: &runs };
        add(&[block], alone, &mut single, outputs + 5);
        assert_eq!(single, y[(rows - 1) * (outputs + 5)..]);
    }
}

#[test]
fn thin_products_match_sums_in_f64() {
    check_panels(0.0, |value| value);
    check_panels(f16::ZERO, f16::from_f32);
    check_panels(bf16::ZERO, bf16::from_f32);
}
