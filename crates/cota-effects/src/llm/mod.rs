//! Asking an LLM over HTTP: the kinds `openai`, `openai-rag` and `custom`.
//!
//! One call is one request. Retries, backoff and the next LLM of the chain are the turn's business: a failure here is data that
//! says what would help.

mod answer;
mod endpoint;
mod failure;
mod gate;
mod request;
mod retry_after;

use std::sync::Arc;

use cota_core::bot::{Bot, Llm};
use cota_core::ids::Timestamp;
use cota_core::machine::EffectError;
use cota_core::prompt::ChatRequest;
use cota_core::turn::Completion;
use cota_driver::ports::{Clock, Pieces};

use crate::http::HttpSend;
use endpoint::Endpoints;
use failure::Failures;
use gate::Gates;

/// Asks the LLMs of every bot of a process, within their `max_concurrent` and `rate_limit`.
pub(crate) struct LlmClient {
    http: Arc<dyn HttpSend>,
    clock: Arc<dyn Clock>,
    endpoints: Endpoints,
    gates: Gates,
}

/// One question.
pub(crate) struct Question<'a> {
    /// Whose.
    pub(crate) bot: &'a Bot,
    /// To whom.
    pub(crate) llm: &'a Llm,
    /// What.
    pub(crate) chat: ChatRequest,
    /// Whether pieces of the answer are wanted as they come.
    pub(crate) stream: bool,
    /// When nobody waits for the answer any more.
    pub(crate) deadline: Timestamp,
}

impl LlmClient {
    pub(crate) fn new(http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>) -> Self {
        Self { http, clock, endpoints: Endpoints::default(), gates: Gates::default() }
    }

    /// Asks, and waits for the whole answer; `pieces` takes its text as it comes.
    pub(crate) async fn ask(&self, question: Question<'_>, pieces: &Pieces) -> Result<Completion, EffectError> {
        let Question { bot, llm, chat, stream, deadline } = question;
        let failures = Failures::of(llm);
        let request = self.endpoints.request(llm).and_then(|request| request::fill(request, llm, chat, stream));
        let request = request.map_err(|error| failures.unsendable(&error))?;
        let gate = self.gates.of(bot, llm);
        // Held until the answer is there: a streamed call is running for as long as it streams.
        let _pass = gate.enter(self.clock.as_ref(), deadline).await?;
        let response = self.http.send(request).await.map_err(|error| failures.http(&error))?;
        tracing::debug!(llm = llm.name, status = response.status.as_u16(), "LLM answers");
        if !response.status.is_success() {
            return Err(failures.status(response, self.clock.now()).await);
        }
        answer::read(&llm.kind, response, stream.then_some(pieces)).await.map_err(|error| failures.unusable(error))
    }
}
