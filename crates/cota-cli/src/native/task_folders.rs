use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use cota_config::{Diagnostic, LoadedTask, StoreChoice};
use cota_core::bot::Bot;
use cota_core::ids::{BotDigest, BotName};
use cota_driver::ports::Bots;
use cota_driver::task::ServedTask;

use super::bot_path::{ReadError, Stamp};
use super::scripts::Homes;
use super::tasks::TaskPath;

/// Earlier agents of a task that are kept for turns that are pinned to them.
const MOST_EARLIER: usize = 64;

/// The tasks of this process, each from its own folder, with their agents.
pub struct TaskFolders {
    shelf: RwLock<Vec<Shelved>>,
}

/// The bots of a process and its tasks. Bots come first: the first of them is the default one.
pub struct BotsAndTasks {
    bots: Arc<dyn Bots>,
    tasks: Arc<TaskFolders>,
}

struct Shelved {
    path: TaskPath,
    /// The files as they were when they were looked at last, whether they made a task or not.
    stamp: Stamp,
    staff: Staff,
    /// Agents that were replaced, the last one at the end.
    earlier: VecDeque<Arc<Bot>>,
}

/// A task and whoever works for it.
struct Staff {
    served: Arc<ServedTask>,
    agents: Vec<Agent>,
}

struct Agent {
    bot: Arc<Bot>,
    folder: PathBuf,
}

/// A task that was read, with what is to be said about it.
#[derive(Debug)]
pub struct OpenedTask {
    /// Where it was read from.
    pub path: TaskPath,
    /// Its name.
    pub name: BotName,
    /// Where its own files want conversations kept.
    pub store: StoreChoice,
    /// Its warnings and notices.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why a task cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenTaskError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It has errors.
    #[error("the task at {} does not load: {}", .path.path().display(), cota_config::summary(.diagnostics))]
    Broken {
        /// Which.
        path: TaskPath,
        /// What is wrong with it.
        diagnostics: Vec<Diagnostic>,
    },
}

/// What became of a changed task.
#[derive(Debug)]
pub enum TaskReload {
    /// It is served as it is now. What runs goes on with its plan, and asks the agents as they are now.
    Swapped {
        /// Its warnings and notices.
        diagnostics: Vec<Diagnostic>,
    },
    /// The task as it was goes on.
    Refused {
        /// Why.
        error: OpenTaskError,
    },
}

impl TaskFolders {
    /// Loads each task.
    ///
    /// # Errors
    /// When one cannot be served.
    pub fn open(paths: Vec<TaskPath>) -> Result<(Self, Vec<OpenedTask>), OpenTaskError> {
        let (mut shelf, mut opened) = (Vec::new(), Vec::new());
        for path in paths {
            let stamp = path.stamp();
            let (staff, store, diagnostics) = load(&path)?;
            opened.push(OpenedTask { path: path.clone(), name: staff.served.task.name.clone(), store, diagnostics });
            shelf.push(Shelved { path, stamp, staff, earlier: VecDeque::new() });
        }
        Ok((Self { shelf: RwLock::new(shelf) }, opened))
    }

    /// Loads what changed on disk since it was looked at last. `prepare` gets each new agent ready before anybody asks it.
    pub fn reload(&self, prepare: &dyn Fn(&Bot)) -> Vec<(TaskPath, TaskReload)> {
        let known: Vec<(TaskPath, Stamp)> =
            self.read(|shelf| shelf.iter().map(|shelved| (shelved.path.clone(), shelved.stamp.clone())).collect());
        let changed = known.into_iter().filter_map(|(path, before)| {
            let stamp = path.stamp();
            (stamp != before).then_some((path, stamp))
        });
        changed.filter_map(|(path, stamp)| self.reload_one(&path, stamp, prepare).map(|reload| (path, reload))).collect()
    }

    /// Every agent as it is now.
    #[must_use]
    pub fn agents(&self) -> Vec<Arc<Bot>> {
        self.read(|shelf| shelf.iter().flat_map(|shelved| &shelved.staff.agents).map(|agent| Arc::clone(&agent.bot)).collect())
    }

    /// These tasks beside other bots.
    #[must_use]
    pub fn beside(self: &Arc<Self>, bots: Arc<dyn Bots>) -> BotsAndTasks {
        BotsAndTasks { bots, tasks: Arc::clone(self) }
    }

    /// Nothing, where the task means what it meant before.
    fn reload_one(&self, path: &TaskPath, stamp: Stamp, prepare: &dyn Fn(&Bot)) -> Option<TaskReload> {
        let loaded = load(path);
        if let Ok((staff, _, _)) = &loaded {
            staff.agents.iter().for_each(|agent| prepare(&agent.bot));
        }
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let shelved = shelf.iter_mut().find(|shelved| shelved.path == *path)?;
        shelved.stamp = stamp;
        match loaded {
            Ok((staff, _, _)) if staff.is(&shelved.staff) => None,
            Ok((staff, _, diagnostics)) => {
                shelved.swap(staff);
                Some(TaskReload::Swapped { diagnostics })
            }
            Err(error) => Some(TaskReload::Refused { error }),
        }
    }

    fn agent<T>(&self, name: &BotName, look: impl Fn(&Agent) -> T) -> Option<T> {
        let is_meant = |agent: &&Agent| agent.bot.source().name == *name;
        self.read(|shelf| shelf.iter().flat_map(|shelved| &shelved.staff.agents).find(is_meant).map(look))
    }

    fn read<T>(&self, look: impl FnOnce(&[Shelved]) -> T) -> T {
        look(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelved {
    fn swap(&mut self, staff: Staff) {
        let before = std::mem::replace(&mut self.staff, staff);
        self.earlier.extend(before.agents.into_iter().map(|agent| agent.bot));
        let forget = self.earlier.len().saturating_sub(MOST_EARLIER);
        self.earlier.drain(..forget);
    }
}

impl Staff {
    /// Nothing, where the task has errors.
    fn of(path: &Path, loaded: LoadedTask) -> Option<Self> {
        let agent = |(name, loaded): (String, cota_config::Loaded)| {
            Some(Agent { bot: Arc::new(loaded.bot?), folder: path.join("agents").join(name) })
        };
        let agents = loaded.agents.into_iter().filter_map(agent).collect();
        Some(Self { served: Arc::new(ServedTask { task: loaded.task?, planner: Arc::new(loaded.planner?) }), agents })
    }

    fn is(&self, other: &Self) -> bool {
        let digests = |staff: &Self| -> Vec<BotDigest> { staff.agents.iter().map(|agent| agent.bot.digest().clone()).collect() };
        self.served.task.digest == other.served.task.digest && digests(self) == digests(other)
    }
}

impl Homes for TaskFolders {
    fn folder(&self, bot: &BotName) -> Option<PathBuf> {
        self.agent(bot, |agent| agent.folder.clone())
    }
}

impl Bots for BotsAndTasks {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.bots.current(name).or_else(|| self.tasks.agent(name, |agent| Arc::clone(&agent.bot)))
    }

    fn pinned(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        let is_meant = |bot: &&Arc<Bot>| bot.source().name == *name && bot.digest() == digest;
        let earlier =
            || self.tasks.read(|shelf| shelf.iter().flat_map(|shelved| shelved.earlier.iter().rev()).find(is_meant).map(Arc::clone));
        let current = || self.tasks.agent(name, |agent| Arc::clone(&agent.bot)).filter(|bot| bot.digest() == digest);
        self.bots.pinned(name, digest).or_else(current).or_else(earlier)
    }

    fn recall<'a>(&'a self, name: &'a BotName, digest: &'a BotDigest) -> futures_util::future::BoxFuture<'a, Option<Arc<Bot>>> {
        match self.pinned(name, digest) {
            Some(bot) => Box::pin(std::future::ready(Some(bot))),
            None => self.bots.recall(name, digest),
        }
    }

    fn names(&self) -> Vec<BotName> {
        let agents = self.tasks.agents();
        self.bots.names().into_iter().chain(agents.iter().map(|bot| bot.source().name.clone())).collect()
    }

    fn task(&self, name: &BotName) -> Option<Arc<ServedTask>> {
        let is_meant = |shelved: &&Shelved| shelved.staff.served.task.name == *name;
        self.tasks.read(|shelf| shelf.iter().find(is_meant).map(|shelved| Arc::clone(&shelved.staff.served)))
    }

    fn task_names(&self) -> Vec<BotName> {
        self.tasks.read(|shelf| shelf.iter().map(|shelved| shelved.staff.served.task.name.clone()).collect())
    }
}

fn load(path: &TaskPath) -> Result<(Staff, StoreChoice, Vec<Diagnostic>), OpenTaskError> {
    let mut loaded = path.load()?;
    let diagnostics = std::mem::take(&mut loaded.diagnostics);
    let store = loaded.store.clone();
    match Staff::of(path.path(), loaded) {
        Some(staff) => Ok((staff, store, diagnostics)),
        None => Err(OpenTaskError::Broken { path: path.clone(), diagnostics }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::Folders;
    use super::*;

    /// A task of one agent, written so that each change changes a length.
    fn on_disk(description: &str) -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("job/agents/ana")).unwrap();
        let plan = "plans: [{name: a, agent: ana, startquery: x}]\n";
        fs::write(folder.path().join("job/task.yml"), format!("description: t\n{plan}")).unwrap();
        write_agent(&folder, description);
        folder
    }

    fn write_agent(folder: &TempDir, description: &str) {
        let path = folder.path().join("job/agents/ana/agent.yml");
        fs::write(path, format!("system: {{name: ana, description: {description}}}\n")).unwrap();
    }

    fn open(folder: &TempDir) -> (Arc<TaskFolders>, BotsAndTasks) {
        let path = TaskPath::at(&folder.path().join("job")).unwrap();
        let tasks = Arc::new(TaskFolders::open(vec![path]).unwrap().0);
        let bots = tasks.beside(Arc::new(Folders::open(Vec::new()).unwrap().0));
        (tasks, bots)
    }

    #[test]
    fn a_changed_agent_is_served_and_the_turns_of_the_one_before_find_it() {
        let folder = on_disk("one");
        let (tasks, bots) = open(&folder);
        let name = BotName::new("job/ana").unwrap();
        let first = bots.current(&name).unwrap();
        write_agent(&folder, "another");
        assert!(matches!(tasks.reload(&|_| ()).as_slice(), [(_, TaskReload::Swapped { .. })]));
        let second = bots.current(&name).unwrap();
        assert_ne!(first.digest(), second.digest());
        assert!(Arc::ptr_eq(&bots.pinned(&name, first.digest()).unwrap(), &first));
        assert!(Arc::ptr_eq(&bots.pinned(&name, second.digest()).unwrap(), &second));
        assert!(tasks.reload(&|_| ()).is_empty(), "nothing has changed since");
    }

    #[test]
    fn a_broken_change_is_told_once_and_not_served() {
        let folder = on_disk("one");
        let (tasks, bots) = open(&folder);
        fs::write(folder.path().join("job/task.yml"), "plans: [{name: a, agent: nobody, startquery: x}]\n").unwrap();
        let reloads = tasks.reload(&|_| ());
        assert!(matches!(reloads.as_slice(), [(_, TaskReload::Refused { error: OpenTaskError::Broken { .. } })]), "{reloads:?}");
        assert!(bots.task(&BotName::new("job").unwrap()).is_some());
        assert!(tasks.reload(&|_| ()).is_empty(), "it was told already");
    }

    #[test]
    fn earlier_agents_are_kept_up_to_a_bound() {
        let folder = on_disk("one");
        let (tasks, bots) = open(&folder);
        let name = BotName::new("job/ana").unwrap();
        let first = bots.current(&name).unwrap();
        for n in 1..=MOST_EARLIER + 1 {
            write_agent(&folder, &"x".repeat(n + 10));
            assert_eq!(tasks.reload(&|_| ()).len(), 1);
        }
        assert!(bots.pinned(&name, first.digest()).is_none());
    }
}
