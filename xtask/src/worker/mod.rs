//! `cargo xtask worker`: builds the Cloudflare Worker with tools that are installed on first use.

mod order;
mod wasm;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use self::wasm::Functions;
use crate::process;
use crate::tools::workers::{WorkerTools, node_packages, worker_tools};

/// What wrangler tells the command that builds: its own name for what it does.
const WRANGLER_COMMAND: &str = "WRANGLER_COMMAND";

/// What the Worker is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// For users: small and fast.
    Deployed,
    /// For `wrangler dev`: built quickly.
    Tried,
    /// For its own tests: as `Tried`, with what tries the store inside an object.
    Tested,
}

impl Build {
    /// As wrangler says: quickly for `wrangler dev`, else for users.
    #[must_use]
    pub fn wanted() -> Self {
        Self::of(std::env::var(WRANGLER_COMMAND).ok().as_deref())
    }

    fn of(command: Option<&str>) -> Self {
        match command {
            Some("dev") => Self::Tried,
            Some(_) | None => Self::Deployed,
        }
    }

    /// Where it is built, in the folder of the Worker, and what worker-build does not make of it.
    fn modules(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Deployed | Self::Tried => ("build", &["main.js", "panics.js"]),
            Self::Tested => ("build-test", &["main.js", "panics.js", "tried.js"]),
        }
    }

    /// What worker-build is told. Its option for a folder goes before the package, what is cargo's behind it.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Deployed => &["--profile", "worker", "--no-opt", PACKAGE, "--config", INLINED],
            Self::Tried => &["--profile", "worker-dev", "--no-opt", PACKAGE],
            Self::Tested => &["--profile", "worker-dev", "--no-opt", "--out-dir", "build-test", PACKAGE, "--features", "tried"],
        }
    }
}

/// What is put into its callers though the profile asks for the smallest code: functions of at most this cost to LLVM. A turn takes
/// about 4 % less processor time for 2 % more of size.
const INLINED: &str = r#"target.wasm32-unknown-unknown.rustflags=["-Cllvm-args=-inline-threshold=25"]"#;
/// The folder of the Worker.
const PACKAGE: &str = "functions/worker";
/// What the platform serves by itself, beside the Worker: `[assets]` of wrangler.toml.
const ASSETS: &str = "functions/worker/assets";
/// What is made small, of the Worker for users.
const SCRIPT: &str = "functions/worker/build/index_bg.wasm";
/// How it is made small: without the names of functions, which worker-build would have wasm-opt keep, and by those passes that make
/// the *compressed* script smaller. What `-Oz` does beside them saves bytes that gzip saves better: with it the upload is a seventh
/// larger.
const SMALL: [&str; 18] = [
    "--duplicate-function-elimination",
    "--dce",
    "--vacuum",
    "--remove-unused-brs",
    "--merge-blocks",
    "--precompute",
    "--optimize-instructions",
    "--simplify-globals",
    "--vacuum",
    "--duplicate-function-elimination",
    "--remove-unused-module-elements",
    "--simplify-locals-nostructure",
    "--vacuum",
    "--code-folding",
    "--vacuum",
    "--duplicate-function-elimination",
    "--reorder-functions-by-name",
    "--strip-debug",
];
/// How its functions are put into the order of names that they were given for that.
const ORDERED: [&str; 2] = ["--reorder-functions-by-name", "--strip-debug"];
/// The encodings that the platform is known to read.
const ENCODINGS: [&str; 7] = [
    "--enable-mutable-globals",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-reference-types",
    "--enable-exception-handling",
];

/// Builds the Worker into a folder beside its source: `build`, or `build-test`. The bots of `COTA_BOT` are put in.
///
/// # Errors
///
/// When a tool is missing and cannot be installed, or the build fails.
pub fn build(root: &Path, build: Build) -> Result<()> {
    run(root, build, None)
}

/// As [`build`], with the bots of these folders.
///
/// # Errors
///
/// As [`build`].
pub fn build_with(root: &Path, build: Build, bots: &[&str]) -> Result<()> {
    run(root, build, Some(&bots.join(",")))
}

fn run(root: &Path, build: Build, bots: Option<&str>) -> Result<()> {
    let WorkerTools { worker_build, wasm_bindgen, wasm_opt } = worker_tools(root)?;
    let mut command = Command::new(worker_build);
    command.current_dir(root).env("WASM_BINDGEN_BIN", wasm_bindgen).args(build.words());
    command.envs(bots.map(|bots| ("COTA_BOT", bots)));
    process::run(&mut command)?;
    add_modules(&root.join(PACKAGE), build)?;
    place_assets(root)?;
    match build {
        Build::Deployed => make_small(&root.join(SCRIPT), &wasm_opt),
        Build::Tried | Build::Tested => Ok(()),
    }
}

fn make_small(script: &Path, wasm_opt: &Path) -> Result<()> {
    let pass = |passes: &[&str]| process::run(Command::new(wasm_opt).args(passes).args(ENCODINGS).args([script, Path::new("-o"), script]));
    pass(&SMALL)?;
    order_functions(script)?;
    pass(&ORDERED)
}

/// Names the functions of a script by their places in an order that is better for gzip.
fn order_functions(script: &Path) -> Result<()> {
    let mut module = fs::read(script).with_context(|| format!("cannot read {}", script.display()))?;
    let functions = Functions::of(&module)?;
    let order = order::alike(&functions.code);
    let mut places: Vec<(usize, String)> =
        order.into_iter().enumerate().map(|(place, function)| (function, format!("{place:06}"))).collect();
    places.sort_unstable();
    let names: Vec<String> = places.into_iter().map(|(_, name)| name).collect();
    let section = functions.named(&names);
    module.extend(section);
    fs::write(script, module).with_context(|| format!("cannot write {}", script.display()))
}

/// Puts the modules that are no Rust beside what worker-build made.
fn add_modules(package: &Path, build: Build) -> Result<()> {
    let (folder, modules) = build.modules();
    modules.iter().try_for_each(|module| copy(&package.join("src/js").join(module), &package.join(folder)))
}

/// Puts what is the same for everybody where the platform serves it: the description of the routes, and what the web page loads.
/// The page itself is the Worker's, which answers programs at the same address.
fn place_assets(root: &Path) -> Result<()> {
    let (gateway, assets) = (root.join("crates/cota-gateway/src"), root.join(ASSETS));
    let parts = assets.join("page");
    fs::create_dir_all(&parts)?;
    copy(&gateway.join("openapi.json"), &assets)?;
    for file in fs::read_dir(gateway.join("page/assets"))? {
        let file = file?.path();
        if !file.ends_with("index.html") {
            copy(&file, &parts)?;
        }
    }
    Ok(())
}

fn copy(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    fs::copy(file, folder.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

/// Prepares everything that building and running the Worker needs.
///
/// # Errors
///
/// When something cannot be installed.
pub fn prepare(root: &Path) -> Result<()> {
    worker_tools(root)?;
    node_packages(root)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wrangler_dev_is_built_for_quickly() {
        assert_eq!(Build::of(Some("dev")), Build::Tried);
        for other in [None, Some("deploy"), Some("versions upload")] {
            assert_eq!(Build::of(other), Build::Deployed);
        }
    }
}
