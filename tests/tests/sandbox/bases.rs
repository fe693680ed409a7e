//! Models on one base: what is compiled for one of them is used for all.

use crate::kit::{Kit, budget, job, label, number, request};
use belljar_sandbox::{CompileJob, Compiler, Inspection, Phase, Progress, base_contents};
use std::fs;
use std::path::PathBuf;

/// A name for the component; what it is the digest of does not matter here.
const BASE: [u8; 32] = [7; 32];

/// A model on the base that keeps these bytes in `load`.
fn on_base(kit: &Kit, number: u8, bytes: &[u8]) -> CompileJob {
    let mut job = job("loads_assets");
    job.content = [number; 32];
    job.assets = vec![kit.asset(&format!("{number}.bin"), bytes)];
    job.base = Some(BASE);
    job
}

/// Compiles a model and asks it for its bytes; what is told on the way, and what was found out.
async fn made(kit: &Kit, compiler: &Compiler, job: &CompileJob) -> (Vec<Phase>, Inspection) {
    let mut phases = Vec::new();
    let artefact = compiler
        .compile(job, &kit.sandbox, |progress| {
            if let Progress::Phase(phase) = progress {
                phases.push(phase);
            }
        })
        .await
        .unwrap();
    let model = kit.sandbox.load(&artefact, "test").unwrap();
    let answer = model.infer(request([]), &budget(), &label()).await.unwrap();
    assert_eq!(number(&answer.value, "total"), job.assets[0].size);
    (phases, artefact.inspection().clone())
}

/// The file of the base that has a filling for its memory.
fn mould(kit: &Kit) -> PathBuf {
    let name = hex(&base_contents(&BASE)[1]);
    let files = fs::read_dir(kit.folder.path().join("artefacts")).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    let is_it = |path: &PathBuf| {
        let file = path.file_name().unwrap().to_str().unwrap();
        file.starts_with(&name) && file.ends_with(".cwasm")
    };
    paths.find(is_it).expect("the base was kept")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const ALL: [Phase; 2] = [Phase::Compiling, Phase::Loading];

#[tokio::test(flavor = "multi_thread")]
async fn the_second_model_on_a_base_is_not_compiled() {
    let kit = Kit::new();
    let compiler = kit.compiler();
    assert_eq!(
        made(&kit, &compiler, &on_base(&kit, 1, b"one")).await.0,
        ALL
    );
    let job = on_base(&kit, 2, b"another");
    let (phases, cast) = made(&kit, &compiler, &job).await;
    assert_eq!(phases, [Phase::Loading]);

    // It is what it would be by itself, to the byte of its snapshot.
    let alone = CompileJob { base: None, ..job };
    let (phases, compiled) = made(&kit, &compiler, &alone).await;
    assert_eq!(phases, ALL);
    assert!(cast.snapshot_digest.is_some());
    assert_eq!(
        Inspection {
            artefact_bytes: 0,
            ..cast
        },
        Inspection {
            artefact_bytes: 0,
            ..compiled
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_leaves_more_memory_than_the_base_is_compiled() {
    let kit = Kit::new();
    let compiler = kit.compiler();
    made(&kit, &compiler, &on_base(&kit, 1, b"one")).await;
    let large = on_base(&kit, 2, &[9; 3 << 20]);
    let (phases, _) = made(&kit, &compiler, &large).await;
    assert_eq!(phases, [Phase::Loading, Phase::Compiling]);
    // The base stays what it was.
    let small = on_base(&kit, 3, b"three");
    assert_eq!(made(&kit, &compiler, &small).await.0, [Phase::Loading]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_of_a_base_does_not_depend_on_who_comes_first() {
    let kit = Kit::new();
    let compiler = kit.compiler();
    let large = on_base(&kit, 1, &[9; 3 << 20]);
    let (phases, _) = made(&kit, &compiler, &large).await;
    // The base, and then the model, which does not fit it.
    assert_eq!(phases, [Phase::Compiling, Phase::Loading, Phase::Compiling]);
    let small = on_base(&kit, 2, b"two");
    assert_eq!(made(&kit, &compiler, &small).await.0, [Phase::Loading]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_was_changed_on_disk_is_made_anew() {
    let kit = Kit::new();
    let compiler = kit.compiler();
    made(&kit, &compiler, &on_base(&kit, 1, b"one")).await;
    let mould = mould(&kit);
    let mut bytes = fs::read(&mould).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&mould, bytes).unwrap();
    assert_eq!(
        made(&kit, &compiler, &on_base(&kit, 2, b"two")).await.0,
        ALL
    );
    let third = on_base(&kit, 3, b"three");
    assert_eq!(made(&kit, &compiler, &third).await.0, [Phase::Loading]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_makes_the_base_and_the_other_waits() {
    let kit = Kit::new();
    let compiler = kit.compiler();
    let (one, other) = (on_base(&kit, 1, b"one"), on_base(&kit, 2, b"two"));
    let (one, other) = tokio::join!(made(&kit, &compiler, &one), made(&kit, &compiler, &other));
    let mut phases = [one.0, other.0];
    phases.sort_by_key(Vec::len);
    assert_eq!(phases, [vec![Phase::Loading], ALL.to_vec()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_process_has_no_room_for_a_base_models_are_compiled() {
    let kit = Kit::new();
    let mut config = kit.compiler_config.clone();
    config.address_space_bytes_max = 6 << 30;
    let compiler = Compiler::new(config, &kit.sandbox).unwrap();
    for number in [1, 2] {
        let job = on_base(&kit, number, b"bytes");
        assert_eq!(made(&kit, &compiler, &job).await.0, ALL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_kept_by_the_names_that_it_says() {
    let kit = Kit::new();
    let compiler = kit.compiler();
    let job = on_base(&kit, 1, b"one");
    made(&kit, &compiler, &job).await;
    let kept = base_contents(&BASE);
    assert!(compiler.retain(|content| kept.contains(content)).unwrap() > 0);
    assert!(compiler.cached(&job).is_none());
    assert_eq!(made(&kit, &compiler, &job).await.0, [Phase::Loading]);
    compiler.retain(|_| false).unwrap();
    assert_eq!(made(&kit, &compiler, &job).await.0, ALL);
}
