//! The names that Alipay has for certificates: an MD5 of the issuer and the serial number.

use x509_parser::objects::oid2abbrev;
use x509_parser::oid_registry::OidRegistry;
use x509_parser::prelude::X509Certificate;

use crate::payments::keys::Certificate;
use crate::payments::signing::md5_hex;

/// The certificates of certificate mode, as requests and answers name them.
pub struct Serials {
    /// The app's own.
    pub app: String,
    /// Alipay's.
    pub alipay: String,
    /// Alipay's roots.
    pub root: String,
}

/// All signatures with RSA: only certificates with one count among the roots.
const RSA_SIGNATURES: &str = "1.2.840.113549.1.1";

/// The name of a certificate; none when its issuer can't be written as text.
pub fn serial(certificate: &Certificate) -> Option<String> {
    let certificate = certificate.parsed();
    let serial = certificate.tbs_certificate.serial.to_string();
    Some(md5_hex(format!("{}{serial}", issuer(&certificate)?).as_bytes()))
}

/// The names of those that are signed with RSA, joined by `_`.
pub fn root_serial(certificates: &[Certificate]) -> Option<String> {
    let with_rsa = certificates.iter().filter(|certificate| {
        certificate.parsed().signature_algorithm.algorithm.to_id_string().starts_with(RSA_SIGNATURES)
    });
    let serials: Vec<String> = with_rsa.map(serial).collect::<Option<_>>()?;
    (!serials.is_empty()).then(|| serials.join("_"))
}

/// The issuer as `CN=..,OU=..,O=..,C=..`: the reverse of how it is encoded.
fn issuer(certificate: &X509Certificate<'_>) -> Option<String> {
    let registry = OidRegistry::default().with_x509();
    let mut parts = Vec::new();
    for attribute in certificate.issuer().iter_attributes() {
        let name = oid2abbrev(attribute.attr_type(), &registry).ok()?;
        parts.push(format!("{name}={}", attribute.as_str().ok()?));
    }
    parts.reverse();
    Some(parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::keys::parse_certificates;

    /// From the tests of the official Node SDK, as are the names.
    const APP: &[u8] = include_bytes!("../../../tests/fixtures/alipay/sdk_app_certificate.pem");
    const ALIPAY: &[u8] = include_bytes!("../../../tests/fixtures/alipay/sdk_alipay_certificate.pem");

    #[test]
    fn published_certificates_have_their_published_names() {
        let name = |pem| serial(&parse_certificates(pem).unwrap()[0]);
        assert_eq!(name(APP).as_deref(), Some("866efef280dec9137a87d047ac446315"));
        assert_eq!(name(ALIPAY).as_deref(), Some("7513daaaa48aa3ba2e4018d84402479c"));
    }

    #[test]
    fn roots_are_joined_and_those_of_another_kind_left_out() {
        let key = rcgen::KeyPair::generate().unwrap();
        let curve = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let file = [APP, b"\n", curve.as_bytes(), b"\n", ALIPAY].concat();
        let joined = "866efef280dec9137a87d047ac446315_7513daaaa48aa3ba2e4018d84402479c";
        assert_eq!(root_serial(&parse_certificates(&file).unwrap()).as_deref(), Some(joined));
        assert_eq!(root_serial(&parse_certificates(curve.as_bytes()).unwrap()), None);
    }
}
