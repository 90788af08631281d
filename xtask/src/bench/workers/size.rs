//! How large the script is that is deployed.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use cota_testkit::targets::workerd::script;

use super::build;
use crate::plan::Plan;
use crate::report::{Row, Section};

/// In thousands of bytes.
const MOST: f64 = 900.0;

pub(super) fn measure(_plan: &Plan) -> Result<Vec<Section>> {
    let mut deployed = Vec::new();
    for file in script(&build()).modules {
        deployed.extend(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let kb = |bytes: usize| bytes as f64 / 1000.0;
    let (whole, packed) = (kb(deployed.len()), kb(zipped(deployed)?));
    Ok(vec![Section {
        title: "Size",
        note: "The JavaScript and `index_bg.wasm` as `wrangler deploy` uploads them, with the bots `weather`, `chat` and `long` in them."
            .to_owned(),
        head: vec!["what", "KB"],
        rows: vec![
            Row::plain(vec!["as it is".to_owned(), format!("{whole:.0}")]),
            Row::with(vec!["gzipped".to_owned(), format!("{packed:.0}")], format!("at most {MOST:.0}"), packed <= MOST),
        ],
    }])
}

/// How many bytes these are, compressed as wrangler does it.
fn zipped(bytes: Vec<u8>) -> Result<usize> {
    let mut gzip = Command::new("gzip").arg("-6").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("gzip is needed")?;
    let mut input = gzip.stdin.take().context("no standard input")?;
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let output = gzip.wait_with_output()?;
    ensure!(output.status.success(), "gzip failed ({})", output.status);
    writing.join().map_err(|_| anyhow::anyhow!("gzip was not written to"))??;
    Ok(output.stdout.len())
}
