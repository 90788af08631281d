//! Tests against a running server, over its conversation routes.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cota_config::tests::ConversationTest;
use cota_core::event::ActionRecord;
use cota_core::ids::{BotName, Seq};
use cota_core::limits;
use cota_driver::address::Reach;
use cota_effects::http::{HttpRequest, HttpSend};
use cota_protocol::rest::{ConversationState, EventsPage};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use url::Url;

use super::{Conversation, SayError, Side};
use crate::failure::Failure;
use crate::native::{LazyHttp, unique_holder};

/// As whom tests speak.
const SENDER: &str = "user";
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// How long one message may take, all its exchanges included.
const PATIENCE: Duration = Duration::from_millis(2 * limits::TURN_MS);
/// Between two looks at a conversation that is not idle yet.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Remote {
    server: Arc<Server>,
    /// Begins every conversation's name: tests that others run at the same time have other ones.
    prefix: String,
    begun: Cell<u64>,
}

impl Remote {
    pub(super) fn new(target: &str, key: Option<String>, bot: &BotName) -> Result<Self, Failure> {
        let base = target.trim_end_matches('/').parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base =
            base.ok_or_else(|| Failure::usage(format!("`{target}` is no address of a server: it begins with http:// or https://")))?;
        let authorization = key.map(|key| HeaderValue::try_from(format!("Bearer {key}"))).transpose();
        let mut authorization = authorization.map_err(|_| Failure::usage("the key has characters that no key has"))?;
        authorization.iter_mut().for_each(|value| value.set_sensitive(true));
        // A name that does not fit into a header leaves the choice to the server.
        let bot = HeaderValue::from_str(bot.as_str()).ok();
        let server = Arc::new(Server { http: LazyHttp::default(), base, authorization, bot });
        Ok(Self { server, prefix: format!("test-{}", unique_holder().0), begun: Cell::new(0) })
    }
}

#[async_trait(?Send)]
impl Side for Remote {
    async fn begin(&self, _test: &ConversationTest) -> Result<Box<dyn Conversation>, Failure> {
        self.begun.set(self.begun.get() + 1);
        let id = format!("{}-{}", self.prefix, self.begun.get());
        Ok(Box::new(RemoteConversation { server: Arc::clone(&self.server), id, said: 0, seen: Seq::default() }))
    }
}

struct RemoteConversation {
    server: Arc<Server>,
    id: String,
    said: u64,
    /// The last event that was read.
    seen: Seq,
}

#[async_trait(?Send)]
impl Conversation for RemoteConversation {
    async fn say(&mut self, text: &str) -> Result<Vec<ActionRecord>, SayError> {
        let give_up = Instant::now() + PATIENCE;
        self.said += 1;
        let body = json!({"text": text, "sender_id": SENDER, "message_id": format!("{}-{}", self.id, self.said)});
        self.server.ask(Method::POST, &self.path("/messages"), Some(&body)).await?;
        // An answer of 202, and the further exchanges of a proxy user, are waited for in the same way.
        while !self.is_idle().await? {
            if Instant::now() > give_up {
                return Err(SayError::Refused(format!("no answer came within {} s", PATIENCE.as_secs())));
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.catch_up().await
    }

    async fn forget(&mut self) {
        // The server's own retention does it where this fails.
        let _ = self.server.ask(Method::DELETE, &self.path(""), None).await;
    }
}

impl RemoteConversation {
    fn path(&self, rest: &str) -> String {
        format!("/v1/conversations/{}{rest}", self.id)
    }

    async fn is_idle(&self) -> Result<bool, SayError> {
        let state: ConversationState = self.server.get(&self.path("")).await?;
        Ok(!state.running && state.waiting == 0)
    }

    async fn catch_up(&mut self) -> Result<Vec<ActionRecord>, SayError> {
        let mut actions = Vec::new();
        loop {
            let page: EventsPage = self.server.get(&self.path(&format!("/events?after={}", self.seen))).await?;
            self.seen = page.next_after;
            actions.extend(page.events.iter().filter_map(action));
            if !page.more {
                return Ok(actions);
            }
        }
    }
}

/// An event's action, if it is one; what the key's scopes do not cover is left out of it.
fn action(event: &Json) -> Option<ActionRecord> {
    let is_action = event.get("kind").is_some_and(|kind| kind == "action");
    serde_json::from_value(event.get("data").filter(|_| is_action)?.clone()).ok()
}

struct Server {
    http: LazyHttp,
    base: Url,
    authorization: Option<HeaderValue>,
    bot: Option<HeaderValue>,
}

/// What is read of a problem.
#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    detail: String,
}

impl Server {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, SayError> {
        let body = self.ask(Method::GET, path, None).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(format!("it does not answer as a COTA server does: {error}")))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Vec<u8>, SayError> {
        let request = self.request(method, path, body).map_err(|why| self.broken(why))?;
        let exchange = async {
            let response = self.http.send(request).await?;
            Ok((response.status, response.body.read(ANSWER_BYTES).await?))
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| self.broken("it does not answer"))?;
        let (status, body) = answered.map_err(|error: cota_effects::http::HttpError| self.broken(error.to_string()))?;
        if status.is_success() {
            return Ok(body);
        }
        let why = match serde_json::from_slice::<Problem>(&body) {
            Ok(Problem { code, detail }) => format!("the server answers {status}: {code}: {detail}"),
            Err(_) => format!("the server answers {status}"),
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.broken(format!("{why}; give an API key in COTA_KEY"))),
            _ => Err(SayError::Refused(why)),
        }
    }

    fn request(&self, method: Method, path: &str, body: Option<&Json>) -> Result<HttpRequest, String> {
        let mut url = format!("{}{path}", self.base.as_str().trim_end_matches('/')).parse::<Url>().map_err(|error| error.to_string())?;
        if method != Method::POST {
            url.query_pairs_mut().append_pair("sender_id", SENDER);
        }
        let mut request = HttpRequest::new(method, url, Reach::Named).map_err(|error| error.to_string())?;
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            request.headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(bot) = &self.bot {
            request.headers.insert("x-cota-bot", bot.clone());
        }
        if let Some(body) = body {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = body.to_string().into();
        }
        Ok(request)
    }

    fn broken(&self, why: impl Into<String>) -> SayError {
        let host = self.base.host_str().unwrap_or_default();
        SayError::Broken(Failure::service(format!("the server at {host} cannot be tested: {}", why.into())))
    }
}
