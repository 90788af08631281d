//! A script's guard: a small form of this program that starts the script and watches over it.
//!
//! A process that is killed kills nobody, so its scripts would go on while the next start takes their runs up. The guard waits
//! for the end of either, and when its owner's comes first it ends the script with all its children, and itself.

use std::ffi::OsString;
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, getppid, kill_current_process_group, pidfd_open};

/// The word behind `cota` that makes a guard of it; behind the word stand the owner's number, the script and its arguments.
pub(crate) const WORD: &str = "guard-script";

/// Exit code where no script was run.
const NOT_RUN: i32 = 127;

/// The program and the words before a script's own, for a script of this process.
pub(super) fn before_script() -> (&'static str, [String; 2]) {
    // By this name the program is found even after it was replaced by a newer one.
    ("/proc/self/exe", [WORD.to_owned(), getpid().as_raw_nonzero().to_string()])
}

/// Starts the script and waits: for its end, whose exit code is returned, or for the owner's.
pub(crate) fn watch(mut words: impl Iterator<Item = OsString>) -> i32 {
    let owner = words.next().and_then(|word| word.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let (Some(owner), Some(script)) = (owner, words.next()) else {
        return not_run(&"it is started by cota, with the script to watch over");
    };
    let owner_ends = pidfd_open(owner, PidfdFlags::empty());
    // The number may be another's by now.
    if getppid() != Some(owner) {
        return NOT_RUN;
    }
    match Command::new(&script).args(words).spawn() {
        Ok(mut child) => {
            // A system without such descriptors (Linux before 5.3) has its scripts run unwatched.
            if let (Ok(owner), Ok(script)) = (owner_ends, pidfd_open(Pid::from_child(&child), PidfdFlags::empty()))
                && ends_first(&owner, &script)
            {
                let _ = kill_current_process_group(Signal::KILL);
            }
            child.wait().map_or(NOT_RUN, code)
        }
        Err(error) => not_run(&error),
    }
}

/// Whether the owner ends before the script does.
fn ends_first(owner: &OwnedFd, script: &OwnedFd) -> bool {
    let mut both = [PollFd::new(owner, PollFlags::IN), PollFd::new(script, PollFlags::IN)];
    loop {
        match poll(&mut both, None) {
            Err(Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => {
                let [owner, script] = &both;
                return !owner.revents().is_empty() && script.revents().is_empty();
            }
        }
    }
}

/// The code that a shell gives for the same end.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(NOT_RUN)
}

fn not_run(why: &dyn Display) -> i32 {
    crate::output::tell(format_args!("error: a script was not run: {why}"));
    NOT_RUN
}
