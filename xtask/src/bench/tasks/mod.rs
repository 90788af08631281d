//! What tasks take: how much of a step is the scheduler's, on a laptop and on workerd, whether parallel steps are parallel, how
//! long a plan is checked.

mod check;
mod overhead;
mod parallel;
mod run;

use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;
use xtask::measured;

use crate::processes::{binary, workspace};
use crate::suite::{Part, Suite};

/// Tasks on the server of a laptop, and in the Worker.
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
        measured::write(&workspace(), &folder.path(), agents, steps)?;
        Ok(folder)
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("measured")
    }
}
