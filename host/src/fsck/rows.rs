//! Every row of every table, read as what it means.

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqlitePool};

use super::{Action, Check, Examined, Expected, Finding};
use crate::auth::{SIGNING_ROOT_FILE, Signing, check_key_row};
use crate::db::DatabaseFile;
use crate::guard::BanReason;
use crate::ids::KeyId;
use crate::ledger::Day;
use crate::models::version_row;
use crate::net::Network;
use crate::runs;
use belljar_bundle::{ModelName, ModelVersion};
use std::net::IpAddr;

/// A row, by the statement that finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowText {
    pub(super) table: &'static str,
    /// The condition that is true of this row alone.
    pub(super) condition: String,
}

/// A table, and what its rows must be like.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
    check: fn(&SqliteRow) -> Result<(), String>,
}

const TABLES: [Table; 13] = [
    table("keys", &["id"], |row| check_key_row(row).map_err(told)),
    table("key_old_secrets", &["digest"], |row| {
        parsed::<KeyId>(row, "key_id")?;
        time(row, "until_ms")
    }),
    table("key_usage", &["subject"], |row| {
        counts(
            row,
            &[
                "requests",
                "prompt_tokens",
                "completion_tokens",
                "fuel",
                "fuel_of_day",
            ],
        )?;
        optional(row, "last_used_ms", time)
    }),
    table("key_signing", &["key_id"], |row| {
        parsed::<KeyId>(row, "key_id")?;
        parsed::<Signing>(row, "requirement")?;
        optional(row, "old_until_ms", time)
    }),
    table("models", &["name"], |row| {
        parsed::<ModelName>(row, "name")?;
        optional(row, "active_version", parsed::<ModelVersion>)?;
        optional(row, "wanted_version", parsed::<ModelVersion>)
    }),
    table("model_versions", &["name", "version"], |row| {
        version_row(row).map(drop).map_err(|error| error.detail())
    }),
    table("bans", &["address", "key_id"], |row| {
        parsed::<IpAddr>(row, "address")?;
        let key: &str = row.try_get("key_id").map_err(told)?;
        if !key.is_empty() {
            parsed::<KeyId>(row, "key_id")?;
        }
        let reason: &str = row.try_get("reason").map_err(told)?;
        if BanReason::of_name(reason).is_none() {
            return Err(format!("reason: `{reason}` is none"));
        }
        counts(row, &["violations"])?;
        time(row, "started_ms")?;
        time(row, "until_ms")
    }),
    table("exemptions", &["network"], |row| {
        parsed::<Network>(row, "network")?;
        time(row, "created_ms")
    }),
    table("stored", &["id"], |row| {
        let kind: &str = row.try_get("kind").map_err(told)?;
        if !["response", "conversation", "chat_completion"].contains(&kind) {
            return Err(format!("kind: `{kind}` is none"));
        }
        json(row, "body", serde_json::Value::is_object)?;
        json(row, "input", serde_json::Value::is_array)?;
        counts(row, &["bytes"])?;
        time(row, "created_ms")?;
        time(row, "expires_ms")
    }),
    table("runs", &["id"], |row| {
        runs::run(row).map_err(told)?;
        let calls: Vec<u8> = row.try_get("calls").map_err(told)?;
        runs::Transcript::decoded(&calls).map_err(told)?;
        counts(row, &["bytes"])?;
        time(row, "expires_ms")
    }),
    table("revoked_tokens", &["jti"], |row| {
        time(row, "revoked_ms")?;
        time(row, "until_ms")
    }),
    table("usage_ledger", &["key_id", "day", "model"], |row| {
        let day: i64 = row.try_get("day").map_err(told)?;
        if Day::from_number(day).number() != day {
            return Err(format!("day: {day} is none"));
        }
        counts(
            row,
            &[
                "requests",
                "failed_requests",
                "prompt_tokens",
                "completion_tokens",
                "fuel",
                "run_us",
            ],
        )
    }),
    table("anomaly_baselines", &["caller"], |row| time(row, "seen_ms")),
];

const fn table(
    name: &'static str,
    key: &'static [&'static str],
    check: fn(&SqliteRow) -> Result<(), String>,
) -> Table {
    Table { name, key, check }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<(), String> {
    let text: &str = row.try_get(column).map_err(told)?;
    let parsed = text.parse::<T>().map(drop);
    parsed.map_err(|error| format!("{column}: {error}"))
}

fn time(row: &SqliteRow, column: &'static str) -> Result<(), String> {
    let ms: i64 = row.try_get(column).map_err(told)?;
    let time = Timestamp::from_millisecond(ms).map(drop);
    time.map_err(|error| format!("{column}: {error}"))
}

fn optional(
    row: &SqliteRow,
    column: &'static str,
    check: impl FnOnce(&SqliteRow, &'static str) -> Result<(), String>,
) -> Result<(), String> {
    use sqlx::ValueRef as _;
    match row.try_get_raw(column).map_err(told)?.is_null() {
        true => Ok(()),
        false => check(row, column),
    }
}

fn counts(row: &SqliteRow, columns: &[&'static str]) -> Result<(), String> {
    for column in columns {
        let count: i64 = row.try_get(*column).map_err(told)?;
        if count < 0 {
            return Err(format!("{column}: {count} is no count"));
        }
    }
    Ok(())
}

fn json(
    row: &SqliteRow,
    column: &'static str,
    is_right: fn(&serde_json::Value) -> bool,
) -> Result<(), String> {
    let text: &str = row.try_get(column).map_err(told)?;
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("{column}: {error}"))?;
    match is_right(&value) {
        true => Ok(()),
        false => Err(format!("{column}: JSON of another kind")),
    }
}

/// Reads all tables.
pub(super) async fn examine(
    file: &DatabaseFile,
    examined: &mut Examined,
) -> Result<Expected, sqlx::Error> {
    let pool = file.pool();
    for table in &TABLES {
        table.examine(pool, examined).await?;
    }
    for dangling in &DANGLING {
        dangling.examine(pool, examined).await?;
    }
    let mut expected = Expected {
        is_complete: true,
        ..Expected::default()
    };
    let rows = sqlx::query("SELECT * FROM model_versions")
        .fetch_all(pool)
        .await?;
    for row in rows {
        match version_row(&row) {
            Ok(version) => expected.versions.push(version),
            Err(_) => expected.is_complete = false,
        }
    }
    let signers: i64 = sqlx::query_scalar("SELECT count(*) FROM key_signing")
        .fetch_one(pool)
        .await?;
    expected.has_signers = signers > 0;
    Ok(expected)
}

impl Table {
    async fn examine(&self, pool: &SqlitePool, examined: &mut Examined) -> Result<(), sqlx::Error> {
        // Names of this file, and literals that SQLite has written.
        let condition = self
            .key
            .iter()
            .map(|column| format!("'{column} IS ' || quote({column})"))
            .collect::<Vec<_>>()
            .join(" || ' AND ' || ");
        let sql = format!("SELECT *, {condition} AS row_condition FROM {}", self.name);
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(pool);
        while let Some(row) = rows.try_next().await? {
            examined.rows = examined.rows.saturating_add(1);
            if let Err(detail) = (self.check)(&row) {
                let condition: String = row.try_get("row_condition")?;
                let subject = format!("{} where {condition}", self.name);
                let text = RowText {
                    table: self.name,
                    condition,
                };
                let finding = Finding::new(Check::RowUnreadable, subject, detail);
                examined.add(finding.to(Action::SetRow(text)));
            }
        }
        Ok(())
    }
}

/// Rows that refer to none, and rows whose sums are not those of what they hold.
struct Dangling {
    check: Check,
    detail: &'static str,
    table: &'static str,
    /// The rows: the condition that finds each, and the change that puts it right. Where that is
    /// empty the row is set aside.
    sql: &'static str,
}

const DANGLING: [Dangling; 8] = [
    Dangling {
        check: Check::RowDangling,
        detail: "its key is not there",
        table: "key_old_secrets",
        sql: "SELECT 'digest IS ' || quote(digest), '' FROM key_old_secrets \
              WHERE NOT EXISTS (SELECT 1 FROM keys WHERE id = key_id)",
    },
    Dangling {
        check: Check::RowDangling,
        detail: "its key is not there",
        table: "key_signing",
        sql: "SELECT 'key_id IS ' || quote(key_id), '' FROM key_signing \
              WHERE NOT EXISTS (SELECT 1 FROM keys WHERE id = key_id)",
    },
    Dangling {
        check: Check::RowDangling,
        detail: "its model is not there",
        table: "model_versions",
        sql: "SELECT 'name IS ' || quote(name), \
              'INSERT OR IGNORE INTO models (name) VALUES (' || quote(name) || ')' \
              FROM model_versions AS version \
              WHERE NOT EXISTS (SELECT 1 FROM models WHERE models.name = version.name)",
    },
    Dangling {
        check: Check::RowDangling,
        detail: "its active version is not there",
        table: "models",
        sql: "SELECT 'name IS ' || quote(name), \
              'UPDATE models SET active_version = NULL WHERE name IS ' || quote(name) \
              FROM models WHERE active_version IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \
              model_versions AS v WHERE v.name = models.name AND v.version = active_version)",
    },
    Dangling {
        check: Check::RowDangling,
        detail: "the version that is to be active is not there",
        table: "models",
        sql: "SELECT 'name IS ' || quote(name), \
              'UPDATE models SET wanted_version = NULL WHERE name IS ' || quote(name) \
              FROM models WHERE wanted_version IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \
              model_versions AS v WHERE v.name = models.name AND v.version = wanted_version)",
    },
    Dangling {
        check: Check::ModelEmpty,
        detail: "it has no version",
        table: "models",
        sql: "SELECT 'name IS ' || quote(name), 'DELETE FROM models WHERE name IS ' || quote(name) \
              FROM models WHERE NOT EXISTS (SELECT 1 FROM model_versions AS v \
              WHERE v.name = models.name)",
    },
    Dangling {
        check: Check::SizeWrong,
        detail: "its size is another one",
        table: "stored",
        sql: "SELECT 'id IS ' || quote(id), 'UPDATE stored SET bytes = octet_length(id) + \
              octet_length(body) + octet_length(input) + coalesce(octet_length(previous), 0) \
              WHERE id IS ' || quote(id) FROM stored WHERE bytes >= 0 AND bytes <> \
              octet_length(id) + octet_length(body) + octet_length(input) + \
              coalesce(octet_length(previous), 0)",
    },
    Dangling {
        check: Check::SizeWrong,
        detail: "its size is another one",
        table: "runs",
        sql: "SELECT 'id IS ' || quote(id), 'UPDATE runs SET bytes = octet_length(calls) WHERE id IS ' \
              || quote(id) FROM runs WHERE bytes >= 0 AND bytes <> octet_length(calls)",
    },
];

impl Dangling {
    async fn examine(&self, pool: &SqlitePool, examined: &mut Examined) -> Result<(), sqlx::Error> {
        let mut rows = sqlx::query_as::<_, (String, String)>(self.sql).fetch(pool);
        while let Some((condition, change)) = rows.try_next().await? {
            let subject = format!("{} where {condition}", self.table);
            let finding = Finding::new(self.check, subject, self.detail);
            let action = match change.is_empty() {
                true => Action::SetRow(RowText {
                    table: self.table,
                    condition,
                }),
                false => Action::Change(change),
            };
            examined.add(finding.to(action));
        }
        Ok(())
    }
}

/// The name of the file that the secrets of keys that sign follow from.
pub(super) const SIGNING_ROOT: &str = SIGNING_ROOT_FILE;
