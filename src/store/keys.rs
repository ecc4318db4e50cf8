//! The site's keys: one file in the data directory, mode 0600, never in the database, a log or a backup of the database.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "keys.json";

/// A secret that never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// 32 random bytes.
    pub fn random() -> Result<Self> {
        Ok(Self(random_bytes::<32>()?.to_vec()))
    }

    /// The secret of this base64 text.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD_NO_PAD.decode(text).ok().map(Self)
    }

    /// The secret as base64, for another machine that is to know it.
    pub fn to_base64(&self) -> String {
        STANDARD_NO_PAD.encode(&self.0)
    }

    /// The bytes, for a cryptographic function.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_base64(&text).ok_or_else(|| serde::de::Error::custom("not base64"))
    }
}

/// Everything secret that a site has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Keys {
    /// The id of the data key that seals new values.
    pub current: String,
    /// Data keys by id; old ones stay to open old values.
    pub data: BTreeMap<String, Secret>,
    /// The key of the blind indexes.
    pub index: Secret,
    /// The key that signs access tokens.
    pub token: Secret,
}

/// What of the keys belongs to the rows and not to the box.
#[derive(Serialize, Deserialize)]
struct Portable {
    current: String,
    data: BTreeMap<String, Secret>,
    index: Secret,
}

impl Keys {
    /// Fresh random keys.
    pub fn generate() -> Result<Self> {
        let id = format!("k{}", hex(&random_bytes::<4>()?));
        Ok(Self {
            data: BTreeMap::from([(id.clone(), Secret::random()?)]),
            current: id,
            index: Secret::random()?,
            token: Secret::random()?,
        })
    }

    /// Reads the keys of a data directory.
    ///
    /// # Errors
    /// [`Error::Io`] when the file is not there or can't be read; [`Error::Corrupt`] when it is not a key file or others may
    /// read it.
    pub fn load(path: &Path) -> Result<Self> {
        let mode = fs::metadata(path)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Corrupt(format!("{} has mode {mode:o}; it must be 600", path.display())));
        }
        serde_json::from_slice(&fs::read(path)?)
            .map_err(|error| Error::Corrupt(format!("{} is not a key file: {error}", path.display())))
    }

    /// The text that another box of the same site needs: all but the key of this box's own tokens.
    pub fn for_another_box(&self) -> Result<String> {
        let portable = Portable { current: self.current.clone(), data: self.data.clone(), index: self.index.clone() };
        serde_json::to_string(&portable).map_err(|error| Error::Corrupt(error.to_string()))
    }

    /// The keys of another box of the same site, with a token key of this box's own.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the text is not what [`Keys::for_another_box`] gives.
    pub fn of_another_box(text: &str) -> Result<Self> {
        let Portable { current, data, index } = serde_json::from_str(text)
            .map_err(|error| Error::Corrupt(format!("the keys of the other box can't be read: {error}")))?;
        Ok(Self { current, data, index, token: Secret::random()? })
    }

    /// Writes the keys where there are none yet, and to the disk.
    pub fn save_new(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::Corrupt(error.to_string()))?;
        write_private(path, &text)
    }

    /// The keys of a data directory, made on the first start.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        match Self::load(path) {
            Err(Error::Io(error)) if error.kind() == ErrorKind::NotFound => {
                let keys = Self::generate()?;
                keys.save_new(path)?;
                Ok(keys)
            }
            other => other,
        }
    }
}

/// Writes a new file that only its owner may read, and to the disk.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Random bytes from the system's generator.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Corrupt("the random generator failed".to_owned()))?;
    Ok(bytes)
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
