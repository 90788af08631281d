//! Socket.IO over a WebSocket. The connection lives in the Worker itself, which costs nothing while it waits, and its session in
//! the object of its sender; a client whose connection ends with a deployment connects again, as clients do.
//!
//! There is no polling: its requests would have to find one process again, and the platform promises none.

use axum::body::Body;
use axum::response::IntoResponse as _;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use http::request::Parts;
use http::{Response, StatusCode, header};
use wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen_futures::spawn_local;
use worker::{WebSocket, WebSocketPair, WebsocketEvent, web_sys};

use cota_gateway::socketio::{Connection, Names};
use cota_gateway::{Gateway, problem};
use cota_protocol::socketio::engine::{Data, Transport};
use cota_protocol::socketio::{Method, Request, RequestError};

use crate::platform::random_name;
use crate::upgrade::{asks_for_socket, switched};

#[wasm_bindgen]
extern "C" {
    /// Has a socket closed when the script panics: it is in `js/panics.js`.
    #[wasm_bindgen(js_name = closeWithInstance)]
    fn close_with_instance(socket: &web_sys::WebSocket);
}

/// Opens a connection, or says why not.
pub(crate) async fn open(gateway: &Gateway, mut parts: Parts) -> worker::Result<Response<Body>> {
    if let Err(refused) = gateway.admit(&mut parts).await {
        return Ok(problem(&refused));
    }
    match connection(gateway, &parts) {
        Ok(connection) => {
            let WebSocketPair { client, server } = WebSocketPair::new()?;
            server.accept()?;
            close_with_instance(server.as_ref());
            spawn_local(serve(connection, server));
            switched(client)
        }
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
            Ok((status, [(header::CONTENT_TYPE, "application/json")], error.body().to_string()).into_response())
        }
    }
}

fn connection(gateway: &Gateway, parts: &Parts) -> Result<Connection, RequestError> {
    let method = if parts.method == http::Method::GET { Method::Get } else { Method::Other };
    match Request::read(method, parts.uri.query())? {
        Request::Open(Transport::WebSocket) if asks_for_socket(parts) => {
            let name = || random_name().map_err(|_| RequestError::TooMany);
            gateway.open_socketio(parts, Transport::WebSocket, Names { sid: name()?, name: name()? })
        }
        Request::Open(Transport::WebSocket) => Err(RequestError::BadRequest("this is no request for a WebSocket".to_owned())),
        Request::Open(Transport::Polling) => {
            let why = "there is no polling on this platform; connect with `transports: [\"websocket\"]`";
            Err(RequestError::BadRequest(why.to_owned()))
        }
        Request::Poll(_) | Request::Post(_) | Request::Upgrade(_) => Err(RequestError::UnknownSession),
    }
}

/// Moves packets until the connection is over.
async fn serve(mut connection: Connection, socket: WebSocket) {
    let Ok(mut events) = socket.events() else { return };
    flush(&mut connection, &socket);
    while !connection.engine().is_closed() {
        let heard = match select(events.next(), std::pin::pin!(connection.next())).await {
            Either::Left((event, _)) => Some(event),
            Either::Right(((), _)) => None,
        };
        match heard {
            None => {}
            Some(Some(Ok(WebsocketEvent::Message(message)))) => {
                let frame = match (message.text(), message.bytes()) {
                    (Some(text), _) => Data::Text(text),
                    (None, Some(bytes)) => Data::Binary(bytes),
                    (None, None) => continue,
                };
                connection.receive_frame(frame).await;
            }
            Some(Some(Ok(WebsocketEvent::Close(_)) | Err(_)) | None) => connection.engine().socket_gone(),
        }
        flush(&mut connection, &socket);
    }
    // It may be closed already.
    let _ = socket.close(Some(1000), Some("the connection is over"));
}

fn flush(connection: &mut Connection, socket: &WebSocket) {
    while let Some(frame) = connection.engine().next_frame() {
        // Whether the client is gone is told by an event.
        let _ = match frame {
            Data::Text(text) => socket.send_with_str(text),
            Data::Binary(bytes) => socket.send_with_bytes(bytes),
        };
    }
}
