//! For build scripts: the bots and tasks that `COTA_BOT` names, as bundles to be compiled in.
//!
//! A deployment whose bot is part of its binary needs no other file and no other service to answer its first message. This crate
//! reads folders and writes one JSON file; it is never part of what is deployed.
//!
//! **Key decision: a bot that does not load is an error of the build.** Whatever would keep it from being served is told with
//! file and line before anything is deployed. Variables such as `${OPENAI_API_KEY}` alone are filled in where it runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cota_config::{Bundle, Diagnostic, Files, Options, Severity, Target};

/// The variable that names the folders of bots and tasks, with commas between them.
pub const VARIABLE: &str = "COTA_BOT";

/// Why no bundles were written.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// A folder or a file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder has no name that a bot could have.
    #[error("{} has no name in UTF-8", .0.display())]
    Name(PathBuf),
    /// A bot or a task does not load.
    #[error("{} does not load:\n{problems}", .folder.display())]
    Broken {
        /// Its folder.
        folder: PathBuf,
        /// What is wrong with it.
        problems: String,
    },
}

/// The folder that is compiled in where nobody says.
const DEFAULT: &str = "examples/weather";

/// Writes the bundles of the folders that [`VARIABLE`] names, relative to `root`, as one JSON list into `bundles.json` of cargo's
/// `OUT_DIR`. Yields what the build script prints, so that cargo does this again when one of them changes.
///
/// # Errors
/// When a folder cannot be read, or its bot or task does not load.
pub fn write(root: &Path) -> Result<String, EmbedError> {
    let place = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("bundles.json");
    let mut told = format!("cargo::rerun-if-env-changed={VARIABLE}\n");
    let named = std::env::var(VARIABLE).ok().filter(|named| !named.trim().is_empty()).unwrap_or_else(|| DEFAULT.to_owned());
    let bundles =
        named.split(',').map(|folder| bundle(&root.join(folder.trim()), &mut told)).collect::<Result<Vec<String>, EmbedError>>()?;
    fs::write(&place, format!("[{}]", bundles.join(","))).map_err(|source| EmbedError::Io { path: place, source })?;
    Ok(told)
}

fn bundle(folder: &Path, told: &mut String) -> Result<String, EmbedError> {
    let folder = folder.canonicalize().map_err(|source| EmbedError::Io { path: folder.to_owned(), source })?;
    told.push_str(&format!("cargo::rerun-if-changed={}\n", folder.display()));
    let mut files = Files::new();
    read(&folder, &folder, &mut files)?;
    let name = folder.file_name().and_then(|name| name.to_str()).ok_or_else(|| EmbedError::Name(folder.clone()))?;
    let options = Options { target: Target::Edge, variables_may_come_later: true, ..Options::new(name) };
    let (bundle, diagnostics) = if files.contains_key("task.yml") {
        let loaded = cota_config::load_task(&files, &|_| None, &options);
        (loaded.task.map(|_| Bundle::of_task(&files, name)), loaded.diagnostics)
    } else {
        let loaded = cota_config::load(&files, &|_| None, &options);
        (loaded.bot.map(|_| Bundle::of(&files, name)), loaded.diagnostics)
    };
    bundle.map(|bundle| bundle.to_json()).ok_or_else(|| {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        let problems: Vec<String> = errors.map(Diagnostic::to_string).collect();
        EmbedError::Broken { folder, problems: problems.join("\n") }
    })
}

/// Reads the YAML files of a folder and of those in it.
fn read(folder: &Path, root: &Path, files: &mut Files) -> Result<(), EmbedError> {
    let failed = |path: &Path, source| EmbedError::Io { path: path.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        let path = entry.map_err(|source| failed(folder, source))?.path();
        if path.is_dir() {
            read(&path, root, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let name = relative.to_str().ok_or_else(|| EmbedError::Name(path.clone()))?.replace('\\', "/");
            files.insert(name, fs::read_to_string(&path).map_err(|source| failed(&path, source))?);
        }
    }
    Ok(())
}
