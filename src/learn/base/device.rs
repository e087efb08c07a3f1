//! The device that training runs on, by the name the command line gives it.

use anyhow::Result;
use candle_core::Device;

use crate::platform::Problem;

/// `cpu`, `cuda` or `cuda:1`.
///
/// # Errors
/// When this build or computer has no such device.
pub fn device(name: &str) -> Result<Device> {
    let number = match name.split_once(':') {
        Some((_, number)) => number.parse::<usize>().ok(),
        None => Some(0),
    };
    match (name.split(':').next(), number) {
        (Some("cpu"), _) => Ok(Device::Cpu),
        (Some("cuda"), Some(number)) if candle_core::utils::cuda_is_available() => {
            Ok(Device::new_cuda(number)?)
        }
        (Some("cuda"), Some(_)) => Err(Problem::new("this build knows no CUDA")
            .hint("build with --features cuda, or train with --device cpu")
            .into()),
        _ => {
            Err(Problem::new(format!("`{}` is no device", name)).hint("cpu, cuda or cuda:1").into())
        }
    }
}
