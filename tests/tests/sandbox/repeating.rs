//! Time and chance come from the request alone, and `load` makes the same snapshot everywhere.

use crate::kit::{Kit, budget, job, label, number, request, text_request};
use belljar_sandbox::{
    CompileJob, DeterminismClass, Freedom, Inspection, ReadyModel, RunLabel, RunOrigin, RunSeed,
    RunTime,
    wit::{tensors::Response, types::Value},
};
use std::collections::BTreeSet;

const TIME_MS: u64 = 1_234_567_890_123;

fn origin(seed: u8) -> RunLabel {
    let time = RunTime::try_from(TIME_MS).unwrap();
    RunLabel::of_origin(RunOrigin::seeded(time, RunSeed::from([seed; 32])), "test")
}

async fn told(model: &ReadyModel, label: &RunLabel) -> Response {
    let request = request([("spin", Value::Integer(1000))]);
    model.infer(request, &budget(), label).await.unwrap().value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_the_same_origin_is_the_same() {
    let kit = Kit::new();
    let model = kit.model("time_and_chance").await;
    let once = told(&model, &origin(1)).await;
    assert_eq!(told(&model, &origin(1)).await, once);
    assert_ne!(told(&model, &origin(2)).await, once);
    // What a seed is drawn for differs in all that is random.
    let (one, other) = (told(&model, &label()).await, told(&model, &label()).await);
    for name in ["random_u64", "insecure", "insecure_seed"] {
        assert_ne!(number(&one, name), number(&other, name), "{name}");
    }
    assert_eq!(number(&one, "load_random"), number(&other, "load_random"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_one_request_differ_and_are_the_same_again() {
    let kit = Kit::new();
    let model = kit.model("time_and_chance").await;
    let runs = async || {
        let label = origin(3);
        let mut runs = Vec::new();
        for _ in 0..4 {
            runs.push(told(&model, &label).await);
        }
        runs
    };
    let once = runs().await;
    assert_eq!(runs().await, once);
    for name in ["random_u64", "insecure", "insecure_seed"] {
        let numbers: BTreeSet<_> = once.iter().map(|run| number(run, name)).collect();
        assert_eq!(numbers.len(), once.len(), "{name}");
    }
    // No two of the streams are one, either.
    let first = &once[0];
    assert_ne!(number(first, "random_u64"), number(first, "insecure"));
    // The bytes are the stream of the cipher under the seed, from its beginning.
    let bytes = &first.outputs.iter().find(|it| it.name == "random").unwrap();
    assert_eq!(bytes.data[..8], chacha20_of([3; 32]));
}

/// The first bytes of ChaCha20 with this key, a counter and a nonce of zeros, by the cipher's own
/// description (RFC 8439, 2.3, whose nonce and counter of 128 bits together are zero here).
fn chacha20_of(key: [u8; 32]) -> [u8; 8] {
    let mut words = [0u32; 16];
    words[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    for (word, bytes) in words[4..12].iter_mut().zip(key.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().unwrap());
    }
    let begun = words;
    let mut quarter = |a: usize, b: usize, c: usize, d: usize| {
        for (x, y, z, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
            words[x] = words[x].wrapping_add(words[y]);
            words[z] = (words[z] ^ words[x]).rotate_left(by);
        }
    };
    for _ in 0..10 {
        for column in 0..4 {
            quarter(column, 4 + column, 8 + column, 12 + column);
        }
        for row in 0..4 {
            let at = |line: usize| line * 4 + (row + line) % 4;
            quarter(row, at(1), at(2), at(3));
        }
    }
    let word = |index: usize| words[index].wrapping_add(begun[index]).to_le_bytes();
    [word(0), word(1)].concat().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_stands_still_the_other_goes_with_fuel_and_sleeps_end_at_once() {
    let kit = Kit::new();
    let model = kit.model("time_and_chance").await;
    let label = origin(1);
    let request = request([("spin", Value::Integer(1_000_000))]);
    let run = model.infer(request, &budget(), &label).await.unwrap();
    let is = |name: &str| number(&run.value, name);
    assert_eq!(is("wall_ms"), TIME_MS);
    assert_eq!(is("load_wall_ms"), 946_684_800_000);
    let spun = is("spun_ns");
    assert!(
        (1_000_000..run.cost.fuel).contains(&spun),
        "{spun} of {}",
        run.cost.fuel
    );
    assert_eq!(
        is("was_ready"),
        0,
        "a sleep of two seconds, before anybody waits"
    );
    // Of three sleeps the nearest ends, and takes the clock there; the next ends at its own time.
    assert_eq!((is("ready"), is("first_ready")), (1, 1));
    let began_ms = spun / 1_000_000;
    assert_eq!(is("polled_ms"), began_ms + 2_000);
    assert_eq!(is("blocked_ms"), began_ms + 5_000);
    assert!(run.cost.wall.as_secs() < 2, "{:?}", run.cost.wall);
}

/// How much a model is asked for at once follows its fuel and not the time, and for a run of a
/// given seed not what is known of the model, either.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_the_same_origin_takes_the_same_fuel() {
    let mut fuel = BTreeSet::new();
    for _ in 0..2 {
        // One that has never run, and one that is known to be quick.
        let model = Kit::new().model("slow_next").await;
        for _ in 0..2 {
            let label = origin(1);
            let request = text_request([("turns", Value::Integer(1000))]);
            let budget = budget();
            let run = model.generate(request, Vec::new(), &budget, &label);
            let made = run.await.unwrap().await.unwrap();
            fuel.insert((made.cost.fuel, made.value.sink.len()));
        }
    }
    assert_eq!(fuel.len(), 1, "{fuel:?}");
}

async fn inspection(kit: &Kit, job: &CompileJob) -> (Inspection, Vec<u8>) {
    let compiler = kit.compiler();
    let artefact = compiler.compile(job, &kit.sandbox, |_| {}).await.unwrap();
    let folder = kit.folder.path().join("artefacts");
    let files = std::fs::read_dir(folder).unwrap();
    let mut compiled = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_none_or(|ending| ending != "seal"));
    let compiled = std::fs::read(compiled.next().unwrap()).unwrap();
    (artefact.inspection().clone(), compiled)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_make_the_same_snapshot_of_a_bundle() {
    let job = job("time_and_chance");
    // Each has a folder and a key of its own.
    let (one, one_compiled) = inspection(&Kit::new(), &job).await;
    let (other, other_compiled) = inspection(&Kit::new(), &job).await;
    assert!(
        one.snapshot_digest
            .as_ref()
            .is_some_and(|it| it.len() == 64)
    );
    assert_eq!(one, other);
    assert!(one_compiled == other_compiled, "the compiled code");
    let renamed = CompileJob {
        content: [9; 32],
        ..job
    };
    let (renamed, _) = inspection(&Kit::new(), &renamed).await;
    assert_ne!(renamed.snapshot_digest, one.snapshot_digest, "another seed");
    let (without, _) = inspection(&Kit::new(), &crate::kit::job("counter")).await;
    assert_eq!(without.snapshot_digest, None);
}

/// The SHA-256 of the snapshot below.
const SNAPSHOT: &str = "cb5918bae618f4e37e2ba72218e276f67707e04ef7adcb55db7d6b06ee938b5e";

/// Not two hosts of one machine, but this one and whichever has written the digest down.
#[tokio::test(flavor = "multi_thread")]
async fn every_machine_makes_the_same_snapshot_byte_for_byte() {
    let kit = Kit::new();
    let job = CompileJob {
        content: [7; 32],
        ..job("draws_in_load")
    };
    let (found, _) = inspection(&kit, &job).await;
    let found = found.snapshot_digest.unwrap();
    assert_eq!(
        found, SNAPSHOT,
        "`load` has left other bytes than elsewhere. Where the guest, the assembler or what takes \
         snapshots is another on purpose, `SNAPSHOT` is {found}"
    );
    // What was drawn is in it.
    let model = kit.compile(&job).await.unwrap();
    let label = label();
    let answer = model.infer(request([]), &budget(), &label).await.unwrap();
    assert_ne!(number(&answer.value, "count"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_class_follows_from_the_instructions() {
    let kit = Kit::new();
    let (whole, _) = inspection(&kit, &job("calls_host")).await;
    assert_eq!(whole.determinism.class(), DeterminismClass::Strict);
    let (kernels, _) = inspection(&kit, &job("kernels")).await;
    assert_eq!(kernels.determinism.class(), DeterminismClass::SameCpu);
    let reasons = kernels.determinism.reasons();
    for freedom in [Freedom::RelaxedSimd, Freedom::NanBits] {
        let of_it = reasons.iter().filter(|it| it.freedom == freedom);
        assert!(of_it.map(|it| it.places).sum::<u64>() > 0, "{freedom:?}");
    }
}
