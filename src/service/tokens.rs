//! Access tokens: JWT, HS256, signed with the key of their issuer, the site or the relay. The algorithm is ours to choose, never the token's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::keys::Secret;

/// Who issues the tokens of a site.
const SITE: &str = "canshi";
/// Who issues the tokens of the mini-program.
const RELAY: &str = "canshi-relay";
/// Who issues the tokens of headquarters.
const HEADQUARTERS: &str = "canshi-hq";

/// What a token says. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The user's id.
    pub sub: i64,
    /// The user's role when it was issued; rights follow the rows, not this.
    pub role: String,
    /// The session.
    pub sid: String,
    /// The token's own id: only the newest of a session is good.
    pub jti: String,
    /// When it was issued.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
    /// The site that it is for, when the relay issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<i64>,
}

/// Who says that he issued a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// A site; which one, the token does not say.
    Site,
    /// The relay, for this site.
    Relay(i64),
    /// Headquarters.
    Headquarters,
}

/// Whom a token names as its issuer, which nobody has checked: only for choosing the key that shall tell.
pub fn claimed_issuer(token: &str) -> Option<Issuer> {
    let payload = token.split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    match (claims.iss.as_str(), claims.site) {
        (SITE, None) => Some(Issuer::Site),
        (RELAY, Some(site)) => Some(Issuer::Relay(site)),
        (HEADQUARTERS, None) => Some(Issuer::Headquarters),
        _ => None,
    }
}

/// Signs and reads the tokens of one issuer for one site.
pub struct Tokens {
    issuer: &'static str,
    site: Option<i64>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// The site's own, with the site's key.
    pub fn of_site(key: &Secret) -> Self {
        Self::new(SITE, None, key)
    }

    /// The relay's for this site, with the key that the two have agreed on.
    pub fn of_relay(key: &Secret, site_id: i64) -> Self {
        Self::new(RELAY, Some(site_id), key)
    }

    /// Those of headquarters, with the key that all relays on one MySQL share.
    pub fn of_headquarters(key: &Secret) -> Self {
        Self::new(HEADQUARTERS, None, key)
    }

    fn new(issuer: &'static str, site: Option<i64>, key: &Secret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        // The end is checked by the caller, against the one clock of the site.
        validation.validate_exp = false;
        Self {
            issuer,
            site,
            encoding: EncodingKey::from_secret(key.as_bytes()),
            decoding: DecodingKey::from_secret(key.as_bytes()),
            validation,
        }
    }

    /// A token that says this, and who issued it for which site.
    pub fn sign(&self, mut claims: Claims) -> Result<String> {
        self.issuer.clone_into(&mut claims.iss);
        claims.site = self.site;
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|error| Error::Corrupt(format!("a token could not be signed: {error}")))
    }

    /// What a token says, if this issuer signed it for this site; whether it is still good is for the caller to find out.
    pub fn read(&self, token: &str) -> Option<Claims> {
        let claims = decode::<Claims>(token, &self.decoding, &self.validation).ok()?.claims;
        (claims.site == self.site).then_some(claims)
    }
}
