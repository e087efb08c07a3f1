//! The panels of thin products for x86-64 with AVX2, FMA and F16C: 32 outputs of one to three
//! activation rows stay in registers.

use std::arch::x86_64::*;

use super::avx2::Load;
use super::panels::{Coordinates, PANEL, Place, Run};
use super::{Columns, unrolled};

/// Adds one panel to the outputs of every row.
///
/// # Safety
/// The processor has what `avx2::available` asks for; runs lie within `values` (`[rank, 32]`) and
/// within the rows of `h`; no other thread touches the columns of `place`.
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn add_panel<T: Load>(
    values: &[T],
    runs: &[Run],
    h: Coordinates<'_>,
    y: &Columns<'_>,
    place: Place,
) {
    let mut row = 0;
    while row < h.rows {
        let rows = (h.rows - row).min(3);
        // SAFETY: the caller's promise; rows from `row` on exist.
        unsafe {
            match rows {
                1 => rows_1(values, runs, h, row, y, place),
                2 => rows_2(values, runs, h, row, y, place),
                _ => rows_3(values, runs, h, row, y, place),
            }
        }
        row += rows;
    }
}

/// Makes the function for so many activation rows at once.
macro_rules! tile {
    ($name:ident, $rows:tt) => {
        /// # Safety
        /// As for [`add_panel`]; so many rows from `row` on exist.
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn $name<T: Load>(
            values: &[T],
            runs: &[Run],
            h: Coordinates<'_>,
            row: usize,
            y: &Columns<'_>,
            place: Place,
        ) {
            let mut sums = [[_mm256_setzero_ps(); 4]; $rows];
            // SAFETY: runs lie within the panel and the rows of `h`, by the caller's promise.
            unsafe {
                for run in runs {
                    let mut panel = values.as_ptr().add(run.first * PANEL);
                    let end = panel.add(run.count * PANEL);
                    let mut scale = h.values.as_ptr().add(row * h.width + run.column);
                    while panel < end {
                        let mut parts = [_mm256_setzero_ps(); 4];
                        unrolled!(4, P, {
                            parts[P] = T::load(panel.wrapping_add(P.wrapping_mul(8)));
                        });
                        unrolled!($rows, R, {
                            let s = _mm256_set1_ps(*scale.wrapping_add(R.wrapping_mul(h.width)));
                            sums[R][0] = _mm256_fmadd_ps(parts[0], s, sums[R][0]);
                            sums[R][1] = _mm256_fmadd_ps(parts[1], s, sums[R][1]);
                            sums[R][2] = _mm256_fmadd_ps(parts[2], s, sums[R][2]);
                            sums[R][3] = _mm256_fmadd_ps(parts[3], s, sums[R][3]);
                        });
                        panel = panel.wrapping_add(PANEL);
                        scale = scale.wrapping_add(1);
                    }
                }
                for (index, sums) in sums.iter().enumerate() {
                    let mut flat = [0f32; PANEL];
                    unrolled!(4, P, {
                        _mm256_storeu_ps(
                            flat.as_mut_ptr().wrapping_add(P.wrapping_mul(8)),
                            sums[P],
                        );
                    });
                    y.add(row + index, place.column, &flat[..place.count]);
                }
            }
        }
    };
}

tile!(rows_1, 1);
tile!(rows_2, 2);
tile!(rows_3, 3);
