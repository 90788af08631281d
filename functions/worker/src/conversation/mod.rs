//! The object of one conversation: its inbox, log and claim in the object's own database, its turns one after the other.
//!
//! The object runs the same host that a laptop runs, over [`ObjectStore`]. What is different: the claim of another incarnation is
//! known to be dead, since the platform runs one object at a time, and the doorbell is the object's alarm.

#![expect(missing_docs, reason = "the platform's macro documents nothing of what it makes")]

mod answers;
mod awake;
mod doorbell;
mod members;
mod push;

use std::cell::RefCell;
use std::sync::Arc;

use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::bots;
use crate::platform;
use crate::wire::{self, Call};
use awake::Awake;

/// The object.
#[durable_object(alarm)]
pub struct ConversationObject {
    state: State,
    env: Env,
    awake: RefCell<Option<Arc<Awake>>>,
}

impl DurableObject for ConversationObject {
    fn new(state: State, env: Env) -> Self {
        platform::begin(&env);
        Self { state, env, awake: RefCell::default() }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let call: Call = wire::asked(&mut request).await?;
        // The next turn takes what is published by now.
        bots::current(&self.env).await;
        let awake = self.awake()?;
        answers::answer(&awake, call).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        tracing::trace!("an object is woken by its alarm");
        // An alarm that fails is tried a few times and then never again, so it does not fail.
        match self.awake() {
            Ok(awake) => awake.look_after().await,
            Err(error) => tracing::error!(%error, "an object cannot be woken"),
        }
        Response::empty()
    }
}

impl ConversationObject {
    /// What runs while the object is in memory.
    fn awake(&self) -> worker::Result<Arc<Awake>> {
        if let Some(awake) = self.awake.borrow().as_ref() {
            return Ok(Arc::clone(awake));
        }
        let awake = Arc::new(Awake::open(&self.state, &self.env)?);
        *self.awake.borrow_mut() = Some(Arc::clone(&awake));
        Ok(awake)
    }
}
