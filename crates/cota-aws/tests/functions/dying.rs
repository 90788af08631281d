//! Functions that are killed, doorbells that go wrong: each message is answered once in the record, in order.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cota_testkit::lambda::{Function, Mischief};
use cota_testkit::llm_server::{LlmServer, Script, Settings, scripts};
use cota_testkit::targets::bot;
use serde_json::{Value as Json, json};

use super::support::{self, Bundles, Deployment, Plan, Record, Socket, scatter, seeds};

/// How long a message may take to be answered after a process died.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(30);
/// Places at which a process ends, each with the function that passes it.
const FAILPOINTS: [(&str, &str); 8] = [
    ("api", "before-accept"),
    ("api", "after-accept"),
    ("api", "after-commit"),
    ("websocket", "after-accept"),
    ("websocket", "before-ring"),
    ("turn", "before-claim"),
    ("turn", "after-claim"),
    ("turn", "before-push"),
];

#[test]
fn a_function_that_dies_at_any_point_loses_nothing_and_answers_nothing_twice() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        let all = FAILPOINTS.iter().enumerate().map(|(n, (function, failpoint))| dies_at(&deployment, n, function, failpoint));
        // One after the other: each changes what is started next.
        for one in all {
            one.await;
        }
        let (deployment, began) = (&deployment, Instant::now());
        let waits = FAILPOINTS.iter().enumerate().map(|(n, (function, failpoint))| async move {
            is_whole(deployment, &session(n), began, &format!("{function} {failpoint}")).await;
        });
        futures_util::future::join_all(waits).await;
    });
}

/// Says something in a conversation of its own while a function ends at a failpoint.
async fn dies_at(deployment: &Deployment, n: usize, function: &str, failpoint: &str) {
    let [api, turn, socket] = deployment.functions();
    let dying = match function {
        "api" => api,
        "turn" => turn,
        _ => socket,
    };
    let over_socket = function != "api";
    let session = session(n);
    let mut client = None;
    if over_socket {
        client = Some(Socket::join(&deployment.sockets.address(), "ana", &session, &json!({})).await);
    }
    let before = dying.deaths();
    dying.change(|settings| {
        settings.variables.insert("COTA_FAILPOINT".to_owned(), failpoint.to_owned());
    });
    match &mut client {
        Some(socket) => socket.say(&session, "m1", "hello").await,
        None => drop(deployment.say(&session, &json!({"text": "hello", "sender_id": "ana", "message_id": "m1"})).await),
    }
    ends(dying, before, failpoint).await;
    dying.change(|settings| {
        settings.variables.remove("COTA_FAILPOINT");
    });
    // Nothing was acknowledged where nothing was accepted: the client says it again, as one does that has no answer.
    if failpoint == "before-accept" {
        deployment.insist(&session, &json!({"text": "hello", "sender_id": "ana", "message_id": "m1"})).await;
    }
}

/// Waits until a function has had another death than those before.
async fn ends(function: &Function, before: u64, failpoint: &str) {
    let began = Instant::now();
    while function.deaths() == before {
        assert!(began.elapsed() < TAKEN_UP_WITHIN, "it did not end at {failpoint}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the message of a conversation is answered, once, within the time since `began`.
async fn is_whole(deployment: &Deployment, session: &str, began: Instant, what: &str) {
    loop {
        let record = Record::read(&deployment.address(), session).await;
        if !record.replies().is_empty() {
            assert_eq!(record.answered_in_order(), ["m1"], "{what}");
            return;
        }
        assert!(began.elapsed() < TAKEN_UP_WITHIN, "{what}: not answered within {TAKEN_UP_WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn session(n: usize) -> String {
    format!("dying-{n}")
}

#[test]
fn functions_that_are_killed_at_any_moment_answer_each_message_once() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        // The database is warm after the first.
        undisturbed(&deployment, "first").await;
        let whole = undisturbed(&deployment, "second").await;
        let mut heard = Vec::new();
        for seed in seeds(20, 4) {
            let session = format!("killed-{seed}");
            let after = Duration::from_millis(scatter(seed, whole));
            let (address, talked) = (deployment.sockets.address(), session.clone());
            let talk = tokio::spawn(async move {
                let mut socket = Socket::try_join(&address, "ana", &talked, &json!({})).await?;
                socket.say(&talked, "m1", "hello").await;
                socket.acknowledged("m1").await
            });
            tokio::time::sleep(after).await;
            deployment.functions().iter().for_each(|function| function.kill());
            // What was acknowledged is answered; what was not, a client says again.
            let acknowledged = tokio::time::timeout(Duration::from_secs(2), talk).await.is_ok_and(|heard| heard.unwrap().is_some());
            if !acknowledged {
                let body = json!({"text": "hello", "sender_id": "ana", "message_id": "m1"});
                deployment.insist(&session, &body).await;
            }
            heard.push((seed, acknowledged));
        }
        let began = Instant::now();
        for (seed, acknowledged) in heard {
            let what = format!("seed {seed}, acknowledged on the socket: {acknowledged}");
            is_whole(&deployment, &format!("killed-{seed}"), began, &what).await;
        }
    });
}

#[test]
fn a_message_that_kills_whoever_answers_it_ends_as_an_error_and_the_conversation_goes_on() {
    support::run(async {
        let killed: Arc<OnceLock<[Function; 2]>> = Arc::default();
        let functions = Arc::clone(&killed);
        let script: Script = Arc::new(move |call| {
            if call.last_tag() == Some("poison") {
                functions.get().into_iter().flatten().for_each(Function::kill);
            }
            match scripts::asked(call) {
                scripts::Asked::Choose => scripts::choose("BotUtter"),
                scripts::Asked::Fill | scripts::Asked::Utter | scripts::Asked::Tools => scripts::utter("All is well."),
            }
        });
        let llm = LlmServer::start(Settings::new(script)).await.unwrap();
        let variables = vec![("COTA_TEST_LLM", llm.apibase())];
        let deployment = Deployment::start(Bundles::of(&[bot("chat")]), Plan { variables, ..Plan::default() }).await;
        killed.set([deployment.api.clone(), deployment.turn.clone()]).ok().unwrap();
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "s", &json!({})).await;
        socket.say("s", "m1", "this is #poison").await;
        socket.acknowledged("m1").await.unwrap();
        let given_up = socket.answer_to("m1").await.unwrap();
        assert_ne!(given_up["text"], "All is well.");
        assert_eq!(llm.count(), 4, "the fifth does not try");
        let logged = deployment.turn.logged();
        let line = logged.lines().find(|line| line.contains("a run is given up")).unwrap();
        let line: Json = serde_json::from_str(line).unwrap();
        let named = ["request", "bot", "conversation", "run"].map(|name| line["span"][name].as_str().unwrap_or_default());
        assert!(!named[0].is_empty() && named[1..] == ["chat", "s", line["run"].as_str().unwrap()], "{line}");
        socket.say("s", "m2", "this is #fine").await;
        assert_eq!(socket.answer_to("m2").await.unwrap()["text"], "All is well.");
        assert_eq!(Record::read(&deployment.address(), "s").await.answered_in_order(), ["m1", "m2"]);
    });
}

/// The doorbell comes again some seconds later, so that the watchdog of the message is heard while the lease of the claim lasts that
/// was taken then, and whoever took it died before its own was set.
#[test]
fn a_claim_that_outlasts_the_watchdog_of_its_message_is_looked_after_all_the_same() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        let turn = &deployment.turn;
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "s", &json!({})).await;
        let mut before = turn.deaths();
        for failpoint in ["before-claim", "after-claim"] {
            turn.change(|settings| {
                settings.variables.insert("COTA_FAILPOINT".to_owned(), failpoint.to_owned());
            });
            if failpoint == "before-claim" {
                socket.say("s", "m1", "hello").await;
            }
            ends(turn, before, failpoint).await;
            before = turn.deaths();
        }
        turn.change(|settings| {
            settings.variables.remove("COTA_FAILPOINT");
        });
        is_whole(&deployment, "s", Instant::now(), "after two deaths").await;
    });
}

/// How long it takes from functions without a process to an answer, in milliseconds.
async fn undisturbed(deployment: &Deployment, session: &str) -> u64 {
    let began = Instant::now();
    let mut socket = Socket::join(&deployment.sockets.address(), "ana", session, &json!({})).await;
    socket.say(session, "m1", "hello").await;
    socket.answer_to("m1").await.unwrap();
    let whole = began.elapsed();
    deployment.functions().iter().for_each(|function| function.kill());
    u64::try_from(whole.as_millis()).unwrap()
}

#[test]
fn doorbells_may_come_twice_and_late_and_in_any_order() {
    support::run(async {
        let mischief = Mischief { twice: true, late: Duration::from_millis(400), lost: false };
        answers_all(mischief).await;
    });
}

#[test]
fn a_doorbell_that_never_comes_is_made_up_for_by_the_watchdog() {
    support::run(async {
        let mischief = Mischief { lost: true, ..Mischief::default() };
        answers_all(mischief).await;
    });
}

async fn answers_all(mischief: Mischief) {
    let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan { mischief, ..Plan::default() }).await;
    let address = deployment.sockets.address();
    let talks = (0..3).map(|n| {
        let address = address.clone();
        async move {
            let session = format!("s{n}");
            let mut socket = Socket::join(&address, "ana", &session, &json!({})).await;
            for id in ["m1", "m2"] {
                socket.say(&session, id, "hello").await;
                socket.acknowledged(id).await.unwrap();
            }
            for id in ["m1", "m2"] {
                socket.answer_to(id).await.unwrap();
            }
            session
        }
    });
    for session in futures_util::future::join_all(talks).await {
        assert_eq!(Record::read(&deployment.address(), &session).await.answered_in_order(), ["m1", "m2"]);
    }
}

#[test]
fn a_poison_doorbell_ends_in_the_dead_letter_queue() {
    support::run(async {
        let plan = Plan { visibility: Duration::from_secs(1), ..Plan::default() };
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), plan).await;
        deployment.queue.send("no doorbell").await;
        let began = Instant::now();
        loop {
            if deployment.dead.bodies().await.iter().any(|body| body == "no doorbell") {
                break;
            }
            assert!(began.elapsed() < TAKEN_UP_WITHIN, "it is not in the dead-letter queue");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(deployment.turn.logged().contains("Cota.BadRing"), "{}", deployment.turn.logged());
        let answer = deployment.say("s", &json!({"text": "hello"})).await;
        assert_eq!(answer.status, 200, "others are answered all the same");
    });
}
