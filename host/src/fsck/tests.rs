#![allow(clippy::unwrap_used)]
use super::*;
use crate::db::Db;
use std::fs;

/// A data directory with a key, and what a change has made of it.
async fn with(change: &'static str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let db = Db::open(folder.path()).await.unwrap();
    let key = "INSERT INTO keys (id, name, digest, scopes, created_ms) \
               VALUES ('key_0000000000000001', 'n', zeroblob(32), 'infer', 1)";
    sqlx::query(key).execute(db.pool()).await.unwrap();
    // Of one that is damaged, which a server would not write.
    let sql = format!("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {change}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(db.pool())
        .await
        .unwrap();
    db.close().await;
    folder
}

async fn looked_at(folder: &Path) -> (StoppedDirectory, Vec<Finding>) {
    let directory = StoppedDirectory::lock(folder).await.unwrap();
    let audit = AuditConfig::default();
    let examined = examine(&directory, &audit, None).await.unwrap();
    (directory, examined.findings)
}

fn names(findings: &[Finding]) -> Vec<&'static str> {
    findings
        .iter()
        .map(|finding| finding.check.name())
        .collect()
}

/// Finds what a change has done, by that name, and finds it no more after its repair.
async fn check(change: &'static str, expected: &[&str], subject: &str) {
    let folder = with(change).await;
    let (directory, findings) = looked_at(folder.path()).await;
    assert_eq!(names(&findings), expected, "{change}: {findings:?}");
    assert!(findings[0].subject.contains(subject), "{findings:?}");
    // Nothing is done for what is not asked for.
    let none = repair(&directory, &findings, &[]).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    let mut left = findings;
    for _ in 0..3 {
        repair(&directory, &left, Check::ALL).await.unwrap();
        left = examine(&directory, &AuditConfig::default(), None)
            .await
            .unwrap()
            .findings;
    }
    assert_eq!(names(&left), [""; 0], "{change}");
    drop(directory);
    Db::open(folder.path()).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_is_in_order_has_no_findings() {
    let folder = with("").await;
    let (_, findings) = looked_at(folder.path()).await;
    assert_eq!(names(&findings), [""; 0], "{findings:?}");
}

#[tokio::test]
async fn rows_that_make_no_sense_are_found_and_set_aside() {
    for (change, subject) in [
        ("UPDATE keys SET scopes = 'everything'", "keys where id IS"),
        ("UPDATE keys SET fuel_per_day = -1", "keys"),
        (
            "INSERT INTO models VALUES ('no name at all', NULL, NULL)",
            "models",
        ),
        (
            "INSERT INTO bans VALUES ('nowhere', '', 'injection', 1, 1, 1)",
            "bans",
        ),
        (
            "INSERT INTO bans VALUES ('192.0.2.1', '', 'whim', 1, 1, 1)",
            "bans",
        ),
        (
            "INSERT INTO exemptions VALUES ('x', '', 1, NULL)",
            "exemptions",
        ),
        (
            "INSERT INTO key_usage VALUES ('s', NULL, -1, 0, 0, 0, 0, 0)",
            "key_usage",
        ),
        (
            "INSERT INTO stored VALUES ('r', 'response', '', 1, 1, 'no json', '[]', NULL, 10)",
            "stored",
        ),
        (
            "INSERT INTO stored VALUES ('r', 'thing', '', 1, 1, '{}', '[]', NULL, 5)",
            "stored",
        ),
        (
            "INSERT INTO runs VALUES ('run_00000000000000000000000000000000', '', 'r', 1, 1, 'm', \
             '1.0.0', zeroblob(32), zeroblob(32), 1, 1, 'done', 0, zeroblob(32), zeroblob(32), '{}', \
             x'90', 1)",
            "runs",
        ),
        (
            "INSERT INTO revoked_tokens VALUES ('j', 1, 9223372036854775807)",
            "revoked_tokens",
        ),
        (
            "INSERT INTO usage_ledger VALUES ('', 1, '', -1, 0, 0, 0, 0, 0)",
            "usage_ledger",
        ),
        (
            "INSERT INTO anomaly_baselines VALUES ('c', x'00', 9223372036854775807)",
            "anomaly",
        ),
    ] {
        let expected: &[&str] = match change.contains("models") {
            true => &["row_unreadable", "model_empty"],
            false => &["row_unreadable"],
        };
        check(change, expected, subject).await;
    }
}

#[tokio::test]
async fn a_row_that_was_set_aside_can_be_brought_back() {
    let folder = with("INSERT INTO exemptions VALUES ('x''y', 'a note', 1, NULL)").await;
    let (directory, findings) = looked_at(folder.path()).await;
    repair(&directory, &findings, &[Check::RowUnreadable])
        .await
        .unwrap();
    let text = fs::read_to_string(folder.path().join("lost+found/rows.sql")).unwrap();
    assert_eq!(
        text,
        "INSERT INTO exemptions (network, note, created_ms, created_by) \
         VALUES ('x''y', 'a note', 1, NULL);\n"
    );
}

#[tokio::test]
async fn rows_that_refer_to_nothing_are_found_and_put_right() {
    for (change, expected) in [
        (
            "INSERT INTO key_old_secrets VALUES (zeroblob(32), 'key_0000000000000009', 1)",
            &["row_dangling"][..],
        ),
        (
            "INSERT INTO models VALUES ('m', NULL, NULL)",
            &["model_empty"],
        ),
        (
            "INSERT INTO models VALUES ('m', '1.0.0', NULL)",
            &["row_dangling", "model_empty"],
        ),
        (
            "INSERT INTO models VALUES ('m', NULL, '1.0.0')",
            &["row_dangling", "model_empty"],
        ),
        (
            "INSERT INTO model_versions (name, version, digest, bytes, state, created_us, \
             failure_code, failure_message) VALUES ('m', '1.0.0', zeroblob(32), 1, 'failed', 1, 'c', 'm')",
            &["row_dangling"],
        ),
        (
            "INSERT INTO stored VALUES ('r', 'response', '', 1, 1, '{}', '[]', 'q', 7)",
            &["size_wrong"],
        ),
        (
            "INSERT INTO runs VALUES ('run_00000000000000000000000000000000', '', 'r', 1, 1, 'm', \
             '1.0.0', zeroblob(32), zeroblob(32), 1, 1, 'done', 0, zeroblob(32), zeroblob(32), \
             '{\"version\":\"1\",\"fingerprint\":\"f\",\"caps\":\"c\"}', x'90', 7)",
            &["size_wrong"],
        ),
    ] {
        check(change, expected, "").await;
    }
}

#[tokio::test]
async fn a_mark_of_another_database_is_found_and_written_anew() {
    let folder = with("").await;
    for mark in [Some("{\"id\":\"x\",\"starts\":1}"), Some("no json"), None] {
        let path = folder.path().join(MARK_FILE);
        match mark {
            Some(mark) => fs::write(&path, mark).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let (directory, findings) = looked_at(folder.path()).await;
        assert!(names(&findings).contains(&"mark_disagrees"), "{findings:?}");
        repair(&directory, &findings, Check::ALL).await.unwrap();
        drop(directory);
        let (_, findings) = looked_at(folder.path()).await;
        assert_eq!(names(&findings), [""; 0], "{mark:?}");
    }
    Db::open(folder.path()).await.unwrap();
}

#[tokio::test]
async fn tables_that_are_not_a_servers_are_told_and_left_alone() {
    let folder = with("CREATE TABLE mine (x)").await;
    let (directory, findings) = looked_at(folder.path()).await;
    assert_eq!(names(&findings), ["tables_strange"]);
    assert!(!findings[0].is_repairable());
    assert!(
        repair(&directory, &findings, Check::ALL)
            .await
            .unwrap()
            .is_empty()
    );
}
