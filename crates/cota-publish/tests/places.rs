//! Each place gives back what was published: S3 and DynamoDB as moto has them, Workers KV as its double does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends with what was found instead")]

#[allow(dead_code, reason = "some tests use a part of it")]
mod support;

use std::sync::Arc;

use cota_core::ids::{BotDigest, BotName, Timestamp};
use cota_native::{LazyHttp, TokioClock};
use cota_publish::aws::{Aws, AwsError};
use cota_publish::dynamodb::Dynamodb;
use cota_publish::kv::{Kv, KvError};
use cota_publish::s3::S3;
use cota_publish::{BundleSink, BundleSource as _, Pointer, Pushed, SourceError, push, rules};
use cota_testkit::services::cloudflare::Cloudflare;
use cota_testkit::services::moto::Moto;
use support::{bundle, name};
use tokio::runtime::Runtime;

const T0: Timestamp = Timestamp(1_700_000_000_000);

/// Runs a test that calls services.
fn run<T>(test: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(test)
}

fn published(pushed: Pushed) -> Pointer {
    match pushed {
        Pushed::Published(pointer) => pointer,
        Pushed::Already(pointer) => panic!("it is new: {pointer:?}"),
    }
}

/// What every place does.
async fn keeps_what_is_published(place: &dyn BundleSink) {
    assert_eq!(place.pointer(&name()).await.unwrap(), None);
    assert_eq!(place.bundle(&name(), &BotDigest::of(b"none")).await.unwrap(), None);
    let first = published(push(place, &name(), &bundle("first"), T0).await.unwrap());
    assert_eq!(first.sequence, T0.0);
    assert_eq!(push(place, &name(), &bundle("first"), T0.plus_ms(5)).await.unwrap(), Pushed::Already(first.clone()));
    // More than one item of DynamoDB, and characters of more than one byte.
    let large = bundle(&"Grüße aus 北京. ".repeat(50_000));
    let second = published(push(place, &name(), &large, T0).await.unwrap());
    assert_eq!(second.sequence, T0.0 + 1, "it rises within a millisecond, too");
    let found = place.pointer(&name()).await.unwrap().unwrap();
    assert_eq!(rules::read_pointer(&found, &name(), Some(&first)).unwrap(), Some(second.clone()));
    for (pointer, bundle) in [(first, bundle("first")), (second, large)] {
        let found = place.bundle(&name(), &pointer.digest).await.unwrap().unwrap();
        assert_eq!(found.len() as u64, pointer.size);
        assert_eq!(rules::read_bundle(&found, &pointer.digest).unwrap(), bundle);
    }
    assert_eq!(place.pointer(&BotName::new("other").unwrap()).await.unwrap(), None);
}

fn aws(endpoint: &str) -> Aws {
    Aws::of(&|name| match name {
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("testing".to_owned()),
        "AWS_DEFAULT_REGION" => Some(Moto::REGION.to_owned()),
        "AWS_ENDPOINT_URL" => Some(endpoint.to_owned()),
        _ => None,
    })
    .unwrap()
}

#[test]
fn s3_and_dynamodb_keep_what_is_published() {
    let moto = Moto::start();
    moto.create_bucket("bots");
    moto.create_table("cota");
    let (http, clock) = (Arc::<LazyHttp>::default(), Arc::new(TokioClock::new()));
    run(async {
        let s3 = S3::new("bots", aws(&moto.url()), Arc::clone(&http) as _, Arc::clone(&clock) as _).unwrap();
        keeps_what_is_published(&s3).await;
        let nowhere = S3::new("no-such-bucket", aws(&moto.url()), Arc::clone(&http) as _, Arc::clone(&clock) as _).unwrap();
        let refused = nowhere.pointer(&name()).await.unwrap_err();
        assert_eq!(refused.to_string(), "S3 refuses: it answers with 404 Not Found, NoSuchBucket");
        let dynamodb = Dynamodb::new("cota", aws(&moto.url()), Arc::clone(&http) as _, Arc::clone(&clock) as _).unwrap();
        keeps_what_is_published(&dynamodb).await;
        let nowhere = Dynamodb::new("none", aws(&moto.url()), http, clock).unwrap();
        let refused = nowhere.pointer(&name()).await.unwrap_err();
        assert_eq!(refused.to_string(), "DynamoDB refuses: it answers with 400 Bad Request, ResourceNotFoundException");
    });
}

fn kv(cloudflare: &Cloudflare, namespace: &str, token: &str) -> Result<Kv, KvError> {
    let env = |name: &str| match name {
        "CLOUDFLARE_ACCOUNT_ID" => Some(Cloudflare::ACCOUNT.to_owned()),
        "CLOUDFLARE_API_TOKEN" => Some(token.to_owned()),
        "CLOUDFLARE_API_BASE_URL" => Some(cloudflare.url()),
        _ => None,
    };
    Kv::new(namespace, &env, Arc::<LazyHttp>::default(), Arc::new(TokioClock::new()))
}

#[test]
fn workers_kv_keeps_what_is_published_with_its_size_beside_it() {
    let cloudflare = Cloudflare::start();
    run(async {
        keeps_what_is_published(&kv(&cloudflare, Cloudflare::NAMESPACE, Cloudflare::TOKEN).unwrap()).await;
        let (pointer, metadata) = cloudflare.value(&Pointer::name_of(&name())).unwrap();
        let pointer: Pointer = serde_json::from_slice(&pointer).unwrap();
        let beside = serde_json::json!({"digest": pointer.digest, "sequence": pointer.sequence, "size": pointer.size});
        assert_eq!(metadata, beside);
        assert_eq!(cloudflare.value(&Pointer::bundle_name(&name(), &pointer.digest)).unwrap().1, beside);
        for (namespace, token, why) in
            [(Cloudflare::NAMESPACE, "wrong", "check CLOUDFLARE_API_TOKEN"), ("none", Cloudflare::TOKEN, "check the namespace's id")]
        {
            let refused = kv(&cloudflare, namespace, token).unwrap().pointer(&name()).await.unwrap_err();
            assert!(matches!(&refused, SourceError::Refused { why: said, .. } if said.contains(why)), "{refused}");
        }
    });
}

#[test]
fn what_is_missing_is_named() {
    let (http, clock) = (Arc::<LazyHttp>::default(), Arc::new(TokioClock::new()));
    assert_eq!(Aws::of(&|_| None).unwrap_err(), AwsError::Missing("AWS_ACCESS_KEY_ID"));
    assert_eq!(
        Aws::of(&|name| (!name.contains("REGION") && !name.contains("URL")).then(|| "x".to_owned())).unwrap_err(),
        AwsError::Missing("AWS_REGION")
    );
    assert_eq!(Kv::new("n", &|_| None, http, clock).err(), Some(KvError::Missing("CLOUDFLARE_ACCOUNT_ID")));
}
