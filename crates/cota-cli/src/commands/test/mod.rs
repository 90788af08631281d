//! `cota test`: a bot's conversation tests.

mod effects;
mod judge;
mod local;
mod remote;
mod report;

use std::time::Instant;

use async_trait::async_trait;
use cota_config::tests::{ConversationTest, ScriptedLlm, TestStepKind};
use cota_core::event::ActionRecord;
use cota_driver::ports::Bots as _;
use tracing::level_filters::LevelFilter;

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::failure::Failure;
use crate::native::BotPath;
use crate::output::Format;
use crate::{bots, log, talk};

use judge::Transcript;
use local::Local;
use remote::Remote;
use report::{Report, Style, Suite, Tested, Verdict};

pub(super) const COMMAND: Command = Command {
    name: "test",
    summary: "run a bot's conversation tests",
    help: "\
Usage: cota test [BOT] [--target URL] [--key KEY] [--filter NAME] [--format text|json|junit]

Runs the tests in tests/*.yml of a bot or of each bot in a folder (default: the working directory), each in a
conversation of its own. Exits with 1 if one fails.

  --target URL              test a running server; tests with a scripted model are skipped and counted
  --key KEY                 the API key for it; better given as the variable COTA_KEY
  --filter NAME             run only tests with this in their name
  --format text|json|junit  how to tell the results (default: text)
",
    takes: Takes { options: &["target", "key", "filter", "format"], switches: &[], words: 1 },
    run,
};

/// Where tests are run.
#[async_trait(?Send)]
trait Side {
    /// Begins the conversation of a test.
    async fn begin(&self, test: &ConversationTest) -> Result<Box<dyn Conversation>, Failure>;
}

/// The conversation of one test.
#[async_trait(?Send)]
trait Conversation {
    /// Says something and returns all that was done then, until nothing waits for an answer.
    async fn say(&mut self, text: &str) -> Result<Vec<ActionRecord>, SayError>;
    /// Leaves nothing behind.
    async fn forget(&mut self);
}

/// Why nothing is known of what followed.
enum SayError {
    /// The message was refused: the test fails.
    Refused(String),
    /// Nobody can be talked to: there is no use in going on.
    Broken(Failure),
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    log::begin(LevelFilter::ERROR, Format::Text);
    let styles = [("text", Style::Text), ("json", Style::Json), ("junit", Style::JUnit)];
    let style = arguments.choice("format", &styles, Style::Text)?;
    let filter = arguments.option("filter").unwrap_or_default();
    let runtime = talk::runtime()?;
    let mut suites = Vec::new();
    for bot in BotPath::find(&arguments.folder())? {
        let tests: Vec<ConversationTest> = read(&bot)?.into_iter().filter(|test| test.name.contains(filter)).collect();
        suites.push(runtime.block_on(run_all(&bot, &tests, arguments))?);
    }
    let report = Report::of(suites);
    if report.is_empty() {
        let what =
            if filter.is_empty() { "there are no tests in tests/*.yml".to_owned() } else { format!("no test has `{filter}` in its name") };
        return Err(Failure::input(what));
    }
    report.print(style)?;
    if report.failed() > 0 { Err(Failure::Reported) } else { Ok(()) }
}

fn read(bot: &BotPath) -> Result<Vec<ConversationTest>, Failure> {
    let (tests, diagnostics) = cota_config::tests::read(&bot.files()?);
    bots::tell_diagnostics(bot.path(), &diagnostics);
    if diagnostics.iter().any(cota_config::Diagnostic::is_error) {
        return Err(Failure::input(format!("the tests of {} cannot be read", bot.path().display())));
    }
    Ok(tests)
}

async fn run_all(bot: &BotPath, tests: &[ConversationTest], arguments: &Arguments) -> Result<Suite, Failure> {
    let (folders, _) = bots::open(vec![bot.clone()], bots::tell_diagnostics)?;
    let name = folders.names().into_iter().next().ok_or_else(|| Failure::input("there is no bot"))?;
    let target = arguments.setting("target");
    let side: Box<dyn Side> = match &target {
        Some(url) => Box::new(Remote::new(url, arguments.setting("key"), &name)?),
        None => Box::new(Local::new(folders, name.clone())),
    };
    let mut suite = Suite { bot: name.to_string(), tests: Vec::with_capacity(tests.len()) };
    for test in tests {
        let began = Instant::now();
        let verdict = match &test.llm {
            Some(ScriptedLlm::Answers(_)) if target.is_some() => Verdict::Skipped,
            Some(ScriptedLlm::Answers(_) | ScriptedLlm::Examples) | None => run_one(side.as_ref(), test).await?,
        };
        let file = bot.path().join(&test.file).display().to_string();
        suite.tests.push(Tested { name: test.name.clone(), file, line: test.line, seconds: began.elapsed().as_secs_f64(), verdict });
    }
    Ok(suite)
}

async fn run_one(side: &dyn Side, test: &ConversationTest) -> Result<Verdict, Failure> {
    let mut conversation = side.begin(test).await?;
    let mut transcript = Transcript::default();
    for step in &test.steps {
        let checked = match &step.kind {
            TestStepKind::User(text) => match conversation.say(text).await {
                Ok(actions) => {
                    transcript.go_on(text, actions);
                    Ok(())
                }
                Err(SayError::Refused(why)) => Err(transcript.refusal(text, why)),
                Err(SayError::Broken(failure)) => return Err(failure),
            },
            TestStepKind::Bot(check) => transcript.expect_reply(check),
            TestStepKind::Action(check) => transcript.expect_action(check),
        };
        if let Err(fault) = checked {
            return Ok(Verdict::Failed(fault.at(step.line)));
        }
    }
    conversation.forget().await;
    Ok(Verdict::Passed)
}
