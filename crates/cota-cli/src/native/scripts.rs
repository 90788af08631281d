use std::io;
use std::path::PathBuf;
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

/// Runs the scripts in bot folders. Each is the head of a process group of its own, so that its children end with it.
///
/// A script gets its form's slots as JSON on its standard input. What it writes to its standard error goes where that of this
/// process goes: it is for the author, not for the conversation.
pub struct Scripts {
    homes: Vec<Arc<dyn Homes>>,
    is_guarded: bool,
}

/// Where bots' scripts are.
pub trait Homes: Send + Sync {
    /// The folder of a bot, where it has one.
    fn folder(&self, bot: &BotName) -> Option<PathBuf>;
}

impl Scripts {
    /// For the bots of these folders.
    #[must_use]
    pub fn new(homes: Arc<dyn Homes>) -> Self {
        Self { homes: vec![homes], is_guarded: false }
    }

    /// And for those of others.
    #[must_use]
    pub fn and(mut self, homes: Arc<dyn Homes>) -> Self {
        self.homes.push(homes);
        self
    }

    /// On Linux, scripts end with this process even where it is killed. For the `cota` command alone, which is their guard.
    #[must_use]
    pub fn guarded(self) -> Self {
        Self { is_guarded: cfg!(target_os = "linux"), ..self }
    }

    fn command(&self, script: &ScriptRun) -> Result<Command, EffectError> {
        let folder = BotName::new(script.bot.as_str()).ok().and_then(|name| self.homes.iter().find_map(|homes| homes.folder(&name)));
        let folder = folder.ok_or_else(|| rejected("the bot has no folder with scripts"))?;
        let program = folder.join(&script.path);
        // A relative path would be looked up in the new working directory, on some systems.
        let program = program.canonicalize().map_err(|error| rejected(cannot_start(&script.path, &error)))?;
        let mut command = self.started(program);
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

    fn started(&self, program: PathBuf) -> Command {
        #[cfg(target_os = "linux")]
        if self.is_guarded {
            let (guard, words) = super::guard::before_script();
            let mut command = Command::new(guard);
            command.args(words).arg(program);
            return command;
        }
        Command::new(program)
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use cota_core::ids::BotDigest;
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::native::{BotPath, Folders};

    /// Only catches a hang.
    const LIMIT: Duration = Duration::from_secs(60);

    /// A script that is still being written when another test starts a process cannot be run: that process has it open.
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    /// A bot with one script.
    fn bot(script: &str) -> (TempDir, Scripts) {
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        file("agent.yml", "system: {name: b}\nactions: {Run: {executer: {type: script, script_path: run.sh}}}\n");
        file("run.sh", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(folder.path().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let (folders, _) = Folders::open(BotPath::find(folder.path()).unwrap()).unwrap();
        (folder, Scripts::new(Arc::new(folders)))
    }

    fn call(path: &str) -> ScriptRun {
        ScriptRun {
            bot: "b".to_owned(),
            digest: BotDigest::of(b""),
            path: path.to_owned(),
            args: vec!["$(echo no shell)".to_owned(), "two words".to_owned()],
            slots: json!({"city": "Oslo"}).as_object().unwrap().clone(),
            idempotency_key: "run/1".to_owned(),
        }
    }

    async fn run(script: &str) -> Result<String, EffectError> {
        let (_folder, scripts) = bot(script);
        let printed = tokio::time::timeout(LIMIT, scripts.run(call("run.sh"))).await.unwrap();
        printed.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[tokio::test]
    async fn a_script_gets_its_arguments_slots_and_key_in_its_folder() {
        let _alone = ONE_AT_A_TIME.lock().await;
        assert_eq!(run("printf '%s|' \"$@\"").await.unwrap(), "$(echo no shell)|two words|");
        assert_eq!(run("cat").await.unwrap(), r#"{"city":"Oslo"}"#);
        assert_eq!(run("printf %s $COTA_IDEMPOTENCY_KEY").await.unwrap(), "run/1");
        assert_eq!(run("ls agent.yml").await.unwrap(), "agent.yml\n");
    }

    #[tokio::test]
    async fn a_script_that_fails_or_says_too_much_is_an_error() {
        let _alone = ONE_AT_A_TIME.lock().await;
        let failed = run("echo half; exit 3").await.unwrap_err();
        assert_eq!((failed.kind, failed.message.as_str()), (FailureKind::Rejected, "the script failed (exit status: 3)"));
        let too_much = run("yes").await.unwrap_err();
        assert_eq!(too_much.message, format!("the script printed more than {EXECUTOR_ANSWER_BYTES} bytes"));
        let (_folder, scripts) = bot("");
        let missing = scripts.run(call("other.sh")).await.unwrap_err();
        assert!(missing.message.starts_with("the script `other.sh` cannot be started: "), "{}", missing.message);
    }

    #[tokio::test]
    async fn whoever_stops_waiting_kills_the_script_and_its_children() {
        let _alone = ONE_AT_A_TIME.lock().await;
        let (folder, scripts) = bot("sleep 600 &\necho $! > child.tmp; mv child.tmp child; wait");
        let child = folder.path().join("child");
        let begun = async {
            while !child.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, async {
            tokio::select! {
                ended = scripts.run(call("run.sh")) => panic!("ended by itself: {ended:?}"),
                () = begun => {}
            }
            let process = fs::read_to_string(&child).unwrap();
            while is_alive(process.trim()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
    }

    /// A process that has ended and was not waited for is not alive.
    fn is_alive(process: &str) -> bool {
        let told = std::process::Command::new("ps").args(["-o", "stat=", "-p", process]).output().unwrap();
        let state = String::from_utf8(told.stdout).unwrap();
        !state.trim().is_empty() && !state.trim().starts_with('Z')
    }
}
