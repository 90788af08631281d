//! What a token claims, once its signature holds.

use serde::Deserialize;

use cota_core::ids::{Owner, SenderId, Timestamp};
use cota_protocol::problem::Problem;

use crate::access::{Known, Scopes, Speaker};
use crate::identity::unauthorized;

/// By how much the clocks of issuer and server may differ, in seconds.
const LEEWAY: f64 = 60.0;

/// The claims that this server looks at.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    /// Seconds since 1970, as all times here.
    exp: f64,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
    /// Words with spaces between them (RFC 8693), or a list.
    #[serde(alias = "scp")]
    scope: Option<Words>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

impl Claims {
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Who this is, if the token is for this server and now.
    pub(super) fn known(&self, issuer: Option<&str>, audience: Option<&str>, now: Timestamp) -> Result<Known, Problem> {
        let now = now.as_seconds();
        if self.exp + LEEWAY <= now {
            return Err(unauthorized("the token has expired; get a new one"));
        }
        if self.nbf.is_some_and(|from| from - LEEWAY > now) {
            return Err(unauthorized("the token does not hold yet; the clocks of its issuer and this server may differ"));
        }
        if issuer.is_some() && self.iss.as_deref() != issuer {
            return Err(unauthorized("the token is of another issuer than this server trusts"));
        }
        if !self.is_for(audience) {
            return Err(unauthorized("the token is for another audience than this server"));
        }
        let name = |fault| unauthorized(format!("the token's `sub` {fault}, so it cannot own conversations"));
        let owner = Owner::new(self.sub.as_str()).map_err(|error| name(error.fault))?;
        let sender = SenderId::new(self.sub.as_str()).map_err(|error| name(error.fault))?;
        Ok(Known { speaker: Speaker::Person { owner, sender }, scopes: self.scopes() })
    }

    /// RFC 7519, section 4.1.3: a token for an audience is for nobody who is not in it.
    fn is_for(&self, audience: Option<&str>) -> bool {
        match (&self.aud, audience) {
            (None, None) => true,
            (Some(Audience::One(one)), Some(audience)) => one == audience,
            (Some(Audience::Several(several)), Some(audience)) => several.iter().any(|one| one == audience),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// A token that names no scope of ours is for talking.
    fn scopes(&self) -> Scopes {
        let named = match &self.scope {
            None => Scopes::NONE,
            Some(Words::Text(text)) => Scopes::named(text.split(' ')),
            Some(Words::List(list)) => Scopes::named(list.iter().map(String::as_str)),
        };
        if named == Scopes::NONE { Scopes::CHAT } else { named }
    }
}
