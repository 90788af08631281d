//! The web page in a real browser: Debian's Chromium, driven by Playwright through Node, against the real `cota run`.
//!
//! Needs Node and npm. Chromium is the one on the path, or where `COTA_CHROMIUM` says; on a Debian machine it is installed if the
//! tests run as root. Screenshots go to `target/screenshots`.

use std::path::Path;
use std::process::Command;

use cota_testkit::services::{chromium, once, run};

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
    let place = once(RASA_WEBCHAT, |folder| {
        let hint = "npm is needed (Debian: apt-get install npm)";
        run(Command::new("npm").args(["pack", "--silent", "rasa-webchat@1.0.1"]).current_dir(folder), hint);
        run(Command::new("tar").args(["-xzf", "rasa-webchat-1.0.1.tgz"]).current_dir(folder), "tar is needed");
    });
    in_the_browser_with("rasa.test.mjs", &[("COTA_RASA_WEBCHAT", &place.join("package"))]);
}

/// Runs the tests in a file, and fails with what they say.
fn in_the_browser(file: &str) {
    in_the_browser_with(file, &[]);
}

fn in_the_browser_with(file: &str, environment: &[(&str, &Path)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let mut environment = environment.to_vec();
    environment.push(("COTA_BIN", Path::new(env!("CARGO_BIN_EXE_cota"))));
    println!("{}", chromium::run_tests(&folder, &folder.join(file), &environment));
}
