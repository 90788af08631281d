//! API keys that a deployment is given among its settings, where the command line does not reach its ledger.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use super::keys::ApiKey;

/// The keys of a deployment, as `cota key export` wrote them: without their secrets.
#[derive(Debug, Default)]
pub struct GivenKeys(HashMap<String, Arc<ApiKey>>);

/// A text that holds no keys. Only a place in it is told: somebody may have put a key itself there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not what `cota key export` prints: it goes wrong at line {line}, column {column}")]
pub struct NoKeys {
    line: usize,
    column: usize,
}

impl GivenKeys {
    pub(super) fn find(&self, id: &str) -> Option<&Arc<ApiKey>> {
        self.0.get(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for GivenKeys {
    type Err = NoKeys;

    fn from_str(text: &str) -> Result<Self, NoKeys> {
        // From bytes, as everything else is read: a second kind of reader would be in a script twice.
        let keys: Vec<ApiKey> =
            serde_json::from_slice(text.as_bytes()).map_err(|error| NoKeys { line: error.line(), column: error.column() })?;
        Ok(Self(keys.into_iter().map(|key| (key.id.clone(), Arc::new(key))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use cota_core::ids::Timestamp;
    use cota_driver::ledger::MemoryLedger;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::access::Scopes;
    use crate::identity::keys::{self, Issued, Keys};
    use crate::identity::{Chance, NoChance};

    struct Always(u8);

    impl Chance for Always {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    fn issue(ledger: &MemoryLedger, chance: u8, scopes: Scopes, expires_at: Option<Timestamp>) -> Issued {
        let chance = Always(chance);
        let made = keys::create(ledger, &chance, "shop", scopes, Timestamp(1), expires_at);
        made.now_or_never().unwrap().ok().unwrap()
    }

    #[test]
    fn what_was_exported_lets_in_who_has_a_key_of_it_and_nobody_else() {
        let elsewhere = MemoryLedger::default();
        let shop = issue(&elsewhere, 1, Scopes::CHAT, None);
        let desk = issue(&elsewhere, 2, Scopes::ALL, Some(Timestamp(100)));
        let later = issue(&elsewhere, 3, Scopes::ALL, None);
        let exported = serde_json::to_string(&[&shop.key, &desk.key]).unwrap();
        for secret in [&shop.text, &desk.text].map(|key| key.rsplit('_').next().unwrap()) {
            assert!(!exported.contains(secret));
        }
        let keys = Keys::Given(Arc::new(exported.parse().unwrap()));
        let nothing = MemoryLedger::default();
        let scopes = |text: &str, at| keys.check(&nothing, text, Timestamp(at)).now_or_never().unwrap().ok().map(|known| known.scopes);
        assert_eq!((scopes(&shop.text, 2), scopes(&desk.text, 2)), (Some(Scopes::CHAT), Some(Scopes::ALL)));
        let secret_of_another = format!("cota_{}_{}", shop.key.id, desk.text.rsplit('_').next().unwrap());
        assert_eq!((scopes(&desk.text, 100), scopes(&later.text, 2), scopes(&secret_of_another, 2)), (None, None, None));
    }

    #[test]
    fn what_is_no_export_is_told_by_its_place_alone() {
        for (text, place) in
            [("cota_id_secret", "line 1, column 1"), ("[\n\"cota_id_secret\"]", "line 2, column 16"), ("[{}]", "line 1, column 3")]
        {
            let told = text.parse::<GivenKeys>().unwrap_err().to_string();
            assert!(told.ends_with(place) && !told.contains("secret"), "{told}");
        }
    }
}
