//! What a limit costs that is counted in the store and never reached.

use anyhow::Result;

use super::channels::{beside_first, talk};
use super::chatting;
use crate::load::Channel;
use crate::plan::Plan;
use crate::processes::{Cota, Store, bot};
use crate::report::{Row, Section};

/// Clients, all from one address.
const CLIENTS: usize = 100;
const LIMITS: [&str; 2] = ["--limit-address-requests", "4000000000"];

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let llm = chatting(0)?;
    let mut rows = Vec::new();
    for store in Store::ALL {
        let mut rounds = Vec::new();
        for round in 0..plan.rounds {
            let mut seen = Vec::new();
            for options in [[].as_slice(), &LIMITS] {
                let cota = Cota::start_with(store, &[bot("chat")], &llm.ready, options)?;
                seen.push(talk(plan, &cota, Channel::Http, CLIENTS, round)?);
            }
            rounds.push(seen);
        }
        for (place, what) in ["no limit", "a limit of requests for each address"].into_iter().enumerate() {
            let (rate, ratio, faults) = beside_first(&rounds, place);
            rows.push(Row::plain(vec![
                what.to_owned(),
                store.name().to_owned(),
                format!("{rate:.0}"),
                format!("{ratio:.2}"),
                faults.to_string(),
            ]));
        }
    }
    Ok(vec![Section {
        title: "Limits",
        note: format!(
            "{CLIENTS} clients over HTTP, all from one address, with a limit that is counted in the store and never reached. An address is\n\
             counted one request after the other, so this is the worst case: on SQLite each waits for the write of the one before."
        ),
        head: vec!["limits", "store", "turns/s", "ratio", "faults"],
        rows,
    }])
}
