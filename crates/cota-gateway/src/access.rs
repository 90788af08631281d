//! Who a caller is, and what it may do: the one place that decides it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use cota_core::ids::{Owner, SenderId};
use cota_driver::store::StoreError;
use cota_protocol::problem::{Code, Problem};

use crate::address::ClientAddress;
use crate::identity::{Identities, unauthorized};

/// The sender where nobody says who speaks.
const ANYBODY: &str = "user";

/// How a deployment knows its callers.
#[derive(Clone)]
pub enum Access {
    /// It does not: everybody shares the owner `public`, may speak as anybody, and has every scope.
    Off,
    /// Not until there is an API key: the first one locks the door, and it stays locked.
    UntilFirstKey(Arc<Door>),
    /// Each has to prove who it is.
    On(Arc<Identities>),
}

/// A door that the first API key locks.
pub struct Door {
    identities: Identities,
    is_locked: AtomicBool,
}

/// What a proof of identity says of who brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// As whom it may speak.
    pub(crate) speaker: Speaker,
    /// What it may see and do.
    pub(crate) scopes: Scopes,
}

/// As whom somebody may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// As anybody, in conversations that are everybody's.
    Anybody,
    /// For a user that it names: the sender is the owner.
    Backend,
    /// As itself.
    Person {
        /// Whose conversations these are.
        owner: Owner,
        /// The only name it speaks under.
        sender: SenderId,
    },
}

/// Who is on the other end of a request or a socket, before it says for whom it speaks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    known: Known,
    named: Option<SenderId>,
    address: Option<ClientAddress>,
}

/// Somebody who speaks in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose conversations it reaches.
    pub owner: Owner,
    /// As whom it speaks.
    pub sender: SenderId,
    /// What it may see.
    pub scopes: Scopes,
    /// From where.
    pub address: Option<ClientAddress>,
}

/// One thing that an identity may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Talk with bots, read and forget conversations.
    Chat,
    /// Act on bots and tasks, and set the proxy user going.
    Operator,
}

/// What an identity may see and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<&'static str>")]
pub struct Scopes {
    /// Talk with bots, read and forget conversations.
    pub chat: bool,
    /// See thoughts, policies, LLM calls and executor metadata.
    pub inspect: bool,
    /// Act on bots and tasks, and set the proxy user going.
    pub operator: bool,
}

impl Scopes {
    /// Nothing.
    pub const NONE: Self = Self { chat: false, inspect: false, operator: false };
    /// Talking alone.
    pub const CHAT: Self = Self { chat: true, ..Self::NONE };
    /// Everything.
    pub const ALL: Self = Self { chat: true, inspect: true, operator: true };
    /// What scopes are called.
    pub const NAMES: [&'static str; 3] = ["chat", "inspect", "operator"];

    /// The scopes of these names; other names mean nothing.
    pub fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut scopes = Self::NONE;
        for name in names {
            match name {
                "chat" => scopes.chat = true,
                "inspect" => scopes.inspect = true,
                "operator" => scopes.operator = true,
                _ => {}
            }
        }
        scopes
    }

    /// Nothing, if this scope is among them.
    ///
    /// # Errors
    /// When it is not: the one answer to all who lack a scope.
    pub(crate) fn require(self, scope: Scope) -> Result<(), Problem> {
        let (has, name) = match scope {
            Scope::Chat => (self.chat, "chat"),
            Scope::Operator => (self.operator, "operator"),
        };
        if has {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, format!("this needs the scope `{name}`, which this key or token does not have")))
    }

    /// The names of these scopes.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let has = [self.chat, self.inspect, self.operator];
        Self::NAMES.into_iter().zip(has).filter_map(|(name, has)| has.then_some(name)).collect()
    }
}

impl From<Vec<String>> for Scopes {
    fn from(names: Vec<String>) -> Self {
        Self::named(names.iter().map(String::as_str))
    }
}

impl From<Scopes> for Vec<&'static str> {
    fn from(scopes: Scopes) -> Self {
        scopes.names()
    }
}

impl Access {
    /// Open to everybody until there is an API key, then to those with a proof.
    #[must_use]
    pub fn until_first_key(identities: Identities) -> Self {
        Self::UntilFirstKey(Arc::new(Door { identities, is_locked: AtomicBool::new(false) }))
    }

    /// Looks whether there is an API key by now, where that matters; whether nobody needs to look again.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn look_for_keys(&self) -> Result<bool, StoreError> {
        let Self::UntilFirstKey(door) = self else { return Ok(true) };
        if !door.is_locked.load(Ordering::Acquire) && door.identities.has_keys().await? && !door.is_locked.swap(true, Ordering::AcqRel) {
            tracing::info!("there is an API key now: from here on every request has to prove whose it is");
        }
        Ok(door.is_locked.load(Ordering::Acquire))
    }

    /// What callers are known by, where they have to be known.
    pub(crate) fn identities(&self) -> Option<&Identities> {
        match self {
            Self::Off => None,
            Self::UntilFirstKey(door) => door.is_locked.load(Ordering::Acquire).then_some(&door.identities),
            Self::On(identities) => Some(identities),
        }
    }

    /// The caller of a request from this address with this proof, and with `sender_id` in its query, if it has them.
    pub(crate) fn caller(&self, proof: Option<&Known>, sender_id: Option<&str>, address: Option<ClientAddress>) -> Result<Caller, Problem> {
        let named = sender_id.map(SenderId::new).transpose().map_err(|error| {
            let detail = format!("`sender_id` in the query {}", error.fault);
            Problem::new(Code::BadRequest, detail).with("field", "sender_id")
        })?;
        let known = match (self.identities(), proof) {
            (None, _) => Known { speaker: Speaker::Anybody, scopes: Scopes::ALL },
            (Some(_), Some(known)) => known.clone(),
            (Some(_), None) => {
                return Err(unauthorized("say who you are: send an API key or a JWT in the header `Authorization: Bearer ...`"));
            }
        };
        Ok(Caller { known, named, address })
    }
}

impl Caller {
    /// The identity it speaks with: as `sender` where the body names one, else as the address says.
    pub(crate) fn speaking_as(self, sender: Option<SenderId>) -> Result<Identity, Problem> {
        let (scopes, address) = (self.known.scopes, self.address);
        scopes.require(Scope::Chat)?;
        let named = sender.or(self.named);
        match self.known.speaker {
            Speaker::Anybody => {
                let sender = match named {
                    Some(sender) => sender,
                    None => SenderId::new(ANYBODY).map_err(|error| Problem::new(Code::Internal, error.to_string()))?,
                };
                Ok(Identity { owner: Owner::public(), sender, scopes, address })
            }
            Speaker::Backend => {
                let sender = named.ok_or_else(|| {
                    let detail = "an API key speaks for many: say for whom with `sender_id`, in the body or as `?sender_id=`";
                    Problem::new(Code::MissingSender, detail).with("field", "sender_id")
                })?;
                let owner = Owner::new(sender.as_str()).map_err(|error| {
                    let detail = format!("`sender_id` {}, so it cannot own conversations", error.fault);
                    Problem::new(Code::BadRequest, detail).with("field", "sender_id")
                })?;
                Identity { owner, sender, scopes, address }.unless_public()
            }
            Speaker::Person { owner, sender } => match named {
                Some(named) if named != sender => {
                    let detail = "`sender_id` is another than the one you have proved to be; leave it out";
                    Err(Problem::new(Code::Forbidden, detail).with("field", "sender_id"))
                }
                Some(_) | None => Identity { owner, sender, scopes, address }.unless_public(),
            },
        }
    }

    /// Whether it is known who speaks before a body says so.
    pub(crate) fn is_named(&self) -> bool {
        self.named.is_some() || matches!(self.known.speaker, Speaker::Person { .. })
    }
}

impl Identity {
    /// The owner of what was said while nobody was identified is no identity's name.
    fn unless_public(self) -> Result<Self, Problem> {
        if self.owner == Owner::public() {
            let detail = "nobody is called `public`: it stands for all who are not identified; use another name";
            return Err(Problem::new(Code::Forbidden, detail).with("field", "sender_id"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(name: &str) -> SenderId {
        SenderId::new(name).unwrap()
    }

    #[test]
    fn without_identity_everybody_is_public_and_says_who_speaks() {
        for (query, body, speaks) in [(None, None, "user"), (Some("ana"), None, "ana"), (Some("ana"), Some("zoë"), "zoë")] {
            let caller = Access::Off.caller(None, query, None).unwrap();
            let identity = caller.speaking_as(body.map(sender)).unwrap();
            assert_eq!((identity.owner, identity.sender.as_str()), (Owner::public(), speaks));
        }
        assert_eq!(Access::Off.caller(None, Some("a\nb"), None).unwrap_err().detail, "`sender_id` in the query has a control character");
    }

    #[test]
    fn a_proof_decides_as_whom_its_bearer_speaks() {
        let person = Speaker::Person { owner: Owner::new("ana").unwrap(), sender: sender("ana") };
        for (speaker, query, body, expected) in [
            (Speaker::Backend, None, None, Err(Code::MissingSender)),
            (Speaker::Backend, Some("bo"), None, Ok("bo")),
            (Speaker::Backend, Some("bo"), Some("public"), Err(Code::Forbidden)),
            (Speaker::Backend, Some("bo"), Some("zoë"), Ok("zoë")),
            (person.clone(), None, None, Ok("ana")),
            (person.clone(), Some("ana"), Some("ana"), Ok("ana")),
            (person.clone(), Some("bo"), None, Err(Code::Forbidden)),
            (person.clone(), Some("ana"), Some("bo"), Err(Code::Forbidden)),
            (person, Some("Ana"), None, Err(Code::Forbidden)),
        ] {
            let caller = Caller { known: Known { speaker, scopes: Scopes::CHAT }, named: query.map(sender), address: None };
            let spoken = caller.speaking_as(body.map(sender)).map(|identity| (identity.owner.to_string(), identity.sender.to_string()));
            let expected = expected.map(|name| (name.to_owned(), name.to_owned()));
            assert_eq!(spoken.map_err(|problem| problem.code), expected);
        }
    }

    #[test]
    fn without_the_scope_to_chat_nobody_reaches_a_conversation() {
        let known = Known { speaker: Speaker::Backend, scopes: Scopes { chat: false, ..Scopes::ALL } };
        let caller = Caller { known, named: Some(sender("ana")), address: None };
        assert_eq!(caller.speaking_as(None).unwrap_err().code, Code::Forbidden);
    }

    #[test]
    fn scopes_are_written_as_their_names() {
        let scopes = Scopes { operator: true, ..Scopes::CHAT };
        assert_eq!(serde_json::to_string(&scopes).unwrap(), r#"["chat","operator"]"#);
        assert_eq!(serde_json::from_str::<Scopes>(r#"["operator","chat","admin"]"#).unwrap(), scopes);
    }
}
