//! Debian's Chromium, driven by tests in JavaScript that Node runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::install::{NPM, apt, run};

/// Runs the tests in a file, with Chromium and the packages of npm of a folder. What they wrote.
///
/// Chromium is the one that `COTA_CHROMIUM` names, else Debian's. Screenshots go to `target/screenshots` of the workspace.
#[must_use]
pub fn run_tests(packages: &Path, file: &Path, environment: &[(&str, &Path)]) -> String {
    install(packages);
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"])
        .arg(file)
        .current_dir(packages)
        .env("COTA_CHROMIUM", chromium())
        .envs(environment.iter().copied());
    String::from_utf8_lossy(&run(&mut node, NPM).stdout).into_owned()
}

fn chromium() -> PathBuf {
    std::env::var_os("COTA_CHROMIUM").map_or_else(|| apt("chromium", &["chromium", "fonts-noto-cjk"]), PathBuf::from)
}

/// Installs what a lock file says, where it is not installed yet.
fn install(folder: &Path) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    let modified = |name: &str| folder.join(name).metadata().and_then(|metadata| metadata.modified()).ok();
    let installed = modified("node_modules/.package-lock.json");
    if installed.is_none() || installed < modified("package-lock.json") {
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder), NPM);
    }
}
