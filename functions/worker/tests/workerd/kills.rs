//! `kill -9` of workerd at seeded moments: whatever was acknowledged is in the record, answered once.

use std::time::{Duration, Instant};

use cota_testkit::llm_server::{Settings, scripts};
use serde_json::json;

use super::support::{self, Record, Socket, Workerd, model, scatter};

/// How often it is killed; a soak says in `COTA_SOAK` how often else.
const KILLS: usize = 20;
/// Within this time of the restart every acknowledged message is answered.
const TAKEN_UP: Duration = Duration::from_secs(30);

#[test]
fn every_acknowledged_message_is_answered_once_whenever_workerd_is_killed() {
    let kills: usize = std::env::var("COTA_SOAK").map_or(KILLS, |kills| kills.parse().expect("COTA_SOAK is a number"));
    let seeds: Vec<u64> = (1..).take(kills).collect();
    for some in seeds.chunks(KILLS) {
        support::run(async {
            let llm = model(Settings::new(scripts::chat()).latency(Duration::from_millis(20))).await;
            let mut workerd = Workerd::start("chat", &llm.apibase()).await;
            for seed in some {
                kill_and_ask(&mut workerd, *seed).await;
                println!("kill {seed} of {kills}: nothing was lost, nothing was answered twice");
            }
        });
    }
}

async fn kill_and_ask(workerd: &mut Workerd, seed: u64) {
    let session = format!("killed-{seed}");
    let mut socket = Socket::join(&workerd.address, "ann", &session, &json!({})).await;
    let mut acknowledged = Vec::new();
    let moment = Duration::from_millis(scatter(seed, 120));
    let talk = async {
        for n in 0.. {
            let id = format!("m{n}");
            socket.say(&session, &id, &format!("this is #{id}")).await;
            if socket.acknowledged(&id).await.is_none() {
                break;
            }
            acknowledged.push(id);
        }
    };
    // The time is up, or never was: the client does not wait for a dead server.
    let _ = tokio::time::timeout(moment, talk).await;
    workerd.kill();
    workerd.start_again().await;
    let restarted = Instant::now();
    let record = loop {
        let record = Record::read(&workerd.address, &session).await;
        let ended: Vec<String> = record.outcomes().into_iter().map(|(id, _)| id).collect();
        if acknowledged.iter().all(|id| ended.contains(id)) {
            break record;
        }
        assert!(restarted.elapsed() < TAKEN_UP, "seed {seed}: {acknowledged:?} acknowledged, but only {ended:?} ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let answered = record.answered_in_order();
    assert!(answered.starts_with(&acknowledged), "seed {seed}: {acknowledged:?} acknowledged, {answered:?} answered");
    let mut again = Socket::join(&workerd.address, "ann", &session, &json!({"after": 0})).await;
    for id in &acknowledged {
        assert_eq!(again.answer_to(id).await.unwrap()["text"], format!("It is #{id}."), "seed {seed}");
    }
}
