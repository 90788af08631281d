//! The functions' programs. They are packages of their own, so cargo is asked to build them, with their failpoints.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::targets::root;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(build);

/// Builds them where nobody has yet: however long it takes, it is no hang.
pub fn build_once() {
    LazyLock::force(&FOLDER);
}

/// The command line, which talks to a deployment as anybody's does.
#[must_use]
pub fn cota() -> PathBuf {
    program("cota")
}

/// The program of a function.
#[must_use]
pub fn program(function: &str) -> PathBuf {
    FOLDER.join(function)
}

fn build() -> PathBuf {
    // What a benchmark measures is built as it is shipped, elsewhere.
    if let Some(built) = std::env::var_os("COTA_FUNCTIONS") {
        return PathBuf::from(built);
    }
    // This test is target/debug/deps/functions-...
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().and_then(Path::parent).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--quiet", "--features", "failpoints", "--target-dir"]).arg(folder.parent().unwrap());
    for function in ["api", "task", "turn", "websocket"] {
        cargo.args(["--package", &format!("cota-function-{function}")]);
    }
    cargo.args(["--package", "cota-cli"]);
    let status = cargo.status().expect("cargo runs this test, so it can be started");
    assert!(status.success(), "the functions do not build: {status}");
    folder.to_owned()
}
