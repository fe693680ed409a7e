#![allow(clippy::unwrap_used, clippy::print_stdout)]
use belljar_sandbox::wit::{tensors, text};
use belljar_sandbox::*;
use std::time::*;
fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some(COMPILE_COMMAND) {
        return compile_child();
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(real());
    std::process::ExitCode::SUCCESS
}
async fn real() {
    let t = Instant::now();
    let cleaning = match std::env::var("CLEAN").as_deref() {
        Ok("keep") => CleaningChoice::KeepResident,
        _ => CleaningChoice::Auto,
    };
    let sandbox = Sandbox::start(SandboxConfig {
        cleaning,
        ..Default::default()
    })
    .unwrap();
    println!("start {:?}, cleaning {}", t.elapsed(), sandbox.cleaning());
    let dir = tempfile::tempdir().unwrap();
    let compiler = Compiler::new(
        CompilerConfig {
            program: std::env::current_exe().unwrap(),
            artefacts: dir.path().join("a"),
            concurrency: 1,
            wall_time: Duration::from_secs(120),
            cpu_time: Duration::from_secs(120),
            address_space_bytes_max: 16 << 30,
            component_bytes_max: 64 << 20,
            mac_key: MacKey::open(&dir.path().join("k")).unwrap(),
        },
        &sandbox,
    )
    .unwrap();
    let budget = Budget {
        memory_bytes_max: 1 << 30,
        ..Budget::default()
    };
    let guests = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let name = std::env::args().nth(2).unwrap();
    let mut assets = vec![];
    if let Some(mb) = std::env::args().nth(3) {
        let size = mb.parse::<usize>().unwrap() << 20;
        let mut x = 1u64;
        let bytes: Vec<u8> = (0..size)
            .map(|_| {
                x = x
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (x >> 33) as u8
            })
            .collect();
        let p = dir.path().join("weights.bin");
        std::fs::write(&p, bytes).unwrap();
        assets.push(AssetFile {
            name: "weights.bin".into(),
            path: p,
            size: size as u64,
        });
    }
    let job = CompileJob {
        content: [1; 32],
        component: guests.join(format!("{name}.wasm")),
        assets,
        load: LoadBudget::default(),
        budget,
    };
    let t = Instant::now();
    let artefact = match compiler
        .compile(&job, &sandbox, |p| println!("{p:?} at {:?}", t.elapsed()))
        .await
    {
        Ok(a) => a,
        Err(e) => {
            println!("{e:?} {}", e.code());
            return;
        }
    };
    println!("compile {:?} {:?}", t.elapsed(), artefact.inspection());
    let t = Instant::now();
    let artefact2 = compiler.cached(&job).unwrap();
    println!("cached {:?}", t.elapsed());
    let t = Instant::now();
    let model = sandbox.load(&artefact2, "m").unwrap();
    println!("load {:?}", t.elapsed());
    let label = RunLabel::new("r");
    if model.inspection().capabilities.tensors {
        let request = || tensors::Request {
            inputs: vec![tensors::Tensor {
                name: "x".into(),
                datatype: tensors::Datatype::Fp32,
                shape: vec![2, 2],
                data: vec![0; 16],
            }],
            outputs: vec![],
            parameters: vec![],
        };
        println!("{:?}", model.infer(request(), &budget, &label).await);
        for _ in 0..3 {
            let n = 20000;
            let t = Instant::now();
            for _ in 0..n {
                let _ = model.infer(request(), &budget, &label).await;
                if t.elapsed() > Duration::from_secs(5) {
                    break;
                }
            }
            println!(
                "infer {:.2} us",
                t.elapsed().as_nanos() as f64 / n as f64 / 1e3
            );
        }
    }
    if model.inspection().capabilities.text {
        let request = || text::Request {
            prompt: text::Prompt::Messages(vec![text::Message {
                role: text::Role::User,
                name: None,
                content: vec![text::Part::Text("hi".into())],
                tool_calls: vec![],
                tool_call_id: None,
            }]),
            max_tokens: 32,
            stop: vec![],
            sampling: text::Sampling {
                temperature: None,
                top_p: None,
                top_k: None,
                min_p: None,
                frequency_penalty: None,
                presence_penalty: None,
                logit_bias: vec![],
                seed: Some(1),
                logprobs: None,
            },
            tools: vec![],
            tool_choice: text::ToolChoice::Automatic,
            parallel_tool_calls: true,
            response_format: text::ResponseFormat::Text,
            reasoning_effort: None,
            choice: 0,
            parameters: vec![],
        };
        let mut g = model.generate(request(), &budget, &label).await.unwrap();
        let mut s = String::new();
        let mut k = 0;
        while let Some(c) = g.next().await {
            k += 1;
            match c {
                Ok(c) => {
                    if let text::Content::Text(t) = c.content {
                        s.push_str(&t.text)
                    }
                }
                Err(e) => println!("{e:?}"),
            }
        }
        println!("{k} chunks {s:?} {:?}", g.end());
        let n = 20000;
        let t = Instant::now();
        for _ in 0..n {
            let mut g = model.generate(request(), &budget, &label).await.unwrap();
            while g.next().await.is_some() {}
        }
        println!(
            "generate 32 {:.2} us",
            t.elapsed().as_nanos() as f64 / n as f64 / 1e3
        );
    }
    println!("{:?} {:?}", label.spent(), sandbox.stats());
}
