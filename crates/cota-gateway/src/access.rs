//! Who a caller is, and what it may do: the one place that decides it.

use cota_core::ids::{Owner, SenderId};
use cota_protocol::problem::{Code, Problem};

/// The sender where nobody says who speaks.
const ANYBODY: &str = "user";

/// How a deployment knows its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It does not: everybody shares the owner `public`, may speak as anybody, and has every scope.
    Off,
}

/// Who is on the other end of a request or a socket, before it says for whom it speaks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    access: Access,
    named: Option<SenderId>,
}

/// Somebody who speaks in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Whose conversations it reaches.
    pub(crate) owner: Owner,
    /// As whom it speaks.
    pub(crate) sender: SenderId,
    /// What it may see.
    pub(crate) scopes: Scopes,
}

/// What an identity may see and do beside talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scopes {
    /// Thoughts, policies, LLM calls and executor metadata.
    pub(crate) inspect: bool,
}

impl Access {
    /// The caller of a request that names `sender_id` in its address, if it does.
    pub(crate) fn caller(self, sender_id: Option<&str>) -> Result<Caller, Problem> {
        let named = sender_id.map(SenderId::new).transpose().map_err(|error| {
            let detail = format!("`sender_id` in the query {}", error.fault);
            Problem::new(Code::BadRequest, detail).with("field", "sender_id")
        })?;
        Ok(Caller { access: self, named })
    }
}

impl Caller {
    /// The identity it speaks with: as `sender` where the body names one, else as the address says.
    pub(crate) fn speaking_as(self, sender: Option<SenderId>) -> Result<Identity, Problem> {
        match self.access {
            Access::Off => {
                let sender = match sender.or(self.named) {
                    Some(sender) => sender,
                    None => SenderId::new(ANYBODY).map_err(|error| Problem::new(Code::Internal, error.to_string()))?,
                };
                Ok(Identity { owner: Owner::public(), sender, scopes: Scopes { inspect: true } })
            }
        }
    }

    /// Whether the address says who speaks.
    pub(crate) fn is_named(&self) -> bool {
        self.named.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_identity_everybody_is_public_and_says_who_speaks() {
        for (query, body, sender) in [(None, None, "user"), (Some("ana"), None, "ana"), (Some("ana"), Some("zoë"), "zoë")] {
            let caller = Access::Off.caller(query).unwrap();
            let identity = caller.speaking_as(body.map(|name| SenderId::new(name).unwrap())).unwrap();
            assert_eq!((identity.owner, identity.sender.as_str()), (Owner::public(), sender));
        }
        assert_eq!(Access::Off.caller(Some("a\nb")).unwrap_err().detail, "`sender_id` in the query has a control character");
    }
}
