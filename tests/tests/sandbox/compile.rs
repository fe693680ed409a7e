//! What is refused when a version is made ready, and what a snapshot keeps.

use crate::kit::{Kit, budget, config, job, job_of, label, number, request, request_of};
use belljar_sandbox::{
    Budget, Cap, CapHit, CompileError, CompileJob, Compiler, LoadBudget, Phase, Progress, Sandbox,
    SandboxConfig, SharedCache, SlotResetChoice, SwapEvidence,
    wit::tensors::{Datatype, Tensor},
};
use std::time::Duration;

async fn refusal(job: &CompileJob) -> CompileError {
    let kit = Kit::new();
    let compiled = kit.compiler().compile(job, &kit.sandbox, |_| {}).await;
    let left: Vec<_> = std::fs::read_dir(&kit.compiler_config.artefacts)
        .unwrap()
        .collect();
    assert!(left.is_empty(), "a refusal leaves nothing: {left:?}");
    compiled.expect_err("it was to be refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_not_granted_is_refused_by_name() {
    let CompileError::RefusedImport { name } = refusal(&job("forbidden_import")).await else {
        panic!("another refusal")
    };
    assert!(name.starts_with("evil:host/backdoor"), "{name}");
    let error = refusal(&job("forbidden_http")).await;
    let CompileError::RefusedImport { name } = &error else {
        panic!("{error:?}")
    };
    assert!(name.starts_with("wasi:http/"), "{name}");
    assert_eq!(error.code(), "refused_import");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capability_that_no_route_asks_for_is_refused_by_name() {
    let error = refusal(&job("only_transcription")).await;
    let CompileError::NotServed { capabilities } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(capabilities.names(), ["transcription"]);
    assert_eq!(error.code(), "capability_not_served");
    assert!(!error.is_host_fault());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_that_is_not_enabled_is_refused_by_name() {
    let error = refusal(&job("shared_memory")).await;
    let CompileError::Unsupported { reason } = &error else {
        panic!("{error:?}")
    };
    assert!(reason.contains("threads"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component_is_refused() {
    let kit = Kit::new();
    let write = |bytes: &[u8]| {
        let path = kit.folder.path().join("x.wasm");
        std::fs::write(&path, bytes).unwrap();
        job_of(path)
    };
    let not_wasm = refusal(&write(b"PK\x03\x04 not wasm")).await;
    assert_eq!(not_wasm.code(), "invalid_component");
    let module = refusal(&write(b"\0asm\x01\0\0\0")).await;
    assert!(module.to_string().contains("wasm32-wasip2"), "{module}");
    let empty = refusal(&write(b"")).await;
    assert_eq!(empty.code(), "invalid_component");
    let mut cut = std::fs::read(belljar_test_guests::path("counter")).unwrap();
    cut.truncate(cut.len() / 2);
    assert_eq!(refusal(&write(&cut)).await.code(), "invalid_component");
    let nothing = refusal(&write(b"\0asm\x0d\0\x01\0")).await;
    assert!(nothing.to_string().contains("exports none"), "{nothing}");
}

/// A good component with `count` empty ones in it, each inside the one before.
fn nested(count: usize) -> Vec<u8> {
    let mut inner = b"\0asm\x0d\0\x01\0".to_vec();
    let section = |content: &[u8]| {
        let mut section = vec![4];
        let mut length = content.len();
        while length > 0x7f {
            section.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        section.push(length as u8);
        [&section, content].concat()
    };
    for _ in 1..count {
        inner = [b"\0asm\x0d\0\x01\0", &section(&inner)[..]].concat();
    }
    let good = std::fs::read(belljar_test_guests::path("counter")).unwrap();
    [good, section(&inner)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn components_in_components_are_refused_before_anything_is_read() {
    let kit = Kit::new();
    let path = kit.folder.path().join("x.wasm");
    for count in [101, 20_000] {
        std::fs::write(&path, nested(count)).unwrap();
        let started = std::time::Instant::now();
        let error = refusal(&job_of(path.clone())).await;
        assert_eq!(error, CompileError::TooDeep { limit: 100 });
        assert_eq!(error.code(), "component_too_deep");
        // Half a minute when all were read.
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{count}: {:?}",
            started.elapsed()
        );
    }
    std::fs::write(&path, nested(100)).unwrap();
    let compiled = kit
        .compiler()
        .compile(&job_of(path), &kit.sandbox, |_| {})
        .await;
    assert!(compiled.is_ok(), "{:?}", compiled.err());
}

/// The fields of `/proc/*/stat` after the name: the state, the parent, …, and the nice value as
/// the 17th.
fn stat(path: &std::path::Path) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(path.join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(((*fields.get(1)?).to_owned(), fields.get(16)?.parse().ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compiling_process_gives_way_and_is_the_first_to_go() {
    const NICE_MAX: i32 = 19;
    let kit = Kit::new();
    let mut sleeping = job("sleeps_in_load");
    sleeping.load.fuel = 1_000_000_000_000;
    let compiler = kit.compiler();
    let sandbox = kit.sandbox.clone();
    let (loading, mut phases) = tokio::sync::mpsc::unbounded_channel();
    let compiling = tokio::spawn(async move {
        let told = |phase| {
            let _ = loading.send(phase);
        };
        compiler.compile(&sleeping, &sandbox, told).await.map(drop)
    });
    while phases.recv().await.expect("it goes on") != Progress::Phase(Phase::Loading) {}
    let (_, own_nice) = stat("/proc/self".as_ref()).unwrap();
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap();
    let machine_kib: u64 = machine.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut seen = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        let Some((parent, nice)) = stat(&path) else {
            continue;
        };
        if parent != std::process::id().to_string()
            || !read("cmdline").contains(belljar_sandbox::COMPILE_COMMAND)
        {
            continue;
        }
        let limits = read("limits");
        let data = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max data size"));
        let data = data.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        let capped = data.is_some_and(|data| data <= machine_kib * 1024 / 8 * 3);
        seen.push((read("oom_score_adj").trim().to_owned(), nice, capped));
    }
    compiling.abort();
    // Other tests of this program compile as well, and may have only begun.
    let expected = ("1000".to_owned(), (own_nice + 10).min(NICE_MAX), true);
    assert!(seen.contains(&expected), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_a_slot_is_refused_with_both_numbers() {
    for (guest, what) in [
        ("many_memories", "linear memories"),
        ("huge_table", "elements"),
    ] {
        let error = refusal(&job(guest)).await;
        let CompileError::TooLargeForPool { reason } = &error else {
            panic!("{guest}: {error:?}")
        };
        assert!(reason.contains(what), "{reason}");
    }
    let small = CompileJob {
        budget: Budget {
            memory_bytes_max: 64 << 10,
            ..budget()
        },
        ..job("counter")
    };
    assert_eq!(refusal(&small).await.code(), "component_too_large_for_pool");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_function_without_end_meets_the_fuel_of_a_run() {
    let looping = CompileJob {
        budget: Budget {
            fuel: 1_000_000,
            ..budget()
        },
        ..job("start_loop")
    };
    let error = refusal(&looping).await;
    assert!(
        matches!(&error, CompileError::Cap(hit) if hit.cap == Cap::Fuel),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn load_has_fuel_time_and_memory_of_its_own() {
    let tight = |guest: &str, fuel: u64| CompileJob {
        load: LoadBudget {
            fuel,
            wall_time: Duration::from_millis(100),
        },
        ..job(guest)
    };
    let fuel = refusal(&tight("burns_fuel_in_load", 10_000_000)).await;
    let expected = CapHit {
        cap: Cap::Fuel,
        limit: 10_000_000,
        used: 10_000_000,
    };
    assert_eq!(fuel, CompileError::Cap(expected));
    let time = refusal(&tight("sleeps_in_load", 1_000_000_000_000)).await;
    assert!(
        matches!(&time, CompileError::Cap(hit) if hit.cap == Cap::WallTimeMs && hit.limit == 100),
        "{time:?}"
    );
}

/// What takes the snapshot needs two pages beside each memory, and a guest that has all that it may
/// have leaves none.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_takes_all_that_it_may_is_captured_all_the_same() {
    let kit = Kit::new();
    let compile = async |memory_bytes_max: u64| {
        let job = CompileJob {
            budget: Budget {
                memory_bytes_max,
                ..budget()
            },
            ..job("grows_in_load")
        };
        let compiled = kit.compiler().compile(&job, &kit.sandbox, |_| {}).await;
        compiled.unwrap().inspection().memory_bytes_initial
    };
    let grown = compile(8 << 20).await;
    assert!(grown > 4 << 20);
    assert_eq!(compile(grown).await, grown, "with no byte to spare");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_declares_too_little_to_be_captured_is_told_what_to_declare() {
    let error = refusal(&job("full_memory")).await;
    assert_eq!(error.code(), "unsupported_feature");
    let told = error.to_string();
    for words in ["131072 bytes", "after `load`", "--max-memory=262144"] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn a_core_module_is_told_what_makes_a_component_of_it() {
    let module = wat::parse_str("(module)").unwrap();
    let error = belljar_sandbox::inspect_component(&module).unwrap_err();
    assert!(error.to_string().contains("`belljar pack`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn load_that_fails_says_why() {
    let CompileError::LoadFailed { reason } = refusal(&job("fails_in_load")).await else {
        panic!("another refusal")
    };
    assert!(reason.contains("weights are of another model"), "{reason}");
    let trapped = refusal(&job("traps_in_load")).await;
    assert_eq!(trapped.code(), "load_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_load_says_is_heard_also_when_it_panics() {
    let kit = Kit::new();
    let mut said = Vec::new();
    let compiled = kit
        .compiler()
        .compile(&job("panics_in_load"), &kit.sandbox, |progress| {
            if let Progress::Said(line) = progress {
                said.push(line.text);
            }
        })
        .await;
    assert_eq!(compiled.unwrap_err().code(), "load_failed");
    let all = said.join("\n");
    for words in [
        "reading the weights",
        "by log",
        "weights.bin is of another model",
        "it failed in ",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    assert!(
        !said
            .iter()
            .any(|line| line.contains(['\n', '\u{1b}', '\u{202e}'])),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_has_compiled_another_need_not() {
    let kit = Kit::new();
    let folder = kit.folder.path().join("compiled");
    let with = |is_filled: bool, artefacts: &str| {
        let mut config = kit.compiler_config.clone();
        config.artefacts = kit.folder.path().join(artefacts);
        config.shared = Some(SharedCache {
            folder: folder.clone(),
            is_filled,
        });
        Compiler::new(config, &kit.sandbox).unwrap()
    };
    let (taker, giver) = (with(false, "taker"), with(true, "giver"));
    let job = job("counter");
    assert!(taker.cached(&job).is_none());
    giver.compile(&job, &kit.sandbox, |_| {}).await.unwrap();
    let taken = taker.cached(&job).expect("it was compiled already");
    let model = kit.sandbox.load(&taken, "test").unwrap();
    assert!(model.infer(request([]), &budget(), &label()).await.is_ok());
    // It is its own from now on.
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(taker.cached(&job).is_some());
    // What was compiled within other caps is another thing.
    let (taker, wider) = (
        with(false, "other"),
        CompileJob {
            budget: Budget {
                memories_max: 3,
                ..budget()
            },
            ..job
        },
    );
    giver.compile(&wider, &kit.sandbox, |_| {}).await.unwrap();
    let narrow = CompileJob {
        budget: budget(),
        ..wider
    };
    assert!(taker.cached(&narrow).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compiling_process_has_caps() {
    let kit = Kit::new();
    let attempt = async |change: &dyn Fn(&mut belljar_sandbox::CompilerConfig)| {
        let mut config = kit.compiler_config.clone();
        change(&mut config);
        let compiler = Compiler::new(config, &kit.sandbox).unwrap();
        let compiled = compiler
            .compile(&job("counter"), &kit.sandbox, |_| {})
            .await;
        compiled.expect_err("a cap was to be hit").code()
    };
    let time = attempt(&|config| config.wall_time = Duration::from_millis(1)).await;
    assert_eq!(time, "compile_time_exceeded");
    let space = attempt(&|config| config.address_space_bytes_max = 48 << 20).await;
    assert_eq!(space, "compile_memory_exceeded");
    let size = attempt(&|config| config.component_bytes_max = 1000).await;
    assert_eq!(size, "component_too_large");
    let missing = attempt(&|config| config.program = "/nonexistent".into()).await;
    assert_eq!(missing, "internal_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_load_leaves_behind_is_where_each_request_starts() {
    let kit = Kit::new();
    let bytes: Vec<u8> = (0..3 << 20).map(|index: u32| (index % 251) as u8).collect();
    let mut job = job("loads_assets");
    job.assets = vec![kit.asset("weights.bin", &bytes)];
    let mut phases = Vec::new();
    let compiler = kit.compiler();
    let artefact = compiler
        .compile(&job, &kit.sandbox, |progress| {
            if let Progress::Phase(phase) = progress {
                phases.push(phase);
            }
        })
        .await
        .unwrap();
    assert_eq!(phases, [Phase::Compiling, Phase::Loading]);
    assert!(artefact.inspection().snapshot);
    // The file is not needed any more.
    std::fs::remove_file(&job.assets[0].path).unwrap();
    let model = kit.sandbox.load(&artefact, "test").unwrap();
    let offsets = [0i64, 250, 251, (3 << 20) - 1];
    let at = Tensor {
        name: "at".into(),
        datatype: Datatype::Int64,
        shape: vec![4],
        data: offsets.iter().flat_map(|at| at.to_le_bytes()).collect(),
    };
    let response = model
        .infer(request_of([at], []), &budget(), &label())
        .await
        .unwrap()
        .value;
    assert_eq!(number(&response, "total"), 3 << 20);
    let found = &response
        .outputs
        .iter()
        .find(|output| output.name == "bytes");
    let expected: Vec<u8> = offsets.iter().map(|at| (at % 251) as u8).collect();
    assert_eq!(found.unwrap().data, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_is_not_done_again_and_a_changed_one_is() {
    let kit = Kit::new();
    let compiler = kit.compiler();
    let job = job("counter");
    assert!(compiler.cached(&job).is_none());
    compiler.compile(&job, &kit.sandbox, |_| {}).await.unwrap();
    assert!(compiler.cached(&job).is_some());
    let other = kit.compiler();
    let again = other.cached(&job).expect("it outlives the compiler");
    let model = kit.sandbox.load(&again, "test").unwrap();
    assert!(model.infer(request([]), &budget(), &label()).await.is_ok());

    let compiled = std::fs::read_dir(&kit.compiler_config.artefacts)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .unwrap();
    let mut bytes = std::fs::read(&compiled).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&compiled, bytes).unwrap();
    assert!(compiler.cached(&job).is_none(), "one bit is enough");
    compiler.compile(&job, &kit.sandbox, |_| {}).await.unwrap();
    assert!(compiler.cached(&job).is_some(), "it was compiled anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_of_cleaning_map_the_same_file() {
    if SwapEvidence::default().swap_is_possible() {
        eprintln!("skipped: this machine can swap");
        return;
    }
    let kit = Kit::new();
    let artefact = kit
        .compiler()
        .compile(&job("counter"), &kit.sandbox, |_| {})
        .await
        .unwrap();
    let other = Sandbox::start(SandboxConfig {
        slot_reset: SlotResetChoice::KeepResident,
        ..config()
    })
    .unwrap();
    let model = other.load(&artefact, "test").unwrap();
    assert!(model.infer(request([]), &budget(), &label()).await.is_ok());
}
