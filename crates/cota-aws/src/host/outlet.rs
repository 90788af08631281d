use std::sync::Arc;

use cota_core::event::EventBody;
use cota_core::ids::{ConversationKey, RunId, Seq};
use cota_core::turn::{Commit, Fragment};
use cota_driver::conversation::Outlet;
use cota_driver::failpoint::failpoint;
use cota_driver::host::Update;
use tracing::Span;
use tracing::field::display;

use super::FunctionHost;
use crate::connections::Delivery;
use crate::log;

/// What a turn gives out here: to the followers of this environment, to the room's connections, to the metrics.
pub(super) struct TurnOutlet<'h> {
    pub(super) host: &'h FunctionHost,
    pub(super) delivery: Option<Delivery>,
}

impl Outlet for TurnOutlet<'_> {
    fn begins(&self, run: &RunId) {
        Span::current().record("run", display(run));
    }

    fn emit(&self, key: &ConversationKey, fragment: Fragment) {
        if let Some(delivery) = &self.delivery {
            delivery.emit(fragment.clone());
        }
        self.host.hub.publish(key, &Update::Fragment(Arc::new(fragment)));
    }

    fn durable(&self, key: &ConversationKey, commit: &Commit, _head: Seq) {
        failpoint("after-commit");
        for event in commit.events.iter() {
            match &event.body {
                EventBody::TurnEnd(end) => {
                    self.host.metrics.turn_ended(end);
                    log::turn_ended(key, &event.run, end, self.host.driver.clock.now());
                }
                EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => {}
            }
        }
        if let Some(delivery) = &self.delivery {
            delivery.durable(&commit.events);
        }
        if !commit.events.is_empty() {
            self.host.hub.publish(key, &Update::Durable(Arc::clone(&commit.events)));
        }
    }

    fn streams(&self, key: &ConversationKey) -> bool {
        self.host.hub.streams(key) || self.delivery.as_ref().is_some_and(Delivery::streams)
    }
}
