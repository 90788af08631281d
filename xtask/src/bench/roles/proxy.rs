//! The bare proxy: the same two calls upstream as a turn of plain chat, and nothing else. It is the limit.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use cota_testkit::llm_server::scripts::CHOOSE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{ProxyRole, answer_lines, say};

struct Proxy {
    client: reqwest::Client,
    url: String,
    /// Fills a prompt up to the length of one of cota's.
    padding: String,
}

#[derive(Deserialize)]
struct Said {
    text: String,
}

#[derive(Serialize)]
struct Answer {
    replies: [Reply; 1],
}

#[derive(Serialize)]
struct Reply {
    text: String,
}

pub(super) async fn play(role: ProxyRole) -> Result<()> {
    // The client wants to know who would encrypt, though nobody does on the loopback interface. A second install is refused.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).pool_max_idle_per_host(256).build()?;
    let url = format!("{}/chat/completions", role.apibase);
    let proxy = Proxy { client, url, padding: "so that it is as long ".repeat(role.body_bytes / 22) };
    let router =
        Router::new().route("/v1/conversations/{id}/messages", post(message)).route("/websocket", get(upgrade)).with_state(Arc::new(proxy));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&format!("http://{}", listener.local_addr()?))?;
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    answer_lines(String::new).await?;
    serving.abort();
    Ok(())
}

async fn message(State(proxy): State<Arc<Proxy>>, Json(said): Json<Said>) -> Result<Json<Answer>, StatusCode> {
    let text = proxy.turn(&said.text).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(Json(Answer { replies: [Reply { text }] }))
}

async fn upgrade(State(proxy): State<Arc<Proxy>>, upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(move |socket| async move {
        // A client that goes away ends the socket with an error.
        let _ = converse(socket, &proxy).await;
    })
}

async fn converse(mut socket: WebSocket, proxy: &Proxy) -> Result<()> {
    socket.send(Message::text(json!({"type": "login"}).to_string())).await?;
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(frame) = message else {
            continue;
        };
        let frame: Value = serde_json::from_str(&frame)?;
        let field = |name: &str| frame.get(name).and_then(Value::as_str);
        let answer = match field("type") {
            Some("text") => {
                let text = proxy.turn(field("text").unwrap_or_default()).await?;
                json!({"type": "text", "sender": "bot", "text": text})
            }
            Some("join") => json!({"type": "join_confirm"}),
            Some(_) | None => continue,
        };
        socket.send(Message::text(answer.to_string())).await?;
    }
    Ok(())
}

impl Proxy {
    /// The two calls, and the words of the second.
    async fn turn(&self, said: &str) -> Result<String> {
        self.call(CHOOSE, said).await?;
        let answer: Value = serde_json::from_str(&self.call("Say something", said).await?)?;
        Ok(answer.get("text").and_then(Value::as_str).context("no text")?.to_owned())
    }

    async fn call(&self, task: &str, said: &str) -> Result<String> {
        let prompt = format!("{task}\n{}\nUserUtter:{said}", self.padding);
        let body = json!({"model": "scripted", "messages": [{"role": "user", "content": prompt}]}).to_string();
        let response = self.client.post(&self.url).header(CONTENT_TYPE, "application/json").body(body).send().await?.error_for_status()?;
        let completion: Value = serde_json::from_slice(&response.bytes().await?)?;
        let content = completion.pointer("/choices/0/message/content").and_then(Value::as_str);
        Ok(content.context("no content")?.to_owned())
    }
}
