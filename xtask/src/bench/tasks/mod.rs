//! What tasks take on a laptop: how much of a step is the scheduler's, whether parallel steps are, how long a plan is checked.

mod check;
mod overhead;
mod parallel;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

use crate::processes::{binary, bot};
use crate::suite::{Part, Suite};

/// Tasks on the server of a laptop.
pub(crate) const SUITE: Suite = Suite {
    command: "cargo xtask bench tasks",
    title: "Benchmarks: tasks",
    page: "docs/benchmarks-tasks.md",
    needs: binary,
    parts: &[
        Part { name: "check", measure: check::measure },
        Part { name: "overhead", measure: overhead::measure },
        Part { name: "parallel", measure: parallel::measure },
    ],
};

/// A task's folder, its agents copies of one bot.
struct TaskFolder {
    home: TempDir,
}

impl TaskFolder {
    /// The task `measured` of `agents` agents, named `a0` and on, with `steps` as its plan.
    fn new(agents: usize, steps: &str) -> Result<Self> {
        let folder = Self { home: tempfile::tempdir()? };
        for agent in 0..agents {
            copy(&bot("chat"), &folder.path().join("agents").join(format!("a{agent}")), agent)?;
        }
        fs::write(folder.path().join("task.yml"), format!("max_concurrent: 100\nplans:\n{steps}"))?;
        Ok(folder)
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("measured")
    }
}

/// Copies a bot's folder, and names the agent.
fn copy(from: &Path, to: &Path, agent: usize) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to, agent)?;
        } else {
            fs::write(to, fs::read_to_string(from)?.replacen("name: chat", &format!("name: a{agent}"), 1))?;
        }
    }
    Ok(())
}
