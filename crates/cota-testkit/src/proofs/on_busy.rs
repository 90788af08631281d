//! A second message while a turn runs: each setting of `on_busy`. A gate before the model holds the first turn.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::{Address, Heard, Server as _, Speaker, Target, Ways, model};
use crate::client::Record;
use crate::llm_server::{LlmServer, Settings, scripts};

/// More permits than any proof makes calls.
const OPEN: usize = 1_000;

/// A conversation whose first turn is held at the model.
struct Busy<'m> {
    address: Address,
    session: String,
    ways: Ways,
    llm: &'m LlmServer,
    gate: Arc<Semaphore>,
    /// The calls of the model that were made before.
    calls: u64,
    first: JoinHandle<Heard>,
}

impl Busy<'_> {
    /// Says the `n`th message; what comes of it is waited for elsewhere.
    fn say(&self, n: usize, id: &'static str) -> JoinHandle<Heard> {
        say(&self.address, &self.session, self.ways, n, id)
    }

    /// Says the `n`th message and waits until it is accepted.
    async fn accepted(&self, n: usize, id: &'static str) -> JoinHandle<Heard> {
        let heard = self.say(n, id);
        Speaker::new(&self.address, &sender(n), &self.session).accepted(id).await;
        heard
    }

    /// Lets the model answer whatever it is asked.
    fn open(&self) {
        self.gate.add_permits(OPEN);
    }

    async fn record(&self) -> Record {
        Record::read(&self.address.http, &self.session).await
    }
}

fn say(address: &Address, session: &str, ways: Ways, n: usize, id: &'static str) -> JoinHandle<Heard> {
    let mut speaker = Speaker::new(address, &sender(n), session);
    tokio::spawn(async move { speaker.say(ways.of(n), id, &text(id)).await })
}

fn sender(n: usize) -> String {
    format!("sender-{n}")
}

fn text(id: &str) -> String {
    format!("this is #{id}")
}

fn reply(id: &str) -> Heard {
    Heard::Reply(format!("It is #{id}."))
}

/// Makes a proof on a bot, for all ways in.
async fn prove(target: &impl Target, bot: &str, proof: impl AsyncFn(Busy<'_>)) {
    let gate = Arc::new(Semaphore::new(0));
    let llm = model(Settings::new(scripts::chat()).gate(Arc::clone(&gate))).await;
    let server = target.start(bot, &llm.apibase()).await;
    let address = server.address();
    for ways in Ways::ALL {
        gate.forget_permits(OPEN);
        let (session, calls) = (format!("{bot}-{ways:?}"), llm.count());
        let first = say(&address, &session, ways, 0, "first");
        llm.reached(calls + 1).await;
        proof(Busy { address: address.clone(), session, ways, llm: &llm, gate: Arc::clone(&gate), calls, first }).await;
    }
}

/// `queue`: what waits is answered in order; what comes when the queue is full is refused.
pub async fn queue_answers_in_order_up_to_its_length(target: &impl Target) {
    prove(target, "short-queue", async |busy| {
        let waiting = [busy.accepted(1, "second").await, busy.accepted(2, "third").await];
        for (n, id) in [(3, "fourth"), (4, "fifth")] {
            assert_eq!(busy.say(n, id).await.unwrap(), Heard::refused("queue_full"), "{:?}", busy.ways);
        }
        busy.open();
        for (id, heard) in ["second", "third"].into_iter().zip(waiting) {
            assert_eq!(heard.await.unwrap(), reply(id), "{:?}", busy.ways);
        }
        assert_eq!(busy.record().await.answered_in_order(), ["first", "second", "third"]);
        assert_eq!(busy.first.await.unwrap(), reply("first"));
    })
    .await;
}

/// `reject`: what comes meanwhile is refused, leaves no trace, and may be sent again.
pub async fn reject_records_nothing(target: &impl Target) {
    prove(target, "reject", async |mut busy| {
        for (n, id) in [(1, "second"), (2, "third")] {
            assert_eq!(busy.say(n, id).await.unwrap(), Heard::refused("busy"), "{:?}", busy.ways);
        }
        busy.open();
        assert_eq!((&mut busy.first).await.unwrap(), reply("first"));
        assert_eq!(busy.record().await.answered_in_order(), ["first"]);
        for (n, id) in [(1, "second"), (2, "third")] {
            assert_eq!(busy.say(n, id).await.unwrap(), reply(id), "a refused id may be sent again");
        }
    })
    .await;
}

/// `latest`: the running turn is cancelled, and what was said stays in the record.
pub async fn latest_cancels_the_running_turn(target: &impl Target) {
    prove(target, "latest", async |busy| {
        let second = busy.accepted(1, "second").await;
        // The first waits before a closed gate: the next call is the second's.
        busy.llm.reached(busy.calls + 2).await;
        busy.open();
        assert_eq!(second.await.unwrap(), reply("second"), "{:?}", busy.ways);
        let record = busy.record().await;
        assert_eq!(busy.first.await.unwrap(), Heard::refused("superseded"), "{:?}", busy.ways);
        assert_eq!(record.heard(), ["first", "second"].map(text));
        assert_eq!(record.replies(), ["It is #second."]);
        let outcomes = [("first", "superseded"), ("second", "replied")];
        assert_eq!(record.outcomes(), outcomes.map(|(id, outcome)| (id.to_owned(), outcome.to_owned())));
    })
    .await;
}

/// `merge`: what waits is taken together, and each of it has the one answer.
pub async fn merge_takes_what_waits_as_one(target: &impl Target) {
    prove(target, "merge", async |mut busy| {
        let waiting = [busy.accepted(1, "second").await, busy.accepted(2, "third").await];
        busy.open();
        assert_eq!((&mut busy.first).await.unwrap(), reply("first"));
        let [second, third] = waiting;
        assert_eq!(third.await.unwrap(), reply("third"), "{:?}", busy.ways);
        // Over a socket the answer names the last of the messages alone.
        second.abort();
        for (n, id) in [(1, "second"), (2, "third")] {
            let mut again = Speaker::new(&busy.address, &sender(n), &busy.session);
            let heard = again.say_in(busy.ways.of(n), id, &text(id), "third").await;
            assert_eq!(heard, reply("third"), "{:?}: {id} has the answer to all", busy.ways);
        }
        let record = busy.record().await;
        assert_eq!(record.heard(), ["first", "second", "third"].map(text));
        assert_eq!(record.replies(), ["It is #first.", "It is #third."]);
        assert_eq!(record.actions().iter().filter(|name| *name == "UserUtter").count(), 2, "two messages, one action");
    })
    .await;
}
