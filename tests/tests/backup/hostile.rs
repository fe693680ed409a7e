//! Backups that were cut, changed or made up. None is taken, and each refusal says why.

use std::fs;
use std::io::Read as _;

use belljar::backup::check;
use belljar_bundle::Digest;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::kit::{Ground, backup, refused, restore_command, upload};

/// A backup of a server with one model, in memory.
async fn sample(ground: &Ground) -> Vec<u8> {
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", b"an asset").await;
    let file = ground.path("sample.tar");
    backup(server.data_dir(), &file);
    fs::read(file).unwrap()
}

fn told(bytes: &[u8]) -> Option<String> {
    check(bytes).err().map(|error| error.to_string())
}

/// Tries the command as well: nothing is in place, and nothing beside it.
fn refused_by_command(ground: &Ground, bytes: &[u8]) -> String {
    let file = ground.path("bad.tar");
    fs::write(&file, bytes).unwrap();
    let place = ground.path("place");
    let told = refused(&restore_command(&file, &place).output().unwrap());
    assert!(
        !place.exists() && !ground.path("place.restoring").exists(),
        "{told}"
    );
    told
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_found() {
    let ground = Ground::new();
    let whole = sample(&ground).await;
    assert_eq!(told(&whole), None);
    let mut random = StdRng::seed_from_u64(7);
    // Every record's head, its first bytes and its padding, and places anywhere.
    let mut places: Vec<usize> = (0..400)
        .map(|_| random.random_range(0..whole.len()))
        .collect();
    let mut archive = tar::Archive::new(&whole[..]);
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let (head, content) = (entry.raw_header_position(), entry.raw_file_position());
        for at in [head, head + 130, content, content + entry.size() - 1] {
            places.push(usize::try_from(at).unwrap());
        }
    }
    for place in places {
        let mut changed = whole.clone();
        changed[place] ^= 1 << random.random_range(0..8);
        assert!(told(&changed).is_some(), "byte {place} of {}", whole.len());
    }
    // By name, where one can be told.
    let position = |name: &str| {
        let mut archive = tar::Archive::new(&whole[..]);
        let mut entries = archive.entries().unwrap();
        let entry =
            entries.find(|entry| entry.as_ref().unwrap().path_bytes().as_ref() == name.as_bytes());
        usize::try_from(entry.unwrap().unwrap().raw_file_position()).unwrap()
    };
    let hex = Digest::of(b"an asset").hex();
    let blob = format!("bundles/blobs/sha256/{}/{hex}", &hex[..2]);
    for name in [
        "directory.json",
        "admin.key",
        "belljar.db",
        "audit.head",
        "audit.log",
        &blob,
    ] {
        let mut changed = whole.clone();
        changed[position(name) + 2] ^= 1;
        let told = refused_by_command(&ground, &changed);
        assert!(
            told.contains(&format!("the content of {name} does not")),
            "{told}"
        );
    }
    let mut changed = whole.clone();
    changed[position("belljar-backup.end") + 9] ^= 1;
    assert!(refused_by_command(&ground, &changed).contains("its last record"));
}

#[tokio::test]
async fn a_backup_that_is_cut_off_is_none() {
    let ground = Ground::new();
    let whole = sample(&ground).await;
    let mut random = StdRng::seed_from_u64(8);
    // Also between records, where nothing of the tar is missing but its end.
    let blocks = (0..whole.len()).step_by(512);
    let anywhere = (0..100).map(|_| random.random_range(0..whole.len()));
    for length in blocks.chain(anywhere).collect::<Vec<_>>() {
        // The second of the two empty blocks that end a tar may be all that is missing.
        assert!(
            told(&whole[..length]).is_some(),
            "{length} of {}",
            whole.len()
        );
    }
    refused_by_command(&ground, &whole[..whole.len() / 2]);
    let longer = [&whole[..], b"more"].concat();
    assert!(told(&longer).is_some());
}

/// The records of a backup, to be put together anew.
fn records(whole: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(whole);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        })
        .collect()
}

fn built(records: &[(String, Vec<u8>)], change: impl Fn(&str, &mut Header)) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in records {
        let mut header = Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_entry_type(EntryType::Regular);
        // As it is written, without the rules of a library.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        change(name, &mut header);
        header.set_cksum();
        tar.append(&header, &content[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

/// The same backup with its list and its files changed, and everything else made to fit.
fn forged(whole: &[u8], change: impl FnOnce(&mut Value, &mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut records = records(whole);
    let (_, list) = records.remove(0);
    records.pop();
    let mut list: Value = serde_json::from_slice(&list).unwrap();
    change(&mut list, &mut records);
    for file in list["files"].as_array_mut().unwrap() {
        let record = records.iter().find(|(name, _)| file["path"] == json!(name));
        if let Some((_, content)) = record.filter(|_| file["keep"].is_null()) {
            file["bytes"] = json!(content.len());
            file["sha256"] = json!(Digest::of(content).to_string());
        }
    }
    let list = serde_json::to_vec(&list).unwrap();
    let end = format!("{}\n", Digest::of(&list)).into_bytes();
    records.insert(0, ("belljar-backup.json".to_owned(), list));
    records.push(("belljar-backup.end".to_owned(), end));
    built(&records, |_, _| {})
}

fn add(list: &mut Value, records: &mut Vec<(String, Vec<u8>)>, name: &str, content: &[u8]) {
    let digest = Digest::of(content).to_string();
    let row = json!({"path": name, "bytes": content.len(), "sha256": digest});
    list["files"].as_array_mut().unwrap().push(row);
    records.push((name.to_owned(), content.to_vec()));
}

#[tokio::test]
async fn made_up_backups_are_refused() {
    let ground = Ground::new();
    let whole = sample(&ground).await;
    assert_eq!(
        told(&forged(&whole, |_, _| {})),
        None,
        "what is forged is else in order"
    );
    let paths = [
        "../outside",
        "/etc/passwd",
        "artefacts/x.cwasm",
        "artefacts.key",
        "lock",
        "bundles/blobs/sha256/ab/cd",
        "audit.log.1",
        "belljar.db-wal",
    ];
    for path in paths {
        let forged = forged(&whole, |list, records| add(list, records, path, b"x"));
        let told = refused_by_command(&ground, &forged);
        assert!(told.contains("is no file of a server"), "{path}: {told}");
    }
    let twice = forged(&whole, |list, records| {
        add(list, records, "admin.key", b"x")
    });
    assert!(told(&twice).unwrap().contains("twice"));
    let newer = forged(&whole, |list, _| list["format_version"] = json!(2));
    assert!(told(&newer).unwrap().contains("of a newer belljar"));
    let other = forged(&whole, |list, _| list["format"] = json!("something"));
    assert!(told(&other).unwrap().contains("no backup"));
    let without = forged(&whole, |list, records| {
        list["files"]
            .as_array_mut()
            .unwrap()
            .retain(|file| file["path"] != "belljar.db");
        records.retain(|(name, _)| name != "belljar.db");
    });
    assert!(told(&without).unwrap().contains("belljar.db is not in it"));
    let large = forged(&whole, |list, _| {
        let last = list["files"].as_array_mut().unwrap().last_mut().unwrap();
        last["bytes"] = json!(1_u64 << 50);
        last["keep"] = json!(true);
    });
    let told_large = refused_by_command(&ground, &large);
    assert!(told_large.contains("the backup needs"), "{told_large}");
    let unlisted = forged(&whole, |_, records| {
        records.push(("signing.key".into(), b"x".to_vec()))
    });
    assert!(told(&unlisted).unwrap().contains("stands where"));
    // No links, devices or folders in the place of files, whatever the list says.
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Fifo,
    ] {
        let linked = built(&records(&whole), |name, header| {
            if name == "admin.key" {
                header.set_entry_type(kind);
                header.set_size(0);
            }
        });
        assert!(told(&linked).is_some(), "{kind:?}");
    }
    for (bytes, why) in [
        (&b""[..], "empty"),
        (b"PK\x03\x04", "zip"),
        (&[0; 1024], "no entry"),
        (&[0x1f, 0x8b, 8, 0], "a gzip of nothing"),
    ] {
        assert!(told(bytes).is_some(), "{why}");
    }
}

#[tokio::test]
async fn backups_whose_content_is_not_sound_are_refused() {
    let ground = Ground::new();
    let whole = sample(&ground).await;
    let replaced = |name: &str, content: Vec<u8>| {
        forged(&whole, |_, records| {
            let record = records.iter_mut().find(|(path, _)| path == name);
            record.unwrap().1 = content;
        })
    };
    let found = records(&whole);
    let content = |name: &str| {
        let record = found.iter().find(|(path, _)| path == name);
        record.unwrap().1.clone()
    };
    let mark = String::from_utf8(content("directory.json")).unwrap();
    let log = content("audit.log");
    let cut = log.len() / 2;
    let mut changed = log.clone();
    changed[cut] ^= 1;
    let mut database = content("belljar.db");
    let middle = database.len() / 2;
    database[middle..middle + 2_048].fill(0xff);
    let cases = [
        (
            "directory.json",
            mark.replace("\"starts\":", "\"starts\":9").into_bytes(),
            "directory.json is not that",
        ),
        (
            "directory.json",
            b"{}".to_vec(),
            "directory.json is not that",
        ),
        ("belljar.db", b"no database".to_vec(), "not sound"),
        ("belljar.db", database, "not sound"),
        ("audit.log", log[..cut].to_vec(), "not sound"),
        ("audit.log", changed, "not sound"),
    ];
    for (name, content, expected) in cases {
        let told = refused_by_command(&ground, &replaced(name, content));
        assert!(told.contains(expected), "{name}: {told}");
    }
    let hex = Digest::of(b"an asset").hex();
    let without = forged(&whole, |list, records| {
        let files = list["files"].as_array_mut().unwrap();
        files.retain(|file| !file["path"].as_str().unwrap().contains(&hex));
        records.retain(|(name, _)| !name.contains(&hex));
    });
    let told = refused_by_command(&ground, &without);
    assert!(
        told.contains("the files of m@1.0.0 are not whole"),
        "{told}"
    );
}
