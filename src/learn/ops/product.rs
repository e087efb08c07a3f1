//! Matrix products over plain slices with any strides, so that no transposed copy is ever made.

use gemm::Parallelism;

/// A matrix inside a slice: rows, columns, and how far apart neighbours lie.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A dense row-major matrix.
    pub fn dense(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert!(values.len() >= rows * columns, "the slice holds the matrix");
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Its transpose: another way to walk the same values.
    pub fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

impl Matrix<'_> {
    /// Some of its columns: another way to walk the same values.
    pub fn columns(self, from: usize, count: usize) -> Self {
        assert!(from + count <= self.columns, "the columns lie within the matrix");
        let values = &self.values[(from * self.column_stride).min(self.values.len())..];
        Self { values, columns: count, ..self }
    }
}

/// Who does the work of one product.
#[derive(Clone, Copy)]
pub enum Workers {
    /// The calling thread: for products inside a task.
    One,
    /// Every thread of the pool.
    All,
}

/// `out = scale·left·right`, or `out += scale·left·right` when accumulating; `out` is dense
/// row-major. The sum over the inner dimension has a fixed order whatever the number of threads.
pub fn multiply(
    out: &mut [f32],
    left: Matrix<'_>,
    right: Matrix<'_>,
    scale: f32,
    accumulate: bool,
    workers: Workers,
) {
    multiply_within(out, right.columns, left, right, scale, accumulate, workers);
}

/// [`multiply`] into some columns of a wider matrix whose rows lie `out_stride` values apart;
/// `out` begins at the first of them.
pub fn multiply_within(
    out: &mut [f32],
    out_stride: usize,
    left: Matrix<'_>,
    right: Matrix<'_>,
    scale: f32,
    accumulate: bool,
    workers: Workers,
) {
    assert_eq!(left.columns, right.rows, "inner dimensions agree");
    let (rows, columns, inner) = (left.rows, right.columns, left.columns);
    let last = rows.saturating_sub(1) * out_stride + columns;
    assert!(columns <= out_stride && out.len() >= last, "the output holds the product");
    let parallelism = match workers {
        Workers::One => Parallelism::None,
        Workers::All => Parallelism::Rayon(rayon::current_num_threads()),
    };
    // SAFETY: `Matrix` is only made over slices that hold rows·columns values at these strides
    // (a transpose and a choice of columns walk the same values), the output's length was checked above, and it cannot
    // overlap the inputs because it is borrowed mutably.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let left = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 x 3
        let right = [1.0, 0.0, 2.0, 1.0, 0.0, 3.0]; // 3 x 2
        let mut out = vec![10.0; 4];
        let (a, b) = (Matrix::dense(&left, 2, 3), Matrix::dense(&right, 3, 2));
        multiply(&mut out, a, b, 1.0, false, Workers::One);
        assert_eq!(out, [5.0, 11.0, 14.0, 23.0]);
        multiply(&mut out, a, b, 2.0, true, Workers::All);
        assert_eq!(out, [15.0, 33.0, 42.0, 69.0]);
        // Each column by itself, into its place.
        let mut apart = vec![0.0; 4];
        for column in 0..2 {
            let one = b.columns(column, 1);
            multiply_within(&mut apart[column..], 2, a, one, 1.0, false, Workers::One);
        }
        assert_eq!(apart, [5.0, 11.0, 14.0, 23.0]);
        let mut square = vec![0.0; 9];
        multiply(&mut square, a.transposed(), b.transposed(), 1.0, false, Workers::One);
        assert_eq!(square, [1.0, 6.0, 12.0, 2.0, 9.0, 15.0, 3.0, 12.0, 18.0]);
    }
}
