//! Everything is killed at random moments: what is in place afterwards is whole or not there, and the
//! same command works when it is run again.
//!
//! The seed is printed; `BACKUP_SEED` in the environment repeats a run, as far as the scheduler lets
//! it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::kit::{
    Ground, backup, backup_after_others, backup_command, done, infer, refused, restore,
    restore_command, run, upload,
};

const ROUNDS: u32 = 40;

fn random() -> StdRng {
    #[expect(clippy::disallowed_methods, reason = "a test's own variable")]
    let seed = std::env::var("BACKUP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("BACKUP_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// Starts a command and kills it after a time, unless it is over by then. Whether it was killed.
async fn killed(mut command: Command, after: Duration) -> bool {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap();
    let end = Instant::now() + after;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let _ = child.kill();
    child.wait().unwrap().code().is_none()
}

/// How long a command takes that is let be.
fn time(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

#[tokio::test]
async fn a_backup_that_is_killed_leaves_no_file_that_is_not_whole() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", &vec![7; 8 << 20]).await;
    let file = ground.path("b.tar");
    let mut whole = time(|| backup(server.data_dir(), &file));
    let mut random = random();
    let mut kills = 0;
    for _ in 0..ROUNDS {
        let _ = fs::remove_file(&file);
        let after = whole.mul_f64(random.random_range(0.0..1.2));
        if killed(backup_command(server.data_dir(), &file), after).await {
            kills += 1;
        } else {
            // The first was slowed down by other work: one takes no longer than this.
            whole = whole.min(after);
        }
        if file.exists() {
            done(run([&"restore".into(), &"--check".into(), &file]));
        }
        // The server goes on, and has no part of it any more.
        infer(&server.anonymous(), "m").await.expect_status(200);
        assert!(!server.data_dir().join("backup.db.new").exists() || file.exists() || kills > 0);
    }
    assert!(kills > ROUNDS / 4, "{kills} kills");
    let _ = fs::remove_file(&file);
    backup_after_others(server.data_dir(), &file).await;
    restore(&file, &ground.path("there"));
}

#[tokio::test]
async fn a_server_that_is_killed_ends_its_backup_and_leaves_nothing() {
    let ground = Ground::new();
    let file = ground.path("b.tar");
    let mut random = random();
    let mut broken_off = 0;
    for _ in 0..8 {
        let server = ground
            .server_with("data", |command| {
                command.env("BELLJAR_BACKUP_RATE_MAX", "2 MiB");
            })
            .await;
        if infer(&server.anonymous(), "m").await.status != 200 {
            upload(&server.admin(), "m", "1.0.0", &vec![7; 4 << 20]).await;
        }
        assert!(!server.data_dir().join("backup.db.new").exists());
        let mut command = backup_command(server.data_dir(), &file);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let child = child.unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..600))).await;
        server.kill();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            // The server was gone before the command had looked for it: it has read the directory.
            done(run([&"restore".into(), &"--check".into(), &file]));
            fs::remove_file(&file).unwrap();
        } else {
            refused(&output);
            broken_off += 1;
        }
        assert!(!file.exists());
    }
    assert!(broken_off > 0, "no backup was hit");
    // The data directory is one of which a backup can be made.
    backup(&ground.path("data"), &file);
    restore(&file, &ground.path("there"));
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_nothing_or_everything_and_works_again() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", &vec![7; 8 << 20]).await;
    let file = ground.path("b.tar");
    backup(server.data_dir(), &file);
    server.kill();
    let place = ground.path("place");
    let mut whole = time(|| drop(restore(&file, &place)));
    let mut random = random();
    let (mut kills, mut nothing) = (0, 0);
    for round in 0..ROUNDS {
        let _ = fs::remove_dir_all(&place);
        if round % 2 == 0 {
            fs::create_dir(&place).unwrap();
        }
        let after = whole.mul_f64(random.random_range(0.0..1.1));
        if killed(restore_command(&file, &place), after).await {
            kills += 1;
        } else {
            // The first was slowed down by other work: one takes no longer than this.
            whole = whole.min(after);
        }
        if is_empty(&place) {
            nothing += 1;
            // What the killed one has left is in nobody's way.
            if round % 4 == 0 {
                restore(&file, &place);
            }
        }
        if !is_empty(&place) {
            assert_whole(&ground, &place);
        }
    }
    assert!(
        kills > ROUNDS / 4 && nothing > ROUNDS / 4,
        "{kills} kills, {nothing} times nothing"
    );
    let _ = fs::remove_dir_all(&place);
    restore(&file, &place);
    let names = ground.names();
    assert_eq!(names, ["b.tar", "data", "data.log", "place"]);
    let restored = ground.server("place").await;
    infer(&restored.anonymous(), "m").await.expect_status(200);
}

fn is_empty(place: &Path) -> bool {
    fs::read_dir(place).map_or(true, |mut entries| entries.next().is_none())
}

/// A directory is whole where a backup can be made of it that can be restored.
fn assert_whole(ground: &Ground, place: &Path) {
    let (file, there) = (ground.path("again.tar"), ground.path("again"));
    backup(place, &file);
    restore(&file, &there);
    fs::remove_file(file).unwrap();
    fs::remove_dir_all(there).unwrap();
}

#[tokio::test]
async fn two_restores_into_one_place_do_not_mix() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let file = ground.path("b.tar");
    backup(server.data_dir(), &file);
    let place = ground.path("place");
    // One that waits for its backup has the place.
    let (read, write) = std::io::pipe().unwrap();
    let mut waiting = restore_command("-".as_ref(), &place);
    let waiting = waiting.stdin(read).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ground.path("place.restoring").exists() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut told = String::new();
    while !told.contains("another restore") {
        assert!(Instant::now() < deadline, "{told}");
        let output = restore_command(&file, &place).output().unwrap();
        // It may have come before the lock of the other one.
        if output.status.success() {
            break;
        }
        told = refused(&output);
    }
    let mut write = write;
    let copied = std::io::copy(&mut File::open(&file).unwrap(), &mut write);
    drop(write);
    let output = waiting.wait_with_output().unwrap();
    if told.contains("another restore") {
        copied.unwrap();
        assert!(output.status.success());
    }
    assert_whole(&ground, &place);
}
