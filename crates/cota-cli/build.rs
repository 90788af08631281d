//! Lists the example bots, so that `cota init` carries them with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new("../..");
    let examples = root.join("examples");
    println!("cargo::rerun-if-changed={}", examples.display());
    let mut code = String::from("/// Every example bot.\nconst TEMPLATES: &[Template] = &[\n");
    for folder in sorted(&examples)?.into_iter().filter(|path| path.join("agent.yml").is_file()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _ = writeln!(code, "    Template {{\n        name: {name:?},\n        files: &[");
        for file in files(&folder)? {
            list(&mut code, &folder, &file)?;
        }
        code.push_str("        ],\n    },\n");
    }
    code.push_str("];\n\n/// The JSON Schemas that the examples' first lines name.\nconst SCHEMAS: &[(&str, &str)] = &[\n");
    let schemas = root.join("schemas");
    println!("cargo::rerun-if-changed={}", schemas.display());
    for file in if schemas.is_dir() { files(&schemas)? } else { Vec::new() } {
        list(&mut code, &schemas, &file)?;
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("templates.rs"), code)
}

fn list(code: &mut String, folder: &Path, file: &Path) -> io::Result<()> {
    let inside = file.strip_prefix(folder).unwrap_or(file).to_string_lossy().replace('\\', "/");
    let _ = writeln!(code, "            ({inside:?}, include_str!({:?})),", fs::canonicalize(file)?);
    Ok(())
}

/// Every file below a folder, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in sorted(folder)? {
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// What is in a folder, in order; hidden files are left out.
fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    paths.sort();
    Ok(paths)
}
