//! The web page in a real browser: Debian's Chromium, driven by Playwright through Node, against the real `cota run`.
//!
//! Needs Node and npm. Chromium is looked for at `/usr/bin/chromium`, or where `COTA_CHROMIUM` says; on a Debian machine it is
//! installed if the tests run as root. Screenshots go to `target/screenshots`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

const CHROMIUM: &str = "/usr/bin/chromium";
const RASA_WEBCHAT: &str = "rasa-webchat-1.0.1";

#[test]
fn a_conversation_is_had_as_people_have_it() {
    in_the_browser("chat.test.mjs");
}

#[test]
fn answers_stream_and_survive_every_break_of_the_line() {
    in_the_browser("stream.test.mjs");
}

#[test]
fn the_inspector_says_why_the_bot_did_what_it_did() {
    in_the_browser("inspector.test.mjs");
}

#[test]
fn everybody_can_use_the_page_and_it_is_there_at_once() {
    in_the_browser("looks.test.mjs");
}

#[test]
fn a_server_that_wants_to_know_who_speaks_is_told() {
    in_the_browser("sign_in.test.mjs");
}

#[test]
fn people_take_part_and_show_each_other_images() {
    in_the_browser("visit.test.mjs");
}

#[test]
fn a_task_is_started_watched_answered_and_stopped() {
    in_the_browser("task.test.mjs");
}

#[test]
fn rasas_own_web_chat_talks_to_a_bot() {
    // Its script holds all that it needs, so what its package depends on is not installed.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(RASA_WEBCHAT);
    if !place.join("package/lib/index.js").exists() {
        std::fs::create_dir_all(&place).unwrap();
        let hint = "npm is needed (Debian: apt-get install npm)";
        must(Command::new("npm").args(["pack", "--silent", "rasa-webchat@1.0.1"]).current_dir(&place), hint);
        must(Command::new("tar").args(["-xzf", "rasa-webchat-1.0.1.tgz"]).current_dir(&place), "tar is needed");
    }
    in_the_browser_with("rasa.test.mjs", &[("COTA_RASA_WEBCHAT", &place.join("package"))]);
}

/// Runs the tests in a file, and fails with what they say.
fn in_the_browser(file: &str) {
    in_the_browser_with(file, &[]);
}

fn in_the_browser_with(file: &str, environment: &[(&str, &Path)]) {
    static BROWSER: LazyLock<PathBuf> = LazyLock::new(browser);
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", file])
        .current_dir(folder())
        .env("COTA_BIN", env!("CARGO_BIN_EXE_cota"))
        .env("COTA_CHROMIUM", BROWSER.as_path())
        .env("COTA_SCREENSHOTS", screenshots)
        .envs(environment.iter().copied());
    let output = call(&mut node, "Node is needed (Debian: apt-get install nodejs npm)");
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{}", String::from_utf8_lossy(&output.stdout));
}

/// Where Chromium is, once it and what drives it are installed.
fn browser() -> PathBuf {
    let installed = folder().join("node_modules/.package-lock.json");
    let is_newer = |path: &Path, than: &Path| Some(path.metadata().ok()?.modified().ok()? > than.metadata().ok()?.modified().ok()?);
    if is_newer(&installed, &folder().join("package-lock.json")) != Some(true) {
        must(
            Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder()),
            "npm is needed (Debian: apt-get install npm)",
        );
    }
    let chromium = PathBuf::from(std::env::var_os("COTA_CHROMIUM").unwrap_or_else(|| CHROMIUM.into()));
    if !chromium.exists() {
        let hint = "Chromium is needed: install it (Debian: apt-get install chromium fonts-noto-cjk), or set COTA_CHROMIUM to its path";
        must(Command::new("apt-get").args(["install", "-y", "-q", "chromium", "fonts-noto-cjk"]), hint);
    }
    chromium
}

fn must(command: &mut Command, hint: &str) {
    let output = call(command, hint);
    assert!(output.status.success(), "{hint}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn call(command: &mut Command, hint: &str) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}. {hint}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page")
}
