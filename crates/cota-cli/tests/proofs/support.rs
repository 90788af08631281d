//! What these proofs share with those of every target: the `cota` process, a scripted model, clients.

pub(crate) use cota_testkit::client::{Record, Socket, http, socket};
pub(crate) use cota_testkit::proofs::{model, run};
pub(crate) use cota_testkit::seeds::{scatter, seeds};
pub(crate) use cota_testkit::targets::laptop::{Cota, Store};
