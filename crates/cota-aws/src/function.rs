//! What each function begins with: its settings, its secrets, its bots, its store, its host.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use tokio::sync::OnceCell;

use cota_driver::http::HttpSend;
use cota_driver::ledger::{Ledger, MemoryLedger};
use cota_driver::memory::MemoryStore;
use cota_driver::ports::{Bots, Clock};
use cota_driver::store::Store;
use cota_driver::task::Company;
use cota_effects::StandardEffects;
use cota_gateway::limits::{Limiter, Limits, Metered, SharedPlaces, StreamTerms};
use cota_gateway::{Access, Gateway, Options};
use cota_native::{LazyHttp, Trust, unique_holder};
use cota_publish::PublishedBots;
use cota_publish::aws::{Aws, AwsError};
use cota_store_dynamodb::DynamoStore;
use tracing::level_filters::LevelFilter;

use crate::api::STREAM_MS;
use crate::aws::{JsonService, Signed};
use crate::bundles::{Bundles, Reader};
use crate::clock::WallClock;
use crate::connections::{FanOut, Post, Register, Rooms};
use crate::doorbell::{Bells, Queue};
use crate::failure::Failure;
use crate::host::{FunctionHost, Ports, Role};
use crate::invocation::Present;
use crate::meter::Meter;
use crate::runtime::Event;
use crate::secrets::{self, Vaults};
use crate::settings::{Environment, Settings, StorePlace};
use crate::stops::Stops;
use crate::task::Engine;
use crate::{identity, log, published};

/// A function that is ready for its first invocation.
pub(crate) struct Function {
    pub(crate) host: Arc<FunctionHost>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) present: Arc<Present>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where there is a WebSocket API.
    pub(crate) fan_out: Option<FanOut>,
    pub(crate) meter: Arc<Meter>,
    /// The bots, where they change without a deploy.
    published: Option<Arc<PublishedBots>>,
    options: Options,
    /// One for each name that AWS has reached the function under.
    entrances: Mutex<Vec<Entrance>>,
}

/// What a function is reached by under one name. Making the routes takes a third of what a short request does, so they are kept.
#[derive(Clone)]
pub(crate) struct Entrance {
    domain: Option<String>,
    pub(crate) gateway: Gateway,
    pub(crate) routes: Router,
}

/// The names that entrances are kept for: a Function URL, a REST API, and a domain of one's own.
const MOST_NAMES: usize = 8;

/// A function that is got ready when its environment starts, and once more at an invocation where that failed.
pub(crate) struct Opening {
    role: Role,
    function: OnceCell<Function>,
}

impl Opening {
    /// Begins to get ready; a failure is logged, and told at the first invocation.
    pub(crate) async fn begin(role: Role) -> Self {
        let opening = Self { role, function: OnceCell::new() };
        if let Err(failure) = opening.function().await {
            log::begin(LevelFilter::INFO);
            tracing::error!(kind = failure.kind(), error = %failure, "the function is not ready");
        }
        opening
    }

    /// The function.
    pub(crate) async fn function(&self) -> Result<&Function, Failure> {
        self.function.get_or_try_init(|| Function::open(self.role)).await
    }
}

impl Function {
    /// Gets everything ready.
    pub(crate) async fn open(role: Role) -> Result<Self, Failure> {
        let mut environment = Environment::of_process();
        let clock: Arc<dyn Clock> = Arc::new(WallClock::default());
        let http: Arc<dyn HttpSend> = Arc::new(LazyHttp::trusting(Trust::Mozilla));
        let aws = Services::of(&environment, &http, &clock);
        let aws = || aws.as_ref().map_err(|missing| Failure::Settings(missing.to_string()));
        if secrets::are_referred_to(&environment) {
            let vaults = aws()?.vaults()?;
            secrets::resolve(&mut environment, &vaults).await?;
        }
        let settings = Settings::of(&environment)?;
        log::begin(settings.log_level);
        let present = Arc::new(Present::new(settings.turn));
        let Stores { store, ledger, rooms, meter } = stores(&settings, &http)?;
        let queue = settings.queue.clone().map(|url| aws()?.queue(url)).transpose()?;
        let bells = Bells::new(queue, Arc::clone(&present), Arc::clone(&clock));
        let holder = unique_holder();
        let places = settings.limits.identity.connections.map(|most| {
            let streams = StreamTerms { instance: holder.0.clone(), longest_ms: STREAM_MS };
            SharedPlaces::new(most, streams, Arc::clone(&ledger), Arc::clone(&clock), Arc::clone(&present) as _)
        });
        let fan_out = match settings.connections.clone() {
            None => None,
            Some(endpoint) => Some(FanOut {
                register: Register::new(Arc::clone(&ledger), Arc::clone(&clock), places.clone()),
                rooms,
                post: Post::new(aws()?.signed(), endpoint, Arc::clone(&clock)),
                store: Arc::clone(&store),
                clock: Arc::clone(&clock),
                present: Arc::clone(&present),
            }),
        };
        let environment = Arc::new(environment);
        let effects = Arc::new(StandardEffects::new(Arc::clone(&http), Arc::clone(&clock)));
        let talks = role != Role::Accepts;
        let reader =
            Reader { environment: Arc::clone(&environment), budget_ms: present.budget_ms(), effects: talks.then(|| Arc::clone(&effects)) };
        let mut bundles = match &settings.bundles {
            Some(folder) => Bundles::open(folder, &reader)?,
            None => Bundles::built_in(&reader)?,
        };
        let tasks = bundles.take_tasks();
        let bundles = Arc::new(bundles);
        let published = match &settings.published {
            Some(place) => Some(Arc::new(published::open(place, &bundles, reader, &http, &clock)?)),
            None => None,
        };
        let bots = published.clone().map_or_else(|| bundles as Arc<dyn Bots>, |published| published as _);
        let engine = match settings.state_machine.clone() {
            None => None,
            Some(machine) => Some(Engine {
                states: aws()?.states()?,
                machine,
                store: Arc::clone(&store),
                ledger: Arc::clone(&ledger),
                clock: Arc::clone(&clock),
            }),
        };
        let stops = Stops { ledger: Arc::clone(&ledger), clock: Arc::clone(&clock) };
        let limiter = limiter(settings.limits, &ledger, &clock, places);
        let access = identity::access(&environment, ledger, Arc::clone(&clock), http)?;
        if matches!(access, Access::Off) {
            tracing::warn!("callers are not identified: everybody may read and write every conversation");
        }
        let options = Options {
            access,
            hosts: settings.hosts,
            request_ms: present.budget_ms(),
            limiter: Arc::clone(&limiter),
            address_header: settings.address_header,
            ..Options::new(Arc::clone(&clock), holder.0.clone())
        };
        let host = FunctionHost::new(Ports {
            store,
            effects: Metered::over(effects, &limiter),
            clock: Arc::clone(&clock),
            bots: Arc::new(Company::new(bots, tasks)),
            holder,
            bells: Arc::clone(&bells),
            present: Arc::clone(&present),
            fan_out: fan_out.clone(),
            engine,
            stops,
            role,
        });
        Ok(Self { host, bells, present, clock, fan_out, meter: Arc::new(meter), published, options, entrances: Mutex::default() })
    }

    /// An invocation begins: with the bots as they are published by now.
    pub(crate) async fn begin(&self, event: &Event) {
        let now = self.clock.now();
        self.present.begin(&event.request, now, event.deadline);
        if let Some(published) = &self.published {
            published.look(now).await;
        }
    }

    /// How callers are known.
    pub(crate) fn access(&self) -> &Access {
        &self.options.access
    }

    /// The way into a function that AWS has reached under this name: pages of it may use it.
    pub(crate) fn entrance(&self, domain: Option<&str>) -> Entrance {
        let mut entrances = self.entrances.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entrance) = entrances.iter().find(|entrance| entrance.domain.as_deref() == domain) {
            return entrance.clone();
        }
        let mut options = self.options.clone();
        options.instance = format!("{}-{}", entrances.len(), options.instance);
        options.hosts.extend(domain.map(str::to_owned));
        let gateway = Gateway::new(Arc::clone(&self.host) as _, options);
        let entrance = Entrance { domain: domain.map(str::to_owned), routes: gateway.router(), gateway };
        if entrances.len() < MOST_NAMES {
            entrances.push(entrance.clone());
        }
        entrance
    }
}

/// Where nothing is limited, nothing is counted.
fn limiter(limits: Limits, ledger: &Arc<dyn Ledger>, clock: &Arc<dyn Clock>, places: Option<SharedPlaces>) -> Arc<Limiter> {
    if limits == Limits::default() {
        return Limiter::none();
    }
    let places = places.map(|places| Arc::new(places) as _);
    Limiter::sharing(limits, Arc::clone(ledger), Arc::clone(clock), places)
}

/// AWS's services, as far as this process may call them.
struct Services {
    aws: Aws,
    signed: Arc<Signed>,
}

impl Services {
    /// Whatever is missing is named.
    fn of(environment: &Environment, http: &Arc<dyn HttpSend>, clock: &Arc<dyn Clock>) -> Result<Self, AwsError> {
        let aws = Aws::of(&|name| environment.get(name))?;
        let signed = Arc::new(Signed::new(Arc::clone(http), Arc::clone(clock), aws.clone()));
        Ok(Self { aws, signed })
    }

    fn signed(&self) -> Arc<Signed> {
        Arc::clone(&self.signed)
    }

    fn endpoint(&self, service: &str) -> Result<url::Url, Failure> {
        self.aws.endpoint(service).map_err(|error| Failure::Settings(error.to_string()))
    }

    fn vaults(&self) -> Result<Vaults, Failure> {
        Ok(Vaults {
            ssm: JsonService::ssm(self.signed(), self.endpoint("ssm")?),
            secrets_manager: JsonService::secrets_manager(self.signed(), self.endpoint("secretsmanager")?),
        })
    }

    fn states(&self) -> Result<JsonService, Failure> {
        Ok(JsonService::states(self.signed(), self.endpoint("states")?))
    }

    fn queue(&self, url: url::Url) -> Result<Queue, Failure> {
        Ok(Queue { sqs: JsonService::sqs(self.signed(), self.endpoint("sqs")?), url })
    }
}

/// What is kept in one place: the conversations, and the small records beside them.
struct Stores {
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    rooms: Rooms,
    meter: Meter,
}

fn stores(settings: &Settings, http: &Arc<dyn HttpSend>) -> Result<Stores, Failure> {
    match &settings.store {
        StorePlace::Memory => {
            let (store, ledger) = (Arc::new(MemoryStore::new()), Arc::<MemoryLedger>::default());
            Ok(Stores { store, ledger, rooms: Rooms::default(), meter: Meter::default() })
        }
        StorePlace::DynamoDb(table) => {
            let client = cota_store_dynamodb::client_from_environment(Arc::clone(http));
            let client = client.map_err(|error| Failure::Settings(error.to_string()))?;
            // A doorbell of the queue is durable itself: nothing need be swept.
            let options = cota_store_dynamodb::Options { retention: settings.retention, sweeps: false };
            let store = Arc::new(DynamoStore::new(client, table, &options));
            let (ledger, rooms) = (Arc::clone(&store) as _, Rooms::of(Arc::clone(&store)));
            Ok(Stores { store: Arc::clone(&store) as _, ledger, rooms, meter: Meter::new(store) })
        }
    }
}
