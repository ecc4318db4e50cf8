//! The key files of the platforms: read, checked, and never shown. What is wrong with one is said with the name of its configuration key,
//! and with nothing of what is in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::{Zeroize as _, Zeroizing};

use super::gateways::BadKey;
use super::signing::{SigningKey, VerifyingKey};

/// Much larger than any key or chain of certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file that only its owner may read; `key` is the configuration's key that names it.
///
/// # Errors
/// [`BadKey`] when it is not there, can't be read, is too large, or others may read it.
pub fn read_private(key: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, BadKey> {
    let mode = fs::metadata(path).map_err(|error| unreadable(key, path, &error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BadKey {
            key,
            problem: format!("others may read {} (mode {mode:o}); it must be 600", path.display()),
        });
    }
    read_public(key, path).map(Zeroizing::new)
}

/// Reads a file that anybody may read.
///
/// # Errors
/// [`BadKey`] when it is not there, can't be read or is too large.
pub fn read_public(key: &'static str, path: &Path) -> Result<Vec<u8>, BadKey> {
    let length = fs::metadata(path).map_err(|error| unreadable(key, path, &error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(BadKey { key, problem: format!("{} is too large to be a key", path.display()) });
    }
    fs::read(path).map_err(|error| unreadable(key, path, &error))
}

/// Reads an RSA private key: PEM or bare Base64, PKCS#8 or PKCS#1.
///
/// # Errors
/// [`BadKey`] as [`read_private`], and when it is no such key.
pub fn signing_key(key: &'static str, path: &Path) -> Result<SigningKey, BadKey> {
    let text = read_private(key, path)?;
    parse_signing_key(&text).map_err(|problem| BadKey { key, problem: format!("{}: {problem}", path.display()) })
}

/// Reads an RSA public key: a PEM or bare Base64 public key, or that of a PEM certificate.
///
/// # Errors
/// [`BadKey`] as [`read_public`], and when it is no such key.
pub fn verifying_key(key: &'static str, path: &Path) -> Result<VerifyingKey, BadKey> {
    let text = read_public(key, path)?;
    parse_verifying_key(&text).map_err(|problem| BadKey { key, problem: format!("{}: {problem}", path.display()) })
}

/// Reads all certificates of a PEM file.
///
/// # Errors
/// [`BadKey`] as [`read_public`], and when it holds none or one that can't be read.
pub fn certificates(key: &'static str, path: &Path) -> Result<Vec<Certificate>, BadKey> {
    let text = read_public(key, path)?;
    parse_certificates(&text).map_err(|problem| BadKey { key, problem: format!("{}: {problem}", path.display()) })
}

/// An X.509 certificate, as it was read.
pub struct Certificate(CertificateDer<'static>);

impl Certificate {
    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// Its parts.
    pub fn parsed(&self) -> X509Certificate<'_> {
        X509Certificate::from_der(&self.0).expect("it was parsed when it was read").1
    }

    /// The RSA key that it certifies.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verifying_key(&self) -> Result<VerifyingKey, String> {
        VerifyingKey::from_der(self.parsed().public_key().raw).ok_or_else(|| NOT_RSA.to_owned())
    }
}

const NOT_RSA: &str = "the public key in it is not an RSA key of at least 2048 bits";

/// Certificates in PEM; at least one.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_certificates(text: &[u8]) -> Result<Vec<Certificate>, String> {
    let mut found = Vec::new();
    for der in CertificateDer::pem_slice_iter(text) {
        let der = der.map_err(|_| "it is not PEM".to_owned())?;
        X509Certificate::from_der(&der).map_err(|_| "it holds a certificate that can't be read".to_owned())?;
        found.push(Certificate(der));
    }
    if found.is_empty() { Err(format!("no certificate is in it{}", instead(text))) } else { Ok(found) }
}

/// An RSA private key: PEM or bare Base64, PKCS#8 or PKCS#1.
///
/// # Errors
/// What is wrong with the text, with nothing of it.
pub fn parse_signing_key(text: &[u8]) -> Result<SigningKey, String> {
    let unusable = || "the private key in it is not an RSA key of at least 2048 bits".to_owned();
    if !text.starts_with(b"-----") && !contains(text, "-----BEGIN") {
        let der = bare(text).ok_or("it is neither PEM nor Base64")?;
        return SigningKey::from_der(&der).ok_or_else(unusable);
    }
    let mut key =
        PrivateKeyDer::from_pem_slice(text).map_err(|_| format!("no private key is in it{}", instead(text)))?;
    let signing = SigningKey::from_der(key.secret_der()).ok_or_else(unusable);
    key.zeroize();
    signing
}

/// An RSA public key: a PEM or bare Base64 public key, or that of a PEM certificate.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_verifying_key(text: &[u8]) -> Result<VerifyingKey, String> {
    let unusable = || NOT_RSA.to_owned();
    if contains(text, "-----BEGIN CERTIFICATE") {
        let all = parse_certificates(text)?;
        return all.first().ok_or_else(unusable)?.verifying_key();
    }
    if !contains(text, "-----BEGIN") {
        let der = bare(text).ok_or("it is neither PEM nor Base64")?;
        return VerifyingKey::from_der(&der).ok_or_else(unusable);
    }
    let key = SubjectPublicKeyInfoDer::from_pem_slice(text)
        .map_err(|_| format!("no public key is in it{}", instead(text)))?;
    VerifyingKey::from_der(&key).ok_or_else(unusable)
}

/// What the file holds instead, where that is one of the usual confusions.
fn instead(text: &[u8]) -> &'static str {
    const KINDS: [(&str, &str); 4] = [
        ("BEGIN ENCRYPTED PRIVATE KEY", "; it holds one that is locked with a password"),
        ("PRIVATE KEY-----", "; it holds a private key"),
        ("BEGIN CERTIFICATE-----", "; it holds a certificate"),
        ("BEGIN PUBLIC KEY-----", "; it holds a public key"),
    ];
    KINDS.iter().find(|(mark, _)| contains(text, mark)).map_or("", |(_, said)| said)
}

fn contains(text: &[u8], mark: &str) -> bool {
    text.windows(mark.len()).any(|window| window == mark.as_bytes())
}

/// The bytes of Base64 with whatever line breaks.
fn bare(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let packed: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
    STANDARD.decode(&*packed).ok().filter(|der| !der.is_empty()).map(Zeroizing::new)
}

fn unreadable(key: &'static str, path: &Path, error: &io::Error) -> BadKey {
    BadKey { key, problem: format!("{} can't be read: {error}", path.display()) }
}
