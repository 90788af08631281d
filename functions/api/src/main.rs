//! A Lambda function: every HTTP route, behind a Function URL or a REST API.
//!
//! It is a `main` and nothing else. **Key decision: a function has no code of its own**, so that three binaries cannot differ in
//! how they read a setting, ring a doorbell or end an invocation: all of that is in `cota_aws`, this one's part in `cota_aws::api`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cota_aws::api::run().await
}
