//! `cota task run`: a task to its end, or to where a person has to answer.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cota_config::StoreChoice;
use cota_core::ids::{BotName, ConversationKey, MessageId, SenderId};
use cota_core::task::{Board, Message, Report, SENDER, Start, State, StepReport, answer_id, start_id};
use cota_driver::host::{Conversations as _, Host, SendError, Update};
use cota_driver::store::NewMessage;
use cota_driver::task;
use cota_effects::StandardEffects;
use cota_store_sqlite::Durability;
use futures_util::StreamExt as _;
use tracing::level_filters::LevelFilter;

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::failure::Failure;
use crate::native::{LazyHttp, Scripts, StorePlace, TaskPath, TokioClock, unique_holder};
use crate::output::{FORMATS, Format, Paint, print, print_json, print_line, tell};
use crate::{bots, log, talk};

pub(super) const COMMAND: Command = Command {
    name: "task",
    summary: "run a task of several agents",
    help: "\
Usage: cota task run [TASK] [--input TEXT] [--answer STEP=TEXT] [--task-id ID] [--store STORE] [--format text|json]

Runs a task (default: the one in the working directory) to its end, prints what comes of each step and last the report.
A step that asks a person asks on the terminal; where there is none it needs --answer. Without an answer the command ends
with `waiting`, and the same --task-id goes on later. Exits with 1 if the task failed.

  --input TEXT         what the task is given
  --answer STEP=TEXT   answer a step that asks a person; STEP=TEXT,STEP=TEXT answers several
  --task-id ID         the task's name; the same name again goes on with the same task
  --store STORE        where the task is kept: sqlite:PATH, upstash:URL or memory (default: sqlite:.cota/cota.db)
  --format text|json   how the report is printed; json is one line (default: text)
",
    takes: Takes { options: &["input", "answer", "task-id", "store", "format"], switches: &[], words: 2 },
    run,
};

/// How often the log is looked at, in case another process drives the task.
const LOOK: Duration = Duration::from_millis(500);

struct Watch {
    host: Arc<Host>,
    key: ConversationKey,
    answers: Vec<(String, String)>,
    format: Format,
    paint: Paint,
    told: BTreeSet<(String, String)>,
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    log::begin(LevelFilter::ERROR, Format::Text);
    let format = arguments.choice("format", &FORMATS, Format::Text)?;
    let mut words = arguments.words().iter();
    if words.next().map(String::as_str) != Some("run") {
        return Err(Failure::usage("say `cota task run [TASK]`"));
    }
    let place = words.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let path = TaskPath::at(&place).ok_or_else(|| Failure::input(format!("{} is no task: it has no task.yml", place.display())))?;
    let (tasks, opened) = bots::open_tasks(vec![path.clone()], bots::tell_diagnostics)?;
    let opened = opened.into_iter().next().ok_or_else(|| Failure::input("the task does not load"))?;
    let chosen = match &opened.store {
        StoreChoice::Sqlite(file) => StorePlace::Sqlite(path.path().join(file)),
        StoreChoice::Default => StorePlace::default(),
    };
    let place = arguments.store()?.unwrap_or(chosen);
    let (no_bots, _) = bots::open(Vec::new(), bots::tell_diagnostics)?;
    let tasks = Arc::new(tasks);
    let (clock, holder) = (TokioClock::new(), unique_holder());
    let store = place.open(Durability::Normal, &holder).map_err(|error| Failure::service(error.to_string()))?.conversations;
    let scripts = Arc::new(Scripts::new(Arc::clone(&tasks) as _).guarded());
    let effects = Arc::new(StandardEffects::with_scripts(Arc::<LazyHttp>::default(), Arc::new(clock), scripts));
    let company = Arc::new(tasks.beside(Arc::new(no_bots)));
    let id = arguments.option("task-id").map_or_else(|| made_up_id(&holder.0), str::to_owned);
    let key = task_key(&opened.name, &id)?;
    let answers = answers(arguments)?;
    let input = arguments.option("input").unwrap_or_default().to_owned();
    talk::runtime()?.block_on(async {
        let host = talk::host(company, effects, clock, store, holder);
        let taking_up = Arc::clone(&host);
        tokio::spawn(async move { taking_up.watch().await });
        Watch { host, key, answers, format, paint: Paint::for_stdout(), told: BTreeSet::new() }.run(input).await
    })
}

fn made_up_id(holder: &str) -> String {
    holder.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

fn task_key(name: &BotName, id: &str) -> Result<ConversationKey, Failure> {
    talk::key(name, None, id).map_err(|error| Failure::usage(format!("--task-id: {error}")))
}

fn answers(arguments: &Arguments) -> Result<Vec<(String, String)>, Failure> {
    let Some(written) = arguments.option("answer") else { return Ok(Vec::new()) };
    let pair = |text: &str| {
        let (step, answer) = text.split_once('=').ok_or_else(|| Failure::usage("--answer is written STEP=TEXT"))?;
        Ok((step.trim().to_owned(), answer.trim().to_owned()))
    };
    written.split(',').map(pair).collect()
}

impl Watch {
    async fn run(mut self, input: String) -> Result<(), Failure> {
        let mut updates = self.host.subscribe(&self.key, false);
        let before = self.board().await?;
        if !before.has_started() {
            self.send(start_id(), Message::Start(Start { input, report_to: None })).await?;
            if self.format == Format::Text {
                print_line(self.paint.dim(format_args!("task {}", self.key.id)))?;
            }
        }
        loop {
            let report = self.board().await?.report(self.key.id.clone());
            self.show(&report)?;
            match report.state {
                State::Running => {}
                State::Waiting => {
                    if !self.answer(&report).await? {
                        return self.end(&report);
                    }
                    continue;
                }
                State::Done | State::Partial | State::Failed | State::Cancelled => return self.end(&report),
            }
            // Who else drives the task is not heard of here.
            let _ = tokio::time::timeout(LOOK, next_durable(&mut updates)).await;
        }
    }

    async fn board(&self) -> Result<Board, Failure> {
        task::board(self.host.as_ref(), &self.key).await.map_err(|error| Failure::service(error.to_string()))
    }

    async fn send(&self, id: Option<MessageId>, message: Message) -> Result<(), Failure> {
        let service = |error: String| Failure::service(error);
        let sender = SenderId::new(SENDER).map_err(|error| service(error.to_string()))?;
        let message_id = id.ok_or_else(|| Failure::usage("the step's name cannot be one"))?;
        let message = NewMessage { sender, message_id, at: self.host.now(), content: message.into_content() };
        match self.host.send(&self.key, message).await {
            Ok(_) | Err(SendError::IdReused) => Ok(()),
            Err(error) => Err(service(error.to_string())),
        }
    }

    /// Answers every step that asks; says whether there was an answer to give.
    async fn answer(&mut self, report: &Report) -> Result<bool, Failure> {
        let mut answered = false;
        for step in report.steps.iter().filter(|step| step.state == "asking") {
            let given = self.answers.iter().find(|(name, _)| *name == step.name).map(|(_, text)| text.clone());
            let text = match given {
                Some(text) => text,
                None if self.format == Format::Text && io::stdin().is_terminal() => ask(step)?,
                None => continue,
            };
            self.send(answer_id(&step.name), Message::Answer { step: step.name.clone(), text }).await?;
            answered = true;
        }
        if answered {
            // The answer is in the log before long.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(answered)
    }

    /// A line for each step that came to its end, with how far the task is.
    fn show(&mut self, report: &Report) -> Result<(), Failure> {
        if self.format == Format::Json {
            return Ok(());
        }
        let over = |step: &&StepReport| matches!(step.state.as_str(), "done" | "failed" | "skipped" | "cancelled");
        let finished = report.steps.iter().filter(over).count();
        for step in report.steps.iter().filter(|step| step.state != "waiting") {
            if self.told.insert((step.name.clone(), step.state.clone())) {
                print_line(line(step, finished, report.steps.len(), self.paint))?;
            }
        }
        Ok(())
    }

    fn end(&self, report: &Report) -> Result<(), Failure> {
        match self.format {
            Format::Json => print_json(report)?,
            Format::Text => {
                if let Some(error) = &report.error {
                    tell(format_args!("error: {error}"));
                }
                if let Some(result) = report.result.as_ref().filter(|result| !result.is_empty()) {
                    print_line(format_args!("\n{result}"))?;
                }
                let hint = if report.state == State::Waiting {
                    format!(": go on with `cota task run --task-id {} --answer STEP=TEXT`", report.task_id)
                } else {
                    String::new()
                };
                print_line(format_args!("\n{}{hint}", report.state.name()))?;
            }
        }
        if report.state == State::Failed { Err(Failure::Reported) } else { Ok(()) }
    }
}

fn line(step: &StepReport, finished: usize, all: usize, paint: Paint) -> String {
    const WIDTH: usize = 10;
    let full = (finished * WIDTH).checked_div(all).unwrap_or(WIDTH);
    let bar = format!("[{}{}] {finished}/{all}", "#".repeat(full), ".".repeat(WIDTH - full.min(WIDTH)));
    let told = step.result.as_ref().or(step.error.as_ref()).or(step.query.as_ref()).map(String::as_str).unwrap_or_default();
    let told: String = told.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect();
    let state = match step.state.as_str() {
        "done" => paint.green(&step.state),
        "failed" => paint.red(&step.state),
        "asking" | "retrying" | "skipped" => paint.yellow(&step.state),
        _ => paint.dim(&step.state),
    };
    format!("{} {} ({}) {state}: {told}", paint.dim(bar), step.name, step.agent)
}

fn ask(step: &StepReport) -> Result<String, Failure> {
    print(format_args!("{} ", step.query.as_deref().unwrap_or(&step.name)))?;
    let line = io::stdin().lock().lines().next().transpose();
    line.map_err(|error| Failure::input(format!("cannot read the input: {error}"))).map(Option::unwrap_or_default)
}

async fn next_durable(updates: &mut cota_driver::host::Subscription) {
    while let Some(update) = updates.next().await {
        if matches!(update, Update::Durable(_) | Update::Missed | Update::Forgotten) {
            return;
        }
    }
}
