//! `cota run`: bots served over HTTP and WebSocket.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cota_config::StoreChoice;
use cota_driver::host::Host;
use cota_driver::ports::Bots;
use cota_effects::StandardEffects;
use cota_gateway::limits::{Limiter, Metered};
use cota_gateway::{Access, Options};
use cota_publish::Place;
use cota_store_sqlite::Durability;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::bots::Tell;
use crate::failure::Failure;
use crate::identity::IdentitySettings;
use crate::limits::LimitSettings;
use crate::native::{
    Folders, LazyHttp, Opened, OpenedTask, Reload, Scripts, StorePlace, TaskFolders, TaskReload, TokioClock, allow_open_files,
    unique_holder,
};
use crate::output::{FORMATS, Format, print_line};
use crate::{bots, log, published, server, talk};

pub(super) const COMMAND: Command = Command {
    name: "run",
    summary: "serve bots over HTTP and WebSocket",
    help: "\
Usage: cota run [BOT...] [OPTIONS]

Serves bots (default: those in the working directory); the first is the default one. Prints one line with the address
once it accepts connections. A changed bot is served without a restart; after a change with errors the bot as it was
goes on. SIGTERM and SIGINT let the running turns finish.

  --host HOST              where to listen (default: 127.0.0.1)
  --port PORT              0 takes any free one (default: 5005)
  --store STORE            where conversations are kept: sqlite:PATH, upstash:URL (with the variable
                           UPSTASH_REDIS_REST_TOKEN), dynamodb:TABLE (with AWS_REGION and AWS_ACCESS_KEY_ID ...)
                           or memory (default: sqlite:.cota/cota.db)
  --create-table           with dynamodb:TABLE, make the table if there is none
  --published PLACE        serve what `cota push` publishes at kv:NAMESPACE, s3:BUCKET or dynamodb:TABLE; until there is a
                           version, and for bots that are not published, the one of the folder
  --durability LEVEL       normal, or full: what was acknowledged survives a power failure (default: normal)
  --log-level LEVEL        off, error, warn, info, debug or trace (default: info)
  --log-format FORMAT      text or json (default: text)
  --jwks FILE|URL          take JWTs that a key of this JSON Web Key Set has signed (RS256, ES256)
  --jwt-issuer ISS         take only JWTs of this issuer; needed with --jwks
  --jwt-audience AUD       take only JWTs for this audience; needed with --jwks
  --allow-hosts NAMES      names under which this server is reached, and sites whose pages may use it, with commas
  --limit-requests N[:M]   N requests a minute for each identity, at most M at once (default: 600:200)
  --limit-tokens N[:M]     N tokens of LLMs a minute for each identity (default: off)
  --limit-connections N    sockets and event streams of each identity (default: 64)
  --limit-address-requests N[:M], --limit-address-tokens N[:M], --limit-address-connections N
                           the same for each address (default: 6000:2000, off, 1000; all off where only this machine
                           can reach the server)
  --idle-timeout SECONDS   end sockets on which nothing is said for so long (default: 3600; off as the limits above)
  --address-header NAME    the header in which your proxy says from where a request comes, such as X-Forwarded-For
  --insecure-no-identity   identify nobody, whatever keys there are, on an address that others can reach, too: everybody
                           may read and write every conversation

Callers are identified where the store has API keys (`cota key create`), where --jwks is given, and where the variable
COTA_JWT_SECRET has a secret for JWTs (HS256; it has no option, as others can read a command line). Without any of them
only this machine may reach the server, until the first API key is made: it is asked for from then on.

Each option has a variable, such as COTA_PORT; an option comes before its variable, both before endpoints.yml.
",
    takes: Takes {
        options: &[
            "host",
            "port",
            "store",
            "published",
            "durability",
            "log-level",
            "log-format",
            "jwks",
            "jwt-issuer",
            "jwt-audience",
            "allow-hosts",
            "limit-requests",
            "limit-tokens",
            "limit-connections",
            "limit-address-requests",
            "limit-address-tokens",
            "limit-address-connections",
            "idle-timeout",
            "address-header",
        ],
        switches: &["insecure-no-identity", "create-table"],
        words: usize::MAX,
    },
    run,
};

/// Where to listen if nobody says.
const HOST: &str = "127.0.0.1";
/// The port if nobody says.
const PORT: u16 = 5005;
/// How often the bots' folders are looked at.
const LOOK: Duration = Duration::from_millis(700);

/// How often a server that identifies nobody yet looks whether there is an API key.
const LOOK_FOR_KEYS: Duration = Duration::from_secs(2);

/// How bots are to be served.
struct Settings {
    host: String,
    port: u16,
    store: Option<StorePlace>,
    /// Where published versions are.
    published: Option<Place>,
    durability: Durability,
    create_table: bool,
    /// How problems of bots are told.
    tell: Tell,
    identity: IdentitySettings,
    limits: LimitSettings,
    /// Further names of the server and of sites.
    hosts: Vec<String>,
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let level = arguments.parsed("log-level", "off, error, warn, info, debug or trace")?.unwrap_or(LevelFilter::INFO);
    let format = arguments.choice("log-format", &FORMATS, Format::Text)?;
    log::begin(level, format);
    let settings = Settings::of(arguments, format)?;
    let (tasks, places) = bots::split_tasks(arguments.paths());
    let (tasks, opened_tasks) = bots::open_tasks(tasks, settings.tell)?;
    let found = if opened_tasks.is_empty() || !places.is_empty() { bots::find(&places)? } else { Vec::new() };
    let (folders, opened) = bots::open(found, settings.tell)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| talk::no_runtime(&error))?;
    let chosen = store_of(&opened, &opened_tasks);
    runtime.block_on(serve(settings, Arc::new(folders), Arc::new(tasks), chosen))
}

impl Settings {
    fn of(arguments: &Arguments, format: Format) -> Result<Self, Failure> {
        let host = arguments.setting("host").unwrap_or_else(|| HOST.to_owned());
        let port = arguments.parsed("port", "a number from 0 to 65535")?.unwrap_or(PORT);
        let levels = [("normal", Durability::Normal), ("full", Durability::Full)];
        let durability = arguments.choice("durability", &levels, Durability::Normal)?;
        let hosts = arguments.setting("allow-hosts").unwrap_or_default();
        let hosts = hosts.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let tell = match format {
            Format::Text => bots::tell_diagnostics,
            Format::Json => bots::log_diagnostics,
        };
        let (identity, limits) = (IdentitySettings::of(arguments)?, LimitSettings::of(arguments)?);
        let (store, create_table) = (arguments.store()?, arguments.has("create-table"));
        let published = arguments.parsed("published", "kv:NAMESPACE, s3:BUCKET or dynamodb:TABLE")?;
        Ok(Self { host, port, store, published, durability, create_table, tell, identity, limits, hosts })
    }
}

async fn serve(settings: Settings, folders: Arc<Folders>, tasks: Arc<TaskFolders>, chosen: StorePlace) -> Result<(), Failure> {
    let signals = count_signals()?;
    allow_open_files();
    let place = settings.store.unwrap_or(chosen);
    let (clock, holder) = (TokioClock::new(), unique_holder());
    let store = place.open(settings.durability, &holder).map_err(|error| Failure::service(error.to_string()))?;
    place.prepare(settings.create_table, &store).await.map_err(|error| Failure::service(error.to_string()))?;
    let scripts = Arc::new(Scripts::new(Arc::clone(&folders) as _).and(Arc::clone(&tasks) as _).guarded());
    let http = Arc::<LazyHttp>::default();
    let is_private = is_loopback(&settings.host);
    let limiter = Limiter::new(settings.limits.limits(is_private), Arc::clone(&store.ledger), Arc::new(clock));
    let access = settings.identity.access(is_private, store.ledger, Arc::new(clock), Arc::clone(&http) as _).await?;
    let effects = Arc::new(StandardEffects::with_scripts(http, Arc::new(clock), scripts));
    let metered = Metered::over(Arc::clone(&effects) as _, &limiter);
    let published = match &settings.published {
        Some(place) => Some(published::open(place, folders.all(), Arc::clone(&effects)).await?),
        None => None,
    };
    let bots: Arc<dyn Bots> = published.clone().map_or_else(|| Arc::clone(&folders) as _, |published| published as _);
    let company = Arc::new(tasks.beside(bots));
    let host = talk::host(Arc::clone(&company) as _, metered, clock, store.conversations, holder.clone());

    let listener = server::bind(&settings.host, settings.port).await.map_err(|error| Failure::service(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| Failure::service(error.to_string()))?;
    if matches!(access, Access::Off) && !is_private {
        tracing::warn!("callers are not identified: everybody who can reach this address may read and write every conversation");
    }
    tracing::info!(bots = ?company.names(), tasks = ?company.task_names(), store = %place, "serving");
    print_line(format_args!("Listening on http://{address}"))?;
    let mut hosts = settings.hosts;
    hosts.push(settings.host);
    let address_header = settings.limits.address_header;
    let options = Options { access: access.clone(), hosts, limiter, address_header, ..Options::new(Arc::new(clock), holder.0) };
    tokio::spawn(look_for_keys(access));
    let folders = if published.is_some() { None } else { Some(folders) };
    if let Some(published) = published {
        tokio::spawn(published::keep_fresh(published));
    }
    tokio::spawn(keep_fresh(Arc::new(OnDisk { folders, tasks, effects, tell: settings.tell })));
    tokio::spawn(take_up(Arc::clone(&host)));
    tokio::select! {
        () = server::serve(listener, host, options, after(signals.clone(), 1)) => Ok(()),
        () = after(signals, 2) => Err(Failure::service("stopped before the running turns had finished; the next start takes them up")),
    }
}

/// Where the first bot that says so, or else the first task, wants conversations kept.
fn store_of(bots: &[Opened], tasks: &[OpenedTask]) -> StorePlace {
    let bots = bots.iter().map(|bot| (bot.path.path(), &bot.store));
    let mut choices = bots.chain(tasks.iter().map(|task| (task.path.path(), &task.store)));
    let chosen = choices.find_map(|(folder, store)| match store {
        StoreChoice::Sqlite(path) => Some(StorePlace::Sqlite(folder.join(path))),
        StoreChoice::Default => None,
    });
    chosen.unwrap_or_default()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Counts the signals that ask the process to end.
fn count_signals() -> Result<watch::Receiver<u32>, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::service(format!("cannot wait for signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(counted)
}

async fn after(mut signals: watch::Receiver<u32>, count: u32) {
    let _ = signals.wait_for(|counted| *counted >= count).await;
}

/// Takes up what earlier processes left unfinished, as long as the host serves.
async fn take_up(host: Arc<Host>) {
    host.watch().await;
}

/// Notices the first API key, where nobody is identified before there is one.
async fn look_for_keys(access: Access) {
    loop {
        match access.look_for_keys().await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "whether there are API keys could not be looked for"),
        }
        tokio::time::sleep(LOOK_FOR_KEYS).await;
    }
}

/// What is served from folders.
struct OnDisk {
    /// Where no published versions are served.
    folders: Option<Arc<Folders>>,
    tasks: Arc<TaskFolders>,
    effects: Arc<StandardEffects>,
    tell: Tell,
}

/// Gets the bots ready to answer, and serves what changes on disk.
async fn keep_fresh(on_disk: Arc<OnDisk>) {
    let first = Arc::clone(&on_disk);
    let mut looked = tokio::task::spawn_blocking(move || first.warm());
    // A look that panics is logged by the panic itself, and is the last one.
    while looked.await.is_ok() {
        tokio::time::sleep(LOOK).await;
        let on_disk = Arc::clone(&on_disk);
        looked = tokio::task::spawn_blocking(move || on_disk.look());
    }
}

impl OnDisk {
    fn warm(&self) {
        let bots = self.folders.iter().flat_map(|folders| folders.all());
        bots.chain(self.tasks.agents()).for_each(|bot| self.effects.warm(&bot));
    }

    fn look(&self) {
        for (path, reload) in self.folders.iter().flat_map(|folders| folders.reload(&|bot| self.effects.warm(bot))) {
            let folder = path.path().display();
            match reload {
                Reload::Swapped { bot, diagnostics } => {
                    (self.tell)(path.path(), &diagnostics);
                    tracing::info!(bot = bot.name(), %folder, "a changed bot is served from now on");
                }
                Reload::Refused { error } => {
                    bots::tell_problems(&error, self.tell);
                    tracing::error!(%folder, %error, "a change is not served: the bot as it was goes on");
                }
            }
        }
        for (path, reload) in self.tasks.reload(&|bot| self.effects.warm(bot)) {
            let folder = path.path().display();
            match reload {
                TaskReload::Swapped { diagnostics } => {
                    (self.tell)(path.path(), &diagnostics);
                    tracing::info!(%folder, "a changed task is served from now on");
                }
                TaskReload::Refused { error } => {
                    bots::tell_problems_of_task(&error, self.tell);
                    tracing::error!(%folder, %error, "a change is not served: the task as it was goes on");
                }
            }
        }
    }
}
