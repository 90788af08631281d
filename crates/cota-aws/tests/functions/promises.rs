//! What every target promises, over a Function URL, over a WebSocket API, and with both in one conversation.

use cota_testkit::proofs::Target;
use cota_testkit::targets::bot;

use super::support::{Bundles, Deployment, Plan, lambda};

struct Lambda;

impl Target for Lambda {
    type Server = Deployment;

    fn prepare(&self) {
        lambda::build_once();
    }

    async fn start(&self, name: &str, llm: &str) -> Deployment {
        let variables = vec![("COTA_TEST_LLM", llm.to_owned())];
        // Each environment is a process, and a machine has its limits.
        Deployment::start(Bundles::of(&[bot(name)]), Plan { variables, concurrency: 8, ..Plan::default() }).await
    }
}

cota_testkit::proofs!(Lambda);
