//! Lambda's Runtime API: the next event, and its answer.
//!
//! **Key decision: a client of our own, without Nagle's algorithm.** A streamed answer goes out in several small packets. The client
//! of `lambda_runtime` lets the system hold back the second until the first is acknowledged, which Linux puts off by 40 ms, and it
//! can be given no other connector. An answer that breaks off it ends with text in the body; here that is told in trailers, as the
//! [documents] want it.
//!
//! The rest is as there. An environment has one invocation at a time. The invocation's id goes back with its answer, so that a
//! stale one is refused. What Lambda refuses is logged, and the next event asked for. Where the API does not answer, the process
//! ends, and Lambda starts another. So does a panic end it: the functions are built to abort. The trace's id alone is left out of
//! the environment, as a process with threads cannot safely set its variables. The SDK for DynamoDB would look for it there; its
//! requests go out without one.
//!
//! [documents]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming

mod answer;
mod api;

use std::convert::Infallible;
use std::process::ExitCode;

use tracing::Instrument as _;
use tracing::level_filters::LevelFilter;

use crate::failure::Failure;
use crate::function::{Function, Opening};
use crate::host::Role;
use crate::log;

pub(crate) use answer::{Answer, Pieces};
pub(crate) use api::Event;
use api::{RuntimeApi, RuntimeError};

/// Serves invocations until the environment ends: it returns when the Runtime API cannot be reached, which is logged.
pub(crate) async fn serve(role: Role, answer: impl AsyncFn(&Function, &Event) -> Result<Answer, Failure>) -> ExitCode {
    let Err(error) = serve_on(role, answer).await;
    log::begin(LevelFilter::INFO);
    tracing::error!(%error, "the function ends");
    ExitCode::FAILURE
}

async fn serve_on(role: Role, answer: impl AsyncFn(&Function, &Event) -> Result<Answer, Failure>) -> Result<Infallible, RuntimeError> {
    let api = RuntimeApi::of_process()?;
    let opening = Opening::begin(role).await;
    loop {
        let event = api.next().await?;
        let span = tracing::info_span!("invocation", request = %event.request);
        let answering = async {
            let answered = async { answer(opening.function().await?, &event).await }.await;
            api.answer(&event, answered).await
        };
        answering.instrument(span).await?;
    }
}
