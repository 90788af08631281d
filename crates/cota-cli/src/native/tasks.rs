use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cota_config::{Files, LoadedTask, Options};
use cota_core::bot::Bot;
use cota_core::ids::{BotDigest, BotName};
use cota_driver::ports::Bots;
use cota_driver::task::ServedTask;

use super::bot_path::ReadError;

/// A task's folder.
#[derive(Clone, Debug)]
pub struct TaskPath(PathBuf);

/// The bots of this process, and its tasks with their agents.
pub struct Company {
    others: Arc<dyn Bots>,
    tasks: Vec<Staffed>,
}

/// A task with its agents.
struct Staffed {
    served: Arc<ServedTask>,
    agents: Vec<Arc<Bot>>,
}

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

impl Company {
    /// Bots, and tasks that were loaded without an error.
    #[must_use]
    pub fn new(others: Arc<dyn Bots>, loaded: Vec<LoadedTask>) -> Self {
        let staffed = |loaded: LoadedTask| {
            let agents = loaded.agents.into_iter().filter_map(|(_, agent)| agent.bot.map(Arc::new)).collect();
            let (task, planner) = (loaded.task?, Arc::new(loaded.planner?));
            Some(Staffed { served: Arc::new(ServedTask { task, planner }), agents })
        };
        Self { others, tasks: loaded.into_iter().filter_map(staffed).collect() }
    }

    fn agents(&self) -> impl Iterator<Item = &Arc<Bot>> {
        self.tasks.iter().flat_map(|task| &task.agents)
    }
}

impl Bots for Company {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.others.current(name).or_else(|| self.agents().find(|bot| bot.source().name == *name).cloned())
    }

    fn pinned(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        let agent = || self.agents().find(|bot| bot.source().name == *name && bot.digest() == digest).cloned();
        self.others.pinned(name, digest).or_else(agent)
    }

    fn names(&self) -> Vec<BotName> {
        let agents = self.agents().map(|bot| bot.source().name.clone());
        self.others.names().into_iter().chain(agents).collect()
    }

    fn task(&self, name: &BotName) -> Option<Arc<ServedTask>> {
        self.tasks.iter().find(|task| task.served.task.name == *name).map(|task| Arc::clone(&task.served))
    }

    fn task_names(&self) -> Vec<BotName> {
        self.tasks.iter().map(|task| task.served.task.name.clone()).collect()
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
