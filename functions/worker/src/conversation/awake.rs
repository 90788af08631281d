use std::sync::Arc;

use worker::{Env, State};

use cota_driver::host::{Host, Ports};
use cota_driver::ports::Clock as _;
use cota_driver::store::Holder;

use super::doorbell::AlarmDoorbell;
use super::members::Members;
use crate::bots;
use crate::connection::CONNECTIONS;
use crate::effects::effects;
use crate::platform::{ObjectClock, PlatformClock, PlatformSpawn, random_name};
use crate::remote::RemoteConversations;
use crate::settings;
use crate::store::{Fault, Kind, ObjectStore};

/// The alarm that is set before anything is looked after, in case looking after it ends the object.
const AGAIN_MS: u64 = 20_000;

/// An object that is in memory.
pub(super) struct Awake {
    pub(super) host: Arc<Host>,
    pub(super) store: Arc<ObjectStore>,
    pub(super) members: Members,
    pub(super) clock: ObjectClock,
}

impl Awake {
    /// Wakes the object with this state.
    pub(super) fn open(state: &State, env: &Env) -> worker::Result<Self> {
        tracing::debug!("an object is woken");
        let holder = Holder(random_name().map_err(failed)?);
        let store = Arc::new(ObjectStore::open(state.storage(), holder.clone(), settings::keep_ms(env)).map_err(failed)?);
        let clock = ObjectClock::default();
        let ports = Ports {
            store: Arc::clone(&store) as _,
            effects: effects(env)?,
            clock: Arc::new(clock.clone()),
            bots: bots::known(env) as _,
            spawn: Arc::new(PlatformSpawn),
            holder,
        };
        // A task's agents are in objects of their own.
        let agents = Arc::new(RemoteConversations::of(env)?);
        let (of_doorbell, most_effects) = (Arc::clone(&store), settings::most_effects(env));
        let doorbell = |host| Arc::new(AlarmDoorbell::new(host, of_doorbell, most_effects)) as _;
        let host = Host::with_doorbell(ports, Some(agents as _), doorbell);
        let connections = env.durable_object(CONNECTIONS)?;
        let members = Members::open(Arc::clone(&store), Arc::clone(&host), connections).map_err(failed)?;
        // Whatever woke it: a turn that the object was in the middle of when it ended goes on at once.
        store.watch(PlatformClock.now()).map_err(failed)?;
        Ok(Self { host, store, members, clock })
    }

    /// Looks after what the alarm rings for.
    pub(super) async fn look_after(&self) {
        if let Err(error) = self.try_look_after().await {
            tracing::error!(%error, "an object could not look after its conversation; it tries again");
        }
    }

    async fn try_look_after(&self) -> Result<(), Fault> {
        let now = PlatformClock.now();
        let due = self.store.timers().take_due(now)?;
        self.store.database().set_alarm(now.plus_ms(AGAIN_MS).0)?;
        for kind in due {
            match kind {
                Kind::Turn => {
                    if let Some(key) = self.store.key()? {
                        self.host.hear(&key).await;
                    }
                    self.members.look_after()?;
                }
                Kind::Tell => self.members.tell_all()?,
                Kind::Retention => {
                    self.store.retain(now)?;
                }
            }
        }
        self.store.watch(now)?;
        self.store.timers().set_alarm()
    }
}

fn failed(error: impl std::error::Error) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
