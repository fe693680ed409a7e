//! Where in an archive a refusal has its reason, and which option of the tool that wrote it
//! avoids it: what somebody needs to mend an archive that another program made.

use std::fmt;

use crate::error::BundleError;
use crate::path::PathRule;

/// An entry of an archive, and where its header is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The entry's number, from 1. Extended headers count with the entry that they belong to.
    pub entry: u64,
    /// The entry's name, as far as it was known, made safe to print.
    pub name: Option<String>,
    /// The header's first byte, in the tar as it is after decompression.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.entry)?;
        if let Some(name) = &self.name {
            write!(f, ", \"{name}\"")?;
        }
        write!(f, ", header at byte {} of the tar", self.offset)
    }
}

impl BundleError {
    /// The option of the tool that wrote the archive, or another way of writing it, with which
    /// this refusal would not have come. `None` where the message says it, or nothing helps.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::At { error, .. } => return error.advice(),
            Self::CompressedTrailing { .. } => {
                "compress the tar anew, and append nothing to the compressed file"
            }
            Self::TrailingGarbage | Self::LoneZeroBlock => {
                "write the archive anew instead of appending to it with cat or `tar -A`"
            }
            Self::PaddingTooLong { .. } => "GNU tar: `--blocking-factor=20`",
            Self::HeaderUnknown => "tar: `--format=ustar` or `--format=pax`; cpio: `-H ustar`",
            Self::HeaderField { .. } => "tar: `--format=pax`; GNU tar: `--numeric-owner`",
            Self::EntryKind { kind, .. } => kind_advice(kind)?,
            Self::Sparse { .. } => "GNU tar: without `--sparse` (`-S`); bsdtar: `--no-read-sparse`",
            Self::DirectoryWithContent { .. } => "tar: `--format=pax`",
            Self::Path(error) => path_advice(error.rule)?,
            Self::PathDuplicate { .. } => {
                "name each file once, and write the archive anew instead of updating it with \
                 `tar -r` or `tar -u`"
            }
            Self::PaxGlobal { .. } => {
                "GNU tar: without `--pax-option=globexthdr`; Python: without `pax_headers=`"
            }
            Self::PaxRefused { key } if key.starts_with("GNU.sparse") => {
                "GNU tar: without `--sparse` (`-S`); bsdtar: `--no-read-sparse`"
            }
            Self::PaxRefused { key } if key == "hdrcharset" => {
                "bsdtar: `--options pax:hdrcharset=UTF-8`; pax: without `-o hdrcharset=`"
            }
            Self::PaxRefused { .. } => "GNU tar: `--pax-option=delete=KEY`",
            Self::HeadersDisagree { .. } => "tar: `--format=pax` or `--format=gnu`",
            Self::ExtensionTooLarge { .. } => {
                "tar: `--no-xattrs --no-acls`; GNU tar also `--no-selinux`"
            }
            Self::ExtensionRepeated | Self::ExtensionDangling => "tar: `--format=pax`",
            Self::FileUnnamed { .. } => {
                "tar: `--exclude`; `belljar pack` packs what model.toml names and nothing else"
            }
            _ => return None,
        })
    }
}

fn kind_advice(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "a symbolic link" | "a GNU long link name" => {
            "GNU tar: `--dereference` (`-h`); bsdtar: `-L`; to pack what the link leads to"
        }
        "a hard link" => "GNU tar: `--hard-dereference`; cpio, bsdtar: copy the file first",
        "a part of a multi-volume archive" => "GNU tar: without `--multi-volume` (`-M`)",
        "a volume label" => "GNU tar: without `--label` (`-V`)",
        "a GNU dump directory" => "GNU tar: without `--incremental` (`-G`, `-g`)",
        "a Solaris extended header" => "Solaris tar: without `-E`",
        "a character device" | "a block device" | "a FIFO" => "tar: `--exclude`",
        _ => return None,
    })
}

fn path_advice(rule: PathRule) -> Option<&'static str> {
    Some(match rule {
        PathRule::Absolute | PathRule::Parent | PathRule::DriveLetter => {
            "tar: without `-P` (`--absolute-names`), from inside the folder: `-C FOLDER .`"
        }
        PathRule::Backslash => "7-Zip and PowerShell: pack in the folder, with `/` in names",
        PathRule::NotUtf8 => "set `LC_ALL=C.UTF-8` for the tool, and rename the file to UTF-8",
        PathRule::Nul => "tar: `--format=pax`",
        PathRule::Dot | PathRule::EmptyPart => "tar: `-C FOLDER .`",
        PathRule::Empty
        | PathRule::TooLong { .. }
        | PathRule::TooDeep { .. }
        | PathRule::Control
        | PathRule::Invisible => return None,
    })
}

/// The old formats leave out files whose names they cannot hold.
pub(super) fn left_out(path: &str) -> &'static str {
    const OLD_NAME_BYTES_MAX: usize = 99;
    if path.len() > OLD_NAME_BYTES_MAX {
        "; the formats v7 and ustar leave out or cut names that are as long (tar: `--format=pax`; \
         npm tar: without `noPax`)"
    } else {
        ""
    }
}

/// What helps, as the end of a message.
pub(super) fn advised(error: &BundleError) -> String {
    error
        .advice()
        .map(|advice| format!("; {advice}"))
        .unwrap_or_default()
}

/// Where a manifest was found instead, as the end of a message.
pub(super) fn found_at(found: &Option<String>) -> String {
    found
        .as_ref()
        .map(|path| {
            format!(
                "; \"{path}\" is one level down: pack the folder's content, not the folder \
                 (tar: `-C FOLDER .`; git archive: without `--prefix`)"
            )
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_an_old_format_left_out_is_told_with_the_option_that_keeps_it() {
        let missing = |bytes: usize| BundleError::FileMissing {
            path: "n".repeat(bytes),
        };
        assert!(!missing(99).to_string().contains("--format"));
        let long = missing(100).to_string();
        assert!(long.contains("tar: `--format=pax`"), "{long}");
    }
}
