//! The `websocket` function: takes the events of a WebSocket API, accepts what is said, and rings.
//!
//! No turn runs here: an integration has 29 seconds. What a frame is answered with is posted to its connection, and so is what
//! others are to see; the answer to the event itself says only whether a connection may come to be.

mod connect;
mod event;
mod frame;
mod places;

use std::process::ExitCode;

use serde::Serialize;

use cota_protocol::problem::{Code, Problem};

use crate::connections::FanOut;
use crate::failure::Failure;
use crate::function::Function;
use crate::host::Role;
use crate::runtime::{self, Answer, Event};
use event::{Route, SocketEvent};

/// What API Gateway is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Reply {
    const OK: Self = Self { status_code: 200, body: None };

    fn refused(problem: &Problem) -> Self {
        Self { status_code: problem.status(), body: serde_json::to_string(problem).ok() }
    }
}

/// Serves invocations until the environment ends; it fails when the Runtime API cannot be reached.
pub async fn run() -> ExitCode {
    runtime::serve(Role::Accepts, take).await
}

async fn take(function: &Function, event: &Event) -> Result<Answer, Failure> {
    function.begin(event).await;
    let fan_out = function.fan_out.as_ref().ok_or_else(|| Failure::Settings("the variable COTA_CONNECTIONS_URL is missing".to_owned()))?;
    let reply = match SocketEvent::read(&event.payload) {
        Ok(event) => dispatch(function, fan_out, event).await,
        Err(fault) => Ok(Reply::refused(&Problem::new(Code::BadRequest, fault))),
    };
    function.present.finish().await;
    function.meter.tell();
    if function.bells.take_lost() { Err(Failure::LostBell) } else { Answer::json(&reply?) }
}

async fn dispatch(function: &Function, fan_out: &FanOut, event: SocketEvent) -> Result<Reply, Failure> {
    match event.route {
        Route::Connect => connect::connect(function, fan_out, event).await,
        Route::Disconnect => connect::disconnect(fan_out, &event.connection).await,
        Route::Frame => frame::take(function, fan_out, event).await,
    }
}
