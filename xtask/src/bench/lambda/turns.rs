//! A turn of an environment that is warm: what it takes of the function, and what of AWS.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::cost;
use super::deployment::{Deployment, runtime};
use super::taken::{self, Speaker, Taken, Way};
use crate::machine::{connections, peak_resident_bytes, processor_us};
use crate::measure::median;
use crate::plan::Plan;
use crate::report::{Row, Section};

const MOST_CPU_MS: f64 = 2.0;
const MOST_RESIDENT_MB: f64 = 40.0;
const HTTP_CALLS: f64 = 3.0;
const WEBSOCKET_CALLS: f64 = 4.0;
/// Turns before those that count.
const BEFORE: usize = 20;

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let runtime = runtime()?;
    let (counted, timed) = (plan.starts, plan.starts * 10);
    let mut rows = runtime.block_on(timed_over(Way::Http, timed))?;
    rows.extend(runtime.block_on(timed_over(Way::WebSocket, timed))?);
    let functions = Section {
        title: "A warm turn: the functions",
        note: format!(
            "{timed} turns after {BEFORE} others, in one conversation, with a model that takes no time and is asked twice in a turn. The\n\
             processor's time is the function's own, user's and system's. Connections are kept where the first turn and the last one\n\
             have the same; a second one may be opened where a call begins before the last one has given its connection back. The\n\
             double of the queue closes its own after each call."
        ),
        head: vec!["way in", "what", "figure"],
        rows,
    };
    let http = runtime.block_on(taken::count(Way::Http, counted))?;
    let websocket = runtime.block_on(taken::count(Way::WebSocket, counted))?;
    let frames = runtime.block_on(taken::frames(counted))?;
    let calls = Section {
        title: "A warm turn: what it asks of AWS",
        note: format!(
            "{counted} turns in one conversation, counted on the wire. The ledger has who is connected and who sits in a room: on top of a\n\
             turn's own calls. The watchdog is the doorbell that every message sets in case its holder dies; it is heard 18 s later, and\n\
             finds nothing to do; what is said with it was counted in as many turns with pauses between them. Write units are counted by\n\
             DynamoDB's rule, two for each item and started KB of a transaction. The frames are those of a socket that streams, for a\n\
             reply that the model says in pieces of 4 characters, one each 20 ms; one of them shows the user's own message."
        ),
        head: vec!["way in", "what", "of a turn"],
        rows: of_aws("HTTP", &http, HTTP_CALLS)
            .into_iter()
            .chain(of_aws("WebSocket", &websocket, WEBSOCKET_CALLS))
            .chain([Row::plain(vec!["WebSocket".to_owned(), "frames to a socket that streams".to_owned(), format!("{frames:.1}")])])
            .collect(),
    };
    Ok(vec![functions, calls, cost::section(&http, &Taken { frames, ..websocket })])
}

fn of_aws(way: &str, taken: &Taken, most_calls: f64) -> Vec<Row> {
    let row = |what: &str, figure: f64| vec![way.to_owned(), what.to_owned(), format!("{figure:.2}")];
    let calls = taken.turn.conversations;
    let met = (calls - most_calls).abs() < f64::EPSILON;
    vec![
        Row::with(row("calls of DynamoDB for the conversation", calls), format!("exactly {most_calls}"), met),
        Row::plain(row("calls of DynamoDB for the ledger", taken.turn.ledger)),
        Row::plain(row("read units", taken.turn.read_units)),
        Row::plain(row("write units", taken.turn.write_units)),
        Row::plain(row("calls of DynamoDB with the watchdog", taken.whole.conversations + taken.whole.ledger)),
        Row::plain(row("invocations with the watchdog", taken.invocations)),
        Row::plain(row("doorbells", taken.doorbells)),
    ]
}

/// What turns over a way in take of the functions that serve it.
async fn timed_over(way: Way, turns: usize) -> Result<Vec<Row>> {
    let (name, serving): (_, &[&str]) = match way {
        Way::Http => ("HTTP", &["api"]),
        Way::WebSocket => ("WebSocket", &["websocket", "turn"]),
    };
    let deployment = Deployment::start(None).await?;
    let mut speaker = Speaker::begin(&deployment, way).await?;
    speaker.speak(&deployment, BEFORE).await?;
    let before = seen(&deployment, serving).await?;
    let times = speaker.speak(&deployment, turns).await?;
    let after = seen(&deployment, serving).await?;
    let row = |what: String, figure: String| vec![name.to_owned(), what, figure];
    let spent: u64 = after.iter().zip(&before).map(|(after, before)| after.cpu_us - before.cpu_us).sum();
    let cpu = spent as f64 / turns as f64 / 1000.0;
    let mut rows = vec![
        Row::plain(row("time of a turn, ms".to_owned(), format!("{:.1}", median(times.iter().map(ms).collect())))),
        Row::with(row("own processor time of a turn, ms".to_owned(), format!("{cpu:.2}")), "at most 2", cpu <= MOST_CPU_MS),
    ];
    for (after, before) in after.iter().zip(&before) {
        let function = after.function;
        let resident = after.resident as f64 / 1_000_000.0;
        let cells = row(format!("most memory of `{function}`, MB"), format!("{resident:.1}"));
        rows.push(Row::with(cells, "at most 40", resident <= MOST_RESIDENT_MB));
        for (host, port) in deployment.hosts {
            let of = |seen: &Seen| seen.connections.get(&port).cloned().unwrap_or_default();
            let (first, last) = (of(before), of(after));
            if first.is_empty() && last.is_empty() {
                continue;
            }
            let is_kept = first == last;
            let figure = format!("{}, {}", last.len(), if is_kept { "kept" } else { "another" });
            let cells = row(format!("connections of `{function}` to {host}"), figure);
            rows.push(if host == "the queue" { Row::plain(cells) } else { Row::with(cells, "kept", is_kept) });
        }
    }
    Ok(rows)
}

/// A function's process at one time.
struct Seen {
    function: &'static str,
    cpu_us: u64,
    resident: u64,
    connections: std::collections::BTreeMap<u16, std::collections::BTreeSet<u16>>,
}

async fn seen(deployment: &Deployment, serving: &[&str]) -> Result<Vec<Seen>> {
    // What the last turn had to deliver is done by then.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let functions = deployment.functions().into_iter().filter(|(name, _)| serving.contains(name));
    let look = |(function, of): (&'static str, &cota_testkit::lambda::Function)| {
        let pid = of.idle().first().copied().with_context(|| format!("{function} has no process that is warm"))?;
        let (cpu_us, resident, connections) = (processor_us(pid)?, peak_resident_bytes(pid)?, connections(pid)?);
        Ok(Seen { function, cpu_us, resident, connections })
    };
    functions.map(look).collect()
}

fn ms(time: &Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
