//! How a deployment knows its callers: API keys that it was given, JWTs, by secret or by key set, and the tickets and invitations
//! that stand for them.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use http::Method;
use url::Url;
use worker::Env;

use cota_driver::address::Reach;
use cota_driver::http::{HttpRequest, HttpSend as _};
use cota_gateway::Access;
use cota_gateway::identity::{FetchKeys, GivenKeys, Identities, Tokens};
use cota_gateway::limits::WrongLimit;
use cota_protocol::problem::{Code, Problem};

use crate::ledger::RemoteLedger;
use crate::platform::{PlatformChance, PlatformClock, PlatformHttp, PlatformSignatures};
use crate::settings::setting;

/// Most bytes of a key set.
const LARGEST: usize = 256 * 1024;

/// Why a deployment serves nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    /// It is reached from outside, and identifies nobody.
    #[error(
        "callers are not identified, so everybody could read every conversation: set the secret COTA_API_KEYS or COTA_JWT_SECRET, or \
         COTA_JWKS with COTA_JWT_ISSUER and COTA_JWT_AUDIENCE, or the variable COTA_INSECURE_NO_IDENTITY to true"
    )]
    Open,
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(String),
    /// A limit cannot be read, so nobody could be held to it.
    #[error(transparent)]
    Limit(#[from] WrongLimit),
    /// wrangler.toml lacks something.
    #[error(transparent)]
    Binding(#[from] worker::Error),
}

impl NotReady {
    /// What callers are told.
    pub(crate) fn problem(&self) -> Problem {
        let code = match self {
            Self::Open | Self::Setting(_) | Self::Binding(_) => Code::IdentityUnavailable,
            Self::Limit(_) => Code::Internal,
        };
        Problem::new(code, self.to_string())
    }
}

/// How callers of this deployment are known. `is_local` tells that only this machine reaches it, as with `wrangler dev`.
pub(crate) fn access(env: &Env, is_local: bool) -> Result<Access, NotReady> {
    if setting(env, "COTA_INSECURE_NO_IDENTITY").is_some_and(|value| value == "true") {
        return Ok(Access::Off);
    }
    let (keys, tokens) = (keys(env)?, tokens(env)?);
    if keys.is_none() && tokens.is_none() {
        return if is_local { Ok(Access::Off) } else { Err(NotReady::Open) };
    }
    let ledger = Arc::new(RemoteLedger::of(env)?);
    // No command reaches this ledger, so it never has keys of its own.
    let identities = Identities::new(ledger, Arc::new(PlatformClock), Arc::new(PlatformChance)).with_keys(keys.unwrap_or_default());
    Ok(Access::On(Arc::new(match tokens {
        Some(tokens) => identities.with_tokens(tokens),
        None => identities,
    })))
}

/// The keys of the secret `COTA_API_KEYS`, read once: another secret is another version of the Worker.
fn keys(env: &Env) -> Result<Option<Arc<GivenKeys>>, NotReady> {
    static KEYS: OnceLock<Option<Arc<GivenKeys>>> = OnceLock::new();
    if let Some(keys) = KEYS.get() {
        return Ok(keys.clone());
    }
    let keys = setting(env, "COTA_API_KEYS").map(|keys| keys.parse::<GivenKeys>().map(Arc::new)).transpose();
    let keys = keys.map_err(|error| NotReady::Setting(format!("COTA_API_KEYS {error}")))?;
    Ok(KEYS.get_or_init(|| keys).clone())
}

/// The tokens that are good, read once like the keys: with them the isolate keeps the key set of their issuer.
fn tokens(env: &Env) -> Result<Option<Arc<Tokens>>, NotReady> {
    static TOKENS: OnceLock<Option<Arc<Tokens>>> = OnceLock::new();
    if let Some(tokens) = TOKENS.get() {
        return Ok(tokens.clone());
    }
    let tokens = read_tokens(env)?.map(Arc::new);
    Ok(TOKENS.get_or_init(|| tokens).clone())
}

fn read_tokens(env: &Env) -> Result<Option<Tokens>, NotReady> {
    let (issuer, audience) = (setting(env, "COTA_JWT_ISSUER"), setting(env, "COTA_JWT_AUDIENCE"));
    let mut tokens = match (setting(env, "COTA_JWT_SECRET"), setting(env, "COTA_JWKS")) {
        (Some(_), Some(_)) => return Err(NotReady::Setting("COTA_JWT_SECRET and COTA_JWKS are two kinds of JWT; choose one".to_owned())),
        (Some(secret), None) => {
            Tokens::with_secret(secret.as_bytes()).map_err(|error| NotReady::Setting(format!("COTA_JWT_SECRET: {error}")))?
        }
        (None, Some(_)) if issuer.is_none() || audience.is_none() => {
            return Err(NotReady::Setting("COTA_JWKS needs COTA_JWT_ISSUER and COTA_JWT_AUDIENCE".to_owned()));
        }
        (None, Some(place)) => {
            let url = Url::parse(&place).map_err(|error| NotReady::Setting(format!("COTA_JWKS is no address: {error}")))?;
            Tokens::with_remote_key_set(Arc::new(KeySet(url)), Arc::new(PlatformSignatures))
        }
        (None, None) => return Ok(None),
    };
    if let Some(issuer) = issuer {
        tokens = tokens.of_issuer(issuer);
    }
    if let Some(audience) = audience {
        tokens = tokens.for_audience(audience);
    }
    Ok(Some(tokens))
}

/// The key set of an issuer of tokens.
struct KeySet(Url);

#[async_trait]
impl FetchKeys for KeySet {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let request = HttpRequest::new(Method::GET, self.0.clone(), Reach::Named).map_err(|error| error.to_string())?;
        let response = PlatformHttp.send(request).await.map_err(|error| error.to_string())?;
        if response.status != http::StatusCode::OK {
            return Err(format!("{} answers with {}", self.0, response.status));
        }
        response.body.read(LARGEST).await.map_err(|error| error.to_string())
    }
}
