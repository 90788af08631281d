//! The keys that sign tokens, each for one algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use p256::ecdsa;
use p256::elliptic_curve::sec1::FromEncodedPoint as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPublicKey, pkcs1v15};
use serde::Deserialize;
use sha2::Sha256;
use signature::Verifier as _;

/// Fewest bytes of a shared secret (RFC 7518, section 3.2).
const SECRET_BYTES: usize = 32;
/// Fewest bytes of an RSA key's modulus (RFC 7518, section 3.3).
const MODULUS_BYTES: usize = 256;
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
}

/// The keys of one issuer.
pub(super) struct Keys(Vec<Key>);

struct Key {
    kid: Option<String>,
    verifier: Verifier,
}

enum Verifier {
    Hs256(Box<Hmac<Sha256>>),
    Rs256(pkcs1v15::VerifyingKey<Sha256>),
    Es256(ecdsa::VerifyingKey),
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
        Ok(Self(vec![Key { kid: None, verifier: Verifier::Hs256(Box::new(mac)) }]))
    }

    /// The public keys of a set. Keys of other kinds are passed over, secrets among them: what may be published is no secret.
    pub(super) fn set(json: &[u8]) -> Result<Self, InvalidKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| InvalidKeys::NoKeySet)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.key());
        let keys: Vec<Key> = keys.take(MOST_KEYS).collect();
        if keys.is_empty() { Err(InvalidKeys::NoUsableKey) } else { Ok(Self(keys)) }
    }

    /// Whether there is a key that such a token may be signed with.
    pub(super) fn has(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        self.fitting(algorithm, kid).next().is_some()
    }

    /// Whether one of the keys signed this.
    pub(super) fn verify(&self, algorithm: Algorithm, kid: Option<&str>, signed: &[u8], signature: &[u8]) -> bool {
        self.fitting(algorithm, kid).any(|key| key.verifier.verify(signed, signature))
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

impl Verifier {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::Rs256(_) => Algorithm::Rs256,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(mac) => {
                let mut mac = mac.as_ref().clone();
                mac.update(signed);
                mac.verify_slice(signature).is_ok()
            }
            Self::Rs256(key) => pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Es256(key) => ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
        }
    }
}

impl Jwk {
    fn key(self) -> Option<Key> {
        if self.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let verifier = match (self.kty.as_str(), self.alg.as_deref()) {
            ("RSA", None | Some("RS256")) => Verifier::Rs256(pkcs1v15::VerifyingKey::new(self.rsa()?)),
            ("EC", None | Some("ES256")) if self.crv.as_deref() == Some("P-256") => Verifier::Es256(self.p256()?),
            _ => return None,
        };
        Some(Key { kid: self.kid, verifier })
    }

    fn rsa(&self) -> Option<RsaPublicKey> {
        let (n, e) = (decode(self.n.as_ref()?)?, decode(self.e.as_ref()?)?);
        let key = RsaPublicKey::new(BigUint::from_bytes_be(&n), BigUint::from_bytes_be(&e)).ok()?;
        (key.size() >= MODULUS_BYTES).then_some(key)
    }

    fn p256(&self) -> Option<ecdsa::VerifyingKey> {
        let (x, y): ([u8; 32], [u8; 32]) = (decode(self.x.as_ref()?)?.try_into().ok()?, decode(self.y.as_ref()?)?.try_into().ok()?);
        let point = p256::EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
        let key = Option::<p256::PublicKey>::from(p256::PublicKey::from_encoded_point(&point))?;
        Some(ecdsa::VerifyingKey::from(key))
    }
}

fn decode(text: &String) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
