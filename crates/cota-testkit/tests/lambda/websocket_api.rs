//! A WebSocket API: what its routes hand over, who is let in, and what `@connections` does.

use std::time::Duration;

use cota_testkit::client::http;
use cota_testkit::lambda::{Function, WebSocketApi};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};

use super::{events, function, names, sample, until};

const SIGNED: &str = "authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/execute-api/aws4_request, Signature=0";

type Socket = WebSocketStream<TcpStream>;

async fn api() -> (WebSocketApi, Function) {
    let (api, function) = (WebSocketApi::start().await, function());
    api.serve(function.clone());
    (api, function)
}

async fn connect(api: &WebSocketApi, query: &str) -> Result<Socket, tungstenite::Error> {
    let tcp = TcpStream::connect(api.address()).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async(format!("ws://{}/test?{query}", api.address()), tcp).await?;
    Ok(socket)
}

async fn next(socket: &mut Socket) -> Message {
    tokio::time::timeout(Duration::from_secs(60), socket.next()).await.expect("nothing comes").unwrap().unwrap()
}

/// One request to `@connections`.
async fn manage(api: &WebSocketApi, method: &str, id: &str, headers: &[&str], body: &[u8]) -> http::Response {
    let path = format!("/test/%40connections/{}", id.replace('=', "%3D"));
    http::exchange(&api.address(), method, &path, headers, body).await.unwrap()
}

/// The events of a route, once there are so many.
async fn of_route(function: &Function, route: &str, many: usize) -> Vec<Json> {
    until(|| {
        let events: Vec<Json> = events(function).into_iter().filter(|event| event["requestContext"]["routeKey"] == route).collect();
        (events.len() >= many).then_some(events)
    })
    .await
}

fn assert_has_all_of(sample: &Json, event: &Json, but: &[&str]) {
    let known = names(event);
    let missing: Vec<String> = names(sample).into_iter().filter(|name| !known.contains(name) && !but.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} are missing: {event}");
}

#[tokio::test]
async fn the_routes_hand_over_the_documented_events() {
    let (api, function) = api().await;
    let mut socket = connect(&api, "sender_id=ann%20b").await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    socket.send(Message::binary(vec![0xff])).await.unwrap();
    let frames = of_route(&function, "$default", 2).await;
    socket.close(Some(CloseFrame { code: 1001.into(), reason: "away".into() })).await.unwrap();
    let (connected, left) = (&of_route(&function, "$connect", 1).await[0], &of_route(&function, "$disconnect", 1).await[0]);

    // Without the keys of a usage plan, which there is none of.
    let keys = ["requestContext.identity.apiKey", "requestContext.identity.apiKeyId"];
    assert_has_all_of(&sample("socket/connect.json"), connected, &keys);
    assert_eq!(connected["queryStringParameters"], json!({"sender_id": "ann b"}));
    assert_eq!(connected["multiValueQueryStringParameters"], json!({"sender_id": ["ann b"]}));
    // Nothing tells what a client gave as its reason, and the headers say nothing new.
    assert_has_all_of(&sample("socket/disconnect.json"), left, &["requestContext.disconnectReason", "headers", "multiValueHeaders"]);
    assert_eq!(left["requestContext"]["disconnectStatusCode"], 1001);
    assert_has_all_of(&sample("socket/message.json"), &frames[0], &[]);

    let body_of = |encoded: bool| frames.iter().find(|event| event["isBase64Encoded"] == encoded).map(|event| event["body"].clone());
    assert_eq!((body_of(false), body_of(true)), (Some(json!("hello")), Some(json!("/w=="))));
    let ids: Vec<&Json> = frames.iter().chain([connected, left]).map(|event| &event["requestContext"]["connectionId"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_connection_is_open_when_its_function_agrees_and_never_before() {
    let (api, function) = api().await;
    let refused = connect(&api, "do=refuse").await.unwrap_err();
    assert!(matches!(&refused, tungstenite::Error::Http(answer) if answer.status() == 403), "{refused}");
    let failed = connect(&api, "do=fail").await.unwrap_err();
    assert!(matches!(&failed, tungstenite::Error::Http(answer) if answer.status() == 500), "{failed}");
    let (opened, posted) = tokio::join!(connect(&api, "do=hesitate"), async {
        let event = of_route(&function, "$connect", 3).await.pop().unwrap();
        let id = event["requestContext"]["connectionId"].as_str().unwrap().to_owned();
        manage(&api, "POST", &id, &[SIGNED], b"too early").await.status
    });
    assert!(opened.is_ok());
    assert_eq!(posted, 410, "nothing can be posted during $connect");
}

#[tokio::test]
async fn connections_are_posted_to_asked_after_and_ended() {
    let (api, function) = api().await;
    let mut socket = connect(&api, "sender_id=ann").await.unwrap();
    let id = api.connections().pop().unwrap();
    assert!(id.ends_with('='), "AWS's ids are base64, which a path has to encode: {id}");

    let unsigned = manage(&api, "POST", &id, &[], b"hi").await;
    assert_eq!((unsigned.status, &unsigned.json()["message"]), (403, &json!("Missing Authentication Token")));
    assert_eq!(manage(&api, "POST", &id, &[SIGNED], b"hi").await.status, 200);
    assert_eq!(next(&mut socket).await, Message::text("hi"));
    let asked = manage(&api, "GET", &id, &[SIGNED], b"").await.json();
    assert!(asked["connectedAt"].is_string() && asked["lastActiveAt"].is_string() && asked["identity"]["sourceIp"].is_string(), "{asked}");
    assert_eq!(manage(&api, "POST", &id, &[SIGNED], &vec![b'x'; 128 * 1024 + 1]).await.status, 413);
    assert_eq!(manage(&api, "POST", "bm9ib2R5AA=", &[SIGNED], b"hi").await.status, 410);

    assert_eq!(manage(&api, "DELETE", &id, &[SIGNED], b"").await.status, 204);
    assert!(matches!(next(&mut socket).await, Message::Close(_)));
    of_route(&function, "$disconnect", 1).await;
    assert_eq!(manage(&api, "POST", &id, &[SIGNED], b"hi").await.status, 410);
}

#[tokio::test]
async fn a_frame_that_its_function_fails_at_is_answered_and_a_larger_one_than_may_be_ends_the_connection() {
    let (api, _function) = api().await;
    let mut socket = connect(&api, "sender_id=ann").await.unwrap();
    socket.send(Message::text("fail")).await.unwrap();
    let Message::Text(said) = next(&mut socket).await else { panic!("no text came") };
    let said: Json = serde_json::from_str(&said).unwrap();
    assert_eq!(said["message"], "Internal server error");
    assert!(said["connectionId"].is_string() && said["requestId"].is_string(), "{said}");
    socket.send(Message::text("x".repeat(32 * 1024 + 1))).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), socket.next()).await.unwrap();
    assert!(matches!(ended, None | Some(Err(_) | Ok(Message::Close(_)))), "{ended:?}");
}
