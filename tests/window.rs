//! The real window: the built binary on a display of its own, judged by its pixels.
//!
//! Constraint: the test starts its own Xvfb; where that or a graphics driver is missing it says `skipped`, unless
//! `DIPOLE_REQUIRE_DISPLAY=1` makes that a failure.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SIZE: [usize; 2] = [1440, 900];
const PATIENCE: Duration = Duration::from_secs(300);

/// A picture as red, green, blue.
struct Picture {
    size: [usize; 2],
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn colours(&self) -> HashSet<[u8; 3]> {
        self.pixels.iter().copied().collect()
    }

    /// Pixels of exactly this colour, or of one that the eye does not tell from it.
    fn count(&self, colour: [u8; 3]) -> usize {
        let near = |pixel: &&[u8; 3]| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 3);
        self.pixels.iter().filter(near).count()
    }
}

/// A virtual screen whose memory can be read.
struct Display {
    server: Child,
    name: String,
    folder: tempfile::TempDir,
}

impl Display {
    /// Starts a server on the first free number; `Err` says what is missing.
    fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &format!("{}x{}x24", SIZE[0], SIZE[1]), "-nolisten", "tcp"])
            .arg("-fbdir")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("Xvfb: {error}"))?;
        let mut number = String::new();
        let stdout = server.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut number).map_err(|error| format!("Xvfb: {error}"))?;
        let number = number.trim();
        if number.is_empty() {
            return Err("Xvfb opened no display".to_owned());
        }
        Ok(Self { server, name: format!(":{number}"), folder })
    }

    /// What is on the screen now, from the server's own memory in the format of `xwd`.
    fn picture(&self) -> Option<Picture> {
        let dump = std::fs::read(self.folder.path().join("Xvfb_screen0")).ok()?;
        let word = |place: usize| -> Option<usize> {
            let bytes = dump.get(place * 4..place * 4 + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?) as usize)
        };
        let (header, width, height) = (word(0)?, word(4)?, word(5)?);
        let (bits, line, colours) = (word(11)?, word(12)?, word(19)?);
        assert_eq!(bits, 32, "the screen has 24 bits in 32");
        let first = header + colours * 12;
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = dump.get(first + y * line..)?.get(..width * 4)?;
            // Blue comes first on a little-endian server.
            pixels.extend(row.chunks_exact(4).map(|pixel| [pixel[2], pixel[1], pixel[0]]));
        }
        Some(Picture { size: [width, height], pixels })
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // It is ours alone; if it is gone already, that is what was wanted.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The display, or `None` after saying why the test is skipped.
fn display() -> Option<Display> {
    match Display::start() {
        Ok(display) => Some(display),
        Err(why) => {
            skipped(&why);
            None
        }
    }
}

fn skipped(why: &str) {
    assert!(std::env::var("DIPOLE_REQUIRE_DISPLAY").as_deref() != Ok("1"), "a display is required: {why}");
    eprintln!("skipped: {why}");
}

fn dipole(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dipole"));
    command
        .current_dir(home)
        .env("DIPOLE_HOME", home)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the window until it closes itself; returns its output, its own picture and the most colourful screen.
fn watch(display: &Display, home: &Path, arguments: &[&Path]) -> (Output, Option<Picture>, Option<Picture>) {
    let own = home.join("window.png");
    let mut window = dipole(home)
        .args(arguments)
        .env("DISPLAY", &display.name)
        .env("DIPOLE_SCREENSHOT", &own)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let began = Instant::now();
    let mut best: Option<Picture> = None;
    while window.try_wait().expect("a child").is_none() {
        if began.elapsed() > PATIENCE {
            let _ = window.kill();
            panic!("the window did not close; it said: {}", text(&window.wait_with_output().expect("output").stderr));
        }
        if let Some(now) = display.picture()
            && best.as_ref().is_none_or(|best| best.colours().len() <= now.colours().len())
        {
            best = Some(now);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let output = window.wait_with_output().expect("output");
    let own = image::open(&own).ok().map(|image| {
        let image = image.to_rgb8();
        let size = [image.width() as usize, image.height() as usize];
        Picture { size, pixels: image.pixels().map(|pixel| pixel.0).collect() }
    });
    (output, own, best)
}

/// The tokens of the dark theme, which is the one a new user sees.
fn token(name: &str) -> [u8; 3] {
    let tokens: serde_json::Value =
        serde_json::from_str(include_str!("../assets/theme/tokens.json")).expect("the theme is JSON");
    let hex = tokens["dark"][name].as_str().expect("a colour").trim_start_matches('#');
    [0, 2, 4].map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
}

fn judge(what: &str, picture: &Picture) {
    assert_eq!(picture.size, SIZE, "{what}");
    let total = picture.pixels.len();
    let colours = picture.colours().len();
    assert!(colours > 200, "{what} has {colours} colours only: text and edges make more");
    let ground = picture.count(token("background")) + picture.count(token("panel"));
    assert!(ground > total / 10 && ground < total, "{what}: {ground} of {total} pixels are ground");
    for pole in ["pull", "push"] {
        let pixels = picture.count(token(pole));
        assert!(pixels >= 20, "{what} has {pixels} pixels of the colour of {pole}");
    }
}

#[test]
fn the_demo_opens_a_real_window_shows_both_poles_and_closes_cleanly() {
    let Some(display) = display() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let (output, own, screen) = watch(&display, home.path(), &[Path::new("demo")]);
    let said = text(&output.stderr);
    if said.contains("No window:") {
        return skipped(&said);
    }
    assert!(output.status.success(), "{said}");
    judge("the window's own picture", &own.expect("a picture"));
    judge("the screen", &screen.expect("a screen"));
    let projects = std::fs::read_dir(home.path().join("projects")).expect("projects").count();
    assert!(projects > 0, "the project is kept for the next start");
}

#[test]
fn three_files_fill_the_three_cards() {
    let Some(display) = display() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let files = ["custom.jsonl", "safe.jsonl", "harmful.jsonl"].map(|name| demo.join(name));
    let (output, own, screen) = watch(&display, home.path(), &[&files[0], &files[1], &files[2]]);
    let said = text(&output.stderr);
    if said.contains("could not be opened") {
        return skipped(&said);
    }
    assert!(output.status.success(), "{said}");
    judge("the window's own picture", &own.expect("a picture"));
    judge("the screen", &screen.expect("a screen"));
}

#[test]
fn without_a_display_the_window_says_why_it_cannot_open() {
    let home = tempfile::tempdir().expect("a folder");
    let output = dipole(home.path()).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("there is no display"), "{said}");
    assert!(said.contains("dipole purify"), "the way out is named: {said}");
}
