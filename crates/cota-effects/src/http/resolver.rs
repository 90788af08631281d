use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name as HostName};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tower_service::Service as _;

use cota_driver::address::{Reach, check_ip};

/// How a name becomes addresses.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Resolves names and refuses addresses beyond its reach.
///
/// The check has to be here, between the lookup and the connection: a name checked earlier may stand for something else by
/// the time it is connected to.
pub(super) struct CheckedResolver {
    reach: Reach,
    lookup: Lookup,
}

impl CheckedResolver {
    pub(super) fn new(reach: Reach, lookup: Lookup) -> Self {
        Self { reach, lookup }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await?;
            // One bad address spoils the name: which of them is connected to is not ours to say.
            for address in &found {
                check_ip(address.ip(), reach)?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The system's own lookup.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let name: HostName = name.parse().map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
            Ok(GaiResolver::new().call(name).await?.collect())
        })
    })
}
