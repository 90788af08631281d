//! Set-up, tests, benchmarks and tidiness of the workspace.
fn main() {}
