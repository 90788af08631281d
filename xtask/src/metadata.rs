//! The workspace as `cargo metadata` describes it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// The packages of the workspace, and the names of all packages they pull in.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The members of the workspace.
    pub members: Vec<Package>,
    /// The names of every package in the resolved graph, members included.
    pub resolved: Vec<String>,
}

/// One member of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    id: String,
    /// The name in its manifest.
    pub name: String,
    /// Where its `Cargo.toml` is.
    pub manifest_path: PathBuf,
    /// What it asks for directly, before resolution.
    pub dependencies: Vec<Dependency>,
    /// What it builds.
    pub targets: Vec<Target>,
}

/// One line of a package's dependency tables.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// The name of the package asked for, whatever it is renamed to.
    pub name: String,
    /// The table it stands in.
    #[serde(default)]
    pub kind: Kind,
}

/// The table a dependency stands in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<KindName>")]
pub enum Kind {
    /// `[dependencies]`, optional or not, for any target.
    #[default]
    Normal,
    /// `[dev-dependencies]`.
    Dev,
    /// `[build-dependencies]`.
    Build,
}

/// One library, binary, test or benchmark of a package.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// `lib`, `bin`, `test` and so on.
    pub kind: Vec<String>,
    /// Its root source file.
    pub src_path: PathBuf,
}

/// The root folder of the workspace this program was built in.
pub fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Where cargo puts what it builds.
///
/// # Errors
///
/// When cargo fails, or its answer cannot be read.
pub fn target_directory(root: &Path) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Place {
        target_directory: PathBuf,
    }
    let text = process::read(process::cargo(root).args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let place: Place = serde_json::from_str(&text).context("cannot read the answer of `cargo metadata`")?;
    Ok(place.target_directory)
}

impl Workspace {
    /// Asks cargo about the workspace at `root`.
    ///
    /// # Errors
    ///
    /// When cargo fails (a broken manifest, for one) or its answer cannot be read.
    pub fn load(root: &Path) -> Result<Self> {
        let text = process::read(process::cargo(root).args(["metadata", "--format-version", "1"]))?;
        Self::parse(&text)
    }

    /// Reads what `cargo metadata --format-version 1` printed.
    ///
    /// # Errors
    ///
    /// When the text is not such a document.
    pub fn parse(text: &str) -> Result<Self> {
        let metadata: Metadata = serde_json::from_str(text).context("cannot read the answer of `cargo metadata`")?;
        let resolved = metadata.packages.iter().map(|p| p.name.clone()).collect();
        let members = metadata.packages.into_iter().filter(|package| metadata.workspace_members.contains(&package.id)).collect();
        Ok(Self { members, resolved })
    }
}

impl Package {
    /// The root source file that carries the crate doc: the library's, else that of the first binary.
    pub fn root_file(&self) -> Option<&Path> {
        self.target("lib").or_else(|| self.target("bin")).map(|target| target.src_path.as_path())
    }

    fn target(&self, kind: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.kind.iter().any(|k| k.ends_with(kind)))
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindName {
    Dev,
    Build,
}

impl From<Option<KindName>> for Kind {
    fn from(name: Option<KindName>) -> Self {
        match name {
            None => Self::Normal,
            Some(KindName::Dev) => Self::Dev,
            Some(KindName::Build) => Self::Build,
        }
    }
}
