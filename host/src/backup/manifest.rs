//! What a backup says of itself: its first record, with every file in the order in which they
//! follow.

use std::collections::BTreeSet;

use belljar_bundle::Digest;
use jiff::Timestamp;

use super::BackupError;
use super::files::{FILES, Place};

/// The first record.
pub(super) const MANIFEST_NAME: &str = "belljar-backup.json";
/// The last record, which holds the digest of the first: what ends without it is cut off.
pub(super) const TRAILER_NAME: &str = "belljar-backup.end";
/// What the first record says to be.
const FORMAT: &str = "belljar-backup";
/// The form that this program writes, and the newest that it reads.
const FORMAT_VERSION: u64 = 1;
/// Bytes of the first record, which is held in memory. A file takes some 250 of them.
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// Files of one backup.
pub(super) const FILES_MAX: usize = 200_000;

/// The list of a backup.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    format: String,
    format_version: u64,
    /// The version of the program that made it.
    pub server_version: String,
    /// The newest change of the database's tables.
    pub schema: i64,
    /// The moment that it is of.
    pub created: Timestamp,
    /// Versions of models in it.
    pub model_versions: u64,
    files: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Row {
    path: String,
    bytes: u64,
    sha256: Digest,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub(super) place: Place,
    /// Its size.
    pub bytes: u64,
    /// The digest of its content.
    pub sha256: Digest,
}

impl Manifest {
    /// The list of these files.
    pub(super) fn new(
        schema: i64,
        created: Timestamp,
        model_versions: usize,
        members: &[Member],
    ) -> Self {
        let row = |member: &Member| Row {
            path: member.place.to_string(),
            bytes: member.bytes,
            sha256: member.sha256,
        };
        Self {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            created,
            model_versions: model_versions as u64,
            files: members.iter().map(row).collect(),
        }
    }

    /// The text of the record.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Texts and numbers: there is nothing in it that JSON could not say.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Reads a list, whoever has written it, with its files in their order.
    pub(super) fn read(text: &[u8]) -> Result<(Self, Vec<Member>), BackupError> {
        let strange = |reason: String| BackupError::NotABackup(reason);
        // What a newer program writes may have other members.
        #[derive(serde::Deserialize)]
        struct Head {
            format: String,
            format_version: u64,
            #[serde(default)]
            server_version: String,
        }
        let unreadable = |error: serde_json::Error| strange(format!("its list: {error}"));
        let head: Head = serde_json::from_slice(text).map_err(unreadable)?;
        if head.format != FORMAT {
            return Err(strange("its list is that of something else".to_owned()));
        }
        if head.format_version != FORMAT_VERSION {
            return Err(BackupError::Newer {
                found: head.format_version,
                known: FORMAT_VERSION,
                by: head.server_version.escape_debug().take(40).collect(),
            });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(unreadable)?;
        if manifest.files.len() > FILES_MAX {
            return Err(BackupError::TooManyFiles {
                files: manifest.files.len(),
                limit: FILES_MAX,
            });
        }
        let mut members = Vec::with_capacity(manifest.files.len());
        let mut seen = BTreeSet::new();
        for row in &manifest.files {
            let shown = || row.path.escape_debug().take(200).collect::<String>();
            let place = Place::parse(&row.path)
                .ok_or_else(|| strange(format!("\"{}\" is no file of a server", shown())))?;
            if !seen.insert(place.clone()) {
                return Err(strange(format!("\"{}\" is in it twice", shown())));
            }
            if place.content().is_some_and(|digest| digest != row.sha256) {
                return Err(strange(format!("\"{}\" has another digest", shown())));
            }
            members.push(Member {
                place,
                bytes: row.bytes,
                sha256: row.sha256,
            });
        }
        for (name, _) in FILES.iter().filter(|(_, always)| *always) {
            if !seen.contains(&Place::Own(name)) {
                return Err(strange(format!("{name} is not in it")));
            }
        }
        Ok((manifest, members))
    }

    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum: u64, row| sum.saturating_add(row.bytes))
    }
}

impl Member {
    /// Its path in the archive.
    #[must_use]
    pub fn path(&self) -> String {
        self.place.to_string()
    }
}

/// The content of the last record.
pub(super) fn trailer(manifest: &[u8]) -> String {
    format!("{}\n", Digest::of(manifest))
}
