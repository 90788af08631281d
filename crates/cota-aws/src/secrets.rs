//! Variables that name a secret instead of holding it, so that no console and no template shows one.
//!
//! `aws-ssm:NAME` stands for a parameter of SSM's Parameter Store, `aws-secret:ID` for a secret of Secrets Manager, and
//! `aws-secret:ID#KEY` for one key of a secret that is JSON. They are read once, when an environment starts.

use serde_json::{Value as Json, json};

use crate::aws::{CallError, JsonService};
use crate::failure::Failure;
use crate::settings::Environment;

const PARAMETER: &str = "aws-ssm:";
const SECRET: &str = "aws-secret:";

/// Where secrets are read from.
pub(crate) struct Vaults {
    pub(crate) ssm: JsonService,
    pub(crate) secrets_manager: JsonService,
}

/// What a variable refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reference {
    Parameter(String),
    Secret { id: String, key: Option<String> },
}

/// Whether any variable refers to a secret.
pub(crate) fn are_referred_to(environment: &Environment) -> bool {
    environment.iter().any(|(_, value)| Reference::read(value).is_some())
}

/// Puts the secrets into the variables that name them.
pub(crate) async fn resolve(environment: &mut Environment, vaults: &Vaults) -> Result<(), Failure> {
    let referring = |(name, value): (&str, &str)| Some((name.to_owned(), Reference::read(value)?));
    let references: Vec<(String, Reference)> = environment.iter().filter_map(referring).collect();
    for (variable, reference) in references {
        match vaults.read(&reference).await {
            Ok(secret) => environment.set(&variable, secret),
            Err(source) => return Err(Failure::Secret { variable, source }),
        }
    }
    Ok(())
}

impl Reference {
    fn read(value: &str) -> Option<Self> {
        if let Some(name) = value.strip_prefix(PARAMETER) {
            return Some(Self::Parameter(name.to_owned()));
        }
        let rest = value.strip_prefix(SECRET)?;
        let (id, key) = rest.split_once('#').map_or((rest, None), |(id, key)| (id, Some(key.to_owned())));
        Some(Self::Secret { id: id.to_owned(), key })
    }
}

impl Vaults {
    async fn read(&self, reference: &Reference) -> Result<String, CallError> {
        match reference {
            Reference::Parameter(name) => {
                let said = self.ssm.call("GetParameter", &json!({"Name": name, "WithDecryption": true})).await?;
                text(&said, "/Parameter/Value")
            }
            Reference::Secret { id, key } => {
                let said = self.secrets_manager.call("GetSecretValue", &json!({"SecretId": id})).await?;
                let secret = text(&said, "/SecretString")?;
                match key {
                    None => Ok(secret),
                    Some(key) => {
                        let fields: Json = serde_json::from_str(&secret).unwrap_or_default();
                        fields.get(key).and_then(Json::as_str).map(str::to_owned).ok_or_else(|| missing("the secret has no such key"))
                    }
                }
            }
        }
    }
}

fn text(said: &Json, pointer: &str) -> Result<String, CallError> {
    said.pointer(pointer).and_then(Json::as_str).map(str::to_owned).ok_or_else(|| missing("the answer holds no text"))
}

fn missing(what: &str) -> CallError {
    CallError::Refused { status: 200, code: Some(what.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_names_a_parameter_a_secret_or_a_key_of_one() {
        assert_eq!(Reference::read("aws-ssm:/cota/key"), Some(Reference::Parameter("/cota/key".to_owned())));
        let secret = |id: &str, key: Option<&str>| Some(Reference::Secret { id: id.to_owned(), key: key.map(str::to_owned) });
        assert_eq!(Reference::read("aws-secret:cota"), secret("cota", None));
        assert_eq!(Reference::read("aws-secret:arn:aws:x#openai"), secret("arn:aws:x", Some("openai")));
        assert_eq!(Reference::read("sk-plain"), None);
    }
}
