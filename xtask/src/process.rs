//! Child processes whose failure says what was run.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A `cargo` command in the folder `root`.
///
/// The variables that an outer `cargo run` sets for this program are removed: build scripts of some
/// dependencies watch them, and would otherwise be built again each time the way of calling changes.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command with its output going straight through.
///
/// # Errors
///
/// When it cannot be started or ends with a failure; the message holds the whole command line.
pub fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns what it wrote to standard output.
///
/// # Errors
///
/// As [`run`]; the message ends with what the command wrote to standard error.
pub fn read(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let Output { status, stdout, stderr } = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        bail!("`{line}` failed ({status}): {}", stderr.trim());
    }
    String::from_utf8(stdout).with_context(|| format!("`{line}` did not write UTF-8"))
}

/// Whether a command can be started and succeeds. Its output is thrown away.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Whether a command succeeds within `limit`. One that takes longer is ended. Its output is thrown away.
///
/// # Errors
///
/// When it cannot be started, or the system cannot say how it ended.
pub fn succeeds_within(limit: Duration, command: &mut Command) -> Result<bool> {
    let line = command_line(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name).chain(command.get_args()).map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_words() {
        let error = read(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("no such thing"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = run(&mut Command::new("cota-no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `cota-no-such-program`");
        assert!(!succeeds(&mut Command::new("cota-no-such-program")));
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let started = Instant::now();
        let ended = succeeds_within(Duration::from_millis(10), Command::new("sleep").arg("600"));
        assert!(!ended.unwrap());
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
