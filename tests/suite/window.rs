//! The real program in a real window on a virtual display, with real key events.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

/// Long enough for a debug build on a busy machine; nothing here measures time.
const PATIENCE: Duration = Duration::from_secs(180);

const NEEDS: &str = "this test opens a window on a virtual display; install Xvfb and xdotool \
                     (Debian: apt-get install xvfb xdotool libvulkan1 mesa-vulkan-drivers)";

/// A process that ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A virtual display of our own.
struct Display {
    _server: Running,
    name: String,
}

impl Display {
    fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("Xvfb does not start ({error}); {NEEDS}"));
        // The server says which display it took once it is ready.
        let mut number = String::new();
        let output = server.stdout.take().expect("asked for above");
        BufReader::new(output).read_line(&mut number).expect("Xvfb names its display");
        assert!(!number.trim().is_empty(), "Xvfb ended at once; {NEEDS}");
        Self { _server: Running(server), name: format!(":{}", number.trim()) }
    }

    fn xdotool(&self, arguments: &[&str]) -> String {
        let output = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", &self.name)
            // Without a UTF-8 locale xdotool drops what it cannot encode.
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap_or_else(|error| panic!("xdotool does not start ({error}); {NEEDS}"));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn tiller(&self, folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
        command
            .env("DISPLAY", &self.name)
            .env_remove("WAYLAND_DISPLAY")
            .env("XDG_RUNTIME_DIR", folder)
            .env("TILLER_DATA_DIR", folder.join("data"))
            // No model of this computer is looked at.
            .env("HOME", folder)
            .env("HF_HOME", folder.join("none"));
        command
    }
}

fn wait_for<T>(
    what: &str,
    mut program: Option<&mut Running>,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        if let Some(program) = &mut program
            && let Ok(Some(status)) = program.0.try_wait()
        {
            panic!("tiller ended ({status}) before {what}");
        }
        assert!(Instant::now() < give_up, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The first value of a query on the database the window writes, if it is there yet.
fn ask(database: &Path, query: &str) -> Option<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).ok()?;
    connection.query_row(query, [], |row| row.get(0)).ok()
}

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter")
}

#[test]
fn typed_words_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let display = Display::start();
    let started = display
        .tiller(folder.path())
        .arg("--model")
        .arg(model())
        .spawn()
        .expect("the binary was built with this test");
    let mut program = Running(started);
    let window = wait_for("its window", Some(&mut program), || {
        let found = display.xdotool(&["search", "--onlyvisible", "--name", "^Tiller$"]);
        found.lines().last().map(str::to_owned)
    });
    let settings = folder.path().join("data/settings.toml");
    wait_for("its model", Some(&mut program), || {
        std::fs::read_to_string(&settings).ok().filter(|text| text.contains("last = "))
    });

    // There is no window manager to give it the keyboard.
    wait_for("the keyboard", Some(&mut program), || {
        display.xdotool(&["windowfocus", &window]);
        (display.xdotool(&["getwindowfocus"]) == window).then_some(())
    });
    display.xdotool(&["type", "--delay", "20", "Tell me about the sea"]);
    display.xdotool(&["key", "Return"]);
    let database = folder.path().join("data/tiller.db");
    let reply = wait_for("the reply", Some(&mut program), || {
        ask(&database, "SELECT content FROM node WHERE role = 'assistant' AND state = 'finished'")
    });
    assert!(!reply.trim().is_empty(), "the model answers in words");
    let asked = ask(&database, "SELECT content FROM node WHERE role = 'user'");
    assert_eq!(asked.as_deref(), Some("Tell me about the sea"));
    let tokens = ask(&database, "SELECT CAST(length(tokens) AS TEXT) FROM trace");
    assert!(tokens.is_some_and(|bytes| bytes != "0"), "its tokens are kept");

    display.xdotool(&["key", "ctrl+q"]);
    let status = wait_for("its end", None, || program.0.try_wait().ok().flatten());
    assert!(status.success(), "{status}");
}

#[test]
fn the_first_frame_can_be_timed() {
    let folder = tempfile::tempdir().unwrap();
    let display = Display::start();
    let output = display
        .tiller(folder.path())
        .env("TILLER_FIRST_FRAME", "1")
        .output()
        .expect("the binary was built with this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let milliseconds: u64 = text.trim().parse().unwrap_or_else(|_| panic!("not a number: {text}"));
    assert!(milliseconds > 0);
}

#[test]
fn the_window_comes_back_where_it_was_and_never_off_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    let display = Display::start();
    let settings = folder.path().join("data/settings.toml");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    // A place of a larger screen that is not connected any more.
    std::fs::write(&settings, "[window]\nsize = [3000, 2000]\nposition = [4000, 100]\n").unwrap();
    let open = || {
        let started = display.tiller(folder.path()).spawn().expect("built with this test");
        let mut program = Running(started);
        let window = wait_for("its window", Some(&mut program), || {
            let found = display.xdotool(&["search", "--onlyvisible", "--name", "^Tiller$"]);
            found.lines().last().map(str::to_owned)
        });
        (program, window)
    };
    let geometry = |window: &str| {
        let text = display.xdotool(&["getwindowgeometry", "--shell", window]);
        let number = |name: &str| -> i32 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
        };
        [number("X="), number("Y="), number("WIDTH="), number("HEIGHT=")]
    };
    let close = |mut program: Running, window: &str| {
        wait_for("the keyboard", Some(&mut program), || {
            display.xdotool(&["windowfocus", window]);
            (display.xdotool(&["getwindowfocus"]) == window).then_some(())
        });
        display.xdotool(&["key", "ctrl+q"]);
        let status = wait_for("its end", None, || program.0.try_wait().ok().flatten());
        assert!(status.success(), "{status}");
    };
    let (mut program, window) = open();
    wait_for("the default size on this screen", Some(&mut program), || {
        let [x, y, width, height] = geometry(&window);
        let is_seen = (0..=80).contains(&x) && (0..=80).contains(&y);
        (is_seen && [width, height] == [1200, 800]).then_some(())
    });
    display.xdotool(&["windowmove", &window, "37", "41"]);
    display.xdotool(&["windowsize", &window, "900", "600"]);
    wait_for("its new place to be kept", Some(&mut program), || {
        let text = std::fs::read_to_string(&settings).ok()?;
        (text.contains("size = [900, 600]") && text.contains("position = [37, 41]")).then_some(())
    });
    close(program, &window);
    let (mut program, window) = open();
    wait_for("the place it was left at", Some(&mut program), || {
        (geometry(&window) == [37, 41, 900, 600]).then_some(())
    });
    close(program, &window);
}
