//! Widens the blocks of 32 weights with AVX2, to the same bits as candle's plain code.

use std::arch::x86_64::*;

use super::unrolled;

/// Blocks of 32 signed bytes and a scale (`q8_0`).
///
/// # Safety
/// The processor must have what [`super::avx2::available`] asks for.
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn q8_0(bytes: &[u8], out: &mut [f32]) {
    let (blocks, rest) = bytes.as_chunks::<34>();
    let (runs, short) = out.as_chunks_mut::<32>();
    assert!(blocks.len() == runs.len() && rest.is_empty() && short.is_empty());
    for (block, run) in blocks.iter().zip(runs) {
        let scale = number(block, 0);
        // SAFETY: 2 + 32 bytes are read of each block, 32 numbers written to each run.
        unsafe {
            let from = block.as_ptr().wrapping_add(2);
            let to = run.as_mut_ptr();
            unrolled!(4, PART, {
                let eight = _mm_loadl_epi64(from.wrapping_add(8 * PART).cast());
                let wide = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
                _mm256_storeu_ps(to.wrapping_add(8 * PART), _mm256_mul_ps(wide, scale));
            });
        }
    }
}

/// Blocks of 32 weights in four bits, or five with `FIFTH`: `q4_0`, `q5_0`, and with `MINIMUM`
/// `q4_1`, `q5_1`. `SIZE` is the bytes of one.
///
/// A block is its scale, its minimum, the fifth bits of all 32, and 16 bytes of which the lower
/// halves come first.
///
/// # Safety
/// As for [`q8_0`].
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn nibbles<const SIZE: usize, const FIFTH: bool, const MINIMUM: bool>(
    bytes: &[u8],
    out: &mut [f32],
) {
    let (blocks, rest) = bytes.as_chunks::<SIZE>();
    let (runs, short) = out.as_chunks_mut::<32>();
    assert!(blocks.len() == runs.len() && rest.is_empty() && short.is_empty());
    let nibble = _mm_set1_epi8(0x0f);
    for (block, run) in blocks.iter().zip(runs) {
        let scale = number(block, 0);
        let minimum = if MINIMUM { number(block, 2) } else { _mm256_setzero_ps() };
        // SAFETY: a block ends with 16 bytes of halves; 32 numbers are written to each run.
        unsafe {
            let halves = _mm_loadu_si128(block.as_ptr().add(SIZE - 16).cast());
            let upper = _mm_and_si128(_mm_srli_epi16::<4>(halves), nibble);
            let mut all = _mm256_set_m128i(upper, _mm_and_si128(halves, nibble));
            if FIFTH {
                let at = SIZE - 20;
                let bits = [block[at], block[at + 1], block[at + 2], block[at + 3]];
                all = _mm256_or_si256(all, fifth_bits(i32::from_le_bytes(bits)));
            }
            let zero = match (MINIMUM, FIFTH) {
                (true, _) => 0,
                (false, false) => 8,
                (false, true) => 16,
            };
            // All are below 32, so signed bytes hold them and what is left of the zero point.
            let all = _mm256_sub_epi8(all, _mm256_set1_epi8(zero));
            let (low, high) = (_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
            let parts = [low, _mm_srli_si128::<8>(low), high, _mm_srli_si128::<8>(high)];
            let to = run.as_mut_ptr();
            unrolled!(4, PART, {
                let wide = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(parts[PART]));
                let mut wide = _mm256_mul_ps(wide, scale);
                if MINIMUM {
                    wide = _mm256_add_ps(wide, minimum);
                }
                _mm256_storeu_ps(to.wrapping_add(8 * PART), wide);
            });
        }
    }
}

/// The f16 at a place of a block, in every lane.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn number(block: &[u8], at: usize) -> __m256 {
    let bits = i32::from(u16::from_le_bytes([block[at], block[at + 1]]));
    _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)))
}

/// Bit i of 32 as 16 in byte i, or nothing.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fifth_bits(bits: i32) -> __m256i {
    // Each byte of the bits, eight times over; then the one bit each place is about.
    let order = _mm256_set_epi64x(
        0x0303_0303_0303_0303,
        0x0202_0202_0202_0202,
        0x0101_0101_0101_0101,
        0x0000_0000_0000_0000,
    );
    let place = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
    let spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), order);
    let set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, place), place);
    _mm256_and_si256(set, _mm256_set1_epi8(16))
}
