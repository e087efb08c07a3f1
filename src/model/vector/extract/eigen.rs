//! Small dense algebra in f64: eigenvectors of a symmetric matrix, and an inverse Cholesky factor.

/// Eigenvalues, largest first, and eigenvectors as the columns of a row-major `[size, size]`
/// matrix, of a symmetric row-major `[size, size]` matrix (cyclic Jacobi rotations).
pub fn symmetric_eigen(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; size * size];
    for i in 0..size {
        vectors[i * size + i] = 1.0;
    }
    let norm = matrix.iter().map(|x| x * x).sum::<f64>();
    // Convergence is quadratic: a dozen sweeps are plenty, thirty are a bound.
    for _ in 0..30 {
        let off: f64 = (0..size)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| 2.0 * matrix[i * size + j].powi(2))
            .sum();
        if off <= 1e-30 * norm {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut matrix, &mut vectors, size, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| matrix[b * size + b].total_cmp(&matrix[a * size + a]));
    let values = order.iter().map(|i| matrix[i * size + i]).collect();
    let mut sorted = vec![0.0; size * size];
    for (column, from) in order.iter().enumerate() {
        for row in 0..size {
            sorted[row * size + column] = vectors[row * size + from];
        }
    }
    (values, sorted)
}

/// One rotation that makes the element (p, q) zero.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], size: usize, p: usize, q: usize) {
    let across = matrix[p * size + q];
    if across == 0.0 {
        return;
    }
    let ratio = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * across);
    let tangent = ratio.signum() / (ratio.abs() + (ratio * ratio + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    for k in 0..size {
        let (a, b) = (matrix[k * size + p], matrix[k * size + q]);
        matrix[k * size + p] = cosine * a - sine * b;
        matrix[k * size + q] = sine * a + cosine * b;
    }
    for k in 0..size {
        let (a, b) = (matrix[p * size + k], matrix[q * size + k]);
        matrix[p * size + k] = cosine * a - sine * b;
        matrix[q * size + k] = sine * a + cosine * b;
        let (a, b) = (vectors[k * size + p], vectors[k * size + q]);
        vectors[k * size + p] = cosine * a - sine * b;
        vectors[k * size + q] = sine * a + cosine * b;
    }
}

/// For a Gram matrix G = YᵀY: a row-major `[size, kept]` matrix T such that the columns of Y·T are
/// orthonormal. Columns of Y that depend on earlier ones are left out.
pub fn orthonormaliser(gram: &[f64], size: usize) -> (Vec<f64>, usize) {
    // Rows of the factor R (G = RᵀR) over the kept columns, and of its inverse.
    let mut factor: Vec<Vec<f64>> = Vec::new();
    let mut kept: Vec<usize> = Vec::new();
    for column in 0..size {
        // Solve Rᵀ x = G[kept, column] by going forward.
        let mut x: Vec<f64> = Vec::with_capacity(kept.len());
        for (i, row) in kept.iter().enumerate() {
            let known: f64 = (0..i).map(|k| factor[i][k] * x[k]).sum();
            x.push((gram[row * size + column] - known) / factor[i][i]);
        }
        let whole = gram[column * size + column];
        let left = whole - x.iter().map(|v| v * v).sum::<f64>();
        // What is left of a dependent column is rounding.
        if whole > 0.0 && left > 1e-13 * whole {
            x.push(left.sqrt());
            factor.push(x);
            kept.push(column);
        }
    }
    // `factor` holds R's columns, so row i of it is row i of the lower triangle L = Rᵀ.
    let count = kept.len();
    let mut inverse = vec![0.0; count * count];
    for j in 0..count {
        for i in j..count {
            let known: f64 = (j..i).map(|k| factor[i][k] * inverse[k * count + j]).sum();
            let unit = if i == j { 1.0 } else { 0.0 };
            inverse[i * count + j] = (unit - known) / factor[i][i];
        }
    }
    let mut out = vec![0.0; size * count];
    for (i, row) in kept.iter().enumerate() {
        for j in i..count {
            // T = R⁻¹ = (L⁻¹)ᵀ on the kept rows.
            out[row * count + j] = inverse[j * count + i];
        }
    }
    (out, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::random::normal;

    fn product(a: &[f64], b: &[f64], rows: usize, inner: usize, columns: usize) -> Vec<f64> {
        let mut out = vec![0.0; rows * columns];
        for i in 0..rows {
            for j in 0..columns {
                out[i * columns + j] =
                    (0..inner).map(|k| a[i * inner + k] * b[k * columns + j]).sum();
            }
        }
        out
    }

    fn random(rows: usize, columns: usize) -> Vec<f64> {
        (0..rows * columns).map(|i| f64::from(normal(5, 0, i as u64))).collect()
    }

    fn transposed(a: &[f64], rows: usize, columns: usize) -> Vec<f64> {
        (0..columns).flat_map(|j| (0..rows).map(move |i| a[i * columns + j])).collect()
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let y = random(12, 9);
        let gram = product(&transposed(&y, 12, 9), &y, 9, 12, 9);
        let (values, vectors) = symmetric_eigen(gram.clone(), 9);
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]), "{values:?}");
        let scaled: Vec<f64> = vectors.iter().enumerate().map(|(i, v)| v * values[i % 9]).collect();
        let rebuilt = product(&scaled, &transposed(&vectors, 9, 9), 9, 9, 9);
        for (a, b) in rebuilt.iter().zip(&gram) {
            assert!((a - b).abs() < 1e-10, "{a} {b}");
        }
    }

    #[test]
    fn dependent_columns_are_left_out_and_the_rest_is_orthonormal() {
        let mut y = random(10, 4);
        for row in y.chunks_exact_mut(4) {
            row[2] = row[0] - 2.0 * row[1];
        }
        let gram = product(&transposed(&y, 10, 4), &y, 4, 10, 4);
        let (t, kept) = orthonormaliser(&gram, 4);
        assert_eq!(kept, 3);
        let q = product(&y, &t, 10, 4, 3);
        let unit = product(&transposed(&q, 10, 3), &q, 3, 10, 3);
        for i in 0..3 {
            for j in 0..3 {
                let wanted = if i == j { 1.0 } else { 0.0 };
                assert!((unit[i * 3 + j] - wanted).abs() < 1e-9, "{unit:?}");
            }
        }
        assert_eq!(orthonormaliser(&[0.0; 4], 2).1, 0);
    }
}
