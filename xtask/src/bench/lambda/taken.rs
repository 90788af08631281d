//! Turns over one way in, and what they took of AWS.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::asking::ask;
use super::deployment::{Counted, Deployment};
use super::wire::Asked;
use crate::load::socket::Socket;

/// Turns before those that count.
const BEFORE: usize = 3;
/// Until every watchdog of a turn has been heard: a lease, what it may begin late by, and the queue's own delay.
const SETTLED: Duration = Duration::from_secs(25);
/// Until all is delivered that a turn has to say.
const DELIVERED: Duration = Duration::from_millis(300);

/// Between two turns of people who think: messages that come quicker share a watchdog.
const PAUSE: Duration = Duration::from_millis(2_500);

/// Over which way in a conversation is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Http,
    WebSocket,
}

/// What a turn took, in the mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Until it was answered.
    pub(super) turn: Asked,
    /// With what came later: the watchdog that every accepted message sets.
    pub(super) whole: Asked,
    pub(super) doorbells: f64,
    pub(super) invocations: f64,
    pub(super) seconds: f64,
    /// Frames that were posted to one connection.
    pub(super) frames: f64,
}

/// Speaks a conversation over HTTP or a socket and counts: so many turns on their own, one right after the other, and as many with
/// pauses between them and all that they leave to be done later.
pub(super) async fn count(way: Way, turns: usize) -> Result<Taken> {
    let deployment = Deployment::start(Some(Counted)).await?;
    let wire = deployment.wire.as_ref().context("nothing is counted")?;
    let mut speaker = Speaker::begin(&deployment, way).await?;
    speaker.speak(&deployment, BEFORE).await?;
    sleep(SETTLED).await;
    wire.take();
    speaker.speak(&deployment, turns).await?;
    sleep(DELIVERED).await;
    let turn = wire.take();
    sleep(SETTLED).await;
    wire.take();
    let (doorbells, posts, (invocations, time)) = (deployment.poller.delivered(), deployment.sockets.posts(), invoked(&deployment));
    for _ in 0..turns {
        speaker.speak(&deployment, 1).await?;
        sleep(PAUSE).await;
    }
    sleep(SETTLED).await;
    let (whole, (after, whole_time)) = (wire.take(), invoked(&deployment));
    let each = |sum: f64| sum / turns as f64;
    Ok(Taken {
        turn: turn.each(turns),
        whole: whole.each(turns),
        doorbells: each((deployment.poller.delivered() - doorbells) as f64),
        invocations: each((after - invocations) as f64),
        seconds: each((whole_time - time).as_secs_f64()),
        frames: each((deployment.sockets.posts() - posts) as f64),
    })
}

/// The frames that a socket is posted for a turn of a model that speaks piece by piece.
pub(super) async fn frames(turns: usize) -> Result<f64> {
    let deployment = Deployment::speaking(None).await?;
    let mut speaker = Speaker::begin(&deployment, Way::WebSocket).await?;
    speaker.speak(&deployment, BEFORE).await?;
    sleep(DELIVERED).await;
    let posts = deployment.sockets.posts();
    speaker.speak(&deployment, turns).await?;
    sleep(DELIVERED).await;
    Ok((deployment.sockets.posts() - posts) as f64 / turns as f64)
}

/// How often functions were invoked, and for how long in all.
fn invoked(deployment: &Deployment) -> (u64, Duration) {
    let each = deployment.functions().map(|(_, function)| function.invoked());
    each.into_iter().fold((0, Duration::ZERO), |(count, time), (more, longer)| (count + more, time + longer))
}

/// Somebody who speaks in one conversation.
pub(super) enum Speaker {
    Http,
    WebSocket(Box<Socket>),
}

const CONVERSATION: &str = "bench";

impl Speaker {
    pub(super) async fn begin(deployment: &Deployment, way: Way) -> Result<Self> {
        if way == Way::Http {
            return Ok(Self::Http);
        }
        let mut socket = Socket::connect(&deployment.sockets.address(), "ana").await?;
        socket.follow(CONVERSATION).await?;
        Ok(Self::WebSocket(Box::new(socket)))
    }

    /// Says something so many times, each time with its answer awaited.
    pub(super) async fn speak(&mut self, deployment: &Deployment, turns: usize) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(turns);
        for _ in 0..turns {
            let began = std::time::Instant::now();
            match self {
                Self::Http => drop(ask(&deployment.url.address(), CONVERSATION, "application/json").await?),
                Self::WebSocket(socket) => drop(socket.say(CONVERSATION, "Do you remember what I told you about #lisbon?").await?),
            }
            times.push(began.elapsed());
        }
        Ok(times)
    }
}
