//! How many LLM calls the same turns take in the two modes.

use anyhow::{Result, ensure};

use crate::load::http::HttpClient;
use crate::plan::Plan;
use crate::processes::{Cota, Helper, Store, bot};
use crate::report::{Row, Section};
use crate::roles::LlmRole;

/// Mode, what is said, what for, and the calls it may take.
const CASES: [(&str, &str, &str, u64); 4] = [
    ("weather-tools", "hello", "a greeting", 1),
    ("weather-tools", "the weather in Oslo tomorrow please", "a form, filled at once", 2),
    ("weather-prompts", "hello", "a greeting", 2),
    ("weather-prompts", "the weather in Oslo tomorrow please", "a form, filled at once", 4),
];

pub(super) fn measure(_plan: &Plan) -> Result<Vec<Section>> {
    let mut llm = Helper::start("llm", &LlmRole { latency_ms: 0, weather: true })?;
    let cota = Cota::start(Store::Memory, &[bot("weather-prompts"), bot("weather-tools")], &llm.ready)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut client = runtime.block_on(HttpClient::connect(&cota.address))?;
    let mut rows = Vec::new();
    for (number, (name, text, what, expected)) in CASES.into_iter().enumerate() {
        let before = llm.asked()?.calls;
        let (status, page) = runtime.block_on(client.say_to(&format!("mode-{number}"), &format!("?bot={name}"), text))?;
        ensure!(status == 200 && page.contains("That is all I know."), "{name}: HTTP status {status}: {page}");
        let calls = llm.asked()?.calls - before;
        let mode = name.trim_start_matches("weather-");
        let cells = vec![mode.to_owned(), what.to_owned(), calls.to_string()];
        rows.push(Row::with(cells, expected.to_string(), calls == expected));
    }
    Ok(vec![Section {
        title: "LLM calls by mode",
        note: "The scripted model counts the calls.".to_owned(),
        head: vec!["mode", "turn", "calls"],
        rows,
    }])
}
