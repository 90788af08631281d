//! What the machine is, and what it says of its processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

/// The machine in a few lines of words: name and value.
pub(crate) fn describe() -> Vec<(&'static str, String)> {
    let line_of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim_matches([' ', '\t', ':', '=', '"']).to_owned())
    };
    let cores = std::thread::available_parallelism().map(|cores| cores.to_string()).ok();
    let memory = line_of("/proc/meminfo", "MemTotal").and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let rustc = Command::new("rustc").arg("--version").output().ok().map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let unknown = || "unknown".to_owned();
    vec![
        ("CPU", line_of("/proc/cpuinfo", "model name").unwrap_or_else(unknown)),
        ("cores", cores.unwrap_or_else(unknown)),
        ("memory", memory.map_or_else(unknown, |kib| format!("{:.1} GiB", kib as f64 / 1024.0 / 1024.0))),
        ("system", line_of("/etc/os-release", "PRETTY_NAME").unwrap_or_else(unknown)),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| unknown(), |text| text.trim().to_owned())),
        ("compiler", rustc.unwrap_or_else(unknown)),
    ]
}

/// How many processes wanted to run in the minute before: what else goes on here spoils absolute figures.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// Memory of a process that stands in RAM now.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    status(pid, "VmRSS:")
}

/// The most memory of a process that ever stood in RAM.
pub(crate) fn peak_resident_bytes(pid: u32) -> Result<u64> {
    status(pid, "VmHWM:")
}

/// Bytes that a process has read and written through system calls on files (sockets only in part: their `send` and `recv` do
/// not count, so two processes with the same traffic are compared, never one looked at alone).
pub(crate) fn read_and_written(pid: u32) -> Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).context("this system does not count a process's reads and writes")?;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).context("no count of bytes");
    Ok((value("rchar:")?, value("wchar:")?))
}

/// Processor time that a process has used, in microseconds, to the hundredth of a second.
pub(crate) fn processor_us(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // The name in brackets may hold anything; what follows it are numbers. Times are in hundredths of a second on Linux.
    let numbers: Vec<&str> = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |place: usize| numbers.get(place).and_then(|ticks| ticks.parse::<u64>().ok()).context("no processor time");
    Ok((ticks(11)? + ticks(12)?) * 10_000)
}

/// The connections over IPv4 that a process holds open: for each port of a peer, the ports on its own side.
pub(crate) fn connections(pid: u32) -> Result<BTreeMap<u16, BTreeSet<u16>>> {
    const ESTABLISHED: &str = "01";
    let mut own = BTreeSet::new();
    for file in fs::read_dir(format!("/proc/{pid}/fd")).with_context(|| format!("process {pid} is gone"))? {
        let link = fs::read_link(file?.path()).unwrap_or_default();
        own.extend(link.to_str().and_then(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())));
    }
    let mut connections: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    for line in fs::read_to_string(format!("/proc/{pid}/net/tcp"))?.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |field: usize| u16::from_str_radix(fields.get(field)?.rsplit(':').next()?, 16).ok();
        let is_own = fields.get(9).is_some_and(|inode| own.contains(*inode));
        if let (Some(here), Some(there), Some(&ESTABLISHED), true) = (port(1), port(2), fields.get(3), is_own) {
            connections.entry(there).or_default().insert(here);
        }
    }
    Ok(connections)
}

fn status(pid: u32, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    Ok(value.with_context(|| format!("no {name} of process {pid}"))? * 1024)
}
