//! The place of a connection among those that its identity has open.

use futures_util::future::join_all;

use cota_core::ids::{Owner, Timestamp};
use cota_gateway::limits::{NoPlace, SharedPlaces};
use cota_protocol::problem::Problem;

use super::connect::disconnect;
use crate::connections::{ConnectionId, FanOut, LASTING_MS};
use crate::failure::Failure;

/// So long after its beginning, in milliseconds, a connection may not be there yet: an integration has 29 seconds.
const COMING_MS: u64 = 30_000;
/// How many connections are looked at for one that is refused.
const LOOKS: usize = 8;

/// Takes a place for a connection that begins, where they are counted.
pub(super) async fn take(fan_out: &FanOut, id: &ConnectionId, owner: &Owner, since: Timestamp) -> Result<Result<(), Problem>, Failure> {
    let Some(places) = fan_out.register.places() else { return Ok(Ok(())) };
    let until = since.plus_ms(LASTING_MS);
    let open = match places.take(owner, id.as_str(), until).await {
        Ok(()) => return Ok(Ok(())),
        Err(NoPlace::Full { open, .. }) => open,
        Err(refused @ NoPlace::Store(_)) => return Ok(Err(refused.into())),
    };
    clear_away(fan_out, places, owner, &open, since).await?;
    Ok(places.take(owner, id.as_str(), until).await.map_err(Problem::from))
}

/// Gives the place of a connection back that did not come to be.
pub(super) async fn give_back(fan_out: &FanOut, id: &ConnectionId, owner: &Owner) {
    if let Some(places) = fan_out.register.places()
        && let Err(error) = places.give_back(owner, id.as_str()).await
    {
        tracing::warn!(%error, "the place of a connection that did not come to be could not be given back");
    }
}

/// Takes connections off that are gone without a word: the event of their end may be lost. Those that came first are looked at.
async fn clear_away(
    fan_out: &FanOut,
    places: &SharedPlaces,
    owner: &Owner,
    open: &[(String, Timestamp)],
    now: Timestamp,
) -> Result<(), Failure> {
    let oldest = open.iter().filter(|(_, since)| now.since(*since) >= COMING_MS).take(LOOKS);
    let looks = oldest.map(|(name, _)| async {
        let id = ConnectionId::new(name.clone());
        fan_out.post.is_gone(&id).await.then_some(id)
    });
    for id in join_all(looks).await.into_iter().flatten() {
        disconnect(fan_out, &id).await?;
        // Whoever let it in may have died before it was on the register.
        places.give_back(owner, id.as_str()).await?;
    }
    Ok(())
}
