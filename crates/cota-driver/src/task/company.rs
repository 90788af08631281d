//! Tasks beside the bots of a deployment: who works on each.

use std::sync::Arc;

use cota_core::bot::Bot;
use cota_core::ids::{BotDigest, BotName};
use cota_core::task::Task;
use futures_util::future::BoxFuture;

use super::ServedTask;
use crate::ports::Bots;

/// The bots of a deployment, and its tasks with their agents.
pub struct Company {
    others: Arc<dyn Bots>,
    tasks: Vec<Staffed>,
}

/// A task with its agents.
struct Staffed {
    served: Arc<ServedTask>,
    agents: Vec<Arc<Bot>>,
}

impl Company {
    /// Bots, and tasks, each with its planner's bot and its agents.
    #[must_use]
    pub fn new(others: Arc<dyn Bots>, tasks: impl IntoIterator<Item = (Task, Bot, Vec<Bot>)>) -> Self {
        let staffed = |(task, planner, agents): (Task, Bot, Vec<Bot>)| Staffed {
            served: Arc::new(ServedTask { task, planner: Arc::new(planner) }),
            agents: agents.into_iter().map(Arc::new).collect(),
        };
        Self { others, tasks: tasks.into_iter().map(staffed).collect() }
    }

    fn agents(&self) -> impl Iterator<Item = &Arc<Bot>> {
        self.tasks.iter().flat_map(|task| &task.agents)
    }

    fn pinned_agent(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        self.agents().find(|bot| bot.source().name == *name && bot.digest() == digest).cloned()
    }
}

impl Bots for Company {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.others.current(name).or_else(|| self.agents().find(|bot| bot.source().name == *name).cloned())
    }

    fn pinned(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        self.others.pinned(name, digest).or_else(|| self.pinned_agent(name, digest))
    }

    fn recall<'a>(&'a self, name: &'a BotName, digest: &'a BotDigest) -> BoxFuture<'a, Option<Arc<Bot>>> {
        match self.pinned_agent(name, digest) {
            Some(agent) => Box::pin(std::future::ready(Some(agent))),
            None => self.others.recall(name, digest),
        }
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

    fn is_agent(&self, name: &BotName) -> bool {
        self.agents().any(|bot| bot.source().name == *name)
    }
}
