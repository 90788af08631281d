use std::fs;
use std::path::{Path, PathBuf};

use cota_config::{Files, LoadedTask, Options};

use super::bot_path::{ReadError, Stamp};

/// A task's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPath(PathBuf);

impl TaskPath {
    /// The task at a place, if that is one.
    #[must_use]
    pub fn at(place: &Path) -> Option<Self> {
        place.join("task.yml").is_file().then(|| Self(place.to_owned()))
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The task's name: its folder's.
    #[must_use]
    pub fn name(&self) -> String {
        let absolute = self.0.canonicalize().unwrap_or_else(|_| self.0.clone());
        absolute.file_name().map_or_else(|| "task".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The files that may be a part of the task or of its agents, by their paths there.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn files(&self) -> Result<Files, ReadError> {
        let mut paths = Vec::new();
        collect(&self.0, &mut paths)?;
        let named = |path: PathBuf| {
            let inside = path.strip_prefix(&self.0).unwrap_or(&path);
            let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            let text = fs::read_to_string(&path).map_err(|source| ReadError::Io { path: path.clone(), source })?;
            Ok((parts.join("/"), text))
        };
        paths.into_iter().map(named).collect()
    }

    /// Loads the task in the environment of this process.
    ///
    /// # Errors
    /// When its files cannot be read. Whether they are a task is told by what is returned.
    pub fn load(&self) -> Result<LoadedTask, ReadError> {
        let (files, name) = (self.files()?, self.name());
        let environment = std::env::var("COTA_ENV").ok().filter(|name| !name.is_empty());
        let options = Options { environment: environment.as_deref(), ..Options::new(&name) };
        Ok(cota_config::load_task(&files, &|name| std::env::var(name).ok(), &options))
    }

    pub(super) fn stamp(&self) -> Stamp {
        let mut paths = Vec::new();
        // What cannot be read now is told when it is loaded.
        let _ = collect(&self.0, &mut paths);
        Stamp::of(paths)
    }
}

/// Every YAML file below a folder. Hidden ones are left out.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    let failed = |source| ReadError::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            paths.push(path);
        }
    }
    Ok(())
}
