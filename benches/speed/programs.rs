//! What needs another program: the training bench, and the window's first frame and idle memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Runs the bench that measures training, with the profile this one was built with.
pub fn print_training() -> Result<()> {
    println!("Training");
    let released = !cfg!(debug_assertions);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["bench", "--quiet", "--bench", "training"]);
    if !released {
        cargo.args(["--profile", "dev"]);
    }
    let done = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().context("starting cargo")?;
    if !done.success() {
        println!("the training bench did not run");
    }
    println!();
    Ok(())
}

/// Time until the window's first frame stands on the screen, and memory once it is idle.
pub fn print_window() -> Result<()> {
    let display =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if cfg!(target_os = "linux") && !display {
        println!("Window: no display here (run this under a desktop or `xvfb-run -a`)");
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let window = || {
        let mut window = Command::new(env!("CARGO_BIN_EXE_tiller"));
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"]
        {
            window.env(name, home.path());
        }
        window.stderr(Stdio::null());
        window
    };
    let mut first_frame = f64::INFINITY;
    for _ in 0..3 {
        let output = window().env("TILLER_FIRST_FRAME", "1").output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let milliseconds: f64 = said
            .lines()
            .find_map(|line| line.trim().parse().ok())
            .context("the window did not say when its first frame stood")?;
        first_frame = first_frame.min(milliseconds);
    }
    println!("Window: first frame after {first_frame:.0} ms");
    let mut idle = window().stdout(Stdio::null()).spawn()?;
    let memory = settled(idle.id());
    idle.kill()?;
    idle.wait()?;
    match memory {
        Some(bytes) => println!("Window: {} MiB of memory when idle", bytes >> 20),
        None => println!("Window: its memory cannot be read here"),
    }
    Ok(())
}

/// Waits until a process's memory has not changed for a second, at most fifteen.
fn settled(process: u32) -> Option<u64> {
    let start = Instant::now();
    let (mut last, mut since) = (resident(process)?, Instant::now());
    while start.elapsed() < Duration::from_secs(15) {
        std::thread::sleep(Duration::from_millis(100));
        let now = resident(process)?;
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > Duration::from_secs(1) && start.elapsed().as_secs() >= 3 {
            break;
        }
    }
    Some(last)
}

fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}
