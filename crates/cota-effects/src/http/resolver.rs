use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use cota_driver::address::{Reach, check_ip};

/// How a name becomes addresses.
pub(super) type Lookup = Arc<dyn Fn(Name) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Resolves names and refuses addresses beyond its reach.
///
/// The check has to be here, between the lookup and the connection: a name checked earlier may stand for something else by
/// the time it is connected to.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    reach: Reach,
    lookup: Lookup,
}

impl CheckedResolver {
    pub(super) fn new(reach: Reach, lookup: Lookup) -> Self {
        Self { reach, lookup }
    }
}

impl Service<Name> for CheckedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        let found = (self.lookup)(name);
        Box::pin(async move {
            let found = found.await?;
            // One bad address spoils the name: which of them is connected to is not ours to say.
            for address in &found {
                check_ip(address.ip(), reach)?;
            }
            Ok(found.into_iter())
        })
    }
}

/// The system's own lookup.
pub(super) fn system() -> Lookup {
    Arc::new(|name| Box::pin(async move { Ok(GaiResolver::new().call(name).await?.collect()) }))
}
