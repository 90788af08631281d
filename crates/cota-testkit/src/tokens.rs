//! JSON Web Tokens as issuers sign them, and as attackers would like to: the same for every target that checks them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking, its helpers too")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use p256::ecdsa::signature::Signer as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPrivateKey};
use serde_json::{Value as Json, json};
use sha2::Sha256;

const P: &str = "3zQM7tJaTSaNHlAkGiN1pHSGci2ngQIYROjxi3W4RfvLi2xhnXjZyPq3Bf6HRp4oAmBSujX2XRP6Vgvzw2RLYsqFpTKfuSx25T216mzsT33bE099Ph6Pzu-JFbsgerEwjCrS0G_6tn2WbDP-LAiY9OmhijnrVuvPsUJAZFG2s2s";
const Q: &str = "29k8AZGiQ4sZz4oLOHzuxa7fTIOg0fdsLVuIllGE1Ev0V93fXSPItLQiEWTknUzSOkSblcGVZZZT928Cbxi3TXnvF56jBSUDYtTukbRYkYs7axvengGRjCg5WnVn1KByD2oiHb-i0-4HtqYf8SCUCjwqtwzyrXJ1LUitcejafO0";
/// A shared secret. The key set names it too, where no server may believe it.
pub const SECRET: &[u8] = b"a secret of thirty-two bytes, or more";

/// A key set: an RSA key as `r1` and a P-256 key as `e1`, among keys that are not for tokens and some that are none.
#[must_use]
pub fn key_set() -> Json {
    let (rsa, p256) = (rsa_key(), p256_key());
    let point = p256.verifying_key().to_encoded_point(false);
    let (x, y) = (encode(point.x().unwrap()), encode(point.y().unwrap()));
    let (n, e) = (encode(&rsa.n().to_bytes_be()), encode(&rsa.e().to_bytes_be()));
    let (even, long) = (encode(&(rsa.n() - 1_u32).to_bytes_be()), encode(&[0xff; 513]));
    json!({"keys": [
        {"kty": "oct", "kid": "r1", "k": encode(SECRET)},
        {"kty": "RSA", "kid": "for-encryption", "use": "enc", "n": n, "e": e},
        {"kty": "RSA", "kid": "small", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "kid": "large", "n": long, "e": e},
        {"kty": "RSA", "kid": "even", "n": even, "e": e},
        {"kty": "RSA", "kid": "one", "n": n, "e": "AQ"},
        {"kty": "EC", "kid": "off-curve", "crv": "P-256", "x": x, "y": x},
        {"kty": "OKP", "crv": "Ed25519", "x": x},
        {"kid": 7},
        {"kty": "RSA", "kid": "r1", "use": "sig", "alg": "RS256", "n": n, "e": e},
        {"kty": "EC", "kid": "e1", "crv": "P-256", "x": x, "y": y},
    ]})
}

/// Tokens with these claims that are good for whoever has the key set.
#[must_use]
pub fn good(claims: &Json) -> Vec<String> {
    vec![
        rs256(&named("RS256", "r1"), claims),
        rs256(&json!({"alg": "RS256"}), claims),
        es256(&named("ES256", "e1"), claims),
        es256(&json!({"alg": "ES256"}), claims),
    ]
}

/// Tokens with these claims that nobody may take who has the key set, though they name algorithms that are known: a public key as
/// if it were a secret, keys that are not for this, signatures of others, parts of them, and none.
#[must_use]
pub fn forged(claims: &Json) -> Vec<String> {
    let (rsa, p256) = (rs256(&named("RS256", "r1"), claims), es256(&named("ES256", "e1"), claims));
    let of_other = es256(&named("ES256", "e1"), &json!({"sub": "somebody else"}));
    let mut forged = vec![
        hs256(rsa_key().n().to_bytes_be().as_slice(), &named("HS256", "r1"), claims),
        hs256(key_set().to_string().as_bytes(), &named("HS256", "r1"), claims),
        hs256(SECRET, &named("HS256", "r1"), claims),
        rs256(&named("RS256", "e1"), claims),
        rs256(&named("RS256", "unknown"), claims),
        es256(&named("RS256", "r1"), claims),
        rs256(&named("ES256", "e1"), claims),
        with_signature(&p256, &of_other),
        with_signature(&rsa, &p256),
        with_signature(&p256, &rsa),
    ];
    for kid in ["for-encryption", "small", "large", "even", "one"] {
        forged.push(rs256(&named("RS256", kid), claims));
    }
    forged.push(es256(&named("ES256", "off-curve"), claims));
    for (token, length) in [(&rsa, 256), (&p256, 64)] {
        for signature in [vec![0; length], vec![0xff; length], vec![0; length + 1], vec![0], Vec::new()] {
            forged.push(with_signature(token, &format!("x.{}", encode(&signature))));
        }
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = decode(signature);
        let (first, behind) = ([&[0], signature.as_slice()].concat(), [signature.as_slice(), &[0]].concat());
        for signature in [&first, &behind, &signature[1..].to_vec(), &signature[..length - 1].to_vec()] {
            forged.push(format!("{signed}.{}", encode(signature)));
        }
    }
    forged
}

/// A token without its signature.
#[must_use]
pub fn unsigned(header: &Json, claims: &Json) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

/// A token that is signed with a secret.
#[must_use]
pub fn hs256(secret: &[u8], header: &Json, claims: &Json) -> String {
    let signed = unsigned(header, claims);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", encode(&mac.finalize().into_bytes()))
}

/// A token that is signed with the RSA key, whatever its header says.
#[must_use]
pub fn rs256(header: &Json, claims: &Json) -> String {
    let signed = unsigned(header, claims);
    let signature = rsa::pkcs1v15::SigningKey::<Sha256>::new(rsa_key()).sign(signed.as_bytes());
    format!("{signed}.{}", encode(&Box::<[u8]>::from(signature)))
}

/// A token that is signed with the P-256 key, whatever its header says.
#[must_use]
pub fn es256(header: &Json, claims: &Json) -> String {
    let signed = unsigned(header, claims);
    let signature: p256::ecdsa::Signature = p256_key().sign(signed.as_bytes());
    format!("{signed}.{}", encode(&signature.to_bytes()))
}

fn named(alg: &str, kid: &str) -> Json {
    json!({"alg": alg, "kid": kid})
}

fn with_signature(token: &str, other: &str) -> String {
    let (signed, (_, signature)) = (token.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap());
    format!("{signed}.{signature}")
}

fn rsa_key() -> RsaPrivateKey {
    let number = |text| BigUint::from_bytes_be(&decode(text));
    RsaPrivateKey::from_p_q(number(P), number(Q), BigUint::from(65537_u32)).unwrap()
}

fn p256_key() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
