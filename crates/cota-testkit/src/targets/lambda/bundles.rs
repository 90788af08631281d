//! A folder of bundles, as a deployment package has it.

use std::fs;
use std::path::{Path, PathBuf};

use cota_config::{Bundle, Files};
use tempfile::TempDir;

use crate::targets::example;

/// Bundles in a folder that goes with the test.
pub struct Bundles(TempDir);

impl Bundles {
    /// Bundles of these bots' folders; the first is the default one.
    #[must_use]
    pub fn of(bots: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (n, bot) in bots.iter().enumerate() {
            let name = bot.file_name().unwrap().to_str().unwrap();
            let mut files = Files::new();
            read(bot, bot, &mut files);
            let bundle = if files.contains_key("task.yml") { Bundle::of_task(&files, name) } else { Bundle::of(&files, name) };
            fs::write(folder.path().join(format!("{n}-{name}.json")), bundle.to_json()).unwrap();
        }
        Self(folder)
    }

    /// Bundles of the example bots.
    #[must_use]
    pub fn of_examples(names: &[&str]) -> Self {
        Self::of(&names.iter().map(|name| example(name)).collect::<Vec<_>>())
    }

    /// Where they are: `COTA_BUNDLES`.
    #[must_use]
    pub fn folder(&self) -> String {
        self.0.path().display().to_string()
    }
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}
