//! Getting the programs and packages that tests need, once for each version.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(super) const NPM: &str = "Node 20 and npm are needed (Debian: apt-get install nodejs npm)";
const PIP: &str = "Python 3 and pip are needed (Debian: apt-get install python3 python3-pip)";

/// Where tools are kept between runs: `COTA_TOOLS`, else a folder in the user's cache.
#[must_use]
pub fn tools() -> PathBuf {
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    folder("COTA_TOOLS")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("cota-tools")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache").join("cota-tools")))
        .expect("no place to keep tools: set COTA_TOOLS to a folder")
}

/// A folder of the tools that `install` has filled. It is installed once, however many tests ask at the same time; a name
/// that carries the version is installed anew with it.
#[must_use]
pub fn once(name: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let folder = tools().join(name);
    let done = folder.join(".installed");
    if !done.exists() {
        let _alone = lock(&folder);
        if !done.exists() {
            install(&folder);
            File::create(&done).expect("the folder can be written");
        }
    }
    folder
}

/// Waits until no other test installs into the folder.
fn lock(folder: &Path) -> File {
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let file = File::create(folder.join(".lock")).expect("the folder can be written");
    file.lock().expect("files can be locked");
    file
}

/// A folder with these packages of npm, each as `name@version`, in its `node_modules`.
#[must_use]
pub fn npm(name: &str, packages: &[&str]) -> PathBuf {
    once(name, |folder| {
        fs::write(folder.join("package.json"), "{\"private\": true}\n").expect("the folder can be written");
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--save-exact"]).args(packages).current_dir(folder);
        run(&mut npm, NPM);
    })
}

/// A folder with these packages of PyPI, each as `name==version`: what goes into `PYTHONPATH`.
#[must_use]
pub fn pip(name: &str, packages: &[&str]) -> PathBuf {
    once(name, |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(folder).args(packages);
        run(&mut pip, PIP);
    })
}

/// The path of a program, from these Debian packages where it is missing.
#[must_use]
pub fn apt(program: &str, packages: &[&str]) -> PathBuf {
    if let Some(found) = on_path(program) {
        return found;
    }
    let hint = format!("`{program}` is needed; as root: apt-get update && apt-get install -y {}", packages.join(" "));
    let _alone = lock(&tools().join("apt"));
    let install = || {
        let mut apt = Command::new("apt-get");
        // Runlevel 1 keeps a package from starting a service of its own.
        apt.args(["install", "-y", "-q", "--no-install-recommends"]).args(packages);
        apt.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        apt
    };
    if on_path(program).is_none() && !install().output().is_ok_and(|output| output.status.success()) {
        run(Command::new("apt-get").args(["update", "-q"]), &hint);
        run(&mut install(), &hint);
    }
    on_path(program).unwrap_or_else(|| panic!("{hint}"))
}

/// Runs a command to its end; fails with the hint and what it wrote.
pub fn run(command: &mut Command, hint: &str) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}. {hint}"));
    let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed. {hint}\n{}", said());
    output
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
