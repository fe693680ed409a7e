//! The one list of what may be in a backup, and where each of it goes in a data directory.

use std::fmt;
use std::path::{Path, PathBuf};

use belljar_bundle::Digest;

use crate::auth::{ADMIN_KEY_FILE, SIGNING_ROOT_FILE};
use crate::db::{DATABASE_FILE, MARK_FILE};
use crate::receipts::RECEIPT_KEY_FILE;

/// Files of their own, in the order in which they stand in a backup, and whether each is in every
/// one.
pub(super) const FILES: [(&str, bool); 8] = [
    (MARK_FILE, true),
    // The settings, where they are in the data directory.
    (SETTINGS_FILE, false),
    (ADMIN_KEY_FILE, false),
    (SIGNING_ROOT_FILE, false),
    (RECEIPT_KEY_FILE, false),
    (DATABASE_FILE, true),
    (AUDIT_HEAD, false),
    (AUDIT_LOG, false),
];

pub(super) const SETTINGS_FILE: &str = "belljar.toml";
pub(super) const AUDIT_HEAD: &str = "audit.head";
pub(super) const AUDIT_LOG: &str = "audit.log";
/// The folder of the store of bundles.
pub(super) const BUNDLES: &str = "bundles";
/// Where in it files are.
const BLOBS: &str = "blobs/sha256";
/// Where in it the folders of bundles are that are kept apart.
const APART: &str = "blobs/apart";
/// Digits of the number of an audit log put aside.
const AUDIT_DIGITS: usize = 12;

/// A file that may be in a backup. Its path can be nothing but one of those that a server makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// One of [`FILES`].
    Own(&'static str),
    /// An audit log put aside, by its number.
    AuditAside(String),
    /// A file of the store of bundles.
    Blob(Digest),
    /// A file in it of a bundle that is kept apart, and which.
    Apart {
        /// The bundle.
        bundle: Digest,
        /// The file.
        file: Digest,
    },
}

impl Place {
    /// The place with that path; none where no server keeps anything there.
    pub(super) fn parse(path: &str) -> Option<Self> {
        if let Some((own, _)) = FILES.iter().find(|(own, _)| *own == path) {
            return Some(Self::Own(own));
        }
        let aside = path
            .strip_prefix(AUDIT_LOG)
            .and_then(|rest| rest.strip_prefix('.'));
        if let Some(number) = aside {
            let is_number = number.len() == AUDIT_DIGITS;
            let is_number = is_number && number.bytes().all(|byte| byte.is_ascii_digit());
            return is_number.then(|| Self::AuditAside(number.to_owned()));
        }
        let (folder, hex) = path.rsplit_once('/')?;
        let file: Digest = format!("sha256:{hex}").parse().ok()?;
        let (_, folder) = folder.rsplit_once('/')?;
        let place = match format!("sha256:{folder}").parse() {
            Ok(bundle) => Self::Apart { bundle, file },
            Err(_) => Self::Blob(file),
        };
        (place.to_string() == path).then_some(place)
    }

    /// The digest that the content of a file with this place has; none where any has its place.
    pub(super) fn content(&self) -> Option<Digest> {
        match self {
            Self::Own(_) | Self::AuditAside(_) => None,
            Self::Blob(file) | Self::Apart { file, .. } => Some(*file),
        }
    }

    /// The file in a data directory.
    pub(super) fn below(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(self.to_string())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(name) => f.write_str(name),
            Self::AuditAside(number) => write!(f, "{AUDIT_LOG}.{number}"),
            Self::Blob(digest) => {
                let hex = digest.hex();
                let shard = hex.get(..2).unwrap_or_default();
                write!(f, "{BUNDLES}/{BLOBS}/{shard}/{hex}")
            }
            Self::Apart { bundle, file } => {
                write!(f, "{BUNDLES}/{APART}/{}/{}", bundle.hex(), file.hex())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_paths_that_a_server_makes_are_places() {
        let blob = Place::Blob(Digest::of(b"x")).to_string();
        let apart = Place::Apart {
            bundle: Digest::of(b"bundle"),
            file: Digest::of(b"x"),
        };
        let apart = apart.to_string();
        for path in [
            "belljar.db",
            "signing.key",
            "audit.log",
            "audit.log.000000000012",
            &blob,
            &apart,
        ] {
            let place = Place::parse(path).unwrap();
            assert_eq!(place.to_string(), path);
        }
        let other_shard = blob.replacen("sha256/2d", "sha256/2e", 1);
        assert_ne!(other_shard, blob);
        for path in [
            "",
            "lock",
            "artefacts.key",
            "artefacts/x.cwasm",
            "../belljar.db",
            "/belljar.db",
            "./belljar.db",
            "belljar.db/",
            "Belljar.db",
            "audit.log.12",
            "audit.log.00000000001x",
            "audit.log.000000000012/x",
            "bundles/blobs/sha256/ab/cd",
            &other_shard,
            &blob.to_uppercase(),
            &apart.to_uppercase(),
            &format!("{apart}/x"),
            &apart.replacen("apart", "sha256", 1),
            &format!("{blob}/x"),
            &format!("x/{blob}"),
        ] {
            assert_eq!(Place::parse(path), None, "{path}");
        }
    }
}
