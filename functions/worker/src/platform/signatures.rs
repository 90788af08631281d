//! Signatures of public keys, which the platform checks: the other side of `js/signatures.js`.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::Promise;
use worker::send::{SendFuture, SendWrapper};
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::JsFuture;

use cota_gateway::identity::{PublicKey, Signatures, VerifyingKey};

#[wasm_bindgen(module = "/src/js/signatures.js")]
extern "C" {
    fn rsa(n: &str, e: &str) -> Promise;
    fn p256(x: &str, y: &str) -> Promise;
    fn signed(key: &JsValue, bytes: &[u8], signature: &[u8]) -> Promise;
}

/// The platform's cryptography.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlatformSignatures;

#[async_trait]
impl Signatures for PlatformSignatures {
    async fn ready(&self, key: &PublicKey) -> Option<Box<dyn VerifyingKey>> {
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let ready = match key {
            PublicKey::Rsa { modulus, exponent } => rsa(&number(modulus), &number(exponent)),
            PublicKey::P256 { x, y } => p256(&number(x), &number(y)),
        };
        let key = SendFuture::new(JsFuture::from(ready)).await.ok()?;
        Some(Box::new(PlatformKey(SendWrapper(key))))
    }
}

/// A key that the platform keeps.
struct PlatformKey(SendWrapper<JsValue>);

#[async_trait]
impl VerifyingKey for PlatformKey {
    async fn verify(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let told = SendFuture::new(JsFuture::from(signed(&self.0.0, bytes, signature))).await;
        told.is_ok_and(|told| told.is_truthy())
    }
}
