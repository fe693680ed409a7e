//! Bans and exemptions in the database.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::Timestamp;

use super::{Ban, BanError, BanReason, Exemption, Subject};
use crate::clock::Clock;
use crate::db::Db;
use crate::ids::KeyId;
use crate::net::{ClientAddress, Network};

type BanRow = (String, String, String, i64, i64, i64);

/// The bans that are not over.
pub(super) async fn load_bans(
    db: &Db,
    clock: &Clock,
    ipv6_prefix: u8,
) -> Result<Vec<Ban>, BanError> {
    let now = clock.now();
    let rows: Vec<BanRow> = sqlx::query_as(
        "SELECT address, key_id, reason, violations, started_ms, until_ms FROM bans \
         WHERE until_ms > ? ORDER BY until_ms DESC LIMIT ?",
    )
    .bind(now.as_millisecond())
    .bind(i64::try_from(super::BANS_MAX).unwrap_or(i64::MAX))
    .fetch_all(db.pool())
    .await?;
    let rows = rows.into_iter();
    rows.map(|row| ban(row, clock, ipv6_prefix)).collect()
}

fn ban(row: BanRow, clock: &Clock, ipv6_prefix: u8) -> Result<Ban, BanError> {
    let (address, key_id, reason, violations, started_ms, until_ms) = row;
    let damaged = |what: &str| BanError::Damaged(format!("{what} of the ban of `{address}`"));
    let ip: IpAddr = address.parse().map_err(|_| damaged("the address"))?;
    let key_id = match key_id.as_str() {
        "" => None,
        id => Some(id.parse::<KeyId>().map_err(|_| damaged("the key"))?),
    };
    let time = |ms| Timestamp::from_millisecond(ms).map_err(|_| damaged("a time"));
    // Where the time of day was set back since, no more is left than there was at the start.
    let left = until_ms.saturating_sub(started_ms.max(clock.now().as_millisecond()));
    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
    Ok(Ban {
        subject: Subject {
            // The prefix may be another one than when it was made.
            address: ClientAddress::new(ip, ipv6_prefix).network(),
            key_id,
        },
        reason: BanReason::of_name(&reason).ok_or_else(|| damaged("the reason"))?,
        violations: u32::try_from(violations).map_err(|_| damaged("the count"))?,
        started: time(started_ms)?,
        until: time(until_ms)?,
        ends: clock.elapsed().saturating_add(left),
        written: AtomicBool::new(true),
    })
}

/// Writes bans, all or none.
pub(super) async fn save_bans(db: &Db, bans: &[&Arc<Ban>]) -> Result<(), sqlx::Error> {
    if bans.is_empty() {
        return Ok(());
    }
    let mut transaction = db.pool().begin().await?;
    for ban in bans {
        sqlx::query(
            "INSERT OR REPLACE INTO bans \
             (address, key_id, reason, violations, started_ms, until_ms) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(ban.subject.address.to_string())
        .bind(key_text(&ban.subject))
        .bind(ban.reason.name())
        .bind(i64::from(ban.violations))
        .bind(ban.started.as_millisecond())
        .bind(ban.until.as_millisecond())
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

fn key_text(subject: &Subject) -> &str {
    subject.key_id.as_ref().map_or("", KeyId::as_str)
}

/// Removes bans, all or none.
pub(super) async fn delete_bans(
    db: &Db,
    subjects: impl Iterator<Item = &Subject>,
) -> Result<(), sqlx::Error> {
    let mut transaction = db.pool().begin().await?;
    for subject in subjects {
        sqlx::query("DELETE FROM bans WHERE address = ? AND key_id = ?")
            .bind(subject.address.to_string())
            .bind(key_text(subject))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

pub(super) async fn delete_ended(db: &Db, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM bans WHERE until_ms <= ?")
        .bind(now.as_millisecond())
        .execute(db.pool())
        .await
        .map(drop)
}

pub(super) async fn load_exemptions(db: &Db) -> Result<BTreeMap<Network, Exemption>, BanError> {
    let rows: Vec<(String, String, i64, Option<String>)> =
        sqlx::query_as("SELECT network, note, created_ms, created_by FROM exemptions")
            .fetch_all(db.pool())
            .await?;
    rows.into_iter()
        .map(|(network, note, created_ms, created_by)| {
            let damaged = || BanError::Damaged(format!("the exemption of `{network}`"));
            let created_by = created_by.map(|id| id.parse::<KeyId>()).transpose();
            let exemption = Exemption {
                network: network.parse().map_err(|_| damaged())?,
                note,
                created: Timestamp::from_millisecond(created_ms).map_err(|_| damaged())?,
                created_by: created_by.map_err(|_| damaged())?,
            };
            Ok((exemption.network, exemption))
        })
        .collect()
}

pub(super) async fn save_exemption(db: &Db, exemption: &Exemption) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO exemptions (network, note, created_ms, created_by) \
         VALUES (?, ?, ?, ?)",
    )
    .bind(exemption.network.to_string())
    .bind(&exemption.note)
    .bind(exemption.created.as_millisecond())
    .bind(exemption.created_by.as_ref().map(KeyId::as_str))
    .execute(db.pool())
    .await
    .map(drop)
}

pub(super) async fn delete_exemption(db: &Db, network: Network) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM exemptions WHERE network = ?")
        .bind(network.to_string())
        .execute(db.pool())
        .await
        .map(drop)
}
