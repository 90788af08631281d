//! A Lambda function: each state of a task, as the state machine in infra/ calls it.
//!
//! It is a `main` and nothing else. **Key decision: a function has no code of its own**, so that the binaries cannot differ in
//! how they read a setting, ring a doorbell or end an invocation: all of that is in `cota_aws`, this one's part in `cota_aws::task`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cota_aws::task::run().await
}
