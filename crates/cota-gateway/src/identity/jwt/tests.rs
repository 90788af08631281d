//! Tokens, good ones and those of attackers.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use cota_core::ids::Timestamp;
use cota_protocol::problem::Code;
use cota_testkit::tokens::{self, SECRET, hs256, key_set, rs256, unsigned};

use super::*;
use crate::access::{Scopes, Speaker};

/// Seconds since 1970 at which the tests take place.
const NOW: u64 = 1_800_000_000;

/// A clock that stands where it is put.
struct At(AtomicUsize);

impl At {
    fn seconds(seconds: u64) -> Self {
        Self(AtomicUsize::new(usize::try_from(seconds).unwrap()))
    }
}

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed) as u64 * 1000)
    }

    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
        futures_util::future::pending().boxed()
    }
}

fn claims() -> Json {
    json!({"sub": "ana", "exp": NOW + 300, "nbf": NOW - 300, "iss": "https://issuer.example", "aud": ["cota", "shop"]})
}

/// The claims with one of them as this instead; without it for null.
fn with(name: &str, value: Json) -> Json {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
    claims
}

fn named(alg: &str, kid: &str) -> Json {
    json!({"alg": alg, "typ": "JWT", "kid": kid})
}

fn strict(tokens: Tokens) -> Tokens {
    tokens.of_issuer("https://issuer.example").for_audience("cota")
}

fn with_secret() -> Tokens {
    strict(Tokens::with_secret(SECRET).unwrap())
}

fn with_key_set() -> Tokens {
    strict(of_set(key_set().to_string().as_bytes()).unwrap())
}

fn of_set(json: &[u8]) -> Result<Tokens, InvalidKeys> {
    Tokens::with_key_set(json, &ComputedSignatures).now_or_never().expect("nothing is waited for")
}

fn check(tokens: &Tokens, token: &str) -> Result<Known, Problem> {
    tokens.check(token, &At::seconds(NOW)).now_or_never().expect("nothing is fetched")
}

fn refusal(tokens: &Tokens, token: &str) -> String {
    let problem = check(tokens, token).expect_err(token);
    assert_eq!(problem.code, Code::Unauthorized);
    problem.detail
}

fn ana(scopes: Scopes) -> Known {
    Known { speaker: Speaker::Person { owner: "ana".parse().unwrap(), sender: "ana".parse().unwrap() }, scopes }
}

#[test]
fn a_signed_token_is_its_subject() {
    let by_secret = [json!({"alg": "HS256"}), named("HS256", "any")].map(|header| (with_secret(), hs256(SECRET, &header, &claims())));
    let by_key = tokens::good(&claims()).into_iter().map(|token| (with_key_set(), token));
    for (tokens, token) in by_secret.into_iter().chain(by_key) {
        assert_eq!(check(&tokens, &token), Ok(ana(Scopes::CHAT)), "{token}");
    }
}

#[test]
fn no_other_signature_is_taken() {
    let good = hs256(SECRET, &json!({"alg": "HS256"}), &claims());
    let (head, _) = good.rsplit_once('.').unwrap();
    let other = hs256(SECRET, &json!({"alg": "HS256"}), &with("sub", json!("bo")));
    let (_, of_other) = other.rsplit_once('.').unwrap();
    let unknown = "the token is not signed with a key that this server knows";
    let algorithm = "the token's algorithm has to be HS256, RS256 or ES256";
    for (tokens, token, detail) in [
        // No algorithm, in all its spellings.
        (with_secret(), format!("{}.", unsigned(&json!({"alg": "none"}), &claims())), algorithm),
        (with_secret(), format!("{}.", unsigned(&json!({"alg": "None"}), &claims())), algorithm),
        (with_key_set(), format!("{}.", unsigned(&json!({"alg": "NONE", "kid": "r1"}), &claims())), algorithm),
        (with_secret(), hs256(SECRET, &json!({"alg": "hs256"}), &claims()), algorithm),
        (with_secret(), hs256(SECRET, &json!({"alg": "HS512"}), &claims()), algorithm),
        // Another's signature, a part of one, none.
        (with_secret(), rs256(&named("RS256", "r1"), &claims()), unknown),
        (with_secret(), hs256(b"another secret of more than 32 bytes", &json!({"alg": "HS256"}), &claims()), unknown),
        (with_secret(), format!("{head}.{of_other}"), unknown),
        (with_secret(), format!("{head}."), unknown),
        (with_secret(), format!("{head}.AAAA"), unknown),
        (
            with_secret(),
            hs256(SECRET, &json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims()),
            "the token's header has extensions that this server does not know",
        ),
    ] {
        assert_eq!(refusal(&tokens, &token), detail, "{token}");
    }
    for token in tokens::forged(&claims()) {
        assert_eq!(refusal(&with_key_set(), &token), unknown, "{token}");
    }
}

#[test]
fn what_is_no_token_is_refused_as_such() {
    let good = hs256(SECRET, &json!({"alg": "HS256"}), &claims());
    let huge = hs256(SECRET, &json!({"alg": "HS256"}), &with("sub", json!("a".repeat(LONGEST))));
    for token in ["", ".", "..", "...", "a.b.c", "e30.e30.", &format!("{good}="), &format!("{good}.x"), &format!("x.{good}"), "ü.ü.ü"] {
        let detail = refusal(&with_secret(), token);
        assert!(detail.starts_with("the token is neither") || detail.starts_with("the token's algorithm"), "{token}: {detail}");
    }
    assert_eq!(refusal(&with_secret(), &huge), "the token has more than 8192 characters");
}

#[test]
fn claims_are_for_this_server_and_now() {
    for (claims, word) in [
        (with("exp", json!(NOW - 61)), "expired"),
        (with("exp", json!(0)), "expired"),
        (with("exp", json!(-1)), "expired"),
        (with("exp", Json::Null), "`exp`"),
        (with("exp", json!("tomorrow")), "`exp`"),
        (with("nbf", json!(NOW + 61)), "not hold yet"),
        (with("nbf", json!(1e300)), "not hold yet"),
        (with("iss", json!("https://evil.example")), "another issuer"),
        (with("iss", json!("https://issuer.example/")), "another issuer"),
        (with("iss", Json::Null), "another issuer"),
        (with("aud", json!("shop")), "another audience"),
        (with("aud", json!(["shop", "COTA"])), "another audience"),
        (with("aud", json!([])), "another audience"),
        (with("aud", Json::Null), "another audience"),
        (with("sub", Json::Null), "`sub`"),
        (with("sub", json!("")), "`sub` is empty"),
        (with("sub", json!("a\nb")), "`sub` has a control character"),
        (with("sub", json!(7)), "`sub`"),
    ] {
        let detail = refusal(&with_secret(), &hs256(SECRET, &json!({"alg": "HS256"}), &claims));
        assert!(detail.contains(word), "{claims}: {detail}");
    }
    for good in [with("exp", json!(NOW - 59)), with("nbf", json!(NOW + 59)), with("nbf", Json::Null), with("aud", json!("cota"))] {
        assert!(check(&with_secret(), &hs256(SECRET, &json!({"alg": "HS256"}), &good)).is_ok(), "{good}");
    }
    let for_anybody = Tokens::with_secret(SECRET).unwrap();
    assert!(refusal(&for_anybody, &hs256(SECRET, &json!({"alg": "HS256"}), &claims())).contains("another audience"));
    assert!(check(&for_anybody, &hs256(SECRET, &json!({"alg": "HS256"}), &with("aud", Json::Null))).is_ok());
}

#[test]
fn scopes_come_as_words_or_as_a_list() {
    for (name, value, scopes) in [
        ("scope", json!("openid profile"), Scopes::CHAT),
        ("scope", json!("openid chat inspect"), Scopes { inspect: true, ..Scopes::CHAT }),
        ("scp", json!(["chat", "inspect", "operator"]), Scopes::ALL),
        ("scope", json!("inspect"), Scopes { inspect: true, ..Scopes::NONE }),
    ] {
        let token = hs256(SECRET, &json!({"alg": "HS256"}), &with(name, value));
        assert_eq!(check(&with_secret(), &token), Ok(ana(scopes)));
    }
}

#[test]
fn keys_that_prove_nothing_are_refused_at_once() {
    assert_eq!(Tokens::with_secret(b"short").err(), Some(InvalidKeys::ShortSecret { found: 5 }));
    assert_eq!(of_set(b"{").err(), Some(InvalidKeys::NoKeySet));
    assert_eq!(of_set(br#"{"keys": []}"#).err(), Some(InvalidKeys::NoUsableKey));
    assert_eq!(of_set(br#"{"keys": [{"kty": "oct", "k": "AQAB"}]}"#).err(), Some(InvalidKeys::NoUsableKey));
}

/// An issuer that counts how often it is asked, and has a key set from the `from`th time on.
struct Issuer {
    asked: AtomicUsize,
    from: usize,
}

#[async_trait]
impl FetchKeys for Issuer {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if asked >= self.from { Ok(key_set().to_string().into_bytes()) } else { Err("no answer".to_owned()) }
    }
}

#[test]
fn a_remote_key_set_is_fetched_no_more_often_than_need_be() {
    let issuer = Arc::new(Issuer { asked: AtomicUsize::new(0), from: 2 });
    let tokens = strict(Tokens::with_remote_key_set(issuer.clone(), Arc::new(ComputedSignatures)));
    let clock = At::seconds(NOW);
    let known = rs256(&json!({"alg": "RS256", "kid": "r1"}), &with("exp", json!(NOW + 100_000)));
    let unknown = rs256(&json!({"alg": "RS256", "kid": "new"}), &claims());
    for (seconds, token, expected, asked) in [
        (0, &known, Some(Code::IdentityUnavailable), 1),
        (29, &known, Some(Code::IdentityUnavailable), 1),
        (30, &known, None, 2),
        (31, &unknown, Some(Code::Unauthorized), 2),
        (60, &unknown, Some(Code::Unauthorized), 3),
        (61, &unknown, Some(Code::Unauthorized), 3),
        (62, &known, None, 3),
        (660, &known, None, 4),
    ] {
        clock.0.store(usize::try_from(NOW + seconds).unwrap(), Ordering::Relaxed);
        let checked = tokens.check(token, &clock).now_or_never().unwrap();
        assert_eq!((checked.err().map(|problem| problem.code), issuer.asked.load(Ordering::Relaxed)), (expected, asked), "{seconds}");
    }
}
