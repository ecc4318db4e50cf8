//! The site's place at a center: `relay.json` in the data directory, and how it is won.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use canshi_sync::central::secret_hash;
use canshi_sync::chain::Mark;
use canshi_sync::wire::{EnrolAnswer, EnrolRequest};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::{Invitation, Means};
use crate::error::{Error, Result};
use crate::store::keys::{self, Keys, Secret, hex, random_bytes, write_private};
use crate::store::sync;

/// The file's name in the data directory.
pub const FILE_NAME: &str = "relay.json";
/// The credential that is being traded for; it stays until the answer is on the disk, so that a repeat is the same box.
const PENDING: &str = "relay.pending";

/// Where the site belongs, and what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The relay's URL.
    pub relay: String,
    /// Which site this is.
    pub site_id: i64,
    /// The site's name.
    pub name: String,
    /// The epoch of this box.
    pub epoch: String,
    /// The place that the center was at when the epoch began.
    pub base: Mark,
    /// Whether the mirror has to be made equal by a repair first.
    pub loading: bool,
    /// SHA-256 of the code that was traded for it, to know a repeat.
    pub code_hash: String,
    /// What the site shows the relay.
    pub credential: Credential,
    /// The key of the tokens that the relay issues for this site.
    pub relay_key: Secret,
}

/// A site's credential, 64 hexadecimal digits; it never shows itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential(String);

impl Credential {
    /// A new random one.
    ///
    /// # Errors
    /// When the random generator fails.
    pub fn random() -> Result<Self> {
        Ok(Self(hex(&random_bytes::<32>()?)))
    }

    /// The digits, for the Authorization header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

impl Enrolment {
    /// Reads the enrolment of a data directory; none when there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the file is not an enrolment; [`Error::Io`].
    pub fn load(data: &Path) -> Result<Option<Self>> {
        let path = data.join(FILE_NAME);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| Error::Corrupt(format!("{} is not an enrolment: {error}", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the enrolment into a data directory, in the place of an earlier one: all of it or nothing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, data: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::Corrupt(error.to_string()))?;
        let partial = data.join(format!("{FILE_NAME}.partial"));
        remove_if_there(&partial)?;
        write_private(&partial, &text)?;
        fs::rename(&partial, data.join(FILE_NAME))?;
        fs::File::open(data)?.sync_all()?;
        remove_if_there(&data.join(PENDING))
    }

    /// The enrolment that an answer gives.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when its key is not one.
    pub fn of(answer: EnrolAnswer, invitation: &Invitation, credential: Credential) -> Result<Self> {
        let relay_key = Secret::from_base64(&answer.relay_key)
            .ok_or_else(|| Error::Corrupt("the relay's key is not base64".to_owned()))?;
        Ok(Self {
            relay: invitation.relay.clone(),
            site_id: answer.site_id,
            name: answer.name,
            epoch: answer.epoch,
            base: answer.base,
            loading: answer.loading,
            code_hash: secret_hash(&invitation.code),
            credential,
            relay_key,
        })
    }
}

/// The credential to trade a code for: the one that was tried before, or else a new one, on the disk before it is sent.
///
/// # Errors
/// [`Error::Io`].
pub fn pending_credential(data: &Path, code: &str) -> Result<Credential> {
    #[derive(Serialize, Deserialize)]
    struct Pending {
        code: String,
        credential: Credential,
    }
    let path = data.join(PENDING);
    if let Ok(text) = fs::read(&path)
        && let Ok(pending) = serde_json::from_slice::<Pending>(&text)
        && pending.code == code
    {
        return Ok(pending.credential);
    }
    let pending = Pending { code: code.to_owned(), credential: Credential::random()? };
    remove_if_there(&path)?;
    write_private(&path, &serde_json::to_vec(&pending).map_err(|error| Error::Corrupt(error.to_string()))?)?;
    Ok(pending.credential)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Trades a code for a place as a site, and writes the enrolment down, in the place of an earlier one. A running server takes it
/// up by itself. A repeat with the same code gives the same.
///
/// # Errors
/// [`Error::Invalid`] for a code that is not good, or when the box's keys are not the site's; [`Error::Unreachable`] when the relay does not answer.
pub async fn enrol(means: &Means, invitation: &Invitation) -> Result<Enrolment> {
    let code_hash = secret_hash(&invitation.code);
    if let Some(enrolment) = Enrolment::load(&means.data)?
        && enrolment.code_hash == code_hash
    {
        return Ok(enrolment);
    }
    let keys = Keys::load(&means.data.join(keys::FILE_NAME))?;
    let credential = pending_credential(&means.data, &invitation.code)?;
    let client = Client::new(&invitation.relay, None, means.authority.as_deref())?;
    let zone = means.db.zone().name().to_owned();
    let (layouts, tip, complete) = means
        .db
        .read(|tx| {
            let tip = sync::tip(tx)?;
            let mark = sync::mark_at(tx, tip)?;
            let mark = mark.ok_or_else(|| Error::Corrupt("the outbox has a gap".to_owned()))?;
            Ok((sync::layouts(tx)?, mark, sync::is_complete(tx)?))
        })
        .await?;
    let request = EnrolRequest {
        code: invitation.code.clone(),
        credential: credential.reveal().to_owned(),
        time_zone: zone,
        keys: keys.for_another_box()?,
        keys_id: keys_id(&keys),
        token_key: keys.token.to_base64(),
        layouts,
        tip,
        complete,
    };
    let answer: EnrolAnswer = client.ask("enroll", &request).await?;
    let enrolment = Enrolment::of(answer, invitation, credential)?;
    enrolment.save(&means.data)?;
    tracing::info!(site.id = enrolment.site_id, relay = enrolment.relay, "enrolled");
    Ok(enrolment)
}

/// Tells a site's keys from others'.
pub fn keys_id(keys: &Keys) -> String {
    hex(digest(&SHA256, keys.index.as_bytes()).as_ref())
}
