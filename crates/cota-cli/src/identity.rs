//! How a server knows its callers: what its settings say, and whether there are API keys.

use std::sync::Arc;

use cota_driver::ledger::Ledger;
use cota_driver::ports::Clock;
use cota_effects::http::HttpSend;
use cota_gateway::Access;
use cota_gateway::identity::{ComputedSignatures, Identities, Tokens, keys};
use url::Url;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::native::{KeySetAt, SystemChance};

/// What the settings say of identity.
pub(crate) struct IdentitySettings {
    is_off: bool,
    tokens: Option<TokenSettings>,
}

/// Which JWTs are good.
struct TokenSettings {
    keys: KeySettings,
    issuer: Option<String>,
    audience: Option<String>,
}

/// What signs them.
enum KeySettings {
    Secret(String),
    File(String),
    Url(Url),
}

impl IdentitySettings {
    pub(crate) fn of(arguments: &Arguments) -> Result<Self, Failure> {
        Ok(Self { is_off: arguments.has("insecure-no-identity"), tokens: TokenSettings::of(arguments)? })
    }

    /// Whether callers are identified, and how. `is_private` tells that only this machine can reach the server.
    pub(crate) async fn access(
        self,
        is_private: bool,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        http: Arc<dyn HttpSend>,
    ) -> Result<Access, Failure> {
        if self.is_off {
            return Ok(Access::Off);
        }
        let keys = keys::list(ledger.as_ref(), clock.now()).await.map_err(|error| Failure::service(error.to_string()))?;
        if keys.is_empty() && self.tokens.is_none() {
            let identities = Identities::new(ledger, clock, Arc::new(SystemChance));
            return if is_private { Ok(Access::until_first_key(identities)) } else { Err(open_to_others()) };
        }
        let identities = Identities::new(ledger, clock, Arc::new(SystemChance));
        Ok(Access::On(Arc::new(match self.tokens {
            Some(tokens) => identities.with_tokens(tokens.open(http).await?),
            None => identities,
        })))
    }
}

impl TokenSettings {
    fn of(arguments: &Arguments) -> Result<Option<Self>, Failure> {
        let (secret, set) = (arguments.setting("jwt-secret"), arguments.setting("jwks"));
        let (issuer, audience) = (arguments.setting("jwt-issuer"), arguments.setting("jwt-audience"));
        let keys = match (secret, set) {
            (Some(_), Some(_)) => return Err(Failure::usage("COTA_JWT_SECRET and --jwks are two kinds of JWT; choose one")),
            (Some(secret), None) => KeySettings::Secret(secret),
            (None, Some(set)) => {
                if issuer.is_none() || audience.is_none() {
                    return Err(Failure::usage(
                        "--jwks needs --jwt-issuer and --jwt-audience, else tokens for other services of the same issuer would be good here",
                    ));
                }
                KeySettings::at(set)?
            }
            (None, None) if issuer.is_some() || audience.is_some() => {
                return Err(Failure::usage(
                    "--jwt-issuer and --jwt-audience are for JWTs: say with --jwks or COTA_JWT_SECRET what signs them",
                ));
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Self { keys, issuer, audience }))
    }

    async fn open(self, http: Arc<dyn HttpSend>) -> Result<Tokens, Failure> {
        let mut tokens = match self.keys {
            KeySettings::Secret(secret) => {
                Tokens::with_secret(secret.as_bytes()).map_err(|error| Failure::usage(format!("COTA_JWT_SECRET: {error}")))?
            }
            KeySettings::File(path) => {
                let json = std::fs::read(&path).map_err(|error| Failure::input(format!("cannot read {path}: {error}")))?;
                Tokens::with_key_set(&json, &ComputedSignatures).await.map_err(|error| Failure::input(format!("{path}: {error}")))?
            }
            KeySettings::Url(url) => {
                let fetch = KeySetAt::new(http, url).map_err(|error| Failure::usage(format!("--jwks: {error}")))?;
                Tokens::with_remote_key_set(Arc::new(fetch), Arc::new(ComputedSignatures))
            }
        };
        if let Some(issuer) = self.issuer {
            tokens = tokens.of_issuer(issuer);
        }
        if let Some(audience) = self.audience {
            tokens = tokens.for_audience(audience);
        }
        Ok(tokens)
    }
}

impl KeySettings {
    fn at(place: String) -> Result<Self, Failure> {
        if !place.contains("://") {
            return Ok(Self::File(place));
        }
        Url::parse(&place).map(Self::Url).map_err(|error| Failure::usage(format!("--jwks: `{place}` is no address: {error}")))
    }
}

fn open_to_others() -> Failure {
    Failure::usage(
        "others could reach this address, and callers are not identified: everybody could read and write every conversation. \
         Make an API key with `cota key create`, take JWTs with --jwks, listen on 127.0.0.1, or say --insecure-no-identity",
    )
}
