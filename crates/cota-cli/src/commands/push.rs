//! `cota push`: a bot's new version, without a deploy.

use cota_driver::ports::Clock as _;
use cota_publish::{Place, PushError, Pushed, SourceError, push};

use super::{Command, bundle};
use crate::arguments::{Arguments, Takes};
use crate::bots;
use crate::failure::Failure;
use crate::native::{TokioClock, open_place};
use crate::output::print_line;
use crate::talk;

pub(super) const COMMAND: Command = Command {
    name: "push",
    summary: "publish a bot's new version without a deploy",
    help: "\
Usage: cota push [BOT] --to PLACE

Checks a bot (default: the working directory) and publishes it: whoever serves the bot from there takes the new version
from the next turn of each conversation on, and a turn that runs goes on with its own. A bot that does not load is not
published. Publish an older version again to go back to it.

  --to PLACE  kv:NAMESPACE     Workers KV, by the namespace's id; with CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN
              s3:BUCKET        with AWS's variables: AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the like
              dynamodb:TABLE   a table with the keys pk and sk, such as the one of conversations; with the same
",
    takes: Takes { options: &["to"], switches: &[], words: 1 },
    run,
};

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = arguments.option("to").ok_or_else(|| Failure::usage("name the place: --to kv:NAMESPACE, s3:BUCKET or dynamodb:TABLE"))?;
    let place: Place = place.parse().map_err(|error: cota_publish::PlaceError| Failure::usage(error.to_string()))?;
    let (bundle, bot) = bundle::checked(&bots::find_one(&arguments.folder())?, "published")?;
    let name = &bot.source().name;
    let sink = open_place(&place)?;
    let pushed = talk::runtime()?.block_on(push(sink.as_ref(), name, &bundle, TokioClock::new().now()));
    match pushed.map_err(|error| failure(&error))? {
        Pushed::Published(pointer) => print_line(format_args!(
            "{name}: published to {place}, {} bytes, sequence {}, digest {}",
            pointer.size, pointer.sequence, pointer.digest.0
        )),
        Pushed::Already(pointer) => {
            print_line(format_args!("{name}: published to {place} before, sequence {}, digest {}", pointer.sequence, pointer.digest.0))
        }
    }
}

fn failure(error: &PushError) -> Failure {
    match error {
        PushError::TooLarge(_) => Failure::input(error.to_string()),
        PushError::Place(SourceError::Unavailable { .. } | SourceError::Refused { .. }) => Failure::service(error.to_string()),
    }
}
