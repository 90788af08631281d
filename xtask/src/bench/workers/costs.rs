//! What a turn costs: what the platform counts and bills.

use anyhow::{Result, ensure};
use cota_testkit::services::workerd::Workerd;
use serde::Deserialize;

use super::cota_that_logs;
use crate::load::{Channel, Connection};
use crate::measure::chatting;
use crate::plan::Plan;
use crate::report::{Row, Section};

/// Turns of one conversation that are counted, after one that makes what every later one finds.
const TURNS: usize = 50;

/// A line of the Worker's log.
#[derive(Deserialize)]
struct Line {
    message: String,
    #[serde(default)]
    rows: u64,
}

/// What has been counted so far.
#[derive(Clone, Copy, Default)]
struct Count {
    rows: u64,
    asked: u64,
    alarms: u64,
}

impl Count {
    fn of(workerd: &Workerd) -> Self {
        let mut count = Self::default();
        for line in workerd.logged().lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            count.rows += line.rows;
            match line.message.as_str() {
                "an object is asked" => count.asked += 1,
                "an object is woken by its alarm" => count.alarms += 1,
                _ => {}
            }
        }
        count
    }
}

pub(super) fn measure(_plan: &Plan) -> Result<Vec<Section>> {
    let rows = [Channel::Http, Channel::WebSocket].map(turn);
    Ok(vec![Section {
        title: "What a turn costs",
        note: format!(
            "What the platform counts, for a turn of plain chat: the mean of {TURNS} turns of one conversation. Rows that are written are\n\
             those of the objects' databases, a set alarm among them, as the platform bills it. Requests to objects are those that the\n\
             Worker and other objects make. Over the WebSocket one client has joined."
        ),
        head: vec!["channel", "rows written", "requests to objects", "alarms"],
        rows: rows.into_iter().collect::<Result<_>>()?,
    }])
}

fn turn(channel: Channel) -> Result<Row> {
    let llm = chatting(0)?;
    let workerd = cota_that_logs("trace", "chat", &llm.ready)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let counted = runtime.block_on(async {
        let mut client = Connection::open(&workerd.address, channel, "costs").await?;
        let mut before = Count::default();
        for turn in 0..=TURNS {
            let (_, reply) = client.turn("costs", &format!("hello #{turn}")).await?;
            ensure!(reply.contains(&format!("\"It is #{turn}.\"")), "turn {turn}: {reply}");
            if turn == 0 {
                before = Count::of(&workerd);
            }
        }
        Ok((before, Count::of(&workerd)))
    });
    let (before, after) = counted?;
    let mean = |after: u64, before: u64| format!("{:.2}", after.saturating_sub(before) as f64 / TURNS as f64);
    Ok(Row::plain(vec![
        channel.name().to_owned(),
        mean(after.rows, before.rows),
        mean(after.asked, before.asked),
        mean(after.alarms, before.alarms),
    ]))
}
