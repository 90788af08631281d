//! The scripted model.

use std::time::Duration;

use anyhow::Result;
use cota_testkit::llm_server::{LlmServer, Settings, scripts};

use super::{Asked, LlmRole, answer_lines, say};

pub(super) async fn play(role: LlmRole) -> Result<()> {
    let script = if role.weather { scripts::weather() } else { scripts::chat() };
    let server = LlmServer::start(Settings::new(script).latency(Duration::from_millis(role.latency_ms))).await?;
    say(&server.apibase())?;
    answer_lines(|| serde_json::to_string(&Asked { calls: server.count(), bytes: server.bytes() }).unwrap_or_default()).await
}
