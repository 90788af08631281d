//! How many connections an identity may have open, whichever environments answer for them.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cota_core::ids::Timestamp;
use cota_driver::ledger::{Ledger as _, Record};
use cota_native::LazyHttp;
use cota_store_dynamodb::aws_sdk_dynamodb::Client;
use cota_store_dynamodb::{DynamoStore, Options};
use cota_testkit::services::dynamodb;
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value as Json;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::support::{self, Bundles, Deployment, Plan, calls, cota, http};

type Open = WebSocketStream<TcpStream>;

/// A deployment that knows its callers by a key, and lets each have so many connections.
struct Limited {
    deployment: Deployment,
    bearer: String,
}

impl Limited {
    async fn to(most: &str, timeout: Duration) -> Self {
        let variables = [("COTA_INSECURE_NO_IDENTITY", "false"), ("COTA_LIMIT_CONNECTIONS", most), ("COTA_LOG_LEVEL", "debug")];
        let variables = variables.map(|(name, value)| (name, value.to_owned())).to_vec();
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan { variables, timeout, ..Plan::default() }).await;
        let mut create = Command::new(cota());
        create.args(["key", "create", "--store", &format!("dynamodb:{}", deployment.table)]).envs(dynamodb::shared().environment());
        let output = tokio::task::spawn_blocking(move || create.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let key = String::from_utf8(output.stdout).unwrap();
        Self { deployment, bearer: format!("Bearer {}", key.trim()) }
    }

    /// Opens a socket, or the status it is refused with.
    async fn open(&self, sender: &str) -> Result<Open, u16> {
        let address = self.deployment.sockets.address();
        let mut request = format!("ws://{address}/test?sender_id={sender}").into_client_request().unwrap();
        request.headers_mut().insert("authorization", self.bearer.parse().unwrap());
        let tcp = TcpStream::connect(&address).await.unwrap();
        match tokio_tungstenite::client_async(request, tcp).await {
            Err(Error::Http(refused)) => Err(refused.status().as_u16()),
            opened => Ok(opened.unwrap().0),
        }
    }

    /// Opens a socket as soon as there is a place.
    async fn open_soon(&self, sender: &str) -> Open {
        let began = Instant::now();
        loop {
            match self.open(sender).await {
                Ok(socket) => return socket,
                Err(refused) => assert!(began.elapsed() < Duration::from_secs(30), "there is no place: {refused:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Reads an event stream to its end.
    async fn stream(&self, sender: &str) -> http::Response {
        let path = format!("/sse?sender_id={sender}");
        http::exchange(&self.deployment.address(), "GET", &path, &[&format!("authorization: {}", self.bearer)], b"").await.unwrap()
    }

    /// Makes it so that all connections began a minute ago.
    async fn age(&self) {
        let environment = dynamodb::shared().environment();
        let found = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let client = Client::from_conf(cota_store_dynamodb::config(found, Arc::<LazyHttp>::default()).unwrap().build());
        let ledger = DynamoStore::new(client, &self.deployment.table, &Options::default());
        let now = Timestamp(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap());
        for (name, Record { value, expires_at }) in ledger.list("limit/", now).await.unwrap() {
            let mut open: Json = serde_json::from_slice(&value).unwrap();
            for taken in open.as_object_mut().unwrap().values_mut() {
                taken["since"] = (taken["since"].as_u64().unwrap() - 60_000).into();
            }
            let aged = Record { value: serde_json::to_vec(&open).unwrap(), expires_at };
            assert!(ledger.replace(&name, Some(&value), aged, now).await.unwrap());
        }
    }
}

#[test]
fn of_several_connections_at_once_no_more_come_to_be_than_an_identity_may_have() {
    support::run(async {
        let limited = Limited::to("3", Plan::default().timeout).await;
        let asked = join_all((0..8).map(|_| limited.open("ana"))).await;
        let (open, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
        assert_eq!(refused.into_iter().map(Result::unwrap_err).collect::<Vec<_>>(), [429; 5]);
        assert!(limited.open("bo").await.is_ok(), "another identity has places of its own");
        let stream = limited.stream("ana").await;
        assert_eq!((stream.status, stream.code().as_str()), (429, "rate_limited"), "an event stream is a connection, too");
        assert!(stream.body.contains("too many connections are open: one identity may have 3"), "{stream:?}");
        drop(open);
        limited.open_soon("ana").await;
    });
}

#[test]
fn a_stream_has_a_place_as_long_as_it_is_open() {
    support::run(async {
        let limited = Limited::to("1", Duration::from_secs(4)).await;
        let socket = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            limited.open("ana").await.err()
        };
        let (stream, refused) = futures_util::join!(limited.stream("ana"), socket);
        assert_eq!((stream.status, refused), (200, Some(429)));
        assert!(limited.open("ana").await.is_ok(), "the stream is over");
    });
}

#[test]
fn a_connection_whose_end_was_told_to_nobody_holds_no_place_for_long() {
    support::run(async {
        let limited = Limited::to("2", Plan::default().timeout).await;
        let mut stays = limited.open("ana").await.unwrap();
        let goes = limited.open("ana").await.unwrap();
        let sockets = &limited.deployment.sockets;
        sockets.forget_function();
        drop(goes);
        while sockets.connections().len() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sockets.serve(limited.deployment.socket.clone());
        assert_eq!(limited.open("ana").await.err(), Some(429), "a young connection may be about to come");
        limited.age().await;
        let third = limited.open("ana").await;
        assert!(third.is_ok(), "{third:?}");
        assert_eq!(limited.open("ana").await.err(), Some(429), "who is there keeps its place");
        stays.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
        while let Some(frame) = stays.next().await {
            if frame.unwrap().to_text().unwrap().contains("pong") {
                return;
            }
        }
        panic!("the socket that stays was closed");
    });
}

#[test]
fn where_no_limit_is_set_nothing_is_asked_and_where_one_is_two_calls() {
    support::run(async {
        for (limit, connect, disconnect) in [("off", 2, 1), ("8", 4, 3)] {
            let limited = Limited::to(limit, Plan::default().timeout).await;
            // The key is read once.
            drop(limited.open("bo").await.unwrap());
            while calls(&limited.deployment.socket).len() < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            drop(limited.open("ana").await.unwrap());
            while calls(&limited.deployment.socket).len() < 4 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(calls(&limited.deployment.socket)[2..], [connect, disconnect], "with a limit of {limit}");
        }
    });
}
