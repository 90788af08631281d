//! Public keys, and the port that checks what they signed.
//!
//! **Key decision: which keys are taken is said here, what they signed is asked of the target.** A target whose platform checks
//! signatures itself carries no arithmetic for it, and yet refuses the same keys as all others.

use async_trait::async_trait;

/// Fewest bytes of an RSA key's modulus (RFC 7518, section 3.3).
const MODULUS_LEAST: usize = 256;
/// Most bytes of it: a check takes time with the cube of them.
const MODULUS_MOST: usize = 512;
/// Bits of an RSA key's exponent, at most; the platforms take no larger ones.
const EXPONENT_BITS: u32 = 33;
/// Bytes of a coordinate on P-256.
const COORDINATE: usize = 32;

/// A public key of a size that tokens may be signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// Of RSA, for RS256: numbers with no zeros before them, the highest byte first.
    Rsa {
        /// 2048 to 4096 bits of it, odd.
        modulus: Vec<u8>,
        /// Odd, and more than 1.
        exponent: Vec<u8>,
    },
    /// A point of the curve P-256, for ES256. Whether it is on the curve is for [`Signatures`] to say.
    P256 {
        /// Its first coordinate.
        x: [u8; COORDINATE],
        /// Its second coordinate.
        y: [u8; COORDINATE],
    },
}

impl PublicKey {
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (number(modulus), number(exponent));
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let is_sized = (MODULUS_LEAST..=MODULUS_MOST).contains(&modulus.len());
        let value = exponent.iter().try_fold(0_u64, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)))?;
        let is_good = is_sized && is_odd(modulus) && is_odd(exponent) && value > 1 && value < 1 << EXPONENT_BITS;
        is_good.then(|| Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    pub(super) fn p256(x: Vec<u8>, y: Vec<u8>) -> Option<Self> {
        Some(Self::P256 { x: x.try_into().ok()?, y: y.try_into().ok()? })
    }
}

/// A number without the zeros before it.
fn number(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// Who checks what public keys signed: the platform, or this program by its own arithmetic.
#[async_trait]
pub trait Signatures: Send + Sync {
    /// This key, ready to check with: RS256 (RSASSA-PKCS1-v1_5) or ES256 (ECDSA), both over SHA-256. `None` when it is none, as a
    /// point that is not on its curve.
    async fn ready(&self, key: &PublicKey) -> Option<Box<dyn VerifyingKey>>;
}

/// A public key that is ready to check with.
#[async_trait]
pub trait VerifyingKey: Send + Sync {
    /// Whether its owner signed this. A signature of the wrong length is none.
    async fn verify(&self, signed: &[u8], signature: &[u8]) -> bool;
}
