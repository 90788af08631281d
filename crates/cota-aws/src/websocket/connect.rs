use http::Request;
use http::header::{HOST, HeaderValue};
use http::request::Parts;

use cota_gateway::Identity;
use cota_gateway::websocket::PATH;
use cota_protocol::problem::{Code, Problem};
use cota_protocol::websocket::ServerFrame;

use super::event::SocketEvent;
use super::{Reply, places};
use crate::connections::{Connection, ConnectionId, FanOut, room_info};
use crate::doorbell::{Ring, Whom};
use crate::failure::Failure;
use crate::function::Function;

/// Lets a connection come to be, or refuses it. Nothing can be posted to it before this is answered: a doorbell greets it.
pub(super) async fn connect(function: &Function, fan_out: &FanOut, event: SocketEvent) -> Result<Reply, Failure> {
    let id = event.connection.clone();
    let (bot, identity) = match visitor(function, event).await {
        Ok(visitor) => visitor,
        Err(problem) => return Ok(Reply::refused(&problem)),
    };
    let since = function.clock.now();
    let Identity { owner, sender, scopes, address: _ } = identity;
    if let Err(problem) = places::take(fan_out, &id, &owner, since).await? {
        return Ok(Reply::refused(&problem));
    }
    let connection = Connection { bot, owner, sender, scopes, since, rooms: Vec::new() };
    let begun = begin(function, fan_out, &id, &connection).await;
    if begun.is_err() {
        places::give_back(fan_out, &id, &connection.owner).await;
    }
    begun.map(|()| Reply::OK)
}

async fn begin(function: &Function, fan_out: &FanOut, id: &ConnectionId, connection: &Connection) -> Result<(), Failure> {
    fan_out.register.open(id, connection).await?;
    let ring = Ring { whom: Whom::Connection(id.clone()), at: connection.since };
    function.bells.send(&ring).await.map_err(Failure::Doorbell)
}

async fn visitor(function: &Function, event: SocketEvent) -> Result<(cota_core::ids::BotName, Identity), Problem> {
    let gateway = function.entrance(event.domain.as_deref()).gateway;
    let mut parts = request(event)?;
    gateway.admit(&mut parts).await?;
    gateway.visitor(&parts)?.ok_or_else(|| {
        let detail = "say who speaks: `?sender_id=` in the address";
        Problem::new(Code::MissingSender, detail).with("field", "sender_id")
    })
}

/// The upgrade as the request that it was.
fn request(event: SocketEvent) -> Result<Parts, Problem> {
    let unreadable = |_| Problem::new(Code::BadRequest, "the address of the socket cannot be read");
    let target = if event.query.is_empty() { PATH.to_owned() } else { format!("{PATH}?{}", event.query) };
    let (mut parts, ()) = Request::get(target).body(()).map_err(unreadable)?.into_parts();
    parts.headers = event.headers;
    if let Some(address) = event.address {
        parts.extensions.insert(address);
    }
    if let Some(name) = event.domain.as_deref().and_then(|name| HeaderValue::from_str(name).ok()) {
        parts.headers.insert(HOST, name);
    }
    Ok(parts)
}

/// Takes a connection that has ended off the register, and tells the rooms it sat in.
pub(super) async fn disconnect(fan_out: &FanOut, id: &ConnectionId) -> Result<Reply, Failure> {
    let Some(connection) = fan_out.register.close(id).await? else { return Ok(Reply::OK) };
    for sitting in &connection.rooms {
        left(fan_out, &connection, &connection.key(&sitting.session)).await?;
    }
    Ok(Reply::OK)
}

/// Tells a room that somebody is gone, unless another connection of theirs still sits there.
pub(super) async fn left(fan_out: &FanOut, connection: &Connection, key: &cota_core::ids::ConversationKey) -> Result<(), Failure> {
    let seats = fan_out.register.seats(key).await?;
    if !seats.iter().any(|(_, seat)| seat.sender == connection.sender) {
        let room_info = room_info(key, &seats);
        let frame = ServerFrame::UserLeft { user_id: connection.sender.clone(), room_info };
        fan_out.tell(key, &seats, |_| vec![frame.clone()]).await;
    }
    Ok(())
}
