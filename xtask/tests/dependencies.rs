//! Who may know whom: the rules hold for the workspace, and each of them bites.

use serde_json::{Value, json};
use xtask::dependencies;
use xtask::metadata::{Workspace, workspace_root};

#[test]
fn the_workspace_keeps_the_rules() {
    let workspace = Workspace::load(&workspace_root()).unwrap();
    assert!(workspace.members.iter().any(|p| p.name == "cota-core"));
    let violations = dependencies::check(&workspace);
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// One edge of a made-up graph: from, to, table, and what the violation must say (nothing: allowed).
type Case = (&'static str, &'static str, Option<&'static str>, &'static str);

const CASES: &[Case] = &[
    ("cota-core", "cota-driver", None, "cota-core knows no other member"),
    ("cota-core", "cota-testkit", Some("dev"), ""),
    ("cota-core", "cota-driver", Some("build"), "cota-core knows no other member"),
    ("cota-config", "cota-core", None, ""),
    ("cota-config", "cota-protocol", None, "cota-config knows only cota-core"),
    ("cota-protocol", "cota-driver", None, "cota-protocol knows only cota-core"),
    ("cota-offline", "cota-config", None, "cota-offline knows only cota-core"),
    ("cota-driver", "cota-effects", None, "cota-driver knows only cota-core"),
    ("cota-effects", "cota-offline", None, ""),
    ("cota-effects", "cota-gateway", None, "cota-effects knows only"),
    ("cota-gateway", "cota-driver", None, ""),
    ("cota-gateway", "cota-offline", None, "cota-gateway knows only"),
    ("cota-store-sqlite", "cota-effects", None, "cota-store-sqlite knows only"),
    ("cota-cli", "cota-gateway", None, ""),
    ("lambda-turn", "cota-store-sqlite", None, ""),
    ("cota-gateway", "cota-cli", Some("dev"), "nobody depends on the command line"),
    ("cota-cli", "lambda-turn", None, "nobody depends on the command line"),
    ("cota-cli", "cota-testkit", None, "[dev-dependencies] and xtask only"),
    ("xtask", "cota-testkit", None, ""),
    ("cota-new", "cota-core", None, "no rule says whom cota-new may know"),
    ("cota-effects", "tokio", None, "tokio is a direct dependency"),
    ("cota-effects", "tokio", Some("dev"), ""),
    ("cota-store-sqlite", "tokio", None, ""),
    ("lambda-turn", "tokio", None, ""),
    ("cota-effects", "worker", None, "for functions/worker only"),
    ("lambda-turn", "worker", None, "for functions/worker only"),
    ("cota-worker", "worker", None, ""),
    ("cota-config", "serde_yaml", None, "serde_yaml is archived"),
];

#[test]
fn each_rule_bites_and_names_the_edge() {
    for &(from, to, kind, expected) in CASES {
        let workspace = Workspace::parse(&graph(from, to, kind)).unwrap();
        let violations = dependencies::check(&workspace);
        match violations.as_slice() {
            [] => assert_eq!(expected, "", "{from} -> {to} passed"),
            [one] => {
                assert!(!expected.is_empty(), "{one}");
                assert!(one.contains(expected), "{one}");
                assert!(one.contains(to), "{one}");
            }
            several => panic!("{from} -> {to}: {several:?}"),
        }
    }
}

/// What `cargo metadata` would say of two packages and the edge between them.
fn graph(from: &str, to: &str, kind: Option<&str>) -> String {
    let outside = ["tokio", "worker", "serde_yaml"];
    let members: Vec<&str> = [from, to].into_iter().filter(|name| !outside.contains(name)).collect();
    let edge = json!({ "name": to, "kind": kind });
    let packages: Vec<Value> =
        [from, to].into_iter().map(|name| package(name, if name == from { vec![edge.clone()] } else { Vec::new() })).collect();
    json!({ "packages": packages, "workspace_members": members }).to_string()
}

fn package(name: &str, dependencies: Vec<Value>) -> Value {
    let folder = match name {
        "lambda-turn" => "functions/turn",
        "cota-worker" => "functions/worker",
        _ => "crates/any",
    };
    json!({
        "id": name,
        "name": name,
        "manifest_path": format!("/workspace/{folder}/Cargo.toml"),
        "dependencies": dependencies,
        "targets": [],
    })
}
