//! The example bots' own conversation tests, run by `cota test --target` against the Worker.

use std::path::Path;
use std::process::Command;

use super::support::{self, Workerd};

#[test]
fn the_example_bots_pass_their_tests() {
    support::run(async {
        for bot in ["weather", "weather-zh", "helpdesk", "clinic"] {
            let workerd = Workerd::start(bot, support::NO_MODEL).await;
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(bot);
            let target = format!("http://{}", workerd.address);
            let output = tokio::task::spawn_blocking(move || {
                let mut cota = Command::new(env!("CARGO"));
                cota.args(["run", "--quiet", "--package", "cota-cli", "--", "test"]).arg(folder).args(["--target", &target]);
                cota.output().unwrap()
            });
            let output = output.await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{bot}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    });
}
