//! The HTTP port of `cota-driver`, and with feature `native` its implementation for servers and laptops.

#[cfg(all(feature = "native", not(target_family = "wasm")))]
mod connector;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
mod line;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
mod native;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
mod pool;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
mod resolver;

pub use cota_driver::http::{BodyStream, HttpError, HttpRequest, HttpResponse, HttpSend};
#[cfg(all(feature = "native", not(target_family = "wasm")))]
pub use native::{NativeHttp, NativeHttpError, Trust};
