//! The Worker as it is tested, built once a run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::services::root;

/// The bots and tasks that are put in; the first is the default one.
const BOTS: [&str; 14] = [
    "examples/weather",
    "examples/weather-zh",
    "examples/helpdesk",
    "examples/clinic",
    "examples/consult",
    "examples/trip",
    "crates/cota-cli/tests/bots/chat",
    "crates/cota-cli/tests/bots/errand",
    "crates/cota-cli/tests/bots/impatient",
    "crates/cota-cli/tests/bots/latest",
    "crates/cota-cli/tests/bots/merge",
    "crates/cota-cli/tests/bots/pay",
    "crates/cota-cli/tests/bots/reject",
    "crates/cota-cli/tests/bots/short-queue",
];

/// Builds it where nobody has yet: however long that takes, it is no hang.
pub fn build_once() {
    modules();
}

/// The folder with the Worker's modules.
pub(super) fn modules() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(build);
    BUILT.as_path()
}

fn build() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["xtask", "worker", "--test"]).current_dir(root()).env("COTA_BOT", BOTS.join(","));
    // What cargo tells the tests' own build is not for another one.
    std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG") || name == "CARGO_MANIFEST_DIR").for_each(|(name, _)| {
        build.env_remove(name);
    });
    let output = build.output().unwrap();
    assert!(output.status.success(), "the Worker does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    root().join("functions/worker/build-test")
}
