//! How a deployment knows its callers: API keys of its table, and JWTs where the settings say what signs them.

use std::sync::Arc;

use url::Url;

use cota_driver::http::HttpSend;
use cota_driver::ledger::Ledger;
use cota_driver::ports::Clock;
use cota_gateway::Access;
use cota_gateway::identity::{ComputedSignatures, Identities, Tokens};
use cota_native::{KeySetAt, SystemChance};

use crate::failure::Failure;
use crate::settings::Environment;

/// Everybody can reach a deployment, so callers are identified unless the settings say in so many words that they are not.
pub(crate) fn access(
    environment: &Environment,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    http: Arc<dyn HttpSend>,
) -> Result<Access, Failure> {
    match environment.get("COTA_INSECURE_NO_IDENTITY").as_deref() {
        Some("true") => return Ok(Access::Off),
        Some("false") | None => {}
        Some(other) => {
            return Err(Failure::Settings(format!("the variable COTA_INSECURE_NO_IDENTITY has to be true or false; it is `{other}`")));
        }
    }
    let identities = Identities::new(ledger, clock, Arc::new(SystemChance));
    Ok(Access::On(Arc::new(match tokens(environment, http)? {
        Some(tokens) => identities.with_tokens(tokens),
        None => identities,
    })))
}

fn tokens(environment: &Environment, http: Arc<dyn HttpSend>) -> Result<Option<Tokens>, Failure> {
    let wrong = |text: String| Failure::Settings(text);
    let (issuer, audience) = (environment.get("COTA_JWT_ISSUER"), environment.get("COTA_JWT_AUDIENCE"));
    let tokens = match (environment.get("COTA_JWT_SECRET"), environment.get("COTA_JWKS")) {
        (Some(_), Some(_)) => return Err(wrong("COTA_JWT_SECRET and COTA_JWKS are two kinds of JWT; choose one".to_owned())),
        (Some(secret), None) => Tokens::with_secret(secret.as_bytes()).map_err(|error| wrong(format!("COTA_JWT_SECRET: {error}")))?,
        (None, Some(set)) => {
            if issuer.is_none() || audience.is_none() {
                let needs = "COTA_JWKS needs COTA_JWT_ISSUER and COTA_JWT_AUDIENCE, else tokens for other services would be good here";
                return Err(wrong(needs.to_owned()));
            }
            let url = Url::parse(&set).map_err(|error| wrong(format!("COTA_JWKS is no address: {error}")))?;
            let fetch = KeySetAt::new(http, url).map_err(|error| wrong(format!("COTA_JWKS: {error}")))?;
            Tokens::with_remote_key_set(Arc::new(fetch), Arc::new(ComputedSignatures))
        }
        (None, None) => return Ok(None),
    };
    let tokens = issuer.into_iter().fold(tokens, Tokens::of_issuer);
    Ok(Some(audience.into_iter().fold(tokens, Tokens::for_audience)))
}
