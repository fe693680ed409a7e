//! What users pay for each call: a fresh sandbox with a tiny guest and with big snapshots, a
//! token, a host call.
//!
//! `cargo bench -p belljar-tests --bench sandbox`. The same program is the compiling process.

#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement")]

use belljar_sandbox::{
    AssetFile, Budget, COMPILE_COMMAND, CheckedRequest, CompileJob, Compiler, CompilerConfig,
    LoadBudget, ReadyModel, RunLabel, Sandbox, SandboxConfig, SlotResetChoice, SwapEvidence,
    compile_child,
    wit::{
        tensors::{Datatype, Request, Tensor},
        text,
        types::{Parameter, Value},
    },
};
use criterion::Criterion;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(COMPILE_COMMAND) {
        return compile_child();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut criterion = Criterion::default()
        .sample_size(30)
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut ways = vec![("rewriting", SlotResetChoice::KeepResident)];
    if !SwapEvidence::default().swap_is_possible() {
        ways.push(("page-map scan", SlotResetChoice::PagemapScan));
    }
    for (name, way) in ways {
        round_trips(&runtime, &mut criterion, name, way);
    }
    calls(&runtime, &mut criterion);
    criterion.final_summary();
    ExitCode::SUCCESS
}

struct Bench {
    sandbox: Sandbox,
    compiler: Compiler,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(runtime: &Runtime, slot_reset: SlotResetChoice) -> Self {
        let _inside = runtime.enter();
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(SandboxConfig {
            slot_reset,
            ..SandboxConfig::default()
        })
        .unwrap();
        let program = std::env::current_exe().unwrap();
        let config = CompilerConfig::in_folder(program, folder.path()).unwrap();
        let compiler = Compiler::new(config, &sandbox).unwrap();
        Self {
            sandbox,
            compiler,
            folder,
        }
    }

    fn model(&self, runtime: &Runtime, number: u8, component: &Path, asset_mib: u64) -> ReadyModel {
        let mut assets = Vec::new();
        if asset_mib > 0 {
            let path = self.folder.path().join(format!("{asset_mib}.bin"));
            std::fs::write(&path, noise(asset_mib << 20)).unwrap();
            assets.push(AssetFile {
                name: "weights.bin".into(),
                path,
                size: asset_mib << 20,
            });
        }
        let job = CompileJob {
            content: [number; 32],
            component: component.to_owned(),
            assets,
            load: LoadBudget::default(),
            budget: budget(),
            base: None,
        };
        let compiled = self.compiler.compile(&job, &self.sandbox, |_| {});
        let artefact = runtime.block_on(compiled).unwrap();
        self.sandbox.load(&artefact, "bench").unwrap()
    }
}

/// Bytes that no page of zeroes hides in.
fn noise(count: u64) -> Vec<u8> {
    let mut state = 1u64;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        })
        .collect()
}

fn budget() -> Budget {
    Budget {
        memory_bytes_max: 1 << 30,
        ..Budget::default()
    }
}

fn guest(name: &str) -> PathBuf {
    belljar_test_guests::path(name)
}

fn embedded(bench: &Bench, name: &str, component: &[u8]) -> PathBuf {
    let path = bench.folder.path().join(name);
    std::fs::write(&path, component).unwrap();
    path
}

fn round_trips(runtime: &Runtime, criterion: &mut Criterion, name: &str, way: SlotResetChoice) {
    let bench = Bench::new(runtime, way);
    let echo = embedded(&bench, "echo.wasm", belljar::embedded::ECHO_COMPONENT);
    let mut group = criterion.benchmark_group(format!("fresh sandbox, {name}"));
    let models = [
        ("tiny guest", bench.model(runtime, 1, &echo, 0)),
        // The guest of the next two without its weights: what they are compared with.
        (
            "snapshot without weights",
            bench.model(runtime, 4, &guest("loads_assets"), 0),
        ),
        (
            "64 MiB snapshot",
            bench.model(runtime, 2, &guest("loads_assets"), 64),
        ),
        (
            "256 MiB snapshot",
            bench.model(runtime, 3, &guest("loads_assets"), 256),
        ),
    ];
    for (what, model) in &models {
        let label = RunLabel::new("bench");
        group.bench_function(*what, |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let completed = model.infer(request(&[]), &budget(), &label).await;
                completed.unwrap()
            });
        });
    }
    group.finish();
}

fn calls(runtime: &Runtime, criterion: &mut Criterion) {
    let bench = Bench::new(runtime, SlotResetChoice::Auto);
    let fake = embedded(&bench, "fake.wasm", belljar::embedded::FAKE_COMPONENT);
    let fake = bench.model(runtime, 1, &fake, 0);
    let caller = bench.model(runtime, 2, &guest("calls_host"), 0);
    let mut group = criterion.benchmark_group("inside one run");
    for tokens in [1, 1025] {
        let label = RunLabel::new("bench");
        group.bench_function(format!("{tokens} tokens"), |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let budget = budget();
                let run = fake.generate(text_request(tokens), Vec::new(), &budget, &label);
                run.await.unwrap().await.unwrap()
            });
        });
    }
    for count in [1, 1001] {
        let label = RunLabel::new("bench");
        let asked = [("count", count)];
        group.bench_function(format!("{count} host calls"), |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let completed = caller.infer(request(&asked), &budget(), &label).await;
                completed.unwrap()
            });
        });
    }
    group.finish();
}

fn request(parameters: &[(&str, i64)]) -> CheckedRequest {
    let request = Request {
        inputs: vec![Tensor {
            name: "x".into(),
            datatype: Datatype::Fp32,
            shape: vec![2, 2],
            data: vec![0; 16],
        }],
        outputs: Vec::new(),
        parameters: parameters
            .iter()
            .map(|(name, value)| Parameter {
                name: (*name).into(),
                value: Value::Integer(*value),
            })
            .collect(),
    };
    CheckedRequest::new(request).unwrap()
}

fn text_request(max_tokens: u32) -> text::Request {
    text::Request {
        prompt: text::Prompt::Text(text::RawPrompt {
            text: "hi".into(),
            suffix: None,
        }),
        max_tokens,
        stop: Vec::new(),
        sampling: text::Sampling {
            temperature: None,
            top_p: None,
            top_k: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            logit_bias: Vec::new(),
            seed: Some(1),
            logprobs: None,
        },
        tools: Vec::new(),
        tool_choice: text::ToolChoice::Automatic,
        parallel_tool_calls: true,
        response_format: text::ResponseFormat::Text,
        reasoning_effort: None,
        choice: 0,
        // To the last token, past where the text would end by itself.
        parameters: vec![Parameter {
            name: "ignore_eos".into(),
            value: Value::Boolean(true),
        }],
    }
}
