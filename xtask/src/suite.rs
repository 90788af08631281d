//! `cargo xtask test`: everything a change has to pass, and its part for every day.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::lambda;
use crate::metadata::target_directory;
use crate::process::{self, cargo};
use crate::steps::{Outcome, Steps};
use crate::tools;

/// The crates that run on every target, so each has to compile for bare WebAssembly.
const PORTABLE: &[&str] = &[
    "cota-core",
    "cota-config",
    "cota-protocol",
    "cota-driver",
    "cota-offline",
    "cota-effects",
    "cota-gateway",
    "cota-publish",
    "cota-store-upstash",
];

/// What tests read to run fewer cases: set to 1 by `--quick`, else not set.
pub const QUICK_VARIABLE: &str = "COTA_QUICK";

const ADVISORY_FETCH_LIMIT: Duration = Duration::from_secs(90);

/// How much of the tests to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Full,
    /// What a developer runs all day: one WebAssembly check, no docs, no fuzz targets, no audit of dependencies,
    /// and fewer cases in long tests.
    Quick,
}

/// Runs the steps in order, prints a summary and says whether all passed.
pub fn run(root: &Path, extent: Extent) -> bool {
    let suite = Suite { root, extent };
    let mut steps = Steps::default();
    steps.run("tools", || suite.tools());
    steps.run("format", || suite.cargo(&["fmt", "--all", "--check"]));
    steps.run("clippy", || suite.clippy());
    steps.run("tests", || suite.tests());
    if extent == Extent::Full {
        steps.run("docs", || suite.docs());
    }
    for name in suite.wasm_crates() {
        steps.run(&format!("wasm {name}"), || suite.wasm(name));
    }
    if extent == Extent::Full {
        steps.run("fuzz targets", || suite.fuzz_targets());
        steps.run("template", || suite.template());
        steps.run("deny", || suite.deny());
        steps.run("advisories", || suite.advisories());
    }
    println!("\n{}", steps.table());
    steps.passed()
}

struct Suite<'a> {
    root: &'a Path,
    extent: Extent,
}

impl Suite<'_> {
    fn tools(&self) -> Result<Outcome> {
        tools::c_compiler()?;
        tools::component("fmt", "rustfmt")?;
        tools::component("clippy", "clippy")?;
        tools::wasm_target()?;
        Ok(Outcome::Passed)
    }

    fn clippy(&self) -> Result<Outcome> {
        self.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
    }

    fn tests(&self) -> Result<Outcome> {
        self.cargo(&["test", "--workspace", "--no-fail-fast"])
    }

    fn docs(&self) -> Result<Outcome> {
        let mut command = self.command(&["doc", "--workspace", "--no-deps", "--keep-going"]);
        process::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
        Ok(Outcome::Passed)
    }

    fn wasm_crates(&self) -> &'static [&'static str] {
        match self.extent {
            Extent::Full => PORTABLE,
            Extent::Quick => &["cota-core"],
        }
    }

    /// Each crate is checked alone, else the features that another one turns on would hide a fault.
    fn wasm(&self, name: &str) -> Result<Outcome> {
        self.cargo(&["check", "--lib", "--target", tools::WASM_TARGET, "--package", name])
    }

    /// The fuzz package is no member, so nothing else would notice when a target no longer fits its function.
    fn fuzz_targets(&self) -> Result<Outcome> {
        let mut command = self.command(&["check", "--manifest-path", "fuzz/Cargo.toml"]);
        // A check links nothing: with a library named, none has to be built, and no C++ compiler is needed.
        command.args(["--target-dir", "target/fuzz"]).env("CUSTOM_LIBFUZZER_PATH", "unused/libfuzzer.a");
        process::run(&mut command)?;
        Ok(Outcome::Passed)
    }

    /// AWS's own tools on template.yaml, with the functions as the tests have built them.
    fn template(&self) -> Result<Outcome> {
        lambda::validate(self.root)?;
        lambda::pack(self.root, &target_directory(self.root)?.join("debug"))?;
        Ok(Outcome::Passed)
    }

    fn deny(&self) -> Result<Outcome> {
        let mut command = self.cargo_deny()?;
        process::run(command.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;
        Ok(Outcome::Passed)
    }

    fn advisories(&self) -> Result<Outcome> {
        let fetched = process::succeeds_within(ADVISORY_FETCH_LIMIT, self.cargo_deny()?.args(["fetch", "db"]))?;
        if !fetched {
            return Ok(Outcome::Skipped(
                "the RustSec advisory database cannot be fetched from here, so known vulnerabilities were not looked for".to_owned(),
            ));
        }
        let mut command = self.cargo_deny()?;
        process::run(command.args(["check", "--disable-fetch", "advisories"]))?;
        Ok(Outcome::Passed)
    }

    fn cargo_deny(&self) -> Result<Command> {
        let mut command = Command::new(tools::cargo_deny(self.root)?);
        command.current_dir(self.root).arg("--workspace");
        Ok(command)
    }

    fn cargo(&self, arguments: &[&str]) -> Result<Outcome> {
        process::run(&mut self.command(arguments))?;
        Ok(Outcome::Passed)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cargo(self.root);
        command.args(arguments);
        if self.extent == Extent::Quick {
            command.env(QUICK_VARIABLE, "1");
        }
        // A machine that builds once gains nothing from files that only speed up the next build.
        if std::env::var_os("CI").is_some() {
            command.env("CARGO_INCREMENTAL", "0");
        }
        command
    }
}
