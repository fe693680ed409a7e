//! How work on models fails, and whose fault it is. No status codes here: `http` knows those.

use std::time::Duration;

use belljar_bundle::{BundleError, ByteSize, Digest, ModelId, ModelName};

use super::guest_logs::LogReaders;
use super::status::VersionState;
use crate::auth::Denied;
use crate::db::is_out_of_space;
use crate::limits::OverQuota;

/// Why the registry refused or could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no such model or version, or the caller may not know of it: both read the same,
    /// so that nobody can probe for the names of others' models. The caller's fault.
    #[error("the model `{reference}` does not exist")]
    NotFound {
        /// The name as asked for, cut to a printable length.
        reference: String,
    },
    /// The model exists and cannot serve now. Try again, or look at its status.
    #[error("{id} {} and cannot serve requests", standing(*state))]
    NotReady {
        /// The version.
        id: ModelId,
        /// The state that it is in.
        state: VersionState,
    },
    /// The model of that name has no active version, and the request named none. The caller's
    /// fault, or that of the author whose version has failed.
    #[error("no version of `{name}` is active: {}", instead(name, failed.as_deref()))]
    NoActiveVersion {
        /// The model.
        name: ModelName,
        /// The newest version, where all have failed.
        failed: Option<Box<FailedVersion>>,
    },
    /// The caller lacks a right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The caller's key is for other models. The caller's fault.
    #[error("this key may not manage the model `{name}`")]
    NameNotAllowed {
        /// The model.
        name: ModelName,
    },
    /// The name and version stand for other content already. The uploader's fault.
    #[error(
        "{id} exists with other content ({stored}, sent {sent}): what a version stands for never \
         changes, so give this content a version of its own"
    )]
    Conflict {
        /// The version. In a box, because it would make every result as large as itself.
        id: Box<ModelId>,
        /// The digest of what is stored.
        stored: Digest,
        /// The digest of what was sent.
        sent: Digest,
    },
    /// The archive, its manifest or its signature is not accepted, or its stream broke off.
    /// [`BundleError::is_host_fault`] says whose fault it is.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The manifest asks for more than this server allows. The uploader's fault.
    #[error(
        "the manifest asks for {asked} of `limits.{limit}`, and this server allows at most {allowed} \
         (`policy.{limit}_max`)"
    )]
    LimitTooHigh {
        /// The key in the manifest's `[limits]`.
        limit: &'static str,
        /// What the manifest says, with its unit.
        asked: String,
        /// What the policy says, with its unit.
        allowed: String,
    },
    /// The server takes no more uploads at once than are going on. Nobody's fault; try again.
    #[error("{limit} uploads are going on, which is as many as this server takes at once")]
    TooManyUploads {
        /// The bound.
        limit: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// The sender sent nothing for too long. The uploader's fault.
    #[error("the upload stalled: nothing arrived for {} s", .waited.as_secs_f32())]
    UploadStalled {
        /// How long the server waited.
        waited: Duration,
    },
    /// The upload as a whole took too long. The uploader's fault.
    #[error("the upload took longer than {} s", .limit.as_secs_f32())]
    UploadTooSlow {
        /// The bound.
        limit: Duration,
    },
    /// The sender sends too slowly. The uploader's fault.
    #[error("the upload came slower than {rate} a second (`models.upload_rate_min`)")]
    UploadBelowRate {
        /// The bound.
        rate: ByteSize,
    },
    /// The uploader went away before everything had arrived; nothing was kept.
    #[error("the upload was broken off")]
    UploadCancelled,
    /// The server keeps as many versions as it may. Remove some.
    #[error("this server keeps at most {limit} versions: remove some first")]
    TooManyVersions {
        /// The bound.
        limit: usize,
    },
    /// The server's files would take more than they may. Remove some versions.
    #[error("the stored models would take {needed} and may take {limit}: remove some first")]
    StoreFull {
        /// The bytes of all stored versions together with this bundle.
        needed: ByteSize,
        /// The bound.
        limit: ByteSize,
    },
    /// The caller's key may store no more.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// The version came with the server, and only a setting removes it.
    #[error(
        "{id} comes with the server: deactivate `{name}`, upload another version, or turn it off \
         with the setting `embedded.{name}`",
        name = .id.name
    )]
    Embedded {
        /// The version.
        id: ModelId,
    },
    /// The version is a recording, which is not run. The caller's fault.
    #[error(
        "{id} is a recording: it answers where `testing` is on, to requests in JSON on the paths \
         that were recorded"
    )]
    Recording {
        /// The version.
        id: ModelId,
    },
    /// Nothing is kept of what models write. The operator's choice.
    #[error("what models write is not kept here (`model_logs.readers` is `none`)")]
    LogsOff,
    /// The caller may not read what a model has written. The operator's choice, or the caller's
    /// fault.
    #[error("{}", who_reads(*readers))]
    LogsDenied {
        /// Who may.
        readers: LogReaders,
    },
    /// The server is stopping.
    #[error("the server is shutting down")]
    Closing,
    /// The host's disk has no room.
    #[error("the server's disk is full")]
    DiskFull {
        /// The reason, for the log only.
        detail: String,
    },
    /// A bug or a shortage of the host.
    #[error("the host could not do its part")]
    Host {
        /// The reason, for the log only.
        detail: String,
    },
}

/// A version that failed, and the code of its failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedVersion {
    /// The version.
    pub id: ModelId,
    /// Stable and for programs, for example `refused_import`.
    pub code: String,
}

fn standing(state: VersionState) -> String {
    match state {
        VersionState::Failed => "has failed".to_owned(),
        other => format!("is {other}"),
    }
}

fn who_reads(readers: LogReaders) -> &'static str {
    match readers {
        LogReaders::Uploader => {
            "what a version writes is read by the key that has uploaded it, and by administrators"
        }
        LogReaders::Administrators | LogReaders::Nobody => {
            "what models write is read by administrators only (`model_logs.readers` is `admin`)"
        }
    }
}

fn instead(name: &ModelName, failed: Option<&FailedVersion>) -> String {
    match failed {
        Some(FailedVersion { id, code }) => format!("{id} has failed ({code})"),
        None => format!("name a version as `{name}@VERSION`, or activate one"),
    }
}

impl ModelError {
    /// A stable name for programs, for example `model_not_found`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "model_not_found",
            Self::NotReady { .. } => "model_not_ready",
            Self::NoActiveVersion { .. } => "model_not_active",
            Self::Denied(_) => "scope_missing",
            Self::NameNotAllowed { .. } => "model_not_allowed",
            Self::Conflict { .. } => "version_conflict",
            Self::Bundle(error) => error.code(),
            Self::LimitTooHigh { .. } => "limit_over_policy",
            Self::TooManyUploads { .. } => "too_many_uploads",
            Self::UploadStalled { .. } => "upload_stalled",
            Self::UploadTooSlow { .. } | Self::UploadBelowRate { .. } => "upload_too_slow",
            Self::UploadCancelled => "upload_cancelled",
            Self::TooManyVersions { .. } => "too_many_versions",
            Self::StoreFull { .. } => "store_full",
            Self::OverQuota(_) => "storage_quota_exceeded",
            Self::Embedded { .. } => "model_is_embedded",
            Self::Recording { .. } => "model_is_recording",
            Self::LogsOff => "model_logs_off",
            Self::LogsDenied { .. } => "model_logs_denied",
            Self::Closing => "shutting_down",
            Self::DiskFull { .. } => "disk_full",
            Self::Host { .. } => "internal_error",
        }
    }

    /// What happened, for whoever has the data directory: with what else only the log may say.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Host { detail } | Self::DiskFull { detail } => detail.clone(),
            _ => self.to_string(),
        }
    }

    /// Whether the host is to blame, so that the message must stay in the log.
    pub fn is_host_fault(&self) -> bool {
        match self {
            Self::Host { .. } | Self::DiskFull { .. } => true,
            Self::Bundle(error) => error.is_host_fault(),
            _ => false,
        }
    }

    /// Whether the host had no room to write.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::DiskFull { .. } => true,
            Self::Bundle(error) => error.is_host_fault() && is_out_of_space(error),
            _ => false,
        }
    }

    /// An error of the host from something that went wrong inside it.
    pub(super) fn host(error: impl std::fmt::Display) -> Self {
        Self::Host {
            detail: error.to_string(),
        }
    }

    /// The refusal of a `reference` to which nothing answers, and which a stranger may have
    /// written.
    pub(super) fn not_found(reference: &str) -> Self {
        const PRINTED_CHARS_MAX: usize = 140;
        let reference = reference
            .chars()
            .take(PRINTED_CHARS_MAX)
            .flat_map(char::escape_debug)
            .collect();
        Self::NotFound { reference }
    }
}

impl From<sqlx::Error> for ModelError {
    fn from(error: sqlx::Error) -> Self {
        if is_out_of_space(&error) {
            return Self::DiskFull {
                detail: format!("database: {error}"),
            };
        }
        Self::host(format_args!("database: {error}"))
    }
}
