//! Bot folders for the tests.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "shared by several test binaries, and by tests only")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cota_config::{Diagnostic, Files, Loaded, Options, load};

/// A folder written as one text: each file after a line `=== path`.
pub fn folder(text: &str) -> Files {
    let mut files = BTreeMap::new();
    for part in text.split("=== ").skip(1) {
        let (path, content) = part.split_once('\n').unwrap();
        files.insert(path.trim().to_owned(), content.to_owned());
    }
    files
}

/// Loads a folder with two variables set.
pub fn load_text(text: &str) -> Loaded {
    load_files(&folder(text))
}

/// Loads files with two variables set.
pub fn load_files(files: &Files) -> Loaded {
    load(files, &environment, &Options::new("folder"))
}

/// The variables of the tests.
pub fn environment(name: &str) -> Option<String> {
    match name {
        "TEST_KEY" => Some("sk-of-the-environment".to_owned()),
        "TEST_NUMBER" => Some("7".to_owned()),
        "TEST_EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// All diagnostics as one text.
pub fn text(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("[{}] {diagnostic}", diagnostic.code)).collect::<Vec<_>>().join("\n\n")
}

/// The example bots of the repository.
pub fn example_bots() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut bots: Vec<PathBuf> =
        std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.join("agent.yml").is_file()).collect();
    bots.sort();
    bots
}

/// Every YAML file of a folder.
pub fn read_folder(root: &Path) -> Files {
    fn walk(root: &Path, folder: &Path, files: &mut Files) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut files = Files::new();
    walk(root, root, &mut files);
    files
}
