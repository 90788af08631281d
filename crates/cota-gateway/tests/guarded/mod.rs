//! A deployment that identifies its callers, and callers who prove who they are.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use tokio::time::timeout;

use cota_core::bot::OnBusy;
use cota_core::ids::Timestamp;
use cota_driver::ledger::MemoryLedger;
use cota_gateway::identity::{Chance, Identities, NoChance, Tokens, keys};
use cota_gateway::websocket::{Opening, Session};
use cota_gateway::{Access, Scopes};

use crate::client::{answer, get};
use crate::support::{START, World, world_with};

pub(crate) const SECRET: &[u8] = b"a secret of thirty-two bytes, or more";

/// Bytes that nobody has seen before, in this test.
#[derive(Default)]
pub(crate) struct Counting(AtomicU8);

impl Chance for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// A deployment that identifies its callers.
pub(crate) struct Guarded {
    pub(crate) world: World,
    pub(crate) router: Router,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) chance: Counting,
}

impl Guarded {
    pub(crate) fn new() -> Self {
        let ledger = Arc::<MemoryLedger>::default();
        let world = world_with(OnBusy::Queue, |options| {
            let tokens = Tokens::with_secret(SECRET).unwrap().of_issuer("us");
            let identities = Identities::new(ledger.clone(), options.clock.clone(), Arc::<Counting>::default()).with_tokens(tokens);
            options.access = Access::On(Arc::new(identities));
        });
        Self { router: world.gateway.router(), world, ledger, chance: Counting::default() }
    }

    pub(crate) async fn key(&self, scopes: Scopes) -> String {
        keys::create(self.ledger.as_ref(), &self.chance, "test", scopes, START, None).await.ok().unwrap().text
    }

    pub(crate) async fn ask(&self, bearer: &str, request: Request<Body>) -> (StatusCode, Json) {
        answer(&self.router, with_bearer(bearer, request)).await
    }
}

pub(crate) fn with_bearer(bearer: &str, mut request: Request<Body>) -> Request<Body> {
    let value = HeaderValue::try_from(format!("Bearer {bearer}")).unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

pub(crate) fn token_of(issuer: &str, sub: &str, scope: &str, expires_at: Timestamp) -> String {
    let encode = |json: Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({"sub": sub, "iss": issuer, "scope": scope, "exp": expires_at.0 / 1000});
    let signed = format!("{}.{}", encode(json!({"alg": "HS256"})), encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

pub(crate) fn token(sub: &str, scope: &str) -> String {
    token_of("us", sub, scope, START.plus_ms(3_600_000))
}

impl Guarded {
    pub(crate) async fn ticket(&self, bearer: &str, query: &str) -> String {
        let (status, made) = self.ask(bearer, empty_post(&format!("/v1/tickets{query}"))).await;
        assert_eq!((status, &made["expires_in"]), (StatusCode::CREATED, &json!(60)), "{made}");
        made["ticket"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn invitation(&self, bearer: &str, conversation: &str) -> String {
        let (status, made) = self.ask(bearer, empty_post(&format!("/v1/conversations/{conversation}/invitations"))).await;
        assert_eq!((status, &made["conversation_id"]), (StatusCode::CREATED, &json!(conversation)), "{made}");
        made["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn open(&self, uri: &str) -> Result<Socket, StatusCode> {
        let mut parts = get(uri).into_parts().0;
        parts.headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        self.world.gateway.admit(&mut parts).await.map_err(|problem| StatusCode::from_u16(problem.status()).unwrap())?;
        match self.world.gateway.open(&parts) {
            Opening::Session(session) => Ok(Socket(*session)),
            Opening::Refused(response) => Err(response.status()),
            Opening::MissingSender => panic!("{uri} names no sender"),
        }
    }

    /// A socket of somebody who came with a ticket.
    pub(crate) async fn socket(&self, sub: &str) -> Socket {
        let ticket = self.ticket(&token(sub, "chat"), "").await;
        let mut socket = self.open(&format!("/websocket?ticket={ticket}")).await.unwrap();
        assert_eq!(socket.next().await["sender_id"], sub);
        socket
    }
}

pub(crate) struct Socket(pub(crate) Session);

impl Socket {
    pub(crate) async fn send(&mut self, frame: Json) -> Json {
        self.0.handle(&frame.to_string()).await;
        self.next().await
    }

    pub(crate) async fn next(&mut self) -> Json {
        let frame = timeout(Duration::from_secs(10), self.0.next()).await.expect("no frame came");
        serde_json::from_str(&frame.encode()).unwrap()
    }
}

pub(crate) fn empty_post(uri: &str) -> Request<Body> {
    Request::post(uri).body(Body::empty()).unwrap()
}
