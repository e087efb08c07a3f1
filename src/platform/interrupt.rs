//! Ctrl-C as a flag, so that what is under way can end cleanly. A second Ctrl-C ends the program
//! at once, as ever.

use std::sync::atomic::{AtomicBool, Ordering};

static PRESSED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C only raises the flag.
pub fn watch() {
    system::watch();
}

/// True once Ctrl-C was pressed.
pub fn pressed() -> bool {
    PRESSED.load(Ordering::SeqCst)
}

#[cfg(unix)]
mod system {
    use super::{Ordering, PRESSED};

    extern "C" fn on_interrupt(signal: libc::c_int) {
        PRESSED.store(true, Ordering::SeqCst);
        // SAFETY: `signal` may be called from a handler (POSIX async-signal-safe list).
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }

    pub fn watch() {
        let handler = on_interrupt as extern "C" fn(libc::c_int);
        // SAFETY: the handler does nothing but store a flag and restore the default.
        unsafe { libc::signal(libc::SIGINT, handler as libc::sighandler_t) };
    }
}

#[cfg(windows)]
mod system {
    use super::{Ordering, PRESSED};

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn SetConsoleCtrlHandler(
            handler: Option<unsafe extern "system" fn(u32) -> i32>,
            add: i32,
        ) -> i32;
    }

    unsafe extern "system" fn on_interrupt(kind: u32) -> i32 {
        // 0 is Ctrl-C; the second one falls through to the default, which ends the process.
        i32::from(kind == 0 && !PRESSED.swap(true, Ordering::SeqCst))
    }

    pub fn watch() {
        // SAFETY: the handler has the signature the system asks for and lives for ever.
        unsafe { SetConsoleCtrlHandler(Some(on_interrupt), 1) };
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    pub fn watch() {}
}
