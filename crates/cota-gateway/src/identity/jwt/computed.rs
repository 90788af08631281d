//! Signatures by this program's own arithmetic.

use async_trait::async_trait;
use p256::ecdsa;
use p256::elliptic_curve::sec1::FromEncodedPoint as _;
use rsa::{BigUint, RsaPublicKey, pkcs1v15};
use sha2::Sha256;
use signature::Verifier as _;

use super::public::{PublicKey, Signatures, VerifyingKey};

/// Checks signatures itself, at once: for targets whose platform does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct ComputedSignatures;

#[async_trait]
impl Signatures for ComputedSignatures {
    async fn ready(&self, key: &PublicKey) -> Option<Box<dyn VerifyingKey>> {
        match key {
            PublicKey::Rsa { modulus, exponent } => {
                let key = RsaPublicKey::new(BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent)).ok()?;
                Some(Box::new(Rs256(pkcs1v15::VerifyingKey::new(key))))
            }
            PublicKey::P256 { x, y } => {
                let point = p256::EncodedPoint::from_affine_coordinates(x.into(), y.into(), false);
                let key = Option::<p256::PublicKey>::from(p256::PublicKey::from_encoded_point(&point))?;
                Some(Box::new(Es256(ecdsa::VerifyingKey::from(key))))
            }
        }
    }
}

struct Rs256(pkcs1v15::VerifyingKey<Sha256>);

#[async_trait]
impl VerifyingKey for Rs256 {
    async fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| self.0.verify(signed, &signature).is_ok())
    }
}

struct Es256(ecdsa::VerifyingKey);

#[async_trait]
impl VerifyingKey for Es256 {
    async fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        ecdsa::Signature::from_slice(signature).is_ok_and(|signature| self.0.verify(signed, &signature).is_ok())
    }
}
