//! The house rules that no lint checks, over the files that git knows or would add.
//!
//! Reading lines is enough: a rule that is right nearly always and takes a screen of code is better
//! than a parser. The lints of the workspace stay the authority on what they cover.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::metadata::Workspace;
use crate::process;

mod source;

const LONGEST_FILE: usize = 500;
const LARGEST_FILE: u64 = 600 * 1024;
const SHORTEST_CRATE_DOC: usize = 3;

/// Files whose words are our own. Lock files and data are full of chance matches.
const WRITTEN: &[&str] = &["rs", "toml", "md", "yml", "yaml", "sh", "js", "ts", "html", "css", "py"];

/// Every violation in the workspace at `root`, one line each, with the file and the way out.
///
/// # Errors
///
/// When git or cargo cannot list the files and packages, or a file cannot be read.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for path in files(root)? {
        violations.extend(check_file(root, &path)?);
    }
    for package in Workspace::load(root)?.members {
        let Some(file) = package.root_file() else {
            continue;
        };
        let lines = source::crate_doc_lines(&read(file)?);
        if lines < SHORTEST_CRATE_DOC {
            violations.push(format!(
                "{}: a crate doc of {lines} lines; say in {SHORTEST_CRATE_DOC} or more what {} is, what it is not, and its key decision",
                file.strip_prefix(root).unwrap_or(file).display(),
                package.name
            ));
        }
    }
    Ok(violations)
}

/// The files that git tracks or would add, as far as they are on the disk, relative to `root`.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    // A checkout that belongs to another user is read all the same: nothing in it is run.
    let trusted = format!("safe.directory={}", root.display());
    let listed =
        process::read(Command::new("git").current_dir(root).args(["-c", &trusted, "-c", "core.quotepath=off", "ls-files", "-z"]).args([
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
    Ok(listed.split_terminator('\0').map(PathBuf::from).filter(|path| root.join(path).is_file()).collect())
}

fn check_file(root: &Path, path: &Path) -> Result<Vec<String>> {
    let file = root.join(path);
    let size = fs::metadata(&file).with_context(|| format!("cannot read {}", path.display()))?.len();
    if size > LARGEST_FILE {
        return Ok(vec![format!("{}: {} KB; files over {} KB do not belong into git", path.display(), size / 1024, LARGEST_FILE / 1024)]);
    }
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    if !WRITTEN.contains(&extension) {
        return Ok(Vec::new());
    }
    let text = read(&file)?;
    let mut found = source::markers(&text);
    if extension == "rs" {
        found.extend(source::check(path, &text, LONGEST_FILE));
    }
    Ok(found.into_iter().map(|violation| format!("{}:{violation}", path.display())).collect())
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
