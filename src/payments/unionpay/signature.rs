//! UnionPay's signature with `signMethod` 01: the digest of the fields, in hexadecimal, is what gets signed, and so digested once more.

use crate::payments::fields::{Fields, signed_text};
use crate::payments::signing::{SigningKey, VerifyingKey, sha256_hex};

const SIGNATURE: &str = "signature";

/// Puts the signature to the fields.
pub fn sign(fields: &mut Fields, key: &SigningKey) {
    let signature = key.sign(digest(fields).as_bytes());
    fields.insert(SIGNATURE.to_owned(), signature);
}

/// Whether the fields have the key's signature.
pub fn fits(fields: &Fields, key: &VerifyingKey) -> bool {
    fields.get(SIGNATURE).is_some_and(|signature| key.verify(digest(fields).as_bytes(), signature))
}

fn digest(fields: &Fields) -> String {
    sha256_hex(signed_text(fields, &[SIGNATURE]).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::fields::fields;
    use crate::payments::keys::parse_signing_key;

    const KEY: &[u8] = include_bytes!("../../../tests/fixtures/wechat_pay/documented_merchant_key.pem");

    #[test]
    fn the_digest_is_taken_twice() {
        let key = parse_signing_key(KEY).unwrap();
        let mut some = fields([("txnType", "01"), ("accessType", "0"), ("orderId", "P1"), ("reqReserved", "")]);
        assert_eq!(digest(&some), sha256_hex(b"accessType=0&orderId=P1&txnType=01"));
        sign(&mut some, &key);
        assert!(fits(&some, &key.verifying_key()));
        let twice = digest(&some);
        assert!(key.verifying_key().verify(twice.as_bytes(), &some["signature"]));
        assert!(!key.verifying_key().verify(b"accessType=0&orderId=P1&txnType=01", &some["signature"]), "once");
    }

    #[test]
    fn a_change_of_any_field_shows() {
        let key = parse_signing_key(KEY).unwrap();
        let mut some = fields([("txnAmt", "100"), ("merId", "777290058110048")]);
        sign(&mut some, &key);
        for (name, value) in [("txnAmt", "1000"), ("merId", "777290058110049"), ("more", "1")] {
            let mut changed = some.clone();
            changed.insert(name.to_owned(), value.to_owned());
            assert!(!fits(&changed, &key.verifying_key()), "{name}");
        }
        some.remove("signature");
        assert!(!fits(&some, &key.verifying_key()));
    }
}
