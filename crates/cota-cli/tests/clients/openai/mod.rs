//! OpenAI's own clients.

use std::sync::Arc;
use std::time::Duration;

use cota_testkit::llm_server::{Answer, Call, LlmServer, Script, Settings, scripts};
use serde_json::json;
use tokio::runtime::Runtime;

use super::{NODE, PYTHON, node, npm, passes, pip, place, python};
use cota_testkit::proofs::model;
use cota_testkit::targets::laptop::{Cota, Store};

#[test]
fn openai_in_javascript() {
    let packages = npm("openai-node", "openai/");
    let server = Server::start();
    let mut node = node(&place("openai/openai.test.mjs", &packages));
    node.env("COTA_URL", server.url());
    passes(node, NODE);
}

#[test]
fn openai_in_python() {
    let packages = pip("openai-python", "openai/");
    let server = Server::start();
    let mut python = python(&place("openai/test_openai.py", &packages), &packages);
    python.env("COTA_URL", server.url());
    passes(python, PYTHON);
}

/// `cota run` with three bots and a scripted model.
struct Server {
    cota: Cota,
    _llm: LlmServer,
    _runtime: Runtime,
}

impl Server {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let script: Script = Arc::new(answer);
        let llm = runtime.block_on(model(Settings::new(script).pieces(5, Duration::from_millis(15))));
        let cota = Cota::start(&["chat", "latest", "pay"], &Store::Memory, &llm.apibase());
        Self { cota, _llm: llm, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("http://{}", self.cota.address)
    }
}

/// Pays where it is asked to, knows who somebody is who said so, and otherwise tells a story that takes a while.
fn answer(call: &Call) -> Answer {
    let prompt = call.prompt();
    match scripts::asked(call) {
        scripts::Asked::Choose if prompt.contains("pay the rent") => scripts::choose("Pay"),
        scripts::Asked::Choose => scripts::choose("BotUtter"),
        scripts::Asked::Fill => Answer::json(&json!({"bill": "rent"})),
        scripts::Asked::Utter | scripts::Asked::Tools if prompt.contains("my name is Ana") => scripts::utter("You are Ana."),
        scripts::Asked::Utter | scripts::Asked::Tools => scripts::utter(&"Once upon a time. ".repeat(40)),
    }
}
