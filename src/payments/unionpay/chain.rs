//! Whom to believe: each answer brings the certificate that it is signed with, which has to be UnionPay's own and to come from its roots.

use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

use crate::domain::time::Instant;
use crate::payments::keys::{Certificate, parse_certificates};
use crate::payments::signing::VerifyingKey;

/// What the name of UnionPay's own certificates holds.
const UNIONPAY: &str = "中国银联股份有限公司";

/// UnionPay's root certificate and the one between it and those that sign.
pub struct Chain {
    root: Certificate,
    middle: Certificate,
}

impl Chain {
    /// The two, which have to belong together.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(root: Certificate, middle: Certificate) -> Result<Self, &'static str> {
        if !is_authority(&root.parsed()) || root.parsed().verify_signature(None).is_err() {
            return Err("it is no root certificate");
        }
        if !is_authority(&middle.parsed()) || !is_issued(&middle.parsed(), &root.parsed()) {
            return Err("it was not issued with unionpay_root_certificate");
        }
        Ok(Self { root, middle })
    }

    /// The key of a certificate that signs for UnionPay at this moment.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn signer(&self, pem: &str, now: Instant) -> Result<VerifyingKey, &'static str> {
        let certificates = parse_certificates(pem.as_bytes()).map_err(|_| "its certificate can't be read")?;
        let [signer] = certificates.as_slice() else { return Err("it has more than one certificate") };
        let parsed = signer.parsed();
        if !is_issued(&parsed, &self.middle.parsed()) {
            return Err("its certificate does not come from UnionPay's root");
        }
        let good = |certificate: &X509Certificate<'_>| {
            ASN1Time::from_timestamp(now.0.div_euclid(1000)).is_ok_and(|now| certificate.validity().is_valid_at(now))
        };
        if ![&parsed, &self.middle.parsed(), &self.root.parsed()].into_iter().all(good) {
            return Err("its certificate is not good at this time");
        }
        let named =
            parsed.subject().iter_common_name().any(|name| name.as_str().is_ok_and(|name| name.contains(UNIONPAY)));
        if !named {
            return Err("its certificate is not UnionPay's own");
        }
        signer.verifying_key().map_err(|_| "its certificate is for no RSA key")
    }
}

fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    certificate.is_ca()
}

fn is_issued(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    certificate.issuer() == issuer.subject() && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256,
    };

    use super::*;

    /// 2026-03-02, within the years of the certificates below.
    const NOW: Instant = Instant(1_772_466_599_000);

    fn named(name: &str, is_authority: bool) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params
    }

    /// Made by a library for servers' certificates, which takes RSA keys from elsewhere only.
    fn key() -> KeyPair {
        let pem = include_str!("../../../tests/fixtures/wechat_pay/documented_merchant_key.pem");
        KeyPair::from_pem_and_sign_algo(pem, &PKCS_RSA_SHA256).unwrap()
    }

    fn read(pem: &str) -> Certificate {
        parse_certificates(pem.as_bytes()).unwrap().remove(0)
    }

    struct Authorities {
        root: Issuer<'static, KeyPair>,
        root_pem: String,
        middle: Issuer<'static, KeyPair>,
        middle_pem: String,
    }

    fn authorities() -> Authorities {
        let (root_key, middle_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root_pem = named("root", true).self_signed(&root_key).unwrap().pem();
        let root = Issuer::new(named("root", true), root_key);
        let middle_pem = named("middle", true).signed_by(&middle_key, &root).unwrap().pem();
        Authorities { root, root_pem, middle: Issuer::new(named("middle", true), middle_key), middle_pem }
    }

    fn signer(name: &str, issuer: &Issuer<'static, KeyPair>) -> String {
        named(name, false).signed_by(&key(), issuer).unwrap().pem()
    }

    const NAME: &str = "041@Z12@中国银联股份有限公司@00010000";

    #[test]
    fn only_a_certificate_of_unionpay_below_its_root_is_believed() {
        let (ours, other) = (authorities(), authorities());
        let chain = Chain::new(read(&ours.root_pem), read(&ours.middle_pem)).ok().unwrap();
        assert!(chain.signer(&signer(NAME, &ours.middle), NOW).is_ok());
        for (pem, why) in [
            (signer(NAME, &other.middle), "does not come from"),
            (signer(NAME, &ours.root), "does not come from"),
            (signer("中国银联", &ours.middle), "not UnionPay's own"),
            (named(NAME, false).self_signed(&key()).unwrap().pem(), "does not come from"),
            (format!("{0}{0}", signer(NAME, &ours.middle)), "more than one"),
            (String::new(), "can't be read"),
        ] {
            let refused = chain.signer(&pem, NOW).err().unwrap_or_default();
            assert!(refused.contains(why), "{refused} / {why}");
        }
    }

    #[test]
    fn a_certificate_is_good_in_its_years_only() {
        let ours = authorities();
        let chain = Chain::new(read(&ours.root_pem), read(&ours.middle_pem)).ok().unwrap();
        let pem = signer(NAME, &ours.middle);
        for now in [Instant(1_735_000_000_000), Instant(1_800_000_000_000), Instant(i64::MAX)] {
            assert_eq!(chain.signer(&pem, now).err(), Some("its certificate is not good at this time"));
        }
    }

    #[test]
    fn the_two_authorities_have_to_belong_together() {
        let (ours, other) = (authorities(), authorities());
        assert!(Chain::new(read(&ours.root_pem), read(&other.middle_pem)).is_err());
        assert!(Chain::new(read(&ours.middle_pem), read(&ours.middle_pem)).is_err());
        assert!(Chain::new(read(&ours.root_pem), read(&signer(NAME, &ours.root))).is_err());
    }
}
