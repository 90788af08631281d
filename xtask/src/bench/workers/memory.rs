//! Memory of workerd for each socket that sleeps with its object.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use super::cota;
use crate::load::Channel;
use crate::machine::resident_bytes;
use crate::measure::chatting;
use crate::plan::Plan;
use crate::processes::Helper;
use crate::report::{Row, Section};
use crate::roles::IdleRole;

const SOCKETS: usize = 1_000;
/// workerd puts objects to sleep after ten seconds in which nothing happens.
const ASLEEP: Duration = Duration::from_secs(20);

pub(super) fn measure(_plan: &Plan) -> Result<Vec<Section>> {
    let rows = [("over as many objects", false), ("over one object", true)].map(|(what, together)| each(what, together));
    Ok(vec![Section {
        title: "Memory",
        note: format!(
            "Resident memory of the workerd process, as the kernel counts it, before {SOCKETS} WebSockets are opened and {} s after they\n\
             have joined, when their objects sleep: each with a sender and a conversation of its own, and all of one sender in one\n\
             conversation.",
            ASLEEP.as_secs()
        ),
        head: vec!["sockets", "each, KB"],
        rows: rows.into_iter().collect::<Result<_>>()?,
    }])
}

fn each(what: &str, together: bool) -> Result<Row> {
    let llm = chatting(0)?;
    let workerd = cota("chat", &llm.ready)?;
    // The isolate and its first objects are no socket's.
    let role = |sockets| IdleRole { address: workerd.address.clone(), sockets, channel: Channel::WebSocket, together };
    drop(Helper::start("idle", &role(1))?);
    sleep(ASLEEP);
    let before = resident_bytes(workerd.id())?;
    let sockets = Helper::start("idle", &role(SOCKETS))?;
    sleep(ASLEEP);
    let grown = resident_bytes(workerd.id())?.saturating_sub(before);
    drop(sockets);
    Ok(Row::plain(vec![format!("{SOCKETS} {what}"), format!("{:.1}", grown as f64 / SOCKETS as f64 / 1024.0)]))
}
