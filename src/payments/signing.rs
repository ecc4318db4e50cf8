//! RSA as the platforms use it: SHA256withRSA (PKCS#1 v1.5) signatures in Base64, and OAEP with SHA-1 for WeChat's sensitive fields;
//! beside it, the digests that their protocols name. It knows nothing of what is signed.

use std::fmt;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

/// A private RSA key.
pub struct SigningKey(RsaKeyPair);

/// A public RSA key.
#[derive(Clone)]
pub struct VerifyingKey {
    key: ParsedPublicKey,
    /// The SubjectPublicKeyInfo, by which two keys are compared.
    der: Vec<u8>,
}

/// The text can't be encrypted: it is longer than the key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long for the key")]
pub struct TooLong;

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(..)")
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for VerifyingKey {}

impl SigningKey {
    /// The key of PKCS#8 or PKCS#1 bytes; none when they are not an RSA key of 2048 to 8192 bits.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).ok().map(Self)
    }

    /// The signature of the message, Base64.
    ///
    /// # Panics
    /// When the machine gives no random numbers for blinding.
    pub fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("the buffer has the length of the modulus");
        STANDARD.encode(signature)
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_der(self.0.public_key().as_ref()).expect("a key pair's public half is a key")
    }
}

impl VerifyingKey {
    /// The key of SubjectPublicKeyInfo or PKCS#1 bytes; none when they are not an RSA key of 2048 to 8192 bits.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).ok()?;
        let der: PublicKeyX509Der<'_> = key.as_der().ok()?;
        let der = der.as_ref().to_vec();
        Some(Self { key, der })
    }

    /// Whether the Base64 signature is the message's; what is not Base64 is none.
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|signature| self.key.verify_sig(message, &signature).is_ok())
    }

    /// The text encrypted with OAEP (SHA-1, MGF1 with SHA-1, no label), Base64.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn encrypt(&self, text: &[u8]) -> Result<String, TooLong> {
        let key = PublicEncryptingKey::from_der(&self.der).map_err(|_| TooLong)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| TooLong)?;
        let mut sealed = vec![0; key.ciphertext_size()];
        let sealed = key.encrypt(&OAEP_SHA1_MGF1SHA1, text, &mut sealed, None).map_err(|_| TooLong)?;
        Ok(STANDARD.encode(sealed))
    }
}

/// 32 characters that nobody can foresee, as the platforms want to see once.
///
/// # Panics
/// When the machine gives no random numbers.
pub fn random_word() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random numbers");
    hex(&bytes)
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&SHA256, bytes).as_ref())
}

/// SHA-1 in lower-case hexadecimal: WeChat's hash of a bill.
pub fn sha1_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
}

/// MD5 in lower-case hexadecimal: Alipay's name of a certificate.
pub fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(b"0123456789abcdef"[usize::from(half)]))
        .collect()
}
