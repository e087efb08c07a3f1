//! Weighted ridge regression with an intercept, by normal equations in f64.

use anyhow::{Result, ensure};

/// What is known of the examples so far.
#[derive(Debug, Clone)]
pub struct Ridge {
    width: usize,
    /// Σ w·x·xᵀ, upper triangle, row-major.
    squares: Vec<f64>,
    /// Σ w·x·y and Σ w·x.
    products: Vec<f64>,
    sums: Vec<f64>,
    target: f64,
    weight: f64,
}

impl Ridge {
    /// For inputs of `width` numbers.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            squares: vec![0.0; width * width],
            products: vec![0.0; width],
            sums: vec![0.0; width],
            target: 0.0,
            weight: 0.0,
        }
    }

    /// Takes an example.
    pub fn add(&mut self, input: &[f32], target: f32, weight: f64) {
        let target = f64::from(target);
        for (row, x) in input.iter().enumerate() {
            let scaled = weight * f64::from(*x);
            self.products[row] += scaled * target;
            self.sums[row] += scaled;
            let squares = &mut self.squares[row * self.width + row..(row + 1) * self.width];
            for (sum, other) in squares.iter_mut().zip(&input[row..]) {
                *sum += scaled * f64::from(*other);
            }
        }
        self.target += weight * target;
        self.weight += weight;
    }

    /// The weights and the intercept with the least weighted squared error, weights held near
    /// nought by `ridge` times the mean square of the inputs.
    ///
    /// # Errors
    /// When there are no examples, or the numbers are not finite.
    pub fn solve(&self, ridge: f64) -> Result<(Vec<f32>, f32)> {
        let (width, mass) = (self.width, self.weight);
        ensure!(mass > 0.0, "there are no examples");
        let mean: Vec<f64> = self.sums.iter().map(|sum| sum / mass).collect();
        let mean_target = self.target / mass;
        // Centred, upper triangle; then its Cholesky factor in the lower one.
        let mut matrix = vec![0.0; width * width];
        let mut trace = 0.0;
        for row in 0..width {
            for column in row..width {
                let value = self.squares[row * width + column] - mass * mean[row] * mean[column];
                matrix[column * width + row] = value;
            }
            trace += matrix[row * width + row].max(0.0);
        }
        let held = ridge * (trace / width.max(1) as f64).max(f64::MIN_POSITIVE);
        let mut right: Vec<f64> =
            (0..width).map(|row| self.products[row] - mass * mean[row] * mean_target).collect();
        for row in 0..width {
            matrix[row * width + row] += held;
            for column in 0..=row {
                let (upper, lower) = matrix.split_at(row * width);
                let other = if column == row { lower } else { &upper[column * width..] };
                let dot: f64 =
                    lower[..column].iter().zip(&other[..column]).map(|(a, b)| a * b).sum();
                let value = lower[column] - dot;
                let diagonal = other[column];
                matrix[row * width + column] = if column == row {
                    ensure!(value > 0.0, "the states do not tell the texts apart");
                    value.sqrt()
                } else {
                    value / diagonal
                };
            }
        }
        for row in 0..width {
            let line = &matrix[row * width..row * width + row];
            let dot: f64 = line.iter().zip(&right[..row]).map(|(a, b)| a * b).sum();
            right[row] = (right[row] - dot) / matrix[row * width + row];
        }
        for row in (0..width).rev() {
            let dot: f64 =
                (row + 1..width).map(|below| matrix[below * width + row] * right[below]).sum();
            right[row] = (right[row] - dot) / matrix[row * width + row];
        }
        let shift: f64 = mean.iter().zip(&right).map(|(a, b)| a * b).sum();
        let weights: Vec<f32> = right.iter().map(|value| *value as f32).collect();
        let bias = (mean_target - shift) as f32;
        ensure!(bias.is_finite() && weights.iter().all(|w| w.is_finite()), "the fit is not finite");
        Ok((weights, bias))
    }
}
