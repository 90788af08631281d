//! What every target promises, over a Function URL, over a WebSocket API, and with both in one conversation.

use cota_testkit::proofs::{Address, Server, Target};
use cota_testkit::targets::bot;

use super::support::deployment::{Deployment, Plan};
use super::support::{Bundles, binaries};

struct Lambda;

impl Target for Lambda {
    type Server = Deployment;

    fn prepare(&self) {
        binaries::build_once();
    }

    async fn start(&self, name: &str, llm: &str) -> Deployment {
        let variables = vec![("COTA_TEST_LLM", llm.to_owned())];
        // Each environment is a process, and a machine has its limits.
        Deployment::start(Bundles::of(&[bot(name)]), Plan { variables, concurrency: 8, ..Plan::default() }).await
    }
}

impl Server for Deployment {
    const ORDERED: bool = false;

    fn address(&self) -> Address {
        Address { http: self.url.address(), sockets: self.sockets.address() }
    }

    /// The next invocations find new processes, which know only what the table keeps.
    async fn restart(&mut self) {
        self.functions().iter().for_each(|function| function.kill());
    }

    fn logged(&self) -> String {
        self.functions().map(cota_testkit::lambda::Function::logged).concat()
    }
}

cota_testkit::proofs!(Lambda);
