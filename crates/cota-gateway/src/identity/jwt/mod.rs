//! JSON Web Tokens (RFC 7519) as bearer tokens: the claim `sub` is the owner of the conversations.
//!
//! A token's header says which algorithm it was signed with, and is believed in nothing else: the keys know what they are for, so
//! a public key is never taken for a secret, and `none` is no algorithm at all.

mod claims;
#[cfg(feature = "signatures")]
mod computed;
mod key;
mod public;
mod remote;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use cota_driver::ports::Clock;
use cota_protocol::problem::Problem;

#[cfg(feature = "signatures")]
pub use computed::ComputedSignatures;
pub use key::InvalidKeys;
pub use public::{PublicKey, Signatures, VerifyingKey};
pub use remote::FetchKeys;

use self::claims::Claims;
use self::key::{Algorithm, Keys};
use self::remote::RemoteKeys;
use super::unauthorized;
use crate::access::Known;

/// Most characters of a token.
const LONGEST: usize = 8 * 1024;

/// Which tokens are good.
pub struct Tokens {
    keys: Source,
    issuer: Option<String>,
    audience: Option<String>,
}

/// Where the keys come from that sign tokens.
enum Source {
    Fixed(Keys),
    Remote(RemoteKeys),
}

/// A token's header. Members that must be understood (`crit`) are not.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

impl Tokens {
    /// Tokens that are signed with a shared secret (HS256).
    ///
    /// # Errors
    /// When the secret has less than 32 bytes, as RFC 7518 asks for at least as many as the hash has.
    pub fn with_secret(secret: &[u8]) -> Result<Self, InvalidKeys> {
        Ok(Self { keys: Source::Fixed(Keys::secret(secret)?), issuer: None, audience: None })
    }

    /// Tokens that are signed with a key of this JSON Web Key Set (RFC 7517; RS256, ES256).
    ///
    /// # Errors
    /// When the set cannot be read, or has no such key.
    pub async fn with_key_set(json: &[u8], signatures: &dyn Signatures) -> Result<Self, InvalidKeys> {
        Ok(Self { keys: Source::Fixed(Keys::set(json, signatures).await?), issuer: None, audience: None })
    }

    /// Tokens that are signed with a key of a JSON Web Key Set that is fetched when it is needed, and again when a token names a
    /// key that it does not have.
    #[must_use]
    pub fn with_remote_key_set(fetch: Arc<dyn FetchKeys>, signatures: Arc<dyn Signatures>) -> Self {
        Self { keys: Source::Remote(RemoteKeys::new(fetch, signatures)), issuer: None, audience: None }
    }

    /// Of these the ones of this issuer (`iss`).
    #[must_use]
    pub fn of_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Of these the ones for this audience (`aud`). Without it only tokens that name no audience are good.
    #[must_use]
    pub fn for_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Who comes with this token.
    pub(super) async fn check(&self, token: &str, clock: &dyn Clock) -> Result<Known, Problem> {
        let Parts { header, claims, signed, signature } = Parts::of(token)?;
        let algorithm = Algorithm::of(&header.alg).ok_or_else(|| unauthorized("the token's algorithm has to be HS256, RS256 or ES256"))?;
        if header.crit.is_some() {
            return Err(unauthorized("the token's header has extensions that this server does not know"));
        }
        let kid = header.kid.as_deref();
        let is_signed = match &self.keys {
            Source::Fixed(keys) => keys.verify(algorithm, kid, signed, &signature).await,
            Source::Remote(keys) => keys.current(algorithm, kid, clock).await?.verify(algorithm, kid, signed, &signature).await,
        };
        if !is_signed {
            return Err(unauthorized("the token is not signed with a key that this server knows"));
        }
        let claims = Claims::read(&claims).ok_or_else(malformed)?;
        claims.known(self.issuer.as_deref(), self.audience.as_deref(), clock.now())
    }
}

/// A token taken apart; nothing of it is to be believed before its signature is.
struct Parts<'t> {
    header: Header,
    claims: Vec<u8>,
    signed: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Parts<'t> {
    fn of(token: &'t str) -> Result<Self, Problem> {
        if token.len() > LONGEST {
            return Err(unauthorized(format!("the token has more than {LONGEST} characters")));
        }
        Self::read(token).ok_or_else(malformed)
    }

    fn read(token: &'t str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header = serde_json::from_slice(&decode(header)?).ok()?;
        Some(Self { header, claims: decode(claims)?, signed: signed.as_bytes(), signature: decode(signature)? })
    }
}

fn malformed() -> Problem {
    unauthorized("the token is neither an API key nor a signed JWT with the claims `sub` and `exp`")
}

#[cfg(test)]
mod tests;
