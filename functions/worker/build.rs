//! Puts bots into the Worker: the folders that `COTA_BOT` names, with commas between them, as one JSON file.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cota_config::{Bundle, Files, Options, Severity, Target};

/// The bot that is put in where nobody says.
const DEFAULT: &str = "examples/weather";

fn main() -> Result<()> {
    println!("cargo::rerun-if-env-changed=COTA_BOT");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var("COTA_BOT").unwrap_or_else(|_| DEFAULT.to_owned());
    let bundles = named.split(',').map(|folder| bundle(&root.join(folder.trim()))).collect::<Result<Vec<String>>>()?;
    let place = PathBuf::from(std::env::var("OUT_DIR")?).join("bundles.json");
    fs::write(&place, format!("[{}]", bundles.join(","))).with_context(|| format!("cannot write {}", place.display()))
}

fn bundle(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize().with_context(|| format!("COTA_BOT names no folder: {}", folder.display()))?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Files::new();
    read(&folder, &folder, &mut files)?;
    let name = folder.file_name().and_then(|name| name.to_str()).context("a bot's folder has a name in UTF-8")?;
    let options = Options { target: Target::Edge, variables_may_come_later: true, ..Options::new(name) };
    let loaded = cota_config::load(&files, &|_| None, &options);
    let errors: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| format!("{}: {}", diagnostic.file, diagnostic.message))
        .collect();
    if loaded.bot.is_none() {
        bail!("the bot {} does not load; `cota check` shows where:\n{}", folder.display(), errors.join("\n"));
    }
    Ok(Bundle::of(&files, name).to_json())
}

/// Reads the YAML files of a folder and of those in it.
fn read(folder: &Path, root: &Path, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, root, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            let name = path.strip_prefix(root)?.to_str().context("a bot's files have names in UTF-8")?.replace('\\', "/");
            files.insert(name, fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    Ok(())
}
