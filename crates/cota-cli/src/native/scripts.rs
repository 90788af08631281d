use std::io;
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use cota_core::ids::BotName;
use cota_core::limits::EXECUTOR_ANSWER_BYTES;
use cota_core::machine::{EffectError, FailureKind};
use cota_effects::executor::{RunScript, ScriptRun};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::Folders;

/// Runs the scripts in bot folders. Each is the head of a process group of its own, so that its children end with it.
///
/// A script gets its form's slots as JSON on its standard input. What it writes to its standard error goes where that of this
/// process goes: it is for the author, not for the conversation.
pub struct Scripts {
    folders: Arc<Folders>,
}

impl Scripts {
    /// For the bots of these folders.
    #[must_use]
    pub fn new(folders: Arc<Folders>) -> Self {
        Self { folders }
    }

    fn command(&self, script: &ScriptRun) -> Result<Command, EffectError> {
        let folder = BotName::new(script.bot.as_str()).ok().and_then(|name| self.folders.folder(&name));
        let folder = folder.ok_or_else(|| rejected("the bot has no folder with scripts"))?;
        let program = folder.join(&script.path);
        // A relative path would be looked up in the new working directory, on some systems.
        let program = program.canonicalize().map_err(|error| rejected(cannot_start(&script.path, &error)))?;
        let mut command = Command::new(program);
        command
            .args(&script.args)
            .current_dir(folder)
            .env("COTA_IDEMPOTENCY_KEY", &script.idempotency_key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }
}

#[async_trait]
impl RunScript for Scripts {
    async fn run(&self, script: ScriptRun) -> Result<Vec<u8>, EffectError> {
        let mut child = self.command(&script)?.spawn().map_err(|error| rejected(cannot_start(&script.path, &error)))?;
        let mut group = Group::of(&child);
        let printed = converse(&mut child, &script).await?;
        let status = child.wait().await.map_err(|error| broke_off(&error))?;
        group.let_go();
        if status.success() { Ok(printed) } else { Err(rejected(format!("the script failed ({status})"))) }
    }
}

/// Hands the slots over and reads what is printed.
async fn converse(child: &mut Child, script: &ScriptRun) -> Result<Vec<u8>, EffectError> {
    let slots = serde_json::to_vec(&script.slots).unwrap_or_default();
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let give = async {
        if let Some(mut stdin) = stdin {
            // A script that does not read its slots is none the worse for it.
            let _ = stdin.write_all(&slots).await;
        }
    };
    let take = async {
        let mut printed = Vec::new();
        if let Some(stdout) = stdout {
            // One byte more than is allowed, so that too much is seen to be too much.
            stdout.take(EXECUTOR_ANSWER_BYTES as u64 + 1).read_to_end(&mut printed).await?;
        }
        Ok::<_, io::Error>(printed)
    };
    let ((), printed) = tokio::join!(give, take);
    let printed = printed.map_err(|error| broke_off(&error))?;
    if printed.len() > EXECUTOR_ANSWER_BYTES {
        return Err(rejected(format!("the script printed more than {EXECUTOR_ANSWER_BYTES} bytes")));
    }
    Ok(printed)
}

/// The process group of a script that runs. Dropping it kills whoever is left of it.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// The script has ended by itself: its number may soon be another's, and what it left running is its author's wish.
    fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It fails where nobody of the group is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn rejected(message: impl Into<String>) -> EffectError {
    EffectError::new(FailureKind::Rejected, message)
}

fn cannot_start(path: &str, error: &io::Error) -> String {
    format!("the script `{path}` cannot be started: {error}")
}

fn broke_off(error: &io::Error) -> EffectError {
    EffectError::new(FailureKind::OutcomeUnknown, format!("the script could not be followed to its end: {error}"))
}
