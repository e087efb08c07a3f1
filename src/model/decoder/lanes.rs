//! Loops over f32 slices, compiled twice: for any processor, and for x86-64 with AVX2 and FMA.
//!
//! The bodies are plain Rust over groups of eight values that the compiler keeps in registers; the
//! processor is asked once per call. Sums go through fixed lanes in a fixed order, so on one
//! machine the same input always gives the same output.

/// Values a register is thought to hold.
pub(super) const LANES: usize = 8;

/// Makes `$name` out of `$body::<FUSED>`, where `FUSED` says whether multiply-add is one
/// instruction here.
macro_rules! for_this_processor {
    ($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $body:ident) => {
        $(#[$doc])*
        pub(super) fn $name($($argument: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn fast($($argument: $type),*) $(-> $out)? {
                    $body::<true>($($argument),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has just said that it has both.
                    return unsafe { fast($($argument),*) };
                }
            }
            $body::<{ cfg!(target_arch = "aarch64") }>($($argument),*)
        }
    };
}
pub(super) use for_this_processor;

/// `a · b + c`, in one rounding where that is one instruction.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `eˣ` to about one unit in the last place, without a branch, so that eight of them fit one
/// register. Below -87 it is the smallest normal number instead of less, above 88 it stays finite.
#[inline(always)]
pub(super) fn exponential<const FUSED: bool>(x: f32) -> f32 {
    // Adding and subtracting 1.5 · 2²³ rounds to a whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts: the first has so few bits that its multiples are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.3, 88.3);
    let shifted = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = multiply_add::<FUSED>(whole, -LN_2_HIGH, x);
    let rest = multiply_add::<FUSED>(whole, -LN_2_LOW, rest);
    // The Taylor series to the seventh power; |rest| ≤ 0.35 leaves 4e-9 of it.
    let mut sum = 1.0 / 5040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = multiply_add::<FUSED>(sum, rest, term);
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    sum * f32::from_bits(exponent)
}

/// The sum of all lanes, halves upon halves: three additions deep instead of seven.
#[inline(always)]
pub(super) fn fold(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    let (a, b, c, d) = (a + e, b + f, c + g, d + h);
    (a + c) + (b + d)
}

/// Adds up `of` each value in fixed lanes.
#[inline(always)]
pub(super) fn sum_of(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane += of(*x);
        }
    }
    fold(lanes) + rest.iter().map(|x| of(*x)).sum::<f32>()
}

/// The largest value.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::exponential;

    #[test]
    fn the_exponential_is_right_to_the_last_places() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0 + 0.003;
            let exact = f64::from(x).exp();
            for ours in [exponential::<false>(x), exponential::<true>(x)] {
                let error = (f64::from(ours) / exact - 1.0).abs();
                assert!(error < 3e-7, "e^{x} is {exact:e}, not {ours:e}");
            }
        }
        assert!(exponential::<false>(-1e30) < 2e-38);
        assert!(exponential::<false>(f32::NEG_INFINITY) < 2e-38);
        assert!(exponential::<false>(1e30).is_finite());
        assert!(exponential::<false>(f32::NAN).is_nan());
        assert_eq!(exponential::<false>(0.0), 1.0);
    }
}
