//! How much anybody may have: requests, tokens and connections, for each identity and each address.
//!
//! Rates are counted in the [`Ledger`], or wherever else [`Accounts`] are, so they hold for all processes of a deployment;
//! connections are counted where they are: in the process that has them, by who keeps them through processes, or in the ledger,
//! too, where processes come and go ([`SharedPlaces`]). An identity is the owner of conversations: who a JWT names, or for whom an
//! API key speaks. Who is not identified has the limits of the address alone. Where there is no limit, nothing is asked and nothing
//! is counted.
//!
//! Tokens are known only when they are used: a turn begins as long as there is anything left, and is paid for as it runs. From
//! which address it was asked for is noted in the ledger for that, so it is known wherever the turn runs.

mod accounts;
mod gcra;
mod metered;
mod payers;
mod places;
mod rates;
mod settings;
mod shared;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use cota_core::ids::{Owner, RunId};
use cota_driver::ledger::Ledger;
use cota_driver::ports::Clock;
use cota_protocol::problem::{Code, Problem};

use crate::address::ClientAddress;
use crate::identity::hex;
use crate::respond;

use payers::Payers;
use places::{Place, Places};
use rates::Rates;

pub use accounts::{Accounts, Draw, Refused};
pub use gcra::{NoRate, Rate, Wait};
pub use metered::Metered;
pub use settings::WrongLimit;
pub use shared::{NoPlace, SharedPlaces, StreamTerms};

/// Where the ledger has the states of rates.
const FOLDER: &str = "limit/";
/// When to try a connection again, in seconds: nobody knows when one ends.
const CONNECTION_SECONDS: u64 = 10;

/// How much there is. By default there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For each identity.
    pub identity: Allowance,
    /// For each address.
    pub address: Allowance,
    /// How long a socket or an event stream may be open on which nothing is said, in milliseconds.
    pub idle_ms: Option<u64>,
}

/// What one of them may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Requests, and frames that do something.
    pub requests: Option<Rate>,
    /// Tokens of LLMs.
    pub tokens: Option<Rate>,
    /// Connections that are open at the same time: sockets and event streams.
    pub connections: Option<u32>,
}

/// Keeps to the limits.
pub struct Limiter {
    limits: Limits,
    counting: Option<Counting>,
    places: Places,
    shared: Option<Arc<dyn StreamPlaces>>,
}

/// The places of identities' event streams, where a process does not count them alone. Who needs them hands them in, so that they
/// are a part of no other program.
#[async_trait]
pub trait StreamPlaces: Send + Sync {
    /// Takes a place for an event stream of this owner. It is given back when what this yields is dropped.
    ///
    /// # Errors
    /// When all are taken, or that cannot be told.
    async fn stream(&self, owner: &Owner) -> Result<StreamPlace, Problem>;
}

/// An event stream's place, given back when it is dropped.
pub type StreamPlace = Box<dyn Send + Sync>;

struct Counting {
    accounts: Arc<dyn Accounts>,
    payers: Payers,
    clock: Arc<dyn Clock>,
}

/// Whose share it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    /// An identity's.
    Owner(Owner),
    /// An address'.
    Address(ClientAddress),
}

/// What is counted.
#[derive(Clone, Copy)]
enum Kind {
    Requests,
    Tokens,
    Connections,
}

/// The places that one connection takes, for as long as it lives.
#[derive(Default)]
pub(crate) struct Connected {
    _places: [Option<Place>; 2],
    _shared: Option<StreamPlace>,
}

impl Limiter {
    /// No limit to anything.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Arc::new(Self::counted(Limits::default(), None, None))
    }

    /// These limits, counted in this ledger.
    #[must_use]
    pub fn new(limits: Limits, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::sharing(limits, ledger, clock, None)
    }

    /// These limits, counted in these accounts; the ledger has who pays for which turn.
    #[must_use]
    pub fn over(limits: Limits, accounts: Arc<dyn Accounts>, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let counting = Counting { accounts, payers: Payers::new(ledger), clock };
        Arc::new(Self::counted(limits, Some(counting), None))
    }

    /// These limits, counted in this ledger for processes that come and go: an identity's event streams take these places.
    #[must_use]
    pub fn sharing(limits: Limits, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, places: Option<Arc<dyn StreamPlaces>>) -> Arc<Self> {
        let counting = Counting { accounts: Arc::new(Rates::new(Arc::clone(&ledger))), payers: Payers::new(ledger), clock };
        Arc::new(Self::counted(limits, Some(counting), places))
    }

    fn counted(limits: Limits, counting: Option<Counting>, shared: Option<Arc<dyn StreamPlaces>>) -> Self {
        Self { limits, counting, places: Places::default(), shared }
    }

    /// How long a socket or an event stream may be open on which nothing is said, in milliseconds.
    #[must_use]
    pub fn idle_ms(&self) -> Option<u64> {
        self.limits.idle_ms
    }

    /// Counts a request from this address.
    ///
    /// # Errors
    /// When there were too many.
    pub(crate) async fn request_from(&self, address: Option<ClientAddress>) -> Result<(), Problem> {
        match (address, self.limits.address.requests) {
            (Some(address), Some(rate)) => self.take(Kind::Requests, &address.into(), rate).await,
            (None, _) | (_, None) => Ok(()),
        }
    }

    /// Counts a request of this identity.
    ///
    /// # Errors
    /// When there were too many.
    pub(crate) async fn request_of(&self, owner: &Owner) -> Result<(), Problem> {
        match self.limits.identity.requests {
            Some(rate) if is_identified(owner) => self.take(Kind::Requests, &Who::Owner(owner.clone()), rate).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a turn may begin for this owner, asked for from this address.
    ///
    /// # Errors
    /// When the tokens of either are used up.
    pub(crate) async fn may_spend(&self, owner: &Owner, address: Option<ClientAddress>) -> Result<(), Problem> {
        for (who, rate) in self.payers(owner, address) {
            self.draw(Kind::Tokens, &who, Draw::nothing(rate)).await.map_err(|refused| refuse(refused, Kind::Tokens, &who, rate))?;
        }
        Ok(())
    }

    /// Notes from where a turn is asked for: its tokens are that address', too, wherever it runs.
    pub(crate) async fn note(&self, run: &RunId, address: Option<ClientAddress>) {
        if let (Some(address), Some(_), Some(counting)) = (address, self.limits.address.tokens, &self.counting) {
            let account = place(Kind::Tokens, &address.into());
            counting.payers.note(run.as_str(), account, counting.clock.now()).await;
        }
    }

    /// Takes the places of a connection of this process from this address, and of this identity where it is known already.
    ///
    /// # Errors
    /// When either has too many open.
    pub(crate) fn connect(&self, owner: Option<&Owner>, address: Option<ClientAddress>) -> Result<Connected, Problem> {
        let owner = owner.filter(|owner| is_identified(owner)).map(|owner| Who::Owner(owner.clone()));
        let of_owner = self.enter(owner, self.limits.identity.connections)?;
        let of_address = self.enter(address.map(Who::from), self.limits.address.connections)?;
        Ok(Connected { _places: [of_owner, of_address], _shared: None })
    }

    /// Takes the places of an event stream, wherever connections are counted.
    ///
    /// # Errors
    /// When either has too many open.
    pub(crate) async fn stream(&self, owner: &Owner, address: Option<ClientAddress>) -> Result<Connected, Problem> {
        let Some(shared) = &self.shared else { return self.connect(Some(owner), address) };
        let of_address = self.connect(None, address)?;
        Ok(Connected { _shared: Some(shared.stream(owner).await?), ..of_address })
    }

    /// Whether this identity may open a connection beside those that it has open.
    ///
    /// # Errors
    /// When these are too many already.
    pub(crate) fn has_place(&self, owner: &Owner, open: usize) -> Result<(), Problem> {
        match self.limits.identity.connections {
            Some(most) if is_identified(owner) && open >= most as usize => Err(too_many(Who::Owner(owner.clone()), most)),
            Some(_) | None => Ok(()),
        }
    }

    fn counts_tokens(&self) -> bool {
        self.limits.identity.tokens.or(self.limits.address.tokens).is_some()
    }

    /// Charges the tokens of a call. That it could not be counted keeps nobody from an answer.
    async fn spend(&self, owner: &Owner, run: &str, tokens: u64) {
        let Some(Counting { accounts, payers, clock }) = &self.counting else { return };
        let now = clock.now();
        let of_owner = self.payers(owner, None).map(|(who, rate)| (place(Kind::Tokens, &who), rate));
        let of_address = match self.limits.address.tokens {
            Some(rate) => payers.of(run, now).await.map(|account| (account, rate)),
            None => None,
        };
        for (account, rate) in of_owner.chain(of_address) {
            if let Err(refused) = accounts.draw(&account, Draw::used(rate, tokens), now).await {
                tracing::warn!(?refused, tokens, "tokens could not be counted");
            }
        }
    }

    /// Who pays for the tokens of a turn.
    fn payers(&self, owner: &Owner, address: Option<ClientAddress>) -> impl Iterator<Item = (Who, Rate)> {
        let owner = Some(owner).filter(|owner| is_identified(owner)).cloned().map(Who::Owner);
        let of_owner = owner.zip(self.limits.identity.tokens);
        of_owner.into_iter().chain(address.map(Who::from).zip(self.limits.address.tokens))
    }

    async fn take(&self, kind: Kind, who: &Who, rate: Rate) -> Result<(), Problem> {
        self.draw(kind, who, Draw::one(rate)).await.map_err(|refused| refuse(refused, kind, who, rate))
    }

    async fn draw(&self, kind: Kind, who: &Who, draw: Draw) -> Result<(), Refused> {
        let Some(Counting { accounts, clock, payers: _ }) = &self.counting else { return Ok(()) };
        accounts.draw(&place(kind, who), draw, clock.now()).await
    }

    fn enter(&self, who: Option<Who>, most: Option<u32>) -> Result<Option<Place>, Problem> {
        let Some((who, most)) = who.zip(most) else { return Ok(None) };
        self.places.take(&who, most).map(Some).ok_or_else(|| too_many(who, most))
    }
}

impl From<ClientAddress> for Who {
    fn from(address: ClientAddress) -> Self {
        Self::Address(address.network())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner(_) => "one identity",
            Self::Address(_) => "one address",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Connections => "connections",
        })
    }
}

/// Whether it is one identity, and not everybody who is none.
fn is_identified(owner: &Owner) -> bool {
    *owner != Owner::public()
}

/// Where the ledger has the state. Who it is about is not told; names begin with it, so that a ledger in parts spreads them.
fn place(kind: Kind, who: &Who) -> String {
    let hash = match who {
        Who::Owner(owner) => Sha256::digest(owner.as_str()),
        Who::Address(address) => Sha256::digest(address.0.to_string()),
    };
    let by = match who {
        Who::Owner(_) => "identity",
        Who::Address(_) => "address",
    };
    let hash: String = hex(&hash).chars().take(32).collect();
    format!("{FOLDER}{hash}/{kind}/{by}")
}

fn too_many(who: impl fmt::Display, most: u32) -> Problem {
    let detail = format!("too many connections are open: {who} may have {most}; close one, then try again");
    Problem::new(Code::RateLimited, detail).with("retry_after", CONNECTION_SECONDS)
}

fn refuse(refused: Refused, kind: Kind, who: &Who, rate: Rate) -> Problem {
    match refused {
        Refused::Wait(Wait(ms)) => {
            let seconds = ms.div_ceil(1000).max(1);
            let detail = format!("too many {kind}: {who} may have {} a minute; try again in {seconds} s", rate.per_minute());
            Problem::new(Code::RateLimited, detail).with("retry_after", seconds)
        }
        Refused::Store(error) => respond::unreadable(&error),
    }
}
