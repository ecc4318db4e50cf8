//! Access tokens: JWT, HS256, signed with the site's key. The algorithm is ours to choose, never the token's.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::keys::Secret;

/// Who issues the tokens of a site.
const ISSUER: &str = "canshi";

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
}

/// Signs and reads tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// With the site's key.
    pub fn new(secret: &Secret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        // The end is checked by the caller, against the one clock of the site.
        validation.validate_exp = false;
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }

    /// A token for a session.
    pub fn sign(&self, mut claims: Claims) -> Result<String> {
        ISSUER.clone_into(&mut claims.iss);
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|error| Error::Corrupt(format!("a token could not be signed: {error}")))
    }

    /// What a token says, if the site signed it; whether it is still good is for the caller to find out.
    pub fn read(&self, token: &str) -> Option<Claims> {
        decode::<Claims>(token, &self.decoding, &self.validation).ok().map(|token| token.claims)
    }
}
