//! One JSON file that is a whole bot, or a whole task: what Lambda and Workers load.

use std::collections::BTreeMap;

use cota_core::ids::BotDigest;
use cota_core::limits;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::files;
#[cfg(feature = "yaml")]
use crate::load::Trees;

/// The version of the bundle's own format.
const VERSION: u32 = 1;

/// A bot's files, or those of a task and its agents, as JSON trees. Variables (`${VAR}`) are not filled in, so it holds no secret that the files do not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// The version of the format.
    cota_bundle: u32,
    /// The folder's name: the agent's, where agent.yml gives none.
    name: String,
    /// The hash of `files`.
    digest: BotDigest,
    /// The trees by path.
    files: BTreeMap<String, Json>,
}

/// Why a text is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is too large.
    #[error("the bundle has {0} bytes; the limit is {limit}", limit = limits::BUNDLE_BYTES)]
    TooLarge(usize),
    /// It is no JSON, or not a bundle's.
    #[error("this is not a bundle: {0}; `cota bundle` writes one")]
    Invalid(serde_json::Error),
    /// It is of a version that is not known.
    #[error("the bundle is of version {0}, and only version {VERSION} is read; write it again with `cota bundle`")]
    Version(u32),
    /// Its files are not those that its digest was made of.
    #[error("the bundle's digest does not fit its files: it was changed after it was written; write it again with `cota bundle`")]
    Digest,
}

impl Bundle {
    #[cfg(feature = "yaml")]
    pub(crate) fn of_trees(name: &str, trees: &Trees) -> Self {
        let files: BTreeMap<String, Json> = trees.iter().map(|(path, tree)| (path.clone(), tree.to_json())).collect();
        Self { cota_bundle: VERSION, name: name.to_owned(), digest: digest(&files), files }
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// When it is too large, no bundle, of an unknown version, or changed since it was written.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Version {
            cota_bundle: u32,
        }
        if text.len() > limits::BUNDLE_BYTES {
            return Err(BundleError::TooLarge(text.len()));
        }
        let bundle: Self = match serde_json::from_slice(text.as_bytes()) {
            Ok(bundle) => bundle,
            Err(error) => {
                return Err(match serde_json::from_slice::<Version>(text.as_bytes()) {
                    Ok(version) if version.cota_bundle != VERSION => BundleError::Version(version.cota_bundle),
                    Ok(_) | Err(_) => BundleError::Invalid(error),
                });
            }
        };
        if bundle.cota_bundle != VERSION {
            return Err(BundleError::Version(bundle.cota_bundle));
        }
        if digest(&bundle.files) != bundle.digest {
            return Err(BundleError::Digest);
        }
        Ok(bundle)
    }

    /// The bundle as the text of one JSON file.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The folder's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hash of the bot's files; comments and formatting do not count.
    #[must_use]
    pub fn digest(&self) -> &BotDigest {
        &self.digest
    }

    /// Whether it is a task's, its agents included.
    #[must_use]
    pub fn is_task(&self) -> bool {
        self.files.contains_key(files::TASK)
    }

    /// The trees by path.
    pub(crate) fn into_files(self) -> BTreeMap<String, Json> {
        self.files
    }
}

/// The hash of the files' one JSON text: paths in order, keys in the author's order, no spaces. It is the same of a folder's
/// trees and of its bundle's.
pub(crate) fn digest<T: Serialize>(files: &BTreeMap<String, T>) -> BotDigest {
    BotDigest::of(serde_json::to_string(files).unwrap_or_default().as_bytes())
}
