//! The platforms' bills, word for word as they were downloaded: one file each beside the database, for whoever audits the books.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use crate::domain::payments::Channel;
use crate::error::Result;

/// The folder of bills beside the database.
pub const BILLS: &str = "bills";

/// The folder of bills that belongs to a database.
pub fn directory(database: &Path) -> PathBuf {
    database.with_file_name(BILLS)
}

/// Keeps a bill, unless this very file is there; readable for nobody else.
///
/// # Errors
/// When the disk fails.
pub fn keep(directory: &Path, (channel, date, sha256): (Channel, Date, &str), bytes: &[u8]) -> Result<()> {
    let path = directory.join(format!("{}-{date}-{sha256}.bin", channel.as_str()));
    if path.exists() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut partial = path.clone();
    partial.set_extension("partial");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_bill_is_kept_whole_and_for_its_owner_alone() {
        let data = tempfile::tempdir().expect("a directory");
        let bills = directory(&data.path().join("canshi.db"));
        for _ in 0..2 {
            keep(&bills, (Channel::Wechat, date(2026, 3, 2), "abc123"), b"\x1f\x8bbill").expect("is kept");
        }
        let path = data.path().join("bills/wechat-2026-03-02-abc123.bin");
        assert_eq!(fs::read(&path).expect("is there"), b"\x1f\x8bbill");
        assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&bills).expect("is there").count(), 1);
    }
}
