//! A progress line with a share, a rate and an estimate, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use crate::platform::interrupt;
use crate::ui::words::{bytes, seconds};

/// Least time between two lines.
const INTERVAL_SECONDS: f64 = 0.2;

/// Shows `doing`; what it returns is called with bytes done and in all, and is false once Ctrl-C
/// was pressed.
pub fn line(doing: &'static str) -> impl FnMut(u64, u64) -> bool {
    let terminal = std::io::stderr().is_terminal();
    let start = Instant::now();
    let mut last = -1.0;
    move |done, total| {
        let now = start.elapsed().as_secs_f64();
        if terminal && now - last >= INTERVAL_SECONDS && total > 0 {
            last = now;
            let rate = done as f64 / now.max(1e-9);
            let left = if done > 0 {
                format!(", about {} left", seconds((total.saturating_sub(done)) as f64 / rate))
            } else {
                String::new()
            };
            let percent = 100 * done / total;
            let mut out = std::io::stderr().lock();
            let rate = bytes(rate as u64);
            write!(out, "\r\x1b[2K{doing}  {percent} %  {rate}/s{left}").ok();
            out.flush().ok();
        }
        !interrupt::pressed()
    }
}

/// Ends the line, so that what follows starts a new one.
pub fn end() {
    if std::io::stderr().is_terminal() {
        write!(std::io::stderr().lock(), "\r\x1b[2K").ok();
    }
}
