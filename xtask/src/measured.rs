//! The tasks that `cargo xtask bench tasks` measures: their agents are copies of one bot of the benchmark.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Where the chain is written, below the workspace's folder, for whatever takes its bots in when it is built.
pub const CHAIN: &str = "target/bench/measured";
/// Steps of the chain, one after the other.
pub const STEPS: usize = 200;
/// Agents that take turns in it.
pub const AGENTS: usize = 10;

/// The bot whose copies the agents are.
const BOT: &str = "xtask/src/bench/bots/chat";

/// Writes the chain's folder.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write_chain(root: &Path) -> Result<()> {
    let step = |n: usize| {
        let after = if n == 0 { String::new() } else { format!(", dependencies: [s{}]", n - 1) };
        format!("  - {{name: s{n}, agent: a{}, startquery: say {n}{after}}}\n", n % AGENTS)
    };
    write(root, &root.join(CHAIN), AGENTS, &(0..STEPS).map(step).collect::<String>())
}

/// Writes the folder of a task of `agents` agents, named `a0` and on, with `steps` as its plan.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(root: &Path, folder: &Path, agents: usize, steps: &str) -> Result<()> {
    for agent in 0..agents {
        copy(&root.join(BOT), &folder.join("agents").join(format!("a{agent}")), agent)?;
    }
    put(&folder.join("task.yml"), &format!("max_concurrent: 100\nplans:\n{steps}"))
}

/// Copies a bot's folder, and names the agent.
fn copy(from: &Path, to: &Path, agent: usize) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to, agent)?;
        } else {
            put(&to, &fs::read_to_string(from)?.replacen("name: chat", &format!("name: a{agent}"), 1))?;
        }
    }
    Ok(())
}

/// Writes a file, unless it says the same already: else whatever takes it in would be built again.
fn put(file: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(file).is_ok_and(|before| before == text) {
        return Ok(());
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
