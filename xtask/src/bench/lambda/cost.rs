//! What a thousand turns cost, from what was counted and AWS's list prices.

use super::taken::Taken;
use crate::report::{Row, Section};

/// List prices of the region us-east-1 in dollars, on demand, of the first tier, and without what is free each month. They were
/// looked up on [`LOOKED_UP`](prices::LOOKED_UP), in price guides of 2025 and 2026 that quote AWS's pages and agree.
mod prices {
    pub(super) const LOOKED_UP: &str = "29 November 2026";
    /// A million requests of Lambda.
    pub(super) const LAMBDA_REQUESTS: f64 = 0.20;
    /// A million GB-seconds of Lambda on arm64.
    pub(super) const LAMBDA_GB_SECONDS: f64 = 13.3334;
    /// A million write units of DynamoDB.
    pub(super) const WRITE_UNITS: f64 = 0.625;
    /// A million read units of DynamoDB.
    pub(super) const READ_UNITS: f64 = 0.125;
    /// A million requests of SQS.
    pub(super) const QUEUE_REQUESTS: f64 = 0.40;
    /// A million messages of a WebSocket API, in either direction.
    pub(super) const FRAMES: f64 = 1.00;
}

/// The functions' memory in template.yaml, in GB.
const MEMORY_GB: f64 = 0.5;
/// A doorbell is sent, received and deleted.
const REQUESTS_OF_A_DOORBELL: f64 = 3.0;
const TURNS: f64 = 1_000.0;

/// One thing that is charged: how much of it a turn takes over HTTP and over a socket, and what a million costs.
struct Charge {
    what: &'static str,
    http: f64,
    websocket: f64,
    million: f64,
}

pub(super) fn section(http: &Taken, websocket: &Taken) -> Section {
    let charges = charges(http, websocket);
    let mut rows: Vec<Row> = charges.iter().map(Charge::row).collect();
    let sum = |of: fn(&Charge) -> f64| charges.iter().map(|charge| dollars(of(charge), charge.million)).sum::<f64>();
    let sums = (sum(|charge| charge.http), sum(|charge| charge.websocket));
    rows.push(line("a thousand turns", None, sums));
    let second = dollars(MEMORY_GB, prices::LAMBDA_GB_SECONDS);
    rows.push(line("and for each second that the model takes", None, (second, second)));
    Section {
        title: "Cost",
        note: format!(
            "Worked out from the figures above, the time of the invocations on this machine with a model that takes no time, 512 MB of\n\
             memory, and AWS's list prices of us-east-1 in dollars as they were on {}, on demand, without what is free each month:\n\
             look up your own region's. The model itself, logs, traces, what is stored and what is transferred are not in it, nor are the\n\
             starts of environments, Lambda's looks into a queue that is empty, and the minutes that sockets are open ($0.25 for a million).",
            prices::LOOKED_UP
        ),
        head: vec!["charged", "HTTP, a turn", "HTTP, $", "WebSocket, a turn", "WebSocket, $"],
        rows,
    }
}

fn charges(http: &Taken, websocket: &Taken) -> [Charge; 6] {
    let both = |of: fn(&Taken) -> f64| (of(http), of(websocket));
    let charge = |what, (http, websocket): (f64, f64), million| Charge { what, http, websocket, million };
    [
        charge("Lambda: requests", both(|taken| taken.invocations), prices::LAMBDA_REQUESTS),
        charge("Lambda: GB-seconds", both(|taken| taken.seconds * MEMORY_GB), prices::LAMBDA_GB_SECONDS),
        charge("DynamoDB: write units", both(|taken| taken.whole.write_units), prices::WRITE_UNITS),
        charge("DynamoDB: read units", both(|taken| taken.whole.read_units), prices::READ_UNITS),
        charge("SQS: requests", both(|taken| taken.doorbells * REQUESTS_OF_A_DOORBELL), prices::QUEUE_REQUESTS),
        charge("API Gateway: messages", (0.0, websocket.frames + 1.0), prices::FRAMES),
    ]
}

impl Charge {
    fn row(&self) -> Row {
        let money = (dollars(self.http, self.million), dollars(self.websocket, self.million));
        line(self.what, Some((self.http, self.websocket)), money)
    }
}

fn line(what: &str, amounts: Option<(f64, f64)>, (http, websocket): (f64, f64)) -> Row {
    let amount = |of: fn((f64, f64)) -> f64| amounts.map_or_else(String::new, |amounts| format!("{:.3}", of(amounts)));
    let money = |dollars: f64| format!("{dollars:.4}");
    Row::plain(vec![what.to_owned(), amount(|amounts| amounts.0), money(http), amount(|amounts| amounts.1), money(websocket)])
}

/// What a thousand turns cost that take so much each.
fn dollars(of_a_turn: f64, million: f64) -> f64 {
    of_a_turn * TURNS * million / 1_000_000.0
}
