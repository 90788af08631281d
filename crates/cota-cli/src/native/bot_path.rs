use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cota_config::{Bundle, BundleError, Files, Loaded, Options};

/// Where a bot is read from: its folder, or a bundle of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BotPath(PathBuf);

/// Why no bot could be read; what is wrong with one that could is in its diagnostics.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is nothing.
    #[error("there is no bot at {}: no such file or folder", .0.display())]
    Missing(PathBuf),
    /// There is a folder, and neither it nor a folder in it is a bot.
    #[error("{} is no bot: it has no agent.yml, and no folder in it has one; `cota init` writes an example bot", .0.display())]
    NoBot(PathBuf),
    /// There is a task.
    #[error("{} is a task; `cota task run` runs it, or name one of the bots in its folder agents/", .0.display())]
    Task(PathBuf),
    /// A file is not text.
    #[error("{} is not UTF-8 text; save it as UTF-8", .0.display())]
    NotText(PathBuf),
    /// A file could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is not a bundle.
    #[error("{}: {source}", .path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BundleError,
    },
}

/// Size and age of each file: whether one changed is seen without reading any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(BTreeMap<PathBuf, (u64, Option<SystemTime>)>);

impl Stamp {
    pub(super) fn of(paths: Vec<PathBuf>) -> Self {
        let of = |path: PathBuf| fs::metadata(&path).ok().map(|meta| (path, (meta.len(), meta.modified().ok())));
        Self(paths.into_iter().filter_map(of).collect())
    }
}

impl BotPath {
    /// The bots at a place: the one that it is, or every one in a folder of it.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(place: &Path) -> Result<Vec<Self>, ReadError> {
        if place.join("task.yml").is_file() {
            return Err(ReadError::Task(place.to_owned()));
        }
        if place.is_file() || looks_like_a_bot(place) {
            return Ok(vec![Self(place.to_owned())]);
        }
        if !place.is_dir() {
            return Err(ReadError::Missing(place.to_owned()));
        }
        let inside: Vec<Self> = sorted(place)?.into_iter().filter(|path| path.join("agent.yml").is_file()).map(Self).collect();
        if inside.is_empty() { Err(ReadError::NoBot(place.to_owned())) } else { Ok(inside) }
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The bot's name where agent.yml gives none: the folder's.
    #[must_use]
    pub fn folder_name(&self) -> String {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        name(&self.0).or_else(|| name(&self.0.canonicalize().ok()?)).unwrap_or_else(|| "bot".to_owned())
    }

    /// The folder's files that may be a part of the bot, its tests included; none for a bundle.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn files(&self) -> Result<Files, ReadError> {
        if self.0.is_file() {
            return Ok(Files::new());
        }
        let named = |path: PathBuf| -> Result<(String, String), ReadError> {
            let inside = path.strip_prefix(&self.0).unwrap_or(&path);
            let inside: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            Ok((inside.join("/"), read_text(&path)?))
        };
        self.paths()?.into_iter().map(named).collect()
    }

    /// Loads the bot in the environment of this process.
    ///
    /// # Errors
    /// When its files cannot be read. Whether they are a bot is told by what is returned.
    pub fn load(&self) -> Result<Loaded, ReadError> {
        let environment = std::env::var("COTA_ENV").ok().filter(|name| !name.is_empty());
        let name = self.folder_name();
        let options = Options { environment: environment.as_deref(), ..Options::new(&name) };
        let variable = |name: &str| std::env::var(name).ok();
        if !self.0.is_file() {
            return Ok(cota_config::load(&self.files()?, &variable, &options));
        }
        let text = read_text(&self.0)?;
        let bundle = Bundle::parse(&text).map_err(|source| ReadError::Bundle { path: self.0.clone(), source })?;
        let name = bundle.name().to_owned();
        Ok(cota_config::load_bundle(bundle, &variable, &Options { folder: &name, ..options }))
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp::of(if self.0.is_file() { vec![self.0.clone()] } else { self.paths().unwrap_or_default() })
    }

    /// The YAML files of the folder itself, and of the folders that hold dialogues and tests.
    fn paths(&self) -> Result<Vec<PathBuf>, ReadError> {
        let mut paths = sorted(&self.0)?;
        paths.retain(|path| path.is_file());
        for folder in ["policy", "tests"].map(|name| self.0.join(name)).iter().filter(|folder| folder.is_dir()) {
            collect(folder, &mut paths)?;
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml"));
        Ok(paths)
    }
}

/// Also where agent.yml is misnamed: then its diagnostics say so.
fn looks_like_a_bot(folder: &Path) -> bool {
    ["agent.yml", "agent.yaml", "endpoints.yml", "policy"].iter().any(|name| folder.join(name).exists())
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    for path in sorted(folder)? {
        if path.is_dir() {
            collect(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// What is in a folder, in order; hidden files, such as an editor's, are left out.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Io { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    paths.sort();
    Ok(paths)
}

fn read_text(path: &Path) -> Result<String, ReadError> {
    fs::read_to_string(path).map_err(|source| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::InvalidData { ReadError::NotText(path) } else { ReadError::Io { path, source } }
    })
}
