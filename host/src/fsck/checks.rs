//! The one list of all checks: their names, what each means, and what its repair does. The help of
//! the command and the page in `docs/` come from it.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// The row of one check.
#[derive(Debug)]
pub struct CheckRow {
    /// The name, for programs and for `--repair`.
    pub name: &'static str,
    /// A sentence that says what is wrong.
    pub means: &'static str,
    /// A sentence that says what a repair does; none where there is none.
    pub repair: Option<&'static str>,
}

/// Writes the enumeration and its rows from one list.
macro_rules! checks {
    ($($check:ident: $name:literal, $means:literal, $repair:expr;)*) => {
        /// Something that is checked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $means] $check,)*
        }

        impl Check {
            /// All checks, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$check),*];

            /// Its row in the table.
            #[must_use]
            pub const fn row(self) -> &'static CheckRow {
                match self {
                    $(Self::$check => {
                        const ROW: CheckRow = CheckRow {
                            name: $name,
                            means: $means,
                            repair: $repair,
                        };
                        &ROW
                    })*
                }
            }
        }
    };
}

checks! {
    DatabaseDamaged: "database_damaged",
        "Pages or indices of the database do not hold together, or it cannot be read.",
        None;
    TablesStrange: "tables_strange",
        "The tables are not those of this program or an earlier one: something was added, is missing, or a newer program was here.",
        None;
    MarkDisagrees: "mark_disagrees",
        "`directory.json` is missing, or is not that of the database: one of the two was lost, or comes from elsewhere. A server does not start.",
        Some("The database is taken for the right one and its mark is written. Files that it does not name are moved to `lost+found` first, because a start would delete them.");
    RowUnreadable: "row_unreadable",
        "A row holds what is no name, time, number or text of its kind. A server may not start.",
        Some("The row is written to `lost+found/rows.sql`, as the statement that would bring it back, and deleted.");
    RowDangling: "row_dangling",
        "A row refers to one that is not there: a secret without its key, a version without its model, an active version that does not exist.",
        Some("A row of a key is written to `lost+found/rows.sql` and deleted; a version gets its model, without an active version; a pointer to nothing is cleared.");
    ModelEmpty: "model_empty",
        "A model has no version.",
        Some("The row, which holds nothing but a name, is deleted.");
    SizeWrong: "size_wrong",
        "The size that is written down of something stored is not its size, so that quotas count it wrong.",
        Some("The real size is written down.");
    BundleMissing: "bundle_missing",
        "The manifest of a version, or a file that it names, is not there. The version fails when it is loaded.",
        Some("The version is marked as failed, which lets its author upload it again.");
    BlobDamaged: "blob_damaged",
        "The content of a stored file does not have the digest that is its name.",
        Some("The file is moved to `lost+found`. Versions that need it are found as `bundle_missing` then, and take it again with an upload.");
    BlobUnreferenced: "blob_unreferenced",
        "No version names a stored file. The next start would delete it.",
        Some("The file is moved to `lost+found`.");
    FileStrange: "file_strange",
        "There is a file or folder among the stored files that no server makes.",
        Some("It is moved to `lost+found`.");
    Leftover: "leftover",
        "A process that was killed has left a file half done: an upload that was never acknowledged, a compilation, a backup.",
        Some("It is deleted. Nobody was told of it.");
    ArtefactDamaged: "artefact_damaged",
        "A compiled model has no seal, or another content than its seal says. It is not used.",
        Some("It is deleted, and made anew at the next start.");
    ArtefactUnreferenced: "artefact_unreferenced",
        "A compiled model is of no version.",
        Some("It is deleted.");
    AuditBroken: "audit_broken",
        "Lines of the audit log were changed, removed, reordered or cut off.",
        None;
    KeyFileWrong: "key_file_wrong",
        "`signing.key` is missing or has another size, although keys sign. A server does not start.",
        None;
    OpenToOthers: "open_to_others",
        "Other users of the machine may read or write a file or folder.",
        Some("Its mode becomes 0600, or 0700 of a folder.");
}

impl Check {
    /// The name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no check of that name that can be repaired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownCheck(String);

impl FromStr for Check {
    type Err = UnknownCheck;

    fn from_str(text: &str) -> Result<Self, UnknownCheck> {
        let found = Self::ALL.iter().find(|check| check.name() == text);
        let found = found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL
                .iter()
                .filter(|check| check.row().repair.is_some())
                .map(|check| check.name())
                .collect();
            UnknownCheck(format!("no such check; there are {}", names.join(", ")))
        })?;
        if found.row().repair.is_none() {
            let told = format!("`{text}` has no repair: bring back a backup");
            return Err(UnknownCheck(told));
        }
        Ok(*found)
    }
}

/// The reference page of all checks, as Markdown. `docs/fsck.md` is a copy of it.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    for check in Check::ALL {
        let row = check.row();
        let repair = row.repair.unwrap_or("none: bring back a backup");
        // Writing to a string does not fail.
        let _ = writeln!(page, "| `{}` | {} | {repair} |", row.name, row.means);
    }
    page
}

const HEAD: &str = "\
# belljar fsck

Written by `cargo run -p belljar --example reference_pages`; do not edit by hand.

`belljar fsck` reads every row and every byte of the data directory of a stopped server and says
what is not as it should be. It changes nothing but with `--repair NAME` (several with commas, or
`all`), the mode of the directory itself apart, which it closes to others as a start does, and holds the lock of the directory, so that no server starts meanwhile. What might be
somebody's data is moved to `lost+found` in the data directory, which servers leave alone; look at
it and delete it yourself. The exit code is 0 where nothing was found or all of it was repaired, 1
where something is left, 2 where the directory cannot be examined. `--json` is for programs, which
may rely on the names.

A repair can uncover what another one puts right: after a repair all is examined again, and what is
left is told.

| name | what is wrong | repair |
| --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_read_again_where_there_is_a_repair() {
        let names: std::collections::BTreeSet<_> = Check::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
        for check in Check::ALL {
            let read = check.name().parse::<Check>();
            assert_eq!(read.is_ok(), check.row().repair.is_some(), "{check}");
        }
        assert!("x".parse::<Check>().is_err());
    }

    #[test]
    fn the_page_in_the_repository_is_up_to_date() {
        let page = include_str!("../../../docs/fsck.md");
        assert!(
            page == reference(),
            "run `cargo run -p belljar --example reference_pages` and commit the result"
        );
    }
}
