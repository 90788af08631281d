use std::fs;
use std::path::{Path, PathBuf};

use cota_config::{Files, LoadedTask, Options};

use super::bot_path::ReadError;

/// A task's folder.
#[derive(Clone, Debug)]
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

    /// Loads the task in the environment of this process.
    ///
    /// # Errors
    /// When its files cannot be read. Whether they are a task is told by what is returned.
    pub fn load(&self) -> Result<LoadedTask, ReadError> {
        let mut files = Files::new();
        collect(&self.0, &self.0, &mut files)?;
        let environment = std::env::var("COTA_ENV").ok().filter(|name| !name.is_empty());
        let absolute = self.0.canonicalize().unwrap_or_else(|_| self.0.clone());
        let name = absolute.file_name().map_or_else(|| "task".to_owned(), |name| name.to_string_lossy().into_owned());
        let options = Options { environment: environment.as_deref(), ..Options::new(&name) };
        Ok(cota_config::load_task(&files, &|name| std::env::var(name).ok(), &options))
    }
}

/// Every YAML file below a folder, by its path there. Hidden ones are left out.
fn collect(root: &Path, folder: &Path, files: &mut Files) -> Result<(), ReadError> {
    let failed = |source| ReadError::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            let inside = path.strip_prefix(root).unwrap_or(&path);
            let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            let text = fs::read_to_string(&path).map_err(|source| ReadError::Io { path: path.clone(), source })?;
            files.insert(parts.join("/"), text);
        }
    }
    Ok(())
}
