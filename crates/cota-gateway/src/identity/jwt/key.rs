//! The keys that sign tokens, each for one algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use super::public::{PublicKey, Signatures, VerifyingKey};

/// Fewest bytes of a shared secret (RFC 7518, section 3.2).
const SECRET_BYTES: usize = 32;
/// Most keys of a set; a token that names none is tried with each.
const MOST_KEYS: usize = 32;

/// Keys that cannot be used to check tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// The secret could be guessed.
    #[error("the secret has {found} bytes; HS256 needs at least {SECRET_BYTES}")]
    ShortSecret {
        /// Its length.
        found: usize,
    },
    /// It is no key set.
    #[error("this is no JSON Web Key Set: an object with a list `keys`")]
    NoKeySet,
    /// None of the keys can be used.
    #[error("the key set has no key for RS256 (RSA with 2048 to 4096 bits) or ES256 (P-256)")]
    NoUsableKey,
}

/// The algorithms of RFC 7518 that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
}

impl Algorithm {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }

    fn of_key(key: &PublicKey) -> Self {
        match key {
            PublicKey::Rsa { .. } => Self::Rs256,
            PublicKey::P256 { .. } => Self::Es256,
        }
    }
}

/// The keys of one issuer.
pub(super) struct Keys(Vec<Key>);

struct Key {
    kid: Option<String>,
    verifier: Verifier,
}

enum Verifier {
    Secret(Box<Hmac<Sha256>>),
    Public(Algorithm, Box<dyn VerifyingKey>),
}

/// A key as RFC 7517 and RFC 7518 write it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    pub(super) fn secret(secret: &[u8]) -> Result<Self, InvalidKeys> {
        let short = InvalidKeys::ShortSecret { found: secret.len() };
        if secret.len() < SECRET_BYTES {
            return Err(short);
        }
        let mac = Hmac::new_from_slice(secret).map_err(|_| short)?;
        Ok(Self(vec![Key { kid: None, verifier: Verifier::Secret(Box::new(mac)) }]))
    }

    /// The public keys of a set. Keys of other kinds are passed over, secrets among them: what may be published is no secret.
    pub(super) async fn set(json: &[u8], signatures: &dyn Signatures) -> Result<Self, InvalidKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| InvalidKeys::NoKeySet)?;
        let mut keys = Vec::new();
        for jwk in set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()) {
            if keys.len() == MOST_KEYS {
                break;
            }
            keys.extend(Key::of(jwk, signatures).await);
        }
        if keys.is_empty() { Err(InvalidKeys::NoUsableKey) } else { Ok(Self(keys)) }
    }

    /// Whether there is a key that such a token may be signed with.
    pub(super) fn has(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        self.fitting(algorithm, kid).next().is_some()
    }

    /// Whether one of the keys signed this.
    pub(super) async fn verify(&self, algorithm: Algorithm, kid: Option<&str>, signed: &[u8], signature: &[u8]) -> bool {
        for key in self.fitting(algorithm, kid) {
            if key.verifier.verify(signed, signature).await {
                return true;
            }
        }
        false
    }

    /// A shared secret has no name, so any is right for it.
    fn fitting(&self, algorithm: Algorithm, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let is_named = move |key: &Key| match (&key.kid, kid) {
            (Some(known), Some(asked)) => known == asked,
            (None, Some(_)) => algorithm == Algorithm::Hs256,
            (Some(_) | None, None) => true,
        };
        self.0.iter().filter(move |key| key.verifier.algorithm() == algorithm && is_named(key))
    }
}

impl Key {
    async fn of(jwk: Jwk, signatures: &dyn Signatures) -> Option<Self> {
        let public = jwk.public()?;
        let key = signatures.ready(&public).await?;
        Some(Self { kid: jwk.kid, verifier: Verifier::Public(Algorithm::of_key(&public), key) })
    }
}

impl Verifier {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secret(_) => Algorithm::Hs256,
            Self::Public(algorithm, _) => *algorithm,
        }
    }

    async fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(mac) => {
                let mut mac = mac.as_ref().clone();
                mac.update(signed);
                mac.verify_slice(signature).is_ok()
            }
            Self::Public(_, key) => key.verify(signed, signature).await,
        }
    }
}

impl Jwk {
    fn public(&self) -> Option<PublicKey> {
        if self.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        match (self.kty.as_str(), self.alg.as_deref()) {
            ("RSA", None | Some("RS256")) => PublicKey::rsa(&decode(self.n.as_ref()?)?, &decode(self.e.as_ref()?)?),
            ("EC", None | Some("ES256")) if self.crv.as_deref() == Some("P-256") => {
                PublicKey::p256(decode(self.x.as_ref()?)?, decode(self.y.as_ref()?)?)
            }
            _ => None,
        }
    }
}

fn decode(text: &String) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
