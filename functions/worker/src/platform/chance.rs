use worker::wasm_bindgen::prelude::*;

use cota_gateway::identity::{Chance, NoChance};

#[wasm_bindgen]
extern "C" {
    type Crypto;

    #[wasm_bindgen(thread_local_v2, js_name = crypto)]
    static CRYPTO: Crypto;

    #[wasm_bindgen(method, catch, js_name = getRandomValues)]
    fn get_random_values(this: &Crypto, bytes: &mut [u8]) -> Result<JsValue, JsValue>;
}

/// The platform's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlatformChance;

impl Chance for PlatformChance {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
        CRYPTO.with(|crypto| crypto.get_random_values(bytes)).map(|_| ()).map_err(|_| NoChance)
    }
}

/// A name that nobody else has, and nobody can guess: 32 hexadecimal digits.
pub(crate) fn random_name() -> Result<String, NoChance> {
    let mut bytes = [0; 16];
    PlatformChance.fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
