//! A backup that is made while others write is of one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use belljar_tests::TestBundle;
use serde_json::json;

use crate::kit::{Ground, backup, infer, restore};

/// Backups that are made while clients write.
const BACKUPS: usize = 6;

/// What one client has begun and what was acknowledged to it.
#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    acknowledged: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_of_one_moment_between_its_begin_and_its_end() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let admin = server.admin();
    let is_over = Arc::new(AtomicBool::new(false));
    let keys = Arc::new(Counts::default());
    let mut clients = Vec::new();
    // Keys in order: a moment has all up to one of them, and none after it.
    clients.push(tokio::spawn({
        let (admin, counts, is_over) = (admin.clone(), Arc::clone(&keys), Arc::clone(&is_over));
        async move {
            while !is_over.load(Ordering::Acquire) {
                let number = counts.begun.fetch_add(1, Ordering::AcqRel);
                let ask = json!({"name": format!("n{number:06}"), "scopes": ["infer"]});
                admin.post("/admin/keys", &ask).await.expect_status(201);
                counts.acknowledged.store(number + 1, Ordering::Release);
            }
        }
    }));
    // Models that come and go, with files that nothing else names.
    for client in 0..2 {
        let (admin, is_over) = (admin.clone(), Arc::clone(&is_over));
        clients.push(tokio::spawn(async move {
            let mut number = 0;
            while !is_over.load(Ordering::Acquire) {
                let (name, version) = (format!("m{client}"), format!("1.{number}.0"));
                let asset = format!("{name} {version}");
                let bundle = TestBundle::echo(&name, &version).with_asset("a", asset.as_bytes());
                admin.upload(bundle.tar()).await.expect_status(201);
                if number % 2 == 1 {
                    admin
                        .delete(&format!("/models/{name}"))
                        .await
                        .expect_status(204);
                }
                number += 1;
            }
        }));
    }
    clients.push(tokio::spawn({
        let (caller, is_over) = (server.anonymous(), Arc::clone(&is_over));
        async move {
            while !is_over.load(Ordering::Acquire) {
                infer(&caller, "echo").await.expect_status(200);
            }
        }
    }));
    let mut moments = Vec::new();
    for number in 0..BACKUPS {
        let file = ground.path(&format!("{number}.tar"));
        let from = keys.acknowledged.load(Ordering::Acquire);
        let (data, made) = (server.data_dir().to_owned(), file.clone());
        tokio::task::spawn_blocking(move || backup(&data, &made))
            .await
            .unwrap();
        moments.push((file, from, keys.begun.load(Ordering::Acquire)));
    }
    is_over.store(true, Ordering::Release);
    for client in clients {
        client.await.unwrap();
    }
    server.kill();
    for (number, (file, from, to)) in moments.into_iter().enumerate() {
        // Every file of every row, the database and the audit log are looked at here.
        let name = format!("there{number}");
        restore(&file, &ground.path(&name));
        if number > 1 {
            continue;
        }
        let restored = ground.server(&name).await;
        let admin = restored.admin();
        let list = admin
            .get("/admin/keys?limit=10000")
            .await
            .expect_status(200)
            .json();
        let mut names: Vec<String> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|key| Some(key["name"].as_str()?.to_owned()))
            .filter(|name| name.starts_with('n') && name.len() == 7)
            .collect();
        names.sort();
        let expected: Vec<String> = (0..names.len())
            .map(|number| format!("n{number:06}"))
            .collect();
        assert_eq!(names, expected, "keys of one moment");
        assert!(
            (from..=to).contains(&names.len()),
            "{from} {} {to}",
            names.len()
        );
        let models = admin.get("/models").await.json();
        for model in models["data"].as_array().unwrap() {
            for version in model["versions"].as_array().unwrap() {
                let state = version["state"].as_str().unwrap();
                assert_ne!(state, "failed", "{models}");
            }
        }
    }
}
