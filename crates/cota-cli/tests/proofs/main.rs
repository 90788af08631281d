//! Proofs of the whole: the real `cota` binary as a process, a scripted model behind a real socket, clients that race, die and
//! misbehave. Each test has a limit of time that only catches a hang.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "what a proof does not expect fails it")]

mod bad_user;
mod crash;
mod streaming;
mod support;

/// What every target promises, on each store.
mod promises {
    use cota_testkit::targets::laptop::Laptop;

    mod on_sqlite {
        cota_testkit::proofs!(super::Laptop::Sqlite);
        cota_testkit::proofs!(rooms: super::Laptop::Sqlite);
    }

    mod on_upstash {
        cota_testkit::proofs!(super::Laptop::Upstash);
    }

    mod on_dynamodb {
        cota_testkit::proofs!(super::Laptop::DynamoDb);
    }
}
