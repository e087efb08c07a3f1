//! Which device a model runs on, and why not a better one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Result;
use candle_core::Device;

use super::linear::kernel;
use crate::platform::Problem;

/// The device taken.
#[derive(Debug, Clone)]
pub struct Choice {
    pub device: Device,
    /// `CPU, 8 threads, AVX2, FMA, F16C` or `CUDA 0`.
    pub label: String,
    /// Why no better device was taken; empty when there is none or a certain one was asked for.
    pub note: String,
}

/// What `--device` may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Auto,
    Cpu,
    Cuda(usize),
    Metal,
}

/// Takes the device asked for: `auto` (or empty), `cpu`, `cuda`, `cuda:1`, `metal`.
///
/// `auto` takes the best that this build and this computer offer. Asking for one that is not there
/// is an error that says what to do.
pub fn choose(asked: &str) -> Result<Choice> {
    Ok(match parse(asked)? {
        Asked::Cpu => Choice { device: Device::Cpu, label: cpu_label(), note: String::new() },
        Asked::Cuda(number) => Choice {
            device: cuda(number).map_err(|why| {
                Problem::new(format!("no CUDA device {number}: {why}"))
                    .hint("choose `--device cpu` or `--device auto`")
            })?,
            label: format!("CUDA {number}"),
            note: String::new(),
        },
        Asked::Metal => Choice {
            device: metal().map_err(|why| {
                Problem::new(format!("no Metal device: {why}"))
                    .hint("choose `--device cpu` or `--device auto`")
            })?,
            label: "Metal".to_owned(),
            note: String::new(),
        },
        Asked::Auto => match (cuda(0), metal()) {
            (Ok(device), _) => Choice { device, label: "CUDA 0".to_owned(), note: String::new() },
            (_, Ok(device)) => Choice { device, label: "Metal".to_owned(), note: String::new() },
            (Err(no_cuda), Err(no_metal)) => Choice {
                device: Device::Cpu,
                label: cpu_label(),
                note: if cfg!(target_os = "macos") { no_metal } else { no_cuda },
            },
        },
    })
}

/// Bytes free for a model: on the CPU what the system can give without swapping; `None` where it
/// cannot be asked.
pub fn free_memory(device: &Device) -> Option<u64> {
    if !device.is_cpu() {
        return None;
    }
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    // A container may be allowed less than the computer has.
    let allowed = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    match system.available_memory().min(allowed) {
        0 => None,
        bytes => Some(bytes),
    }
}

fn parse(asked: &str) -> Result<Asked> {
    let name = asked.trim().to_ascii_lowercase();
    Ok(match name.as_str() {
        "" | "auto" => Asked::Auto,
        "cpu" => Asked::Cpu,
        "cuda" => Asked::Cuda(0),
        "metal" => Asked::Metal,
        other => match other.strip_prefix("cuda:").and_then(|number| number.parse().ok()) {
            Some(number) => Asked::Cuda(number),
            None => {
                return Err(Problem::new(format!("unknown device `{asked}`"))
                    .hint("choose auto, cpu, cuda, cuda:1 or metal")
                    .into());
            }
        },
    })
}

/// The processor, its threads in use and the vector features our kernels use.
fn cpu_label() -> String {
    let threads = candle_core::utils::get_num_threads();
    let plural = if threads == 1 { "" } else { "s" };
    format!("CPU, {threads} thread{plural}, {}", kernel::features())
}

fn cuda(number: usize) -> Result<Device, String> {
    if !cfg!(feature = "cuda") {
        return Err("this build has no CUDA support (feature `cuda`)".to_owned());
    }
    if !nvidia_driver_present() {
        return Err("built with CUDA, but no NVIDIA driver was found".to_owned());
    }
    open("CUDA", || Device::new_cuda(number))
}

fn metal() -> Result<Device, String> {
    if !cfg!(feature = "metal") {
        return Err("this build has no Metal support (feature `metal`)".to_owned());
    }
    open("Metal", || Device::new_metal(0))
}

/// Opens a device. The bindings below candle panic where a library cannot be loaded, and a
/// computer without one is no reason to end the program.
fn open(
    name: &str,
    device: impl FnOnce() -> candle_core::Result<Device>,
) -> Result<Device, String> {
    match catch_unwind(AssertUnwindSafe(device)) {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => {
            let text = error.to_string();
            Err(format!("{name} does not start ({})", text.lines().next().unwrap_or_default()))
        }
        Err(_) => Err(format!("the libraries of {name} cannot be loaded")),
    }
}

/// Looks for the driver where it shows itself, so that its absence is a sentence and not a panic.
fn nvidia_driver_present() -> bool {
    let signs: &[&str] = if cfg!(windows) {
        &[r"C:\Windows\System32\nvcuda.dll"]
    } else {
        // The second is what a Linux inside Windows has.
        &["/proc/driver/nvidia/version", "/dev/dxg", "/dev/nvidiactl"]
    };
    signs.iter().any(|sign| std::path::Path::new(sign).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_unknown_ones_refused() {
        assert_eq!(parse("").unwrap(), Asked::Auto);
        assert_eq!(parse(" Auto ").unwrap(), Asked::Auto);
        assert_eq!(parse("cuda").unwrap(), Asked::Cuda(0));
        assert_eq!(parse("cuda:3").unwrap(), Asked::Cuda(3));
        assert_eq!(parse("metal").unwrap(), Asked::Metal);
        for wrong in ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0"] {
            let problem = parse(wrong).unwrap_err().to_string();
            assert!(problem.contains(wrong) && problem.contains("choose auto"), "{problem}");
        }
    }

    #[test]
    fn auto_finds_a_device_and_says_why_not_a_better_one() {
        let choice = choose("auto").unwrap();
        assert_eq!(choice.device.is_cpu(), !choice.note.is_empty());
        let cpu = choose("cpu").unwrap();
        assert!(cpu.device.is_cpu() && cpu.note.is_empty());
        assert!(cpu.label.starts_with("CPU, ") && cpu.label.contains("thread"), "{}", cpu.label);
        assert!(free_memory(&cpu.device).is_some_and(|bytes| bytes > 1 << 20));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_without_the_feature_is_an_error_with_a_way_out() {
        let problem = choose("cuda:1").unwrap_err().to_string();
        assert!(problem.contains("feature `cuda`") && problem.contains("--device cpu"));
    }

    #[cfg(not(feature = "metal"))]
    #[test]
    fn metal_without_the_feature_is_an_error_with_a_way_out() {
        let problem = choose("metal").unwrap_err().to_string();
        assert!(problem.contains("feature `metal`") && problem.contains("--device cpu"));
    }

    #[test]
    fn a_library_that_panics_becomes_a_sentence() {
        let why = open("CUDA", || panic!("cannot load libcuda")).unwrap_err();
        assert_eq!(why, "the libraries of CUDA cannot be loaded");
    }
}
