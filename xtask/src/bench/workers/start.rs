//! From nothing to the first turn.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::cota;
use crate::load::http::HttpClient;
use crate::measure::{chatting, median};
use crate::plan::Plan;
use crate::processes::Helper;
use crate::report::{Row, Section};

const MOST_MS: f64 = 250.0;

/// A bot, what is said to it, and what is in its reply.
const FIRST_TURNS: [(&str, &str, &str); 2] =
    [("chat", "hello #first", "It is #first."), ("weather", "What is the weather in Oslo tomorrow?", "Oslo, tomorrow")];

pub(super) fn measure(plan: &Plan) -> Result<Vec<Section>> {
    let llm = chatting(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for turn in FIRST_TURNS {
        let times = (0..plan.starts).map(|_| runtime.block_on(first_turn(&llm, turn))).collect::<Result<Vec<f64>>>()?;
        let ms = median(times);
        rows.push(Row::with(vec![turn.0.to_owned(), format!("{ms:.0}")], format!("at most {MOST_MS:.0}"), ms <= MOST_MS));
    }
    Ok(vec![Section {
        title: "Start",
        note: format!(
            "From the start of the workerd process, over an empty disk, to the answer of the first turn; medians of {} starts. `chat` asks\n\
             a model that answers at once; `weather` has the offline model, which is trained before it answers.",
            plan.starts
        ),
        head: vec!["bot", "ms"],
        rows,
    }])
}

async fn first_turn(llm: &Helper, (bot, said, heard): (&str, &str, &str)) -> Result<f64> {
    let begin = Instant::now();
    let workerd = cota(bot, &llm.ready)?;
    let mut client = HttpClient::connect(&workerd.address).await?;
    let (status, page) = client.say("first", said).await?;
    let ms = begin.elapsed().as_secs_f64() * 1000.0;
    ensure!(status == 200 && page.contains(heard), "HTTP status {status}: {page}");
    Ok(ms)
}
