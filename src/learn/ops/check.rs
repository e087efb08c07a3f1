//! What the tests of every fused operation share: finite differences, and comparison with the
//! composition of candle's own operations.

use candle_core::{Device, Result, Shape, Tensor, Var};

use crate::learn::random;

/// A tensor of standard normal values.
pub fn random(shape: impl Into<Shape>, seed: u64) -> Tensor {
    let shape = shape.into();
    let values = (0..shape.elem_count() as u64).map(|i| random::normal(seed, 0, i)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A scalar out of any tensor, with a different weight for every element.
fn weighted_sum(y: &Tensor) -> Tensor {
    let weights = random(y.shape(), 99);
    (y * weights).unwrap().sum_all().unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn value_and_gradients(
    arguments: &[Tensor],
    function: &impl Fn(&[Tensor]) -> Result<Tensor>,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let vars: Vec<Var> = arguments.iter().map(|a| Var::from_tensor(a).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let y = function(&tensors).unwrap();
    let grads = weighted_sum(&y).backward().unwrap();
    let of = |t: &Tensor| values(grads.get(t).expect("every argument has a gradient"));
    (values(&y), tensors.iter().map(of).collect())
}

fn assert_close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let bound = tolerance * want.abs().max(1.0);
        assert!((got - want).abs() <= bound, "{what}, element {i}: {got} against {want}");
    }
}

/// Value and gradients equal those of the plain composition.
pub fn same(
    arguments: &[Tensor],
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    plain: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let (y, grads) = value_and_gradients(arguments, &fused);
    let (plain_y, plain_grads) = value_and_gradients(arguments, &plain);
    assert_close(&y, &plain_y, 2e-5, "value");
    for (i, (grad, plain)) in grads.iter().zip(&plain_grads).enumerate() {
        assert_close(grad, plain, 5e-5, &format!("gradient of argument {i}"));
    }
}

/// [`same`], and every single derivative equals a central finite difference.
pub fn gradients(
    arguments: &[Tensor],
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    plain: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    same(arguments, &fused, plain);
    let (_, grads) = value_and_gradients(arguments, &fused);
    // Wide enough that f32 rounding stays small beside the difference.
    const STEP: f32 = 1e-2;
    for (i, argument) in arguments.iter().enumerate() {
        let base = values(argument);
        for element in 0..base.len() {
            let at = |shift: f32| {
                let mut moved = base.clone();
                moved[element] += shift;
                let mut arguments = arguments.to_vec();
                arguments[i] = Tensor::from_vec(moved, argument.shape(), &Device::Cpu).unwrap();
                f64::from(weighted_sum(&fused(&arguments).unwrap()).to_scalar::<f32>().unwrap())
            };
            let slope = ((at(STEP) - at(-STEP)) / f64::from(2.0 * STEP)) as f32;
            let got = grads[i][element];
            assert!(
                (got - slope).abs() <= 5e-3 * slope.abs().max(1.0),
                "argument {i}, element {element}: {got} against the slope {slope}"
            );
        }
    }
}
