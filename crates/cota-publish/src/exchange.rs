use std::sync::Arc;

use cota_core::ids::Timestamp;
use cota_driver::http::{HttpRequest, HttpSend};
use cota_driver::ports::Clock;
use futures_util::future::{Either, select};
use http::StatusCode;

use crate::rules;
use crate::source::SourceError;

/// How long a request may take, a bundle's included.
const PATIENCE_MS: u64 = 30_000;
/// What may stand around a bundle in an answer.
const AROUND: usize = 1024 * 1024;

/// Requests to one place, each with its answer as a whole.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) place: &'static str,
    http: Arc<dyn HttpSend>,
    clock: Arc<dyn Clock>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Exchange {
    pub(crate) fn new(place: &'static str, http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>) -> Self {
        Self { place, http, clock }
    }

    #[cfg(feature = "aws")]
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn send(&self, request: HttpRequest) -> Result<Answer, SourceError> {
        let answered = async {
            let response = self.http.send(request).await?;
            Ok(Answer { status: response.status, body: response.body.read(rules::BUNDLE_BYTES + AROUND).await? })
        };
        let deadline = self.clock.sleep_until(self.clock.now().plus_ms(PATIENCE_MS));
        match select(Box::pin(answered), deadline).await {
            Either::Left((answered, _)) => answered.map_err(|error: cota_driver::http::HttpError| self.unavailable(error.to_string())),
            Either::Right(((), _)) => Err(self.unavailable(format!("it did not answer within {PATIENCE_MS} ms"))),
        }
    }

    /// What an answer that is none of the expected ones means; `says` is the place's own word for it.
    pub(crate) fn fault(&self, status: StatusCode, says: Option<&str>) -> SourceError {
        let why = says.map_or_else(|| format!("it answers with {status}"), |says| format!("it answers with {status}, {says}"));
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS { self.unavailable(why) } else { self.refused(why) }
    }

    pub(crate) fn unavailable(&self, why: String) -> SourceError {
        SourceError::Unavailable { place: self.place, why }
    }

    pub(crate) fn refused(&self, why: impl ToString) -> SourceError {
        SourceError::Refused { place: self.place, why: why.to_string() }
    }
}
