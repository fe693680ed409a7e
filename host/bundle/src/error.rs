//! [`BundleError`]: every way in which an archive, a project folder or the store can fail, with
//! the values that matter, a stable code for programs, and the answer to whose fault it is.
//! It knows no status codes.

mod place;

use std::io;

use thiserror::Error;

use crate::base::BaseError;
use crate::digest::Digest;
use crate::path::PathError;
use crate::text::did_you_mean;

pub use place::Place;

/// Why a bundle was not taken, made, opened or removed.
///
/// The message says what to change and is fit for the sender's eyes, unless
/// [`is_host_fault`](Self::is_host_fault) says that the failure is ours; such a message may
/// name files of the host and belongs in the log.
#[derive(Debug, Error)]
pub enum BundleError {
    // The stream.
    /// The body could not be read to its end: the sender went away or was cut off.
    #[error("the upload broke off: {source}")]
    SenderBroke {
        /// What the body's reader reported.
        source: io::Error,
    },
    /// There was no body.
    #[error("the archive is empty")]
    Empty,
    /// A known format, but none that is accepted.
    #[error("this is {format}: send a tar, plain or compressed with gzip or zstd")]
    FormatRefused {
        /// What it looks like.
        format: &'static str,
    },
    /// The compressed data is damaged.
    #[error("the {format} stream is damaged: {reason}")]
    DecodeFailed {
        /// `gzip` or `zstd`.
        format: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// Decompression would need more memory than is allowed.
    #[error(
        "the zstd stream needs a window of more than {limit} bytes: compress it without --long \
         and --ultra"
    )]
    WindowTooLarge {
        /// In bytes.
        limit: u64,
    },
    /// Something follows the compressed data.
    #[error("there are bytes after the end of the {format} stream: send exactly one archive")]
    CompressedTrailing {
        /// `gzip` or `zstd`.
        format: &'static str,
    },
    /// The compressed stream is cut into more pieces than any tool cuts it.
    #[error(
        "the archive is made of {format} streams of less than {limit} bytes each: compress it in \
         one piece"
    )]
    SeveralStreams {
        /// `gzip` or `zstd`.
        format: &'static str,
        /// Unpacked bytes a stream, on average.
        limit: u64,
    },
    /// More bytes were sent than allowed.
    #[error("the archive is larger than {limit} bytes as sent")]
    CompressedTooLarge {
        /// In bytes.
        limit: u64,
    },
    /// It unpacks to more bytes than allowed.
    #[error("the archive unpacks to more than {limit} bytes")]
    UnpackedTooLarge {
        /// In bytes.
        limit: u64,
    },
    /// It unpacks to many times its size.
    #[error("the archive unpacks to more than {limit} times its size")]
    RatioTooHigh {
        /// Unpacked bytes a compressed byte.
        limit: u32,
    },

    // The tar.
    /// A refusal, and where in the archive its reason stands.
    #[error("{error} ({place}{advice})", advice = place::advised(.error))]
    At {
        /// What is wrong.
        error: Box<BundleError>,
        /// The entry and its header.
        place: Place,
    },
    /// The stream ended in the middle.
    #[error("the archive is cut off: it ends inside {inside}")]
    Truncated {
        /// Where it ended.
        inside: &'static str,
    },
    /// The stream ended without the two zero blocks that end a tar.
    #[error("the archive has no end marker: it is cut off, or was written incompletely")]
    EndMarkerMissing,
    /// One zero block with something after it.
    #[error("the archive has a single zero block, where two end it")]
    LoneZeroBlock,
    /// Bytes after the end marker.
    #[error("there are bytes after the end of the archive")]
    TrailingGarbage,
    /// More zero bytes after the end marker than any tar writes.
    #[error("there are more than {limit} bytes of padding after the end of the archive")]
    PaddingTooLong {
        /// In bytes.
        limit: u64,
    },
    /// The bytes between a file's end and the next block are not zero.
    #[error("the padding after \"{path}\" is not zero")]
    PaddingNotZero {
        /// The file.
        path: String,
    },
    /// A header's checksum is wrong.
    #[error("a header's checksum is wrong (written {expected}, computed {got}): is this a tar?")]
    Checksum {
        /// As written.
        expected: u64,
        /// As computed.
        got: u64,
    },
    /// Neither a ustar nor a GNU header.
    #[error("a header is of an unknown kind: write the archive as ustar, pax or GNU tar does")]
    HeaderUnknown,
    /// A header's number cannot be read.
    #[error("the header of \"{path}\" has an invalid {field} field")]
    HeaderField {
        /// The entry, as far as it is known.
        path: String,
        /// Which field.
        field: &'static str,
    },
    /// Links, devices and the like.
    #[error("\"{path}\" is {kind}: a bundle holds regular files and directories only")]
    EntryKind {
        /// The entry.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A file with holes.
    #[error("\"{path}\" is a sparse file: write the archive without --sparse")]
    Sparse {
        /// The entry.
        path: String,
    },
    /// A directory that has content.
    #[error("the directory \"{path}\" has {bytes} bytes of content")]
    DirectoryWithContent {
        /// The entry.
        path: String,
        /// As declared.
        bytes: u64,
    },
    /// A path that breaks a rule.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The same path twice.
    #[error("\"{path}\" is in the archive twice")]
    PathDuplicate {
        /// The second one.
        path: String,
    },
    /// Two spellings of one path.
    #[error(
        "\"{path}\" differs from another path only by case or by Unicode form: rename one of them"
    )]
    PathCollision {
        /// The second one.
        path: String,
    },
    /// A path that is both a file and a directory.
    #[error("\"{path}\" is both a file and a directory")]
    PathFileAndDirectory {
        /// The second one.
        path: String,
    },
    /// A pax record for the whole archive that changes what its files are.
    #[error("a global pax header says \"{key}\" for all files")]
    PaxGlobal {
        /// The record's key.
        key: String,
    },
    /// A pax header that cannot be read.
    #[error("a pax header is malformed: {reason}")]
    PaxMalformed {
        /// What is wrong.
        reason: &'static str,
    },
    /// A pax record that changes what the archive means.
    #[error("the pax record \"{key}\" is not allowed")]
    PaxRefused {
        /// The record's key.
        key: String,
    },
    /// An extension header says something else than the header that it belongs to.
    #[error(
        "the {field} of \"{path}\" differs between its header, which has \"{header}\", and its \
         extended header"
    )]
    HeadersDisagree {
        /// As the extension has it.
        path: String,
        /// Which field.
        field: &'static str,
        /// As the header has it.
        header: String,
    },
    /// An extension header over its bound.
    #[error("an extended header is larger than {limit} bytes")]
    ExtensionTooLarge {
        /// In bytes.
        limit: u64,
    },
    /// Two extension headers of a kind for one entry.
    #[error("an entry has two extended headers of the same kind")]
    ExtensionRepeated,
    /// An extension header that belongs to nothing.
    #[error("an extended header is not followed by an entry")]
    ExtensionDangling,
    /// Too many files and directories.
    #[error("the archive has more than {limit} files and directories")]
    TooManyEntries {
        /// Files and directories.
        limit: u32,
    },
    /// A file is too large.
    #[error("\"{path}\" is {bytes} bytes: at most {limit} are allowed")]
    EntryTooLarge {
        /// The file.
        path: String,
        /// As declared.
        bytes: u64,
        /// In bytes.
        limit: u64,
    },
    /// What answers is too large.
    #[error("the {payload} \"{path}\" is {bytes} bytes: at most {limit} are allowed")]
    ComponentTooLarge {
        /// `component` or `recording`.
        payload: &'static str,
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
        /// In bytes.
        limit: u64,
    },
    /// The manifest is too large.
    #[error("model.toml is {bytes} bytes: at most {limit} are allowed")]
    ManifestTooLarge {
        /// As declared.
        bytes: u64,
        /// In bytes.
        limit: u64,
    },

    // The manifest.
    /// No `model.toml` at the root.
    #[error("there is no model.toml at the root of the archive{}", place::found_at(.found))]
    ManifestMissing {
        /// Where one was found instead.
        found: Option<String>,
    },
    /// Not UTF-8.
    #[error("model.toml is not UTF-8")]
    ManifestNotUtf8,
    /// Not TOML.
    #[error("model.toml, line {line}, column {column}: {reason}")]
    ManifestSyntax {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What the parser found.
        reason: String,
    },
    /// A key twice.
    #[error("model.toml, line {line}: the key is there twice")]
    ManifestDuplicateKey {
        /// From 1.
        line: usize,
    },
    /// A key that has no meaning.
    #[error("model.toml: unknown key \"{key}\"{}", did_you_mean(*.nearest))]
    ManifestUnknownKey {
        /// With its table: `limits.memroy`.
        key: String,
        /// The nearest known key of that table.
        nearest: Option<&'static str>,
    },
    /// A key that has to be there.
    #[error("model.toml: the key \"{key}\" is missing{instead}")]
    ManifestMissingKey {
        /// With its table.
        key: String,
        /// What can stand in its place, or nothing.
        instead: &'static str,
    },
    /// A value of the wrong type.
    #[error("model.toml: \"{key}\" must be {expected}, not {got}")]
    ManifestType {
        /// With its table.
        key: String,
        /// What would be right.
        expected: &'static str,
        /// What is there.
        got: &'static str,
    },
    /// A value of the right type that cannot be used.
    #[error("model.toml: \"{key}\": {reason}")]
    ManifestValue {
        /// With its table.
        key: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A schema of another time.
    #[error("model.toml: schema {got} is not known; this version knows: {known}")]
    SchemaUnknown {
        /// As written.
        got: i64,
        /// Separated by commas.
        known: &'static str,
    },
    /// What answers has no digest.
    #[error("model.toml: [digests] does not name \"{path}\", which is what answers")]
    ComponentDigestMissing {
        /// The component.
        path: String,
    },

    // The files against the manifest.
    /// A file that the manifest does not name.
    #[error("\"{path}\" is in the archive, but neither [assets] nor [digests] names it")]
    FileUnnamed {
        /// The file.
        path: String,
    },
    /// A file that the archive does not have.
    #[error(
        "model.toml names \"{path}\", which is not in the archive{}",
        place::left_out(path)
    )]
    FileMissing {
        /// The file.
        path: String,
    },
    /// A file that is not what the manifest says.
    #[error("\"{path}\" has the digest {got}, but model.toml says {expected}")]
    DigestMismatch {
        /// The file.
        path: String,
        /// By the manifest.
        expected: Digest,
        /// By its bytes.
        got: Digest,
    },
    /// The base that it names cannot be used.
    #[error(transparent)]
    Base(Box<BaseError>),

    // The signature.
    /// Policy wants a signature and there is none.
    #[error("the bundle is not signed, and this server takes signed bundles only")]
    SignatureMissing,
    /// A signature by somebody unknown.
    #[error("the bundle is signed by {key}, which this server does not trust")]
    SignatureUntrusted {
        /// The public key.
        key: String,
    },
    /// The signature is not of this manifest.
    #[error("the signature does not fit the manifest: sign the bundle again")]
    SignatureWrong,
    /// A key that cannot be read.
    #[error("not an ed25519 key: {reason}")]
    KeyInvalid {
        /// What is wrong; never the key.
        reason: String,
    },

    // A project folder.
    /// A file of the project is not there or cannot be read.
    #[error("cannot read {path}: {source}{hint}")]
    ProjectFile {
        /// The file, as the project names it.
        path: String,
        /// What the system said.
        source: io::Error,
        /// What to do, or nothing.
        hint: &'static str,
    },
    /// Something in the project cannot be packed.
    #[error("cannot pack {path}: {reason}")]
    ProjectContent {
        /// The file, as the project names it.
        path: String,
        /// What is wrong, and what to change.
        reason: String,
    },
    /// The archive could not be written to where the caller wanted it.
    #[error("cannot write the bundle: {source}")]
    OutputFailed {
        /// What the system said.
        source: io::Error,
    },

    // The store.
    /// No bundle of that digest is stored.
    #[error("no bundle {digest} is stored")]
    BundleUnknown {
        /// Which.
        digest: Digest,
    },
    /// A stored file is not what it was.
    #[error("the stored file {digest} is damaged: {reason}")]
    StoreDamaged {
        /// Which.
        digest: Digest,
        /// In which way.
        reason: String,
    },
    /// No room on the disk, or a quota or limit of ours is used up.
    #[error("the store is full: {action}: {source}")]
    StoreFull {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else that our own disk refused.
    #[error("the store failed: {action}: {source}")]
    StoreFailed {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl BundleError {
    /// A stable name of the failure for programs, in `snake_case`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::At { error, .. } => error.code(),
            Self::SenderBroke { .. } => "upload_broke_off",
            Self::Empty => "archive_empty",
            Self::FormatRefused { .. } => "format_refused",
            Self::DecodeFailed { .. } => "decode_failed",
            Self::WindowTooLarge { .. } => "window_too_large",
            Self::CompressedTrailing { .. } => "compressed_trailing",
            Self::SeveralStreams { .. } => "several_streams",
            Self::CompressedTooLarge { .. } => "compressed_too_large",
            Self::UnpackedTooLarge { .. } => "unpacked_too_large",
            Self::RatioTooHigh { .. } => "ratio_too_high",
            Self::Truncated { .. } => "archive_truncated",
            Self::EndMarkerMissing => "end_marker_missing",
            Self::LoneZeroBlock => "lone_zero_block",
            Self::TrailingGarbage => "trailing_garbage",
            Self::PaddingTooLong { .. } => "padding_too_long",
            Self::PaddingNotZero { .. } => "padding_not_zero",
            Self::Checksum { .. } => "header_checksum",
            Self::HeaderUnknown => "header_unknown",
            Self::HeaderField { .. } => "header_field",
            Self::EntryKind { .. } => "entry_kind",
            Self::Sparse { .. } => "entry_sparse",
            Self::DirectoryWithContent { .. } => "directory_with_content",
            Self::Path(error) => error.rule.code(),
            Self::PathDuplicate { .. } => "path_duplicate",
            Self::PathCollision { .. } => "path_collision",
            Self::PathFileAndDirectory { .. } => "path_file_and_directory",
            Self::PaxGlobal { .. } => "pax_global",
            Self::PaxMalformed { .. } => "pax_malformed",
            Self::PaxRefused { .. } => "pax_refused",
            Self::HeadersDisagree { .. } => "headers_disagree",
            Self::ExtensionTooLarge { .. } => "extension_too_large",
            Self::ExtensionRepeated => "extension_repeated",
            Self::ExtensionDangling => "extension_dangling",
            Self::TooManyEntries { .. } => "too_many_entries",
            Self::EntryTooLarge { .. } => "entry_too_large",
            Self::ComponentTooLarge { .. } => "component_too_large",
            Self::ManifestTooLarge { .. } => "manifest_too_large",
            Self::ManifestMissing { .. } => "manifest_missing",
            Self::ManifestNotUtf8 => "manifest_not_utf8",
            Self::ManifestSyntax { .. } => "manifest_syntax",
            Self::ManifestDuplicateKey { .. } => "manifest_duplicate_key",
            Self::ManifestUnknownKey { .. } => "manifest_unknown_key",
            Self::ManifestMissingKey { .. } => "manifest_missing_key",
            Self::ManifestType { .. } => "manifest_type",
            Self::ManifestValue { .. } => "manifest_value",
            Self::SchemaUnknown { .. } => "schema_unknown",
            Self::ComponentDigestMissing { .. } => "component_digest_missing",
            Self::FileUnnamed { .. } => "file_unnamed",
            Self::FileMissing { .. } => "file_missing",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::Base(error) => error.code(),
            Self::SignatureMissing => "signature_missing",
            Self::SignatureUntrusted { .. } => "signature_untrusted",
            Self::SignatureWrong => "signature_wrong",
            Self::KeyInvalid { .. } => "key_invalid",
            Self::ProjectFile { .. } => "project_file",
            Self::ProjectContent { .. } => "project_content",
            Self::OutputFailed { .. } => "output_failed",
            Self::BundleUnknown { .. } => "bundle_unknown",
            Self::StoreDamaged { .. } => "store_damaged",
            Self::StoreFull { .. } => "store_full",
            Self::StoreFailed { .. } => "store_failed",
        }
    }

    /// Whether the failure is the host's own: its disk, its store, its quota. Everything else
    /// is for the sender (or, when packing, the author) to mend.
    pub fn is_host_fault(&self) -> bool {
        matches!(
            self,
            Self::BundleUnknown { .. }
                | Self::StoreDamaged { .. }
                | Self::StoreFull { .. }
                | Self::StoreFailed { .. }
                | Self::OutputFailed { .. }
        )
    }

    /// Whether the archive is too large in some dimension, as opposed to wrong.
    pub fn is_too_large(&self) -> bool {
        if let Self::At { error, .. } = self {
            return error.is_too_large();
        }
        matches!(
            self,
            Self::WindowTooLarge { .. }
                | Self::CompressedTooLarge { .. }
                | Self::UnpackedTooLarge { .. }
                | Self::RatioTooHigh { .. }
                | Self::TooManyEntries { .. }
                | Self::EntryTooLarge { .. }
                | Self::ComponentTooLarge { .. }
                | Self::ManifestTooLarge { .. }
        )
    }

    /// The same refusal with the place of its reason, if it is one of the archive's own.
    pub(crate) fn at(self, place: &Place) -> Self {
        if self.is_host_fault() || matches!(self, Self::At { .. } | Self::SenderBroke { .. }) {
            return self;
        }
        let mut place = place.clone();
        // Many messages name their file already.
        let message = self.to_string();
        place.name = place
            .name
            .filter(|name| !message.contains(&format!("\"{name}\"")));
        Self::At {
            error: Box::new(self),
            place,
        }
    }

    /// A failure of our own disk: full, or anything else.
    pub(crate) fn store(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            // The disk, the user's quota, or the process's own limit on the size of files.
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::StoreFull { action, source },
            _ => Self::StoreFailed { action, source },
        }
    }
}

impl From<BaseError> for BundleError {
    fn from(error: BaseError) -> Self {
        Self::Base(Box::new(error))
    }
}
