//! The house rules hold for the whole workspace.

use xtask::metadata::workspace_root;
use xtask::tidy;

#[test]
fn the_workspace_is_tidy() {
    let violations = tidy::check(&workspace_root()).unwrap();
    assert!(violations.is_empty(), "{} violations (`cargo xtask tidy` lists them):\n{}", violations.len(), violations.join("\n"));
}
