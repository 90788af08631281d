//! `cota shell`: a conversation on the terminal.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;

use cota_core::bot::USER_UTTER;
use cota_core::event::{ActionRecord, Event, EventBody};
use cota_core::ids::MessageId;
use cota_core::turn::Fragment;
use cota_driver::ports::Bots as _;
use cota_effects::StandardEffects;
use cota_store_sqlite::Durability;
use tokio::runtime::Runtime;
use tracing::level_filters::LevelFilter;

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::failure::Failure;
use crate::native::{Folders, LazyHttp, Reload, Scripts, StorePlace, TokioClock, unique_holder};
use crate::output::{Format, Paint, print, print_line, tell};
use crate::talk::{self, Heard, Talk, TalkError};
use crate::{bots, explain, log};

pub(super) const COMMAND: Command = Command {
    name: "shell",
    summary: "talk to a bot on the terminal",
    help: "\
Usage: cota shell [BOT] [--session ID] [--store STORE] [--debug]

Talks to a bot (default: the one in the working directory). Each line is a message; `/stop` or the end of the input
ends the conversation. A change to the bot's files holds from the next message on. With a bot that has a proxy user, an
empty line starts the rehearsal.

  --session ID   keep the conversation under this name, and go on with it the next time
  --store STORE  where to keep it: sqlite:PATH, upstash:URL, dynamodb:TABLE or memory (default with --session: sqlite:.cota/cota.db)
  --debug        show every action, its thought, what chose it and what it took
",
    takes: Takes { options: &["session", "store"], switches: &["debug"], words: 1 },
    run,
};

/// The conversation's name where it is not kept.
const UNKEPT: &str = "shell";

/// Ends the conversation.
const STOP: &str = "/stop";

struct Shell {
    runtime: Runtime,
    folders: Arc<Folders>,
    effects: Arc<StandardEffects>,
    talk: Talk,
    screen: Screen,
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    log::begin(LevelFilter::ERROR, Format::Text);
    let session = arguments.option("session");
    let place = match session {
        Some(_) => arguments.store()?.unwrap_or_default(),
        None => StorePlace::Memory,
    };
    let (folders, _) = bots::open(vec![bots::find_one(&arguments.folder())?], bots::tell_diagnostics)?;
    let folders = Arc::new(folders);
    let (clock, holder) = (TokioClock::new(), unique_holder());
    let store = place.open(Durability::Normal, &holder).map_err(|error| Failure::service(error.to_string()))?.conversations;
    let scripts = Arc::new(Scripts::new(Arc::clone(&folders) as _).guarded());
    let effects = Arc::new(StandardEffects::with_scripts(Arc::<LazyHttp>::default(), Arc::new(clock), scripts));
    let runtime = talk::runtime()?;
    let talk = runtime.block_on(async {
        let name = folders.names().into_iter().next().ok_or_else(|| Failure::input("there is no bot"))?;
        let key = talk::key(&name, None, session.unwrap_or(UNKEPT)).map_err(|error| Failure::usage(format!("--session: {error}")))?;
        let host = talk::host(Arc::clone(&folders) as _, Arc::clone(&effects) as _, clock, store, holder.clone());
        Talk::enter(host, key, &holder).await
    })?;
    let screen = Screen::new(arguments.has("debug"));
    Shell { runtime, folders, effects, talk, screen }.run()
}

impl Shell {
    fn run(mut self) -> Result<(), Failure> {
        let prompts = io::stdin().is_terminal() && io::stdout().is_terminal();
        let mut lines = io::stdin().lock().lines();
        loop {
            if prompts {
                print("> ")?;
            }
            let line = lines.next().transpose().map_err(|error| Failure::input(format!("cannot read the input: {error}")))?;
            match line.as_deref().map(str::trim) {
                None => return if prompts { print_line("") } else { Ok(()) },
                Some(STOP) => return Ok(()),
                Some(text) => self.say(text)?,
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.take_changes();
        let rehearses = self.talk.bot().is_some_and(|bot| bot.settings().use_proxy_user);
        if text.is_empty() && !rehearses {
            return Ok(());
        }
        let Self { runtime, talk, screen, .. } = self;
        let streams = !screen.debug;
        let mut shown = Ok(());
        let mut show = |heard: Heard<'_>| {
            if shown.is_ok() {
                shown = screen.show(heard);
            }
        };
        let said = runtime.block_on(talk.say(text, streams, &mut show));
        shown?;
        match said {
            Ok(()) => Ok(()),
            // The conversation goes on: the next message may be shorter, or the store back.
            Err(TalkError::Refused(error)) => {
                tell(format_args!("error: {error}"));
                Ok(())
            }
            Err(error @ TalkError::Silence) => Err(error.into()),
        }
    }

    /// Talks to the bot as it is on disk now.
    fn take_changes(&self) {
        for (path, reload) in self.folders.reload(&|bot| self.effects.warm(bot)) {
            match reload {
                Reload::Swapped { diagnostics, .. } => bots::tell_diagnostics(path.path(), &diagnostics),
                Reload::Refused { error } => {
                    bots::tell_problems(&error, bots::tell_diagnostics);
                    tell(format_args!("error: {error}; the bot as it was goes on"));
                }
            }
        }
    }
}

/// What is shown of a conversation.
struct Screen {
    paint: Paint,
    debug: bool,
    /// The reply that is being written, and its text so far.
    live: Option<(MessageId, String)>,
    /// The events of the turn at hand, where it is to be explained.
    turn: Vec<Event>,
}

impl Screen {
    fn new(debug: bool) -> Self {
        Self { paint: Paint::for_stdout(), debug, live: None, turn: Vec::new() }
    }

    fn show(&mut self, heard: Heard<'_>) -> Result<(), Failure> {
        match heard {
            Heard::Piece(Fragment::Delta { message_id, offset, text }) => self.write(message_id, *offset, text),
            Heard::Piece(Fragment::Reset { message_id: _ }) => self.take_back(),
            Heard::Event(event) => self.show_event(event),
        }
    }

    /// Goes on with the reply that is being written, or begins it anew where the piece does not go on with what is shown.
    fn write(&mut self, message_id: &MessageId, offset: u32, piece: &str) -> Result<(), Failure> {
        let goes_on = |(id, text): &&mut (MessageId, String)| id == message_id && text.chars().count() == offset as usize;
        if let Some((_, text)) = self.live.as_mut().filter(goes_on) {
            text.push_str(piece);
            return print(piece);
        }
        let before: String = match self.live.take() {
            Some((id, text)) if id == *message_id => text.chars().take(offset as usize).collect(),
            Some(_) | None => String::new(),
        };
        let text = before + piece;
        print(format_args!("{}{text}", self.speaker("bot")))?;
        self.live = Some((message_id.clone(), text));
        Ok(())
    }

    fn take_back(&mut self) -> Result<(), Failure> {
        match self.live.take() {
            Some(_) => print_line(self.paint.dim(" [taken back]")),
            None => Ok(()),
        }
    }

    fn show_event(&mut self, event: &Event) -> Result<(), Failure> {
        if self.debug {
            self.turn.push(event.clone());
        }
        match &event.body {
            EventBody::Action(_) if self.debug => Ok(()),
            EventBody::Action(action) => self.show_action(action),
            EventBody::TurnEnd(_) => self.explain(),
            EventBody::Control(_) | EventBody::Task(_) => Ok(()),
        }
    }

    fn show_action(&mut self, action: &ActionRecord) -> Result<(), Failure> {
        if action.name == USER_UTTER {
            let played = action.result.iter().filter(|item| item.metadata.contains_key("proxy_user"));
            return played.map(|item| &item.text).try_for_each(|text| print_line(format_args!("{}{text}", self.speaker("user"))));
        }
        for item in action.result.iter().filter(|item| item.message_id.is_some()) {
            match self.live.take() {
                Some((id, text)) if item.message_id.as_ref() == Some(&id) && text == item.text => print_line("")?,
                Some(_) => print_line(format_args!("\n{}{}", self.speaker("bot"), item.text))?,
                None => print_line(format_args!("{}{}", self.speaker("bot"), item.text))?,
            }
        }
        Ok(())
    }

    /// The turn that has ended, and then what was said in it.
    fn explain(&mut self) -> Result<(), Failure> {
        let events = std::mem::take(&mut self.turn);
        for turn in explain::turns(&events) {
            print(turn.text(self.paint))?;
        }
        events.iter().filter_map(talk::action).try_for_each(|action| self.show_action(action))
    }

    fn speaker(&self, name: &str) -> String {
        self.paint.green(format_args!("{name}: "))
    }
}
