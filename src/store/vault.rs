//! Sealing of sensitive fields: AES-256-GCM, and a keyed index where exact search is needed.
//!
//! A sealed value is `v1.<key id>.<base64 of nonce, ciphertext and tag>`; the associated data is `table.column.id`, so a
//! value that is moved to another row, column or table does not open.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::keys::Keys;
use crate::error::{Error, Result};

const VERSION: &str = "v1";

/// The keys at work.
pub struct Vault {
    current: String,
    keys: BTreeMap<String, RandomizedNonceKey>,
    index: hmac::Key,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("current", &self.current).finish_non_exhaustive()
    }
}

/// Where a sealed value lives.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row.
    pub id: i64,
}

impl Place<'_> {
    fn associated_data(&self) -> String {
        format!("{}.{}.{}", self.table, self.column, self.id)
    }
}

impl Vault {
    /// The vault of these keys.
    pub fn new(keys: &Keys) -> Result<Self> {
        let mut opened = BTreeMap::new();
        for (id, key) in &keys.data {
            let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_bytes())
                .map_err(|_| Error::Corrupt(format!("data key {id} is not 32 bytes")))?;
            opened.insert(id.clone(), key);
        }
        if !opened.contains_key(&keys.current) {
            return Err(Error::Corrupt(format!("the current data key {} is missing", keys.current)));
        }
        Ok(Self {
            current: keys.current.clone(),
            keys: opened,
            index: hmac::Key::new(hmac::HMAC_SHA256, keys.index.as_bytes()),
        })
    }

    /// Seals a text for its place.
    pub fn seal(&self, place: Place<'_>, text: &str) -> Result<String> {
        let key = self.keys.get(&self.current).expect("the constructor checked that the current key is there");
        let mut sealed = text.as_bytes().to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(place.associated_data()), &mut sealed)
            .map_err(|_| Error::Corrupt("a text could not be sealed".to_owned()))?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(format!("{VERSION}.{}.{}", self.current, STANDARD_NO_PAD.encode(whole)))
    }

    /// Opens what [`Vault::seal`] made for the same place.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<String> {
        let corrupt = |what: &str| Error::Corrupt(format!("{}: {what}", place.associated_data()));
        let mut parts = sealed.splitn(3, '.');
        let (Some(VERSION), Some(key_id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(corrupt("not a sealed value"));
        };
        let key = self.keys.get(key_id).ok_or_else(|| corrupt("sealed with an unknown key"))?;
        let mut whole = STANDARD_NO_PAD.decode(encoded).map_err(|_| corrupt("not base64"))?;
        if whole.len() < NONCE_LEN {
            return Err(corrupt("too short"));
        }
        let mut text = whole.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&whole).map_err(|_| corrupt("bad nonce"))?;
        let length = key
            .open_in_place(nonce, Aad::from(place.associated_data()), &mut text)
            .map_err(|_| corrupt("does not open"))?
            .len();
        text.truncate(length);
        String::from_utf8(text).map_err(|_| corrupt("not text"))
    }

    /// The keyed index of a normalised value: equal values have equal indexes, and nothing else can be told from it.
    pub fn index(&self, purpose: &str, value: &str) -> String {
        let tag = hmac::sign(&self.index, format!("{purpose}\0{value}").as_bytes());
        STANDARD_NO_PAD.encode(&tag.as_ref()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { table: "customers", column: "contact", id: 7 };

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let vault = Vault::new(&Keys::generate().expect("random")).expect("valid keys");
        let sealed = vault.seal(PLACE, "13800138000").expect("seals");
        assert!(!sealed.contains("13800138000"));
        assert_ne!(sealed, vault.seal(PLACE, "13800138000").expect("seals"));
        assert_eq!(vault.open(PLACE, &sealed).expect("opens"), "13800138000");
        assert!(vault.open(Place { id: 8, ..PLACE }, &sealed).is_err());
        assert!(vault.open(PLACE, &sealed[..sealed.len() - 2]).is_err());
        assert!(Vault::new(&Keys::generate().expect("random")).expect("valid keys").open(PLACE, &sealed).is_err());
    }
}
