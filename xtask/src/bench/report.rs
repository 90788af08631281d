//! The figures as a table, with target and verdict: on the terminal, and kept on a page of the documents.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};

use crate::machine;
use crate::processes::workspace;
use crate::suite::Suite;

/// A titled table.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// How it was measured.
    pub(crate) note: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
}

/// A line of a table: its cells, then target and verdict.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) cells: Vec<String>,
    pub(crate) target: Option<Target>,
}

/// What is demanded of a figure.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) words: String,
    pub(crate) met: bool,
}

impl Row {
    pub(crate) fn plain(cells: Vec<String>) -> Self {
        Self { cells, target: None }
    }

    pub(crate) fn with(cells: Vec<String>, words: impl Into<String>, met: bool) -> Self {
        Self { cells, target: Some(Target { words: words.into(), met }) }
    }

    fn all_cells(&self) -> Vec<String> {
        let mut cells = self.cells.clone();
        match &self.target {
            Some(target) => cells.extend([target.words.clone(), if target.met { "met" } else { "MISSED" }.to_owned()]),
            None => cells.extend([String::new(), String::new()]),
        }
        cells
    }
}

impl Section {
    /// Whether every target is met.
    pub(crate) fn passed(&self) -> bool {
        self.rows.iter().filter_map(|row| row.target.as_ref()).all(|target| target.met)
    }

    /// As a Markdown table whose columns are aligned, readable on a terminal too.
    pub(crate) fn table(&self) -> String {
        let mut head: Vec<String> = self.head.iter().map(|&word| word.to_owned()).collect();
        head.extend(["target".to_owned(), "verdict".to_owned()]);
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::all_cells).collect();
        let width = |column: usize| {
            let cells = std::iter::once(&head).chain(&rows).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
            format!("| {} |\n", padded.join(" | "))
        };
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width.max(3))).collect();
        let mut table = line(&head);
        table.push_str(&line(&rule));
        rows.iter().for_each(|row| table.push_str(&line(row)));
        table
    }
}

/// Writes the suite's page.
pub(crate) fn write(suite: &Suite, load_before: &str, sections: &[Section]) -> Result<()> {
    let path = workspace().join(suite.page);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, document(suite, load_before, sections)).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}

fn document(suite: &Suite, load_before: &str, sections: &[Section]) -> String {
    let Suite { title, command, .. } = suite;
    let mut text = format!(
        "# {title}\n\nWritten by `{command}`; every figure was measured in that run, on this machine, with all processes\n\
         (clients, server under test, scripted model) on its cores at once.\n\n| machine | |\n| --- | --- |\n",
    );
    for (name, value) in machine::describe() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let _ = writeln!(text, "| load average before | {load_before} |");
    for section in sections {
        let _ = write!(text, "\n## {}\n\n{}\n\n{}", section.title, section.note, section.table());
    }
    text
}
