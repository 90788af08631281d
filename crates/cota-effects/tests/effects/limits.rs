//! `max_concurrent` and `rate_limit`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cota_core::bot::{Llm, Safety};
use cota_core::machine::FailureKind;
use cota_driver::ports::{Effects as _, Pieces};
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::Notify;

use crate::bots::{ask, bot, effects, job, llm, question};
use crate::server::{Reply, Server, Step};

fn answer() -> serde_json::Value {
    json!({"choices": [{"message": {"content": "hello"}}]})
}

#[tokio::test]
async fn no_more_calls_run_at_one_time_than_the_endpoint_allows() {
    let (asked, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (counter, gate) = (Arc::clone(&asked), Arc::clone(&release));
    let server = Server::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        let mut reply = Reply::json(200, &answer());
        reply.0.insert(0, Step::Wait(Arc::clone(&gate)));
        reply
    })
    .await;
    let bot = bot(Llm { max_concurrent: Some(2), ..llm(&server.url("")) }, None, Safety::ReadOnly);
    let effects = effects();
    let calls = join_all((0..6).map(|_| effects.perform(job(&bot, question(false)), Pieces::ignored())));
    let watch = async {
        for done in 0..6 {
            // As many are let in as have been answered, and two more.
            while asked.load(Ordering::SeqCst) < (done + 2).min(6) {
                tokio::task::yield_now().await;
            }
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            assert_eq!(asked.load(Ordering::SeqCst), (done + 2).min(6));
            release.notify_one();
        }
    };
    let (outcomes, ()) = futures_util::future::join(calls, watch).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn a_call_over_the_minutes_share_that_cannot_wait_is_told_when_to_come_back() {
    let server = Server::always(Reply::json(200, &answer())).await;
    let limited = Llm { rate_limit: Some(2), ..llm(&server.url("")) };
    let effects = effects();
    for _ in 0..2 {
        assert!(ask(&effects, limited.clone(), false).await.0.is_ok());
    }
    let error = ask(&effects, limited, false).await.0.unwrap_err();
    assert_eq!(error.kind, FailureKind::RateLimited);
    assert!(error.retry_after_ms.is_some_and(|ms| (30_000..=60_000).contains(&ms)), "{error:?}");
    assert_eq!(server.received().len(), 2);
}
