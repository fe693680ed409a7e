//! A sandbox with a compiler in a folder of its own, and the requests that the tests send.

use belljar_sandbox::{
    AssetFile, Budget, CheckedRequest, ChunkSink, CompileError, CompileJob, Compiler,
    CompilerConfig, Completed, Generated, LoadBudget, ReadyModel, RunError, RunLabel, Sandbox,
    SandboxConfig, SlotResetChoice,
    wit::{
        tensors::{Datatype, Request, Tensor},
        text,
        types::{Parameter, Value},
    },
};
use std::{
    ops::ControlFlow,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

pub(crate) struct Kit {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: TempDir,
    pub(crate) compiler_config: CompilerConfig,
}

impl Kit {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: SandboxConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let compiler_config =
            CompilerConfig::in_folder(belljar_tests::program(), folder.path()).unwrap();
        Self {
            sandbox: Sandbox::start(config).unwrap(),
            folder,
            compiler_config,
        }
    }

    pub(crate) fn compiler(&self) -> Compiler {
        Compiler::new(self.compiler_config.clone(), &self.sandbox).unwrap()
    }

    pub(crate) fn asset(&self, name: &str, bytes: &[u8]) -> AssetFile {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        AssetFile {
            name: name.into(),
            path,
            size: bytes.len() as u64,
        }
    }

    pub(crate) async fn compile(&self, job: &CompileJob) -> Result<ReadyModel, CompileError> {
        let artefact = self.compiler().compile(job, &self.sandbox, |_| {}).await?;
        Ok(self.sandbox.load(&artefact, "test").unwrap())
    }

    /// A guest by its name, ready to run.
    pub(crate) async fn model(&self, guest: &str) -> ReadyModel {
        self.compile(&job(guest)).await.unwrap()
    }

    /// Waits until no run holds a slot. Bounded, so that a leak is a failure and no hang.
    pub(crate) async fn until_idle(&self) {
        let idle = async {
            while self.sandbox.stats().running > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), idle).await;
        waited.expect("the slot of a run that is over is free");
    }
}

/// A sandbox small enough for a test.
pub(crate) fn config() -> SandboxConfig {
    SandboxConfig {
        guest_threads: 2,
        runs_max: 16,
        model_runs_max: 16,
        slot_reset: SlotResetChoice::Auto,
        ..SandboxConfig::default()
    }
}

/// A compilation of a guest by its name.
pub(crate) fn job(guest: &str) -> CompileJob {
    job_of(belljar_test_guests::path(guest))
}

pub(crate) fn job_of(component: PathBuf) -> CompileJob {
    CompileJob {
        content: content_of(&component),
        component,
        assets: Vec::new(),
        load: LoadBudget {
            fuel: 1_000_000_000,
            wall_time: Duration::from_secs(30),
        },
        budget: budget(),
        base: None,
    }
}

/// One content a path: each test has a cache of its own.
fn content_of(component: &Path) -> [u8; 32] {
    let mut content = [0; 32];
    for (index, byte) in component.as_os_str().as_bytes().iter().enumerate() {
        content[index % 32] ^= byte.rotate_left((index / 32) as u32);
    }
    content
}

pub(crate) fn budget() -> Budget {
    Budget {
        fuel: 2_000_000_000,
        wall_time: Duration::from_secs(30),
        ..Budget::default()
    }
}

pub(crate) fn label() -> RunLabel {
    RunLabel::new("test")
}

/// One small tensor and some parameters.
pub(crate) fn request<const N: usize>(parameters: [(&str, Value); N]) -> CheckedRequest {
    let parameters = parameters.map(|(name, value)| Parameter {
        name: name.into(),
        value,
    });
    request_of([scalar("x", 7)], parameters)
}

pub(crate) fn request_of(
    inputs: impl Into<Vec<Tensor>>,
    parameters: impl Into<Vec<Parameter>>,
) -> CheckedRequest {
    CheckedRequest::new(Request {
        inputs: inputs.into(),
        outputs: Vec::new(),
        parameters: parameters.into(),
    })
    .unwrap()
}

pub(crate) fn scalar(name: &str, value: u64) -> Tensor {
    Tensor {
        name: name.into(),
        datatype: Datatype::Uint64,
        shape: Vec::new(),
        data: value.to_le_bytes().to_vec(),
    }
}

/// The one number in an output of that name.
pub(crate) fn number(response: &belljar_sandbox::wit::tensors::Response, name: &str) -> u64 {
    let output = response.outputs.iter().find(|output| output.name == name);
    let data = &output.expect("the output is there").data;
    u64::from_le_bytes(data.as_slice().try_into().unwrap())
}

pub(crate) fn text_request<const N: usize>(parameters: [(&str, Value); N]) -> text::Request {
    text::Request {
        prompt: text::Prompt::Text(text::RawPrompt {
            text: "hi".into(),
            suffix: None,
        }),
        max_tokens: 64,
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
        parameters: request(parameters).into_request().parameters,
    }
}

/// All chunks of a text, asked for with nothing.
pub(crate) async fn chunks(
    model: &ReadyModel,
    budget: &Budget,
) -> Result<Completed<Generated<Vec<text::Chunk>>>, RunError> {
    let label = label();
    let run = model.generate(text_request([]), Vec::new(), budget, &label);
    run.await?.await
}

/// A sink that ends the run, or lets it fail, with the first batch.
#[derive(Debug, Default)]
pub(crate) struct Last {
    pub(crate) batches: u32,
    pub(crate) refuses: bool,
}

impl ChunkSink for Last {
    async fn take(&mut self, _: Vec<text::Chunk>) -> Result<ControlFlow<()>, RunError> {
        self.batches += 1;
        if self.refuses {
            let reason = "refused".to_owned();
            return Err(RunError::InvalidOutput { reason });
        }
        Ok(ControlFlow::Break(()))
    }
}
