//! Sockets: who asks for one is checked here, and the object of that sender accepts it.

use axum::body::Body;
use http::request::Parts;
use http::{Response, StatusCode, header};
use worker::{Env, Headers, ObjectNamespace, Request, RequestInit, WebSocket, WebSocketPair};

use cota_gateway::websocket::MISSING_SENDER;
use cota_gateway::{Gateway, problem};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::websocket::FrameError;

use crate::connection::{CONNECTIONS, Channel, VISITOR, Visitor};
use crate::wire::fields;

/// Where an object accepts a socket. Nobody else reaches it.
const ADDRESS: &str = "https://object/socket";

/// Opens a socket, or says why not.
pub(crate) async fn open(gateway: &Gateway, env: &Env, mut parts: Parts) -> worker::Result<Response<Body>> {
    if !asks_for_socket(&parts) {
        return Ok(problem(&Problem::new(Code::BadRequest, "this route is a WebSocket: connect to it with a WebSocket client")));
    }
    if let Err(refused) = gateway.admit(&mut parts).await {
        return Ok(problem(&refused));
    }
    match gateway.visitor(&parts) {
        Ok(Some((bot, identity))) => accept(env, &Visitor::new(bot, identity, Channel::Socket)).await,
        Ok(None) => close(MISSING_SENDER, "name the sender in the address: /websocket?sender_id=YOU"),
        Err(refused) => Ok(problem(&refused)),
    }
}

/// Whether a request asks to go on as a WebSocket.
pub(crate) fn asks_for_socket(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

async fn accept(env: &Env, visitor: &Visitor) -> worker::Result<Response<Body>> {
    match connect(&env.durable_object(CONNECTIONS)?, visitor).await? {
        Ok(socket) => switched(socket),
        Err(refused) => Ok(problem(&refused)),
    }
}

/// A socket to the object that has this visitor's, or why it opens none now.
pub(crate) async fn connect(connections: &ObjectNamespace, visitor: &Visitor) -> worker::Result<Result<WebSocket, Problem>> {
    let headers = Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set(VISITOR, &header_value(&serde_json::to_string(visitor)?))?;
    let mut init = RequestInit::new();
    init.with_headers(headers);
    let request = Request::new_with_init(ADDRESS, &init)?;
    let mut response = connections.get_by_name(&visitor.connection())?.fetch_with_request(request).await?;
    if response.status_code() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response.websocket().ok_or_else(unavailable));
    }
    let refused = fields(&response.bytes().await?).as_ref().and_then(FrameError::told);
    Ok(Err(refused.map_or_else(unavailable, Problem::from)))
}

fn unavailable() -> Problem {
    Problem::new(Code::StoreUnavailable, "no socket could be opened now; try again in a moment")
}

/// JSON in characters that a header may have.
fn header_value(json: &str) -> String {
    let escape = |character: char| match character {
        ' '..='~' => character.to_string(),
        other => {
            let mut units = [0; 2];
            other.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    json.chars().map(escape).collect()
}

/// Closes a socket as soon as it is open: before that a browser could not tell why.
fn close(code: u16, reason: &str) -> worker::Result<Response<Body>> {
    let WebSocketPair { client, server } = WebSocketPair::new()?;
    server.accept()?;
    server.close(Some(code), Some(reason))?;
    switched(client)
}

pub(crate) fn switched(socket: WebSocket) -> worker::Result<Response<Body>> {
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).extension(socket).body(Body::empty());
    response.map_err(worker::Error::from)
}
