//! Logins at the relay: of headquarters' people, and of the sites' users who come by the mini-program.

use canshi_sync::central::CentralError;
use mysql_async::Conn;

use super::center::Center;
use super::store::sessions::{self, Session};
use crate::domain::ids::UserId;
use crate::error::{Error, Result};
use crate::service::auth::REFRESHABLE_MS;
use crate::service::tokens::Claims;
use crate::store::keys::{hex, random_bytes};

const TOKEN_DEAD: Error = Error::Unauthenticated("登录已失效，请重新登录");

impl Center {
    /// A connection to MySQL.
    ///
    /// # Errors
    /// [`Error::Center`].
    pub async fn connection(&self) -> Result<Conn> {
        self.central().connection().await.map_err(|error: CentralError| error.into())
    }

    /// Opens a session for a user of this site, or of headquarters, whose role has this name, and gives its token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the site's credential was taken back; [`Error::Center`].
    pub async fn open_session(&self, site: Option<i64>, user_id: UserId, role: &str) -> Result<String> {
        let claims = self.claims(user_id, role, hex(&random_bytes::<16>()?))?;
        let session = Session { id: claims.sid.clone(), site, user_id, token_id: claims.jti.clone() };
        let token = self.sign(site, claims).await?;
        let mut conn = self.connection().await?;
        sessions::forget_old(&mut conn).await?;
        sessions::insert(&mut conn, &session, self.refreshable_s()).await?;
        Ok(token)
    }

    /// Exchanges the good token of a session, which the guard has read, for a new one.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token is not the good one any more.
    pub(super) async fn refresh(&self, site: Option<i64>, token: &Claims, role: &str) -> Result<String> {
        let user_id = UserId::try_from(token.sub).map_err(|_| TOKEN_DEAD)?;
        let claims = self.claims(user_id, role, token.sid.clone())?;
        let mut conn = self.connection().await?;
        let ids = (token.jti.as_str(), claims.jti.as_str());
        if !sessions::renew(&mut conn, &token.sid, ids, self.refreshable_s()).await? {
            return Err(TOKEN_DEAD);
        }
        drop(conn);
        self.forget_people();
        self.sign(site, claims).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`Error::Center`].
    pub(super) async fn log_out(&self, session_id: &str) -> Result<()> {
        sessions::end(&mut self.connection().await?, session_id).await?;
        self.forget_people();
        Ok(())
    }

    async fn sign(&self, site: Option<i64>, claims: Claims) -> Result<String> {
        match site {
            None => self.headquarters().sign(claims),
            Some(site) => self.site_tokens(site).await?.ok_or(TOKEN_DEAD)?.sign(claims),
        }
    }

    fn refreshable_s(&self) -> i64 {
        i64::from(self.settings().session_minutes) * 60 + REFRESHABLE_MS / 1000
    }

    fn claims(&self, user_id: UserId, role: &str, session_id: String) -> Result<Claims> {
        let seconds = self.now().0 / 1000;
        Ok(Claims {
            iss: String::new(),
            sub: user_id.get(),
            role: role.to_owned(),
            sid: session_id,
            jti: hex(&random_bytes::<16>()?),
            iat: seconds,
            exp: seconds + i64::from(self.settings().session_minutes) * 60,
            site: None,
        })
    }
}
