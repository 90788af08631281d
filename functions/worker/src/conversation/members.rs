//! Who is told of what is new: the connection objects of those who are in the room.
//!
//! Members are in the database, so whoever is there hears of everything whatever becomes of the object. What could not be told is
//! not kept: the member is told that it missed something, and reads the record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{AbortHandle, abortable};
use worker::ObjectNamespace;
use worker::send::SendWrapper;
use worker::wasm_bindgen_futures::spawn_local;

use cota_core::ids::{ConversationKey, SenderId};
use cota_driver::host::{Conversations as _, Host};
use cota_driver::ports::Clock as _;

use super::push::{self, Told};
use crate::platform::PlatformClock;
use crate::store::{Fault, Kind, ObjectStore, columns, text, whole};
use crate::wire::{News, Notice, Push};

/// Until a member is told again that could not be told.
const AGAIN_MS: u64 = 3_000;

/// One connection object and for whom it listens.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) connection: String,
    pub(super) user: SenderId,
    pub(super) streams: bool,
}

/// The members of one conversation.
#[derive(Clone)]
pub(super) struct Members(Arc<Shared>);

struct Shared {
    store: Arc<ObjectStore>,
    host: Arc<Host>,
    connections: SendWrapper<ObjectNamespace>,
    /// What tells each of them.
    telling: Mutex<HashMap<String, AbortHandle>>,
    /// Whether this incarnation has looked after those whom an earlier one may have left untold.
    looked: Mutex<bool>,
}

impl Members {
    /// The members that the database has, each told from now on.
    pub(super) fn open(store: Arc<ObjectStore>, host: Arc<Host>, connections: ObjectNamespace) -> Result<Self, Fault> {
        let connections = SendWrapper(connections);
        let members = Self(Arc::new(Shared { store, host, connections, telling: Mutex::default(), looked: Mutex::default() }));
        if let Some(key) = members.0.store.key()? {
            members.all()?.iter().for_each(|member| members.tell(&key, member));
        }
        Ok(members)
    }

    /// Takes a member in, and tells the others if its user is new. Who is there now.
    pub(super) fn join(&self, key: &ConversationKey, member: Member) -> Result<Vec<SenderId>, Fault> {
        let before = self.all()?;
        let known = before.iter().any(|other| other.connection == member.connection);
        let values = vec![member.connection.as_str().into(), member.user.as_str().into(), i32::from(member.streams).into()];
        self.database().run("INSERT OR REPLACE INTO member (connection, user, streams) VALUES (?, ?, ?)", values)?;
        // A new subscription begins with the whole of a running reply.
        self.tell(key, &member);
        let users = users(&self.all()?);
        if !known {
            let came = News::Came { user: member.user.clone(), users: users.clone() };
            self.notify(key, &before, &came);
        }
        Ok(users)
    }

    /// Lets a member go, and tells the others.
    pub(super) fn leave(&self, key: &ConversationKey, connection: &str) -> Result<(), Fault> {
        let Some(member) = self.all()?.into_iter().find(|member| member.connection == connection) else { return Ok(()) };
        self.remove(connection)?;
        let left = self.all()?;
        self.notify(key, &left, &News::Left { user: member.user, users: users(&left) });
        Ok(())
    }

    /// Once in an incarnation: whoever an earlier one left untold reads the record.
    pub(super) fn look_after(&self) -> Result<(), Fault> {
        if std::mem::replace(&mut *lock(&self.0.looked), true) { Ok(()) } else { self.tell_all() }
    }

    /// Has every member read the record.
    pub(super) fn tell_all(&self) -> Result<(), Fault> {
        let Some(key) = self.0.store.key()? else { return Ok(()) };
        self.notify(&key, &self.all()?, &News::Missed);
        Ok(())
    }

    /// Tells a member what is new from now on.
    fn tell(&self, key: &ConversationKey, member: &Member) {
        let subscription = self.0.host.subscribe(key, member.streams);
        let (members, key, connection) = (self.clone(), key.clone(), member.connection.clone());
        let name = connection.clone();
        let (telling, abort) = abortable(async move {
            let mut batches = push::Batches::new(subscription);
            while let Some(news) = batches.next().await {
                if !members.push(&key, &connection, news).await {
                    break;
                }
            }
        });
        if let Some(before) = lock(&self.0.telling).insert(name, abort) {
            before.abort();
        }
        spawn_local(async move {
            // Nobody waits for it.
            let _ = telling.await;
        });
    }

    /// Tells some members one thing.
    fn notify(&self, key: &ConversationKey, to: &[Member], news: &News) {
        for member in to {
            let (members, key, connection, news) = (self.clone(), key.clone(), member.connection.clone(), news.clone());
            spawn_local(async move {
                members.push(&key, &connection, vec![news]).await;
            });
        }
    }

    /// Pushes to one member; whether it is still one.
    async fn push(&self, key: &ConversationKey, connection: &str, news: Vec<News>) -> bool {
        match push::push(&self.0.connections.0, connection, &Notice::News(Push { key: key.clone(), news })).await {
            Told::Heard => true,
            Told::Gone => {
                if let Err(error) = self.leave(key, connection) {
                    tracing::error!(%error, "a member that is gone could not be let go");
                }
                false
            }
            Told::Unreachable => {
                let again = self.0.store.timers().set_by(Kind::Tell, PlatformClock.now().plus_ms(AGAIN_MS));
                if let Err(error) = again {
                    tracing::error!(%error, "a member that was not reached could not be noted");
                }
                true
            }
        }
    }

    fn remove(&self, connection: &str) -> Result<(), Fault> {
        self.database().run("DELETE FROM member WHERE connection = ?", vec![connection.into()])?;
        if let Some(telling) = lock(&self.0.telling).remove(connection) {
            telling.abort();
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<Member>, Fault> {
        let rows = self.database().rows("SELECT connection, user, streams FROM member ORDER BY connection", Vec::new())?;
        rows.into_iter()
            .map(|row| {
                let [connection, user, streams] = columns(row)?;
                let user = SenderId::new(text(user)?).map_err(|error| Fault::Unreadable { what: "a member", why: error.to_string() })?;
                Ok(Member { connection: text(connection)?, user, streams: whole(&streams)? != 0 })
            })
            .collect()
    }

    fn database(&self) -> &crate::store::Database {
        self.0.store.database()
    }
}

/// The users of these members, each once.
fn users(members: &[Member]) -> Vec<SenderId> {
    let mut users: Vec<SenderId> = Vec::new();
    for member in members {
        if !users.contains(&member.user) {
            users.push(member.user.clone());
        }
    }
    users
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
