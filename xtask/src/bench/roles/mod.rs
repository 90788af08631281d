//! The helpers, each in a process of its own so that its memory and its time can be told apart.
//!
//! A helper prints one line once it is ready, answers each line of its standard input with one line, and ends when its
//! standard input does: nothing outlives the benchmark.

mod idle;
mod llm;
mod proxy;

use std::io::Write as _;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::load::{self, Channel, Load};

/// The scripted model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LlmRole {
    pub(crate) latency_ms: u64,
    /// Whether it knows the weather; else it chats.
    pub(crate) weather: bool,
}

/// The bare proxy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProxyRole {
    pub(crate) apibase: String,
    /// How long a request's body is, so that it costs what one of cota's does.
    pub(crate) body_bytes: usize,
}

/// Silent connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct IdleRole {
    pub(crate) address: String,
    pub(crate) sockets: usize,
    pub(crate) channel: Channel,
    /// Whether one sender has them all, in one conversation; else each has a sender and a conversation of its own.
    pub(crate) together: bool,
}

/// What the scripted model has been asked so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

/// Plays a role until standard input ends.
pub(crate) fn play(name: &str, settings: &str) -> Result<()> {
    let one_thread = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match name {
        "llm" => one_thread()?.block_on(llm::play(serde_json::from_str(settings)?)),
        "idle" => one_thread()?.block_on(idle::play(serde_json::from_str(settings)?)),
        "load" => {
            let load: Load = serde_json::from_str(settings)?;
            let figures = one_thread()?.block_on(load::run(load))?;
            say(&serde_json::to_string(&figures)?)
        }
        // As many threads as cota has.
        "proxy" => tokio::runtime::Runtime::new()?.block_on(proxy::play(serde_json::from_str(settings)?)),
        other => bail!("there is no role {other}"),
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Answers each line of standard input until it ends.
async fn answer_lines(mut answer: impl FnMut() -> String) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        say(&answer())?;
    }
    Ok(())
}
