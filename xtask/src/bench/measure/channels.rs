//! What sockets cost beside plain HTTP while thousands of others are open.

use anyhow::Result;

use super::{chatting, median};
use crate::load::{Channel, Figures, Load};
use crate::plan::Plan;
use crate::processes::{self, Cota, Helper, Store, bot};
use crate::report::{Row, Section};
use crate::roles::IdleRole;

/// Clients that talk, and sockets that are open and silent meanwhile.
const TALKING: usize = 1_000;
const IDLE: usize = 5_000;
/// The share of the plain HTTP turn rate that a channel has to reach.
const LEAST_RATIO: f64 = 0.8;
pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    const SIDES: [(Channel, usize); 3] = [(Channel::Http, 0), (Channel::WebSocket, IDLE), (Channel::SocketIo, IDLE)];
    let llm = chatting(0)?;
    let mut rounds = Vec::new();
    for round in 0..plan.rounds {
        let mut seen = Vec::new();
        for (channel, idle) in SIDES {
            let cota = Cota::start(Store::Memory, &[bot("chat")], &llm.ready)?;
            let address = cota.address.clone();
            let idle =
                (idle > 0).then(|| Helper::start("idle", &IdleRole { address, sockets: idle, channel, together: false })).transpose()?;
            seen.push(talk(plan, &cota, channel, TALKING, round)?);
            drop(idle);
        }
        rounds.push(seen);
    }
    let rows = SIDES.iter().enumerate().map(|(place, (channel, idle))| {
        let (rate, ratio, faults) = beside_first(&rounds, place);
        let cells = vec![channel.name().to_owned(), idle.to_string(), format!("{rate:.0}"), format!("{ratio:.2}"), faults.to_string()];
        if place == 0 {
            Row::plain(cells)
        } else {
            Row::with(cells, format!("at least {LEAST_RATIO}"), ratio >= LEAST_RATIO && faults == 0)
        }
    });
    Ok(vec![Section {
        title: "Channels",
        note: format!(
            "{TALKING} clients that talk, on the memory store, with a model that answers at once; beside them silent connections of the\n\
             same channel that have joined conversations of their own. The ratio is to plain HTTP in the same round; medians of {} rounds.",
            plan.rounds
        ),
        head: vec!["channel", "silent", "turns/s", "ratio", "faults"],
        rows: rows.collect(),
    }])
}

/// What so many clients see.
pub(super) fn talk(plan: &Plan, cota: &Cota, channel: Channel, clients: usize, round: usize) -> Result<Figures> {
    let load = Load {
        address: cota.address.clone(),
        channel,
        clients,
        warm_up: plan.warm_up,
        measured: plan.measured,
        run: format!("channel-{round}"),
    };
    let figures = processes::load(&load)?;
    if let Some(fault) = &figures.first_fault {
        eprintln!("{}: {fault}", channel.name());
    }
    Ok(figures)
}

/// The median rate of one side of all rounds, its median ratio to the first side, and all of its faults.
pub(super) fn beside_first(rounds: &[Vec<Figures>], place: usize) -> (f64, f64, u64) {
    let rate = |round: &Vec<Figures>, place: usize| round.get(place).map_or(0.0, Figures::turns_per_second);
    let ratio = |round| rate(round, place) / rate(round, 0).max(f64::MIN_POSITIVE);
    let faults = rounds.iter().filter_map(|round| round.get(place)).map(|figures| figures.errors + figures.wrong).sum();
    (median(rounds.iter().map(|round| rate(round, place)).collect()), median(rounds.iter().map(ratio).collect()), faults)
}
