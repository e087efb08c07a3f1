//! The running program: takes commands, drains engine events, owns what is on screen.

mod cli;
pub mod window;

/// Runs the window, or the headless verb named on the command line.
pub fn start() -> std::process::ExitCode {
    cli::run()
}
