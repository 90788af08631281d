use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request as HttpRequest, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method as HttpMethod, StatusCode};
use tokio::sync::{mpsc, oneshot};

use cota_gateway::identity::{Chance as _, NoChance};
use cota_gateway::socketio::{Connection, Names};
use cota_protocol::socketio::engine::Transport;
use cota_protocol::socketio::{Method, Request, RequestError, Settings};

use super::Shared;
use super::task::{Command, Task};
use crate::native::SystemChance;

/// The library would take 128 KiB for each socket.
const BUFFER_BYTES: usize = 4 * 1024;
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers a request to the path of Socket.IO.
pub(super) async fn serve(State(shared): State<Shared>, request: HttpRequest) -> Response {
    let (mut parts, body) = request.into_parts();
    answer(&shared, &mut parts, body).await.unwrap_or_else(|error| refuse(&error))
}

async fn answer(shared: &Shared, parts: &mut Parts, body: Body) -> Result<Response, RequestError> {
    let method = match parts.method {
        HttpMethod::GET => Method::Get,
        HttpMethod::POST => Method::Post,
        _ => Method::Other,
    };
    let query = parts.uri.query().map(str::to_owned);
    match Request::read(method, query.as_deref())? {
        Request::Open(Transport::Polling) => open_polling(shared, parts).await,
        Request::Open(Transport::WebSocket) => open_socket(shared, parts).await,
        Request::Poll(sid) => poll(&shared.table.find(sid)?).await,
        Request::Post(sid) => {
            let commands = shared.table.find(sid)?;
            let body = read(body).await?;
            ask(&commands, |answer| Command::Post(body, answer)).await?;
            Ok(text("ok"))
        }
        Request::Upgrade(sid) => change(&shared.table.find(sid)?, parts).await,
    }
}

async fn open_polling(shared: &Shared, parts: &Parts) -> Result<Response, RequestError> {
    let mut place = shared.table.enter()?;
    let names = names()?;
    let commands = place.answer_to(&names.sid);
    let sid = names.sid.clone();
    let connection = shared.gateway.open_socketio(parts, Transport::Polling, names)?;
    tokio::spawn(Task::polling(connection, commands, place).run(shared.closer.subscribe()));
    // The handshake is what the first poll brings.
    poll(&shared.table.find(&sid)?).await
}

async fn open_socket(shared: &Shared, parts: &mut Parts) -> Result<Response, RequestError> {
    let upgrade = upgrade(parts).await?;
    let place = shared.table.enter()?;
    let connection: Connection = shared.gateway.open_socketio(parts, Transport::WebSocket, names()?)?;
    let closing = shared.closer.subscribe();
    Ok(upgrade.on_upgrade(|socket| Task::on_socket(connection, socket, place).run(closing)))
}

async fn change(commands: &mpsc::Sender<Command>, parts: &mut Parts) -> Result<Response, RequestError> {
    let upgrade = upgrade(parts).await?;
    ask(commands, Command::BeginUpgrade).await?;
    let commands = commands.clone();
    Ok(upgrade.on_upgrade(|socket| async move {
        // A connection that has ended meanwhile needs no socket.
        let _ = commands.send(Command::Socket(Box::new(socket))).await;
    }))
}

async fn poll(commands: &mpsc::Sender<Command>) -> Result<Response, RequestError> {
    ask(commands, Command::Poll).await.map(text)
}

/// Asks the connection's task and waits for its answer.
async fn ask<T>(commands: &mpsc::Sender<Command>, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, RequestError> {
    let (answer, answered) = oneshot::channel();
    commands.send(command(answer)).await.map_err(|_| RequestError::UnknownSession)?;
    answered.await.map_err(|_| RequestError::UnknownSession)?
}

/// Where the answer to a command goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, RequestError>>;

async fn upgrade(parts: &mut Parts) -> Result<WebSocketUpgrade, RequestError> {
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await;
    let upgrade = upgrade.map_err(|_| RequestError::BadRequest("this is no request for a WebSocket".to_owned()))?;
    let most = 2 * Settings::default().max_payload;
    let upgrade = upgrade.read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES);
    Ok(upgrade.max_frame_size(most).max_message_size(most))
}

async fn read(body: Body) -> Result<Bytes, RequestError> {
    let most = Settings::default().max_payload;
    if body.size_hint().lower() > most as u64 {
        return Err(RequestError::TooLarge(most));
    }
    to_bytes(body, most).await.map_err(|_| RequestError::BadRequest("the body is too large, or did not come in time".to_owned()))
}

/// Names that nobody can guess.
fn names() -> Result<Names, RequestError> {
    let make = || -> Result<String, NoChance> {
        let mut bytes = [0; 16];
        SystemChance.fill(&mut bytes)?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    };
    match (make(), make()) {
        (Ok(sid), Ok(name)) => Ok(Names { sid, name }),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "no connection can be opened");
            Err(RequestError::TooMany)
        }
    }
}

fn text(body: impl Into<String>) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], body.into()).into_response()
}

fn refuse(error: &RequestError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    (status, [(header::CONTENT_TYPE, JSON)], error.body().to_string()).into_response()
}
