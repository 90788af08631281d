//! Bot versions without a deploy: `cota push` publishes one, and whoever serves the bot takes it from the next turn on.
//!
//! A version is a bundle under its digest, and a pointer that says which one is served. This crate holds what both sides
//! share: the pointer, the rules of a reader, and the places. It deploys nothing, and it decides nothing about a conversation:
//! a turn that runs goes on with the version it began with.
//!
//! **Key decision: a reader trusts nothing.** A pointer or bundle that is no JSON, of an unknown form, too large, another bot's,
//! older than what is served, or not what its digest says, changes nothing: the version before goes on, and the log says why.
//!
//! - [`Pointer`]: what is published. [`rules`]: what a reader makes of it.
//! - [`BundleSource`], [`BundleSink`]: the two sides of a place. [`push`]: publishing. [`PublishedBots`]: serving.
//! - [`Place`]: a place by its name. [`kv`], [`s3`], [`dynamodb`]: places over the driver's HTTP port; `aws` signs.
//!
//! A Worker implements [`BundleSource`] on its KV binding with [`Pointer::name_of`] and [`Pointer::bundle_name`].

#[cfg(feature = "aws")]
pub mod aws;
mod bots;
#[cfg(feature = "aws")]
pub mod dynamodb;
#[cfg(any(feature = "aws", feature = "kv"))]
mod exchange;
#[cfg(feature = "kv")]
pub mod kv;
mod place;
mod pointer;
mod push;
pub mod rules;
#[cfg(feature = "aws")]
pub mod s3;
mod source;

pub use bots::{Built, PublishedBots, Reading};
pub use place::{Place, PlaceError};
pub use pointer::Pointer;
pub use push::{PushError, Pushed, push};
pub use source::{BundleSink, BundleSource, SourceError};
