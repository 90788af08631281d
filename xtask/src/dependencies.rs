//! Who may know whom: the rules of the dependency graph, over direct dependencies.
//!
//! Data flows one way (gateway, driver, core, effects), and everything that decides is pure. Both hold
//! only as long as no manifest has an edge against the grain, so each edge is checked here.

use std::path::Path;

use crate::metadata::{Dependency, Kind, Package, Workspace};

const CLI: &str = "cota-cli";
const LAMBDA: &str = "cota-aws";
const TESTKIT: &str = "cota-testkit";
const XTASK: &str = "xtask";

const DRIVER_AND_PURE: &[&str] = &["cota-driver", "cota-core", "cota-config", "cota-protocol"];

/// Where tokio may be a direct dependency, apart from the functions. What the Lambda functions share is one of them.
const ON_TOKIO: &[&str] = &[CLI, LAMBDA, "cota-native", "cota-store-dynamodb", "cota-store-sqlite", TESTKIT, XTASK];

/// Every edge of the graph that breaks a rule, one line each: the rule and the edge.
pub fn check(workspace: &Workspace) -> Vec<String> {
    let mut violations = Vec::new();
    for package in &workspace.members {
        for dependency in &package.dependencies {
            let member = workspace.members.iter().find(|m| m.name == dependency.name);
            let broken = match member {
                Some(known) => broken_inside(package, dependency, known),
                None => broken_outside(package, dependency),
            };
            if let Some(rule) = broken {
                violations.push(format!("{rule}: {}", edge(package, dependency)));
            }
        }
    }
    if workspace.resolved.iter().any(|name| name == "serde_yaml") {
        violations.push("serde_yaml is archived and has no positions, nothing may pull it in: see `cargo tree -i serde_yaml`".to_owned());
    }
    violations
}

/// The rule that an edge between two members breaks.
fn broken_inside(from: &Package, to: &Dependency, known: &Package) -> Option<String> {
    if is_function(known) || to.name == CLI || to.name == XTASK {
        return Some("nobody depends on the command line, a function or xtask".to_owned());
    }
    if to.kind == Kind::Dev {
        return None;
    }
    // The Worker's tests build it with a feature that tries the store inside an object.
    if to.name == TESTKIT && from.name != XTASK && !is_worker(from) {
        return Some(format!("{TESTKIT} is for [dev-dependencies] and xtask only"));
    }
    match knows(from) {
        Knows::Every => None,
        Knows::Only(allowed) if allowed.contains(&to.name.as_str()) => None,
        Knows::Only([]) => Some(format!("{} knows no other member", from.name)),
        Knows::Only(allowed) => Some(format!("{} knows only {}", from.name, allowed.join(", "))),
        Knows::Unsettled => Some(format!("no rule says whom {} may know, add it in xtask/src/dependencies.rs", from.name)),
    }
}

/// The rule that an edge to a package from outside the workspace breaks.
fn broken_outside(from: &Package, to: &Dependency) -> Option<String> {
    if to.kind != Kind::Normal {
        return None;
    }
    match to.name.as_str() {
        "tokio" if !ON_TOKIO.contains(&from.name.as_str()) && !is_function(from) => {
            Some("tokio is a direct dependency of the command line, native backends and functions only".to_owned())
        }
        "worker" if !is_worker(from) => Some("the worker crate is for functions/worker only".to_owned()),
        _ => None,
    }
}

enum Knows {
    Every,
    Only(&'static [&'static str]),
    Unsettled,
}

fn knows(package: &Package) -> Knows {
    if is_function(package) {
        return Knows::Every;
    }
    match package.name.as_str() {
        "cota-core" => Knows::Only(&[]),
        "cota-config" | "cota-protocol" | "cota-offline" | "cota-driver" => Knows::Only(&["cota-core"]),
        "cota-embed" => Knows::Only(&["cota-config"]),
        "cota-effects" => Knows::Only(&["cota-driver", "cota-core", "cota-config", "cota-protocol", "cota-offline"]),
        "cota-gateway" | "cota-publish" => Knows::Only(DRIVER_AND_PURE),
        "cota-native" => Knows::Only(&["cota-gateway", "cota-effects", "cota-driver", "cota-core"]),
        store if store.starts_with("cota-store-") => Knows::Only(DRIVER_AND_PURE),
        CLI | LAMBDA | TESTKIT | XTASK => Knows::Every,
        _ => Knows::Unsettled,
    }
}

fn is_function(package: &Package) -> bool {
    package.manifest_path.parent().and_then(Path::parent).is_some_and(|folder| folder.ends_with("functions"))
}

fn is_worker(package: &Package) -> bool {
    package.manifest_path.ends_with("functions/worker/Cargo.toml")
}

fn edge(from: &Package, to: &Dependency) -> String {
    let table = match to.kind {
        Kind::Normal => "dependencies",
        Kind::Dev => "dev-dependencies",
        Kind::Build => "build-dependencies",
    };
    format!("{} -> {} in [{table}]", from.name, to.name)
}
