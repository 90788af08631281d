use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde::Deserialize;

use cota_gateway::ClientAddress;

use crate::connections::ConnectionId;
use crate::event::{Caller, headers, query};

/// An event of a WebSocket API.
#[derive(Debug)]
pub(super) struct SocketEvent {
    pub(super) route: Route,
    pub(super) connection: ConnectionId,
    /// What API Gateway calls this event: the same if it is delivered twice.
    pub(super) id: String,
    /// The name that the API was reached under.
    pub(super) domain: Option<String>,
    /// From where it comes.
    pub(super) address: Option<ClientAddress>,
    pub(super) headers: HeaderMap,
    pub(super) query: String,
    pub(super) frame: Frame,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Connect,
    Disconnect,
    Frame,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Text(String),
    Binary,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event {
    headers: Option<BTreeMap<String, String>>,
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    query_string_parameters: Option<BTreeMap<String, String>>,
    multi_value_query_string_parameters: Option<BTreeMap<String, Vec<String>>>,
    request_context: RequestContext,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestContext {
    route_key: Option<String>,
    connection_id: Option<String>,
    request_id: Option<String>,
    domain_name: Option<String>,
    identity: Caller,
}

impl SocketEvent {
    /// Reads an event.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(event: &[u8]) -> Result<Self, String> {
        let event: Event = serde_json::from_slice(event).map_err(|error| format!("this is no event of a WebSocket API: {error}"))?;
        let context = event.request_context;
        let route = match context.route_key.as_deref() {
            Some("$connect") => Route::Connect,
            Some("$disconnect") => Route::Disconnect,
            Some(_) => Route::Frame,
            None => return Err("the event has no route".to_owned()),
        };
        let connection = context.connection_id.filter(|id| !id.is_empty()).ok_or("the event names no connection")?;
        let text = event.body.unwrap_or_default();
        let frame = match event.is_base64_encoded {
            false => Frame::Text(text),
            true => STANDARD.decode(text).map(|_| Frame::Binary).map_err(|_| "the body is said to be base64, and is not")?,
        };
        Ok(Self {
            route,
            connection: ConnectionId::new(connection),
            id: context.request_id.unwrap_or_default(),
            domain: context.domain_name,
            address: context.identity.address(),
            headers: headers(event.headers.as_ref(), event.multi_value_headers.as_ref())?,
            query: query(event.query_string_parameters.as_ref(), event.multi_value_query_string_parameters.as_ref()),
            frame,
        })
    }
}
