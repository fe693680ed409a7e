//! The one list of all kinds of security events. What is not here cannot be recorded: the names
//! in the log, what is throttled, the fields and the reference page all come from it.

use std::fmt::Write as _;

/// The row of one kind of event.
#[derive(Debug)]
pub struct EventRow {
    /// The name in the log.
    pub name: &'static str,
    /// Whether strangers can cause it in any number. Of such events many alike are counted
    /// instead of written, and they wait a moment for others to be synced with them.
    pub from_strangers: bool,
    /// A sentence that says when it is recorded.
    pub help: &'static str,
    /// The members of `about`.
    pub fields: &'static [EventField],
}

/// A member of `about`.
#[derive(Debug)]
pub struct EventField {
    /// The name in the log.
    pub name: &'static str,
    /// Whether every event of the kind has it.
    pub always: bool,
    /// A phrase that says what it holds.
    pub help: &'static str,
}

/// A field that every event of the kind has.
const fn field(name: &'static str, help: &'static str) -> EventField {
    EventField {
        name,
        always: true,
        help,
    }
}

/// A field that some events of the kind have.
const fn optional(name: &'static str, help: &'static str) -> EventField {
    EventField {
        name,
        always: false,
        help,
    }
}

/// Writes the enumeration and its rows from one list.
macro_rules! event_kinds {
    ($($kind:ident: $name:literal, from_strangers: $from_strangers:literal, $help:literal,
       [$($field:expr),* $(,)?];)*) => {
        /// The kind of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $(#[doc = $help] $kind,)*
        }

        impl EventKind {
            /// All kinds, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its row in the table.
            #[must_use]
            pub const fn row(self) -> &'static EventRow {
                match self {
                    $(Self::$kind => {
                        const ROW: EventRow = EventRow {
                            name: $name,
                            from_strangers: $from_strangers,
                            help: $help,
                            fields: &[$($field),*],
                        };
                        &ROW
                    })*
                }
            }
        }
    };
}

event_kinds! {
    AuthenticationFailed: "authentication_failed", from_strangers: true,
        "A request was refused for its credentials.",
        [field("reason", "the code of the refusal, or what is wrong with a token")];
    Injection: "injection", from_strangers: true,
        "An injection was found in a request.",
        [
            field("outcome", "`block` or `report`"),
            field("category", "the kind of attack"),
            field("field", "the place in the request"),
            field("finding", "the signs that were found, and where; nothing of the text"),
        ];
    CapHit: "cap_hit", from_strangers: true,
        "A run was ended by a cap.",
        [
            field("model", "the version that ran, as `name@version`"),
            field("cap", "which cap"),
            field("limit", "its value"),
            field("used", "what the run had used or asked for"),
        ];
    Run: "run", from_strangers: false,
        "A request has run a model, where `audit.runs` asks for it; nothing of what was said.",
        [
            field("run", "its id"),
            field("model", "the version that ran, as `name@version`"),
            field("digest", "what stands for the whole content of its bundle"),
            field("seed", "the seed"),
            field("time_ms", "the moment that it was given, in milliseconds since 1970"),
            field("fuel", "the fuel of all its calls"),
            field("outcome", "`done`, `left`, or the code of the error"),
            field("input_digest", "what stands for all that was asked"),
            field("output_digest", "what stands for all that was given"),
        ];
    CapStorm: "cap_storm", from_strangers: false,
        "Many runs of one model were ended by one cap within a minute; at most once in 15 minutes.",
        [
            field("model", "the version that ran, as `name@version`"),
            field("cap", "which cap"),
            field("runs", "how many runs, when it was noticed"),
            field("seconds", "the time in which they are counted"),
        ];
    Ban: "ban", from_strangers: true,
        "Violations have added up to a ban, or an anomaly has led to one.",
        [
            field("network", "the address or network that is banned, or `everywhere`"),
            optional("key_id", "the key that alone is banned there"),
            field("reason", "the kind of violation that led to it last, or `anomaly`"),
            field("violations", "violations of all kinds within the window"),
            field("until", "when it ends"),
        ];
    Anomaly: "anomaly", from_strangers: false,
        "The conduct of a caller was unlike what it has been; at most one an hour of each.",
        [
            field("caller", "the id of the key, or the address"),
            field("score", "the sum of what the inputs have added"),
            field("threshold", "the score from which it is an anomaly"),
            field("window", "how long the window was that was judged: `5 min`, `1 h` or `1 d`"),
            field("inputs", "what each input has added to the score, by its name"),
            field("counts", "the counts of the window, by the names of the inputs"),
            field("action", "`report`, `slow` or `ban`"),
        ];
    BaselineForgotten: "baseline_forgotten", from_strangers: false,
        "An administrator had the server forget what is usual for a caller.",
        [field("caller", "the id of the key, or the address")];
    BanLifted: "ban_lifted", from_strangers: false,
        "A ban was ended by an administrator.",
        [
            field("network", "the address or network that was banned, or `everywhere`"),
            optional("key_id", "the key that alone was banned there"),
            field("reason", "the kind of violation that had led to it, or `anomaly`"),
            field("until", "when it would have ended"),
        ];
    ExemptionAdded: "exemption_added", from_strangers: false,
        "A network was exempted from bans.",
        [field("network", "the network")];
    ExemptionRemoved: "exemption_removed", from_strangers: false,
        "The exemption of a network was ended.",
        [field("network", "the network")];
    KeyCreated: "key_created", from_strangers: false,
        "A key was made.",
        [
            field("key_id", "the key"),
            optional("scopes", "what it may do"),
            optional("by", "`the start`, where the server made it for itself"),
        ];
    KeyRotated: "key_rotated", from_strangers: false,
        "A key was given another secret.",
        [
            field("key_id", "the key"),
            optional("scopes", "what it may do"),
            optional("by", "`the start`, where the server renewed its own key"),
        ];
    KeyChanged: "key_changed", from_strangers: false,
        "What a key may do or use was changed, or its name.",
        [
            field("key_id", "the key"),
            field("before", "what was changed, by its name in the API, as it was"),
            field("after", "the same as it is now"),
        ];
    KeySigningChanged: "key_signing_changed", from_strangers: false,
        "Whether the requests of a key are signed was changed, or the secret that signs.",
        [
            field("key_id", "the key"),
            field("signing", "`none`, `optional` or `required`"),
            field("has_another_secret", "whether the secret that signs is another one now"),
        ];
    KeyRevoked: "key_revoked", from_strangers: false,
        "A key was revoked.",
        [field("key_id", "the key"), field("scopes", "what it could do")];
    KeyDeleted: "key_deleted", from_strangers: false,
        "A key was deleted.",
        [field("key_id", "the key"), field("scopes", "what it could do")];
    TokenRevoked: "token_revoked", from_strangers: false,
        "The tokens with an id were revoked.",
        [
            field("jti", "the id"),
            field("until", "when no token with it can hold any more"),
        ];
    UploadRefused: "upload_refused", from_strangers: true,
        "The upload of a bundle was refused.",
        [field("code", "the code of the refusal")];
    ModelUploaded: "model_uploaded", from_strangers: false,
        "A version of a model was stored.",
        [
            field("model", "the version, as `name@version`"),
            field("digest", "the digest of its bundle"),
        ];
    ModelActivated: "model_activated", from_strangers: false,
        "A version became the active one of its model.",
        [field("model", "the version, as `name@version`")];
    ModelDeactivated: "model_deactivated", from_strangers: false,
        "A model was left without an active version.",
        [field("model", "its name")];
    ModelRemoved: "model_removed", from_strangers: false,
        "A model was removed, or one version of it.",
        [field("model", "its name, or the version as `name@version`")];
    Configuration: "configuration", from_strangers: false,
        "The server was started, or has taken up other settings while it ran.",
        [
            field("version", "the version of the program"),
            field("settings", "every setting that is not at its default, secrets redacted"),
        ];
    Reload: "reload", from_strangers: false,
        "The server was told to read its settings again.",
        [
            field("outcome", "`ok`, or `refused` where everything stays as it was"),
            field("changed", "the settings that hold another value from now on"),
            field("waiting", "the settings that take another value at the next start"),
        ];
    BackupBegun: "backup_begun", from_strangers: false,
        "An administrator has begun to take a backup of the server; it holds all models and what keys follow from.",
        [
            field("files", "how many files are in it"),
            field("bytes", "how large it is"),
        ];
    BackupEnded: "backup_ended", from_strangers: false,
        "A backup is over.",
        [
            field("outcome", "`ok`, `left` where whoever took it has gone, `too_slow` at `backup.time_max`, or `failed`"),
            field("bytes", "how much of it was handed out"),
        ];
    Restored: "restored", from_strangers: false,
        "The data directory was restored from a backup.",
        [
            field("created", "when the backup was made"),
            field("version", "the version of the server that made it"),
        ];
    EventsRepeated: "events_repeated", from_strangers: false,
        "Of many events alike only the first were written; this counts the others.",
        [
            field("of", "the name of the event"),
            field("not_written", "how many were left out"),
            field("seconds", "the time in which they came"),
            field("most_from", "the addresses that caused most, each with all its events"),
        ];
    AuditEventsLost: "audit_events_lost", from_strangers: false,
        "The log could not be written for a while.",
        [field("events", "how many events were lost")];
    AuditBroken: "audit_broken", from_strangers: false,
        "The server has read its log, and it is not whole.",
        [field("defect", "what is wrong, and where it shows first")];
    AuditTornLine: "audit_torn_line", from_strangers: false,
        "The log ended in a line that a crash has torn.",
        [
            field("bytes", "how much of it there was"),
            field("sha256", "the hash of that"),
        ];
    AuditLinesMissing: "audit_lines_missing", from_strangers: false,
        "The end of the log was missing at the start.",
        [
            field("expected_sequence", "the number of the last line that was written"),
            field("found_sequence", "the number of the last line that was found"),
        ];
}

impl EventKind {
    /// The name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether strangers can cause it in any number.
    #[must_use]
    pub const fn is_from_strangers(self) -> bool {
        self.row().from_strangers
    }
}

impl serde::Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The reference page of all events, as Markdown. `docs/audit-events.md` is a copy of it.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    for kind in EventKind::ALL {
        let row = kind.row();
        // Writing to a string does not fail.
        let _ = write!(page, "\n## `{}`\n\n{}", row.name, row.help);
        if row.from_strangers {
            page.push_str(" Strangers can cause it: many alike are counted.");
        }
        page.push_str("\n\n| field | holds |\n| --- | --- |\n");
        for field in row.fields {
            let at_times = if field.always { "" } else { " (not always)" };
            let _ = writeln!(page, "| `{}`{at_times} | {} |", field.name, field.help);
        }
    }
    page
}

const HEAD: &str = "\
# Events of the audit log

Written by `cargo run -p belljar --example reference_pages`; do not edit by hand.

Each line of the log is a JSON object: `sequence` and `time`, the name of the event under `event`,
on whose behalf it happened (`key_id`, `address`, `request_id`, each where it is known), what it
is about under `about`, and the links of the chain, `previous` and `hash`. The tables below list
the members of `about`.
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_plain() {
        let plain = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            name.bytes()
                .all(|byte| is_plain(byte) || byte.is_ascii_digit())
        };
        let names: BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), EventKind::ALL.len());
        assert!(names.iter().all(|name| plain(name)), "{names:?}");
        for kind in EventKind::ALL {
            let fields = kind.row().fields;
            let names: BTreeSet<_> = fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), fields.len(), "{kind:?}");
            assert!(names.iter().all(|name| plain(name)), "{kind:?}");
        }
    }

    /// Events that administrators cause are never throttled, or a flood could hide them.
    #[test]
    fn what_strangers_can_cause_is_known() {
        let from_strangers: Vec<_> = EventKind::ALL
            .iter()
            .filter(|kind| kind.is_from_strangers())
            .map(|kind| kind.name())
            .collect();
        assert_eq!(
            from_strangers,
            [
                "authentication_failed",
                "injection",
                "cap_hit",
                "ban",
                "upload_refused"
            ]
        );
    }

    #[test]
    fn the_page_in_the_repository_is_up_to_date() {
        let page = include_str!("../../../docs/audit-events.md");
        assert!(
            page == reference(),
            "run `cargo run -p belljar --example reference_pages` and commit the result"
        );
    }
}
