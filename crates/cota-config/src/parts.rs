//! The files of a folder or of a bundle, as trees.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use cota_core::gather::gather;

use crate::Bundle;
#[cfg(feature = "yaml")]
use crate::Files;
use crate::codes;
use crate::files;
use crate::load::Trees;
use crate::node::{Node, Span};
use crate::report::{Report, say};

/// What a bot or a task is made of, however it is written.
pub(crate) enum Parts<'f> {
    /// The YAML files of a folder.
    #[cfg(feature = "yaml")]
    Folder(Cow<'f, Files>),
    /// The trees of a bundle.
    Bundle(Cow<'f, BTreeMap<String, Json>>),
}

/// Where the files of an agent are in its task's folder.
pub(crate) fn prefix_of(agent: &str) -> String {
    format!("{}{agent}/", files::AGENTS)
}

impl<'f> Parts<'f> {
    #[cfg(feature = "yaml")]
    pub(crate) fn of_folder(files: &'f Files) -> Self {
        Self::Folder(Cow::Borrowed(files))
    }

    pub(crate) fn of_bundle(bundle: Bundle) -> Self {
        Self::Bundle(Cow::Owned(bundle.into_files()))
    }

    /// Every path.
    pub(crate) fn paths(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            #[cfg(feature = "yaml")]
            Self::Folder(files) => Box::new(files.keys().map(String::as_str)),
            Self::Bundle(files) => Box::new(files.keys().map(String::as_str)),
        }
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        match self {
            #[cfg(feature = "yaml")]
            Self::Folder(files) => files.contains_key(path),
            Self::Bundle(files) => files.contains_key(path),
        }
    }

    /// What is in a folder of it.
    pub(crate) fn below(&self, prefix: &str) -> Parts<'static> {
        match self {
            #[cfg(feature = "yaml")]
            Self::Folder(files) => Parts::Folder(Cow::Owned(below(files, prefix))),
            Self::Bundle(files) => Parts::Bundle(Cow::Owned(below(files, prefix))),
        }
    }

    /// The tree of a file, of which problems are told under the path `shown`. A file that is no YAML is reported.
    pub(crate) fn tree<'t>(&'t self, path: &str, shown: &str, report: &mut Report<'t>) -> Option<Node> {
        match self {
            #[cfg(feature = "yaml")]
            Self::Folder(files) => {
                let text = files.get(path)?;
                let file = report.sources.add(shown, Some(text));
                crate::yaml::parse(text, file, report)
            }
            Self::Bundle(files) => {
                let tree = files.get(path)?.clone();
                Some(Node::from_json(tree, report.sources.add(shown, None)))
            }
        }
    }

    /// The trees of a bot that is all of it.
    pub(crate) fn trees<'t>(&'t self, report: &mut Report<'t>) -> Trees {
        match self {
            #[cfg(feature = "yaml")]
            Self::Folder(files) => crate::folder::trees(files, report),
            Self::Bundle(files) => {
                let paths = files.keys().filter(|path| files::is_part(path));
                let trees: Trees = gather(paths.filter_map(|path| Some((path.clone(), self.tree(path, path, report)?))));
                if !trees.contains_key(files::AGENT) {
                    let file = report.sources.add(files::AGENT, None);
                    report.add(&codes::MISSING_FILE, Span::of_file(file), || say("the bundle has no agent.yml"));
                }
                trees
            }
        }
    }
}

fn below<T: Clone>(files: &BTreeMap<String, T>, prefix: &str) -> BTreeMap<String, T> {
    gather(files.iter().filter_map(|(path, file)| Some((path.strip_prefix(prefix)?.to_owned(), file.clone()))))
}
