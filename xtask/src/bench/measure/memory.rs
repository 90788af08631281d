//! Memory that stands in RAM: at rest, for each silent WebSocket, and under a thousand clients.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use super::chatting;
use crate::load::{Channel, Load};
use crate::machine::{peak_resident_bytes, resident_bytes};
use crate::plan::Plan;
use crate::processes::{self, Cota, Helper, Store, bot};
use crate::report::{Row, Section};
use crate::roles::IdleRole;

const MOST_IDLE: f64 = 20.0 * MB;
const MOST_PER_SOCKET: f64 = 16.0 * 1024.0;
const MOST_TALKING: f64 = 512.0 * MB;
const MB: f64 = 1024.0 * 1024.0;
const TALKING_CLIENTS: usize = 1000;

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let llm = chatting(50)?;
    let start = |store| Cota::start(store, &[bot("chat")], &llm.ready);
    let mut rows = Vec::new();
    for store in Store::ALL {
        let cota = start(store)?;
        sleep(Duration::from_secs(1));
        let at_rest = resident_bytes(cota.pid())?;
        let row = vec!["at rest".to_owned(), store.name().to_owned(), format!("{:.1} MB", at_rest as f64 / MB)];
        rows.push(Row::with(row, "at most 20 MB", at_rest as f64 <= MOST_IDLE));
        let address = cota.address.clone();
        let role = IdleRole { address, sockets: plan.idle_sockets, channel: Channel::WebSocket, together: false };
        let sockets = Helper::start("idle", &role)?;
        sleep(Duration::from_secs(1));
        let grown = resident_bytes(cota.pid())?.saturating_sub(at_rest);
        let each = grown as f64 / plan.idle_sockets as f64;
        drop(sockets);
        let what = format!("each of {} silent WebSockets", plan.idle_sockets);
        let row = vec![what, store.name().to_owned(), format!("{:.1} KB", each / 1024.0)];
        rows.push(Row::with(row, "at most 16 KB", each <= MOST_PER_SOCKET));
    }
    for store in Store::ALL {
        for channel in [Channel::Http, Channel::WebSocket] {
            let cota = start(store)?;
            let load = Load {
                address: cota.address.clone(),
                channel,
                clients: TALKING_CLIENTS,
                warm_up: plan.warm_up,
                measured: plan.measured,
                run: "talk".to_owned(),
            };
            let figures = processes::load(&load)?;
            let peak = peak_resident_bytes(cota.pid())? as f64;
            let what = format!("peak at {TALKING_CLIENTS} talking clients, {}", channel.name());
            let row = vec![what, store.name().to_owned(), format!("{:.0} MB", peak / MB)];
            rows.push(Row::with(row, "under 512 MB", peak < MOST_TALKING && figures.turns > 0));
        }
    }
    Ok(vec![Section {
        title: "Memory",
        note: "Resident memory of the `cota run` process, as the kernel counts it. A silent WebSocket has joined a conversation of its\n\
               own; the model takes 50 ms."
            .to_owned(),
        head: vec!["what", "store", "resident"],
        rows,
    }])
}
