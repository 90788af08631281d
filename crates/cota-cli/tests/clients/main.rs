//! Clients that nobody here wrote, against the real `cota run`: npm's `socket.io-client` 4, its version 3, which the Rasa web
//! chat carries, and PyPI's `python-socketio`; npm's and PyPI's `openai`; PyPI's `websockets`; JSON Web Tokens that Node signs; and
//! `schemathesis`, which asks whatever the description of the routes lets it ask.
//!
//! Needs Node 20 with npm, and Python 3 with pip. What they need is installed into the target folder on first use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod api;
mod openai;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const NODE: &str = "Node 20 and npm are needed (Debian: apt-get install nodejs npm)";
const PYTHON: &str = "Python 3 and pip are needed (Debian: apt-get install python3 python3-pip)";

#[test]
fn socket_io_in_javascript() {
    let packages = npm("node", "");
    passes(node(&place("socketio.test.mjs", &packages)), NODE);
}

#[test]
fn socket_io_in_python() {
    let packages = pip("python", "");
    passes(python(&place("test_socketio.py", &packages), &packages), PYTHON);
}

#[test]
fn tokens_that_node_signs() {
    let packages = npm("node", "");
    passes(node(&place("tokens.test.mjs", &packages)), NODE);
}

#[test]
fn websockets_in_python() {
    let packages = pip("websockets", "sockets/");
    passes(python(&place("sockets/test_websockets.py", &packages), &packages), PYTHON);
}

/// A folder with the packages of `package.json` in this folder of the tests.
fn npm(name: &str, lists: &str) -> PathBuf {
    let lists = ["package.json", "package-lock.json"].map(|list| format!("{lists}{list}"));
    let installed = folder(name, &lists, |folder| Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder).output());
    installed.unwrap_or_else(|error| panic!("{NODE}; {} could not be installed: {error}", lists.join(" and ")))
}

/// A folder with the packages of `requirements.txt` in this folder of the tests.
fn pip(name: &str, lists: &str) -> PathBuf {
    let lists = [format!("{lists}requirements.txt")];
    let installed = folder(name, &lists, |folder| {
        let install = ["-m", "pip", "install", "--quiet", "--upgrade", "--target", "packages", "-r", "requirements.txt"];
        Command::new("python3").args(install).current_dir(folder).output()
    });
    installed.unwrap_or_else(|error| panic!("{PYTHON}; {} could not be installed: {error}", lists.concat()))
}

/// Node, to run the tests of a script.
fn node(script: &Path) -> Command {
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).arg(script);
    node
}

/// Python, to run the tests of a script.
fn python(script: &Path, packages: &Path) -> Command {
    let mut python = Command::new("python3");
    python.arg(script).arg("--verbose").env("PYTHONPATH", packages.join("packages"));
    python
}

/// Runs the tests of a script, which start the server themselves, and fails with what they say.
fn passes(mut command: Command, hint: &str) {
    let bots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let called = command.env("COTA_BIN", env!("CARGO_BIN_EXE_cota")).env("COTA_EXAMPLES", bots).output();
    let output = called.unwrap_or_else(|error| panic!("{hint}: {error}"));
    assert!(output.status.success(), "{}", said(&output));
    println!("{}", said(&output));
}

/// A folder in which these files are installed: again only when they have changed.
fn folder(name: &str, lists: &[String], install: impl FnOnce(&Path) -> std::io::Result<Output>) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name);
    let done = folder.join("installed");
    let wanted: String = lists.iter().map(|list| fs::read_to_string(source(list)).unwrap()).collect();
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).unwrap();
    for list in lists {
        place(list, &folder);
    }
    let output = install(&folder).map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(said(&output));
    }
    fs::write(done, wanted).unwrap();
    Ok(folder)
}

/// Puts a file of the tests where what it needs is installed.
fn place(file: &str, folder: &Path) -> PathBuf {
    let target = folder.join(Path::new(file).file_name().unwrap());
    fs::copy(source(file), &target).unwrap();
    target
}

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(file)
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
