//! Start-up: the window, or one headless verb.

fn main() -> std::process::ExitCode {
    tiller::app::start()
}
