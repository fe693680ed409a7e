//! Each cap of a run, hit by the guest that goes for it: the fault says which cap, its value
//! and what was used.

use crate::kit::{Kit, budget, chunks, config, label, number, request};
use belljar_sandbox::{Budget, Cap, CapHit, RunError, SandboxConfig, Scope, wit::types::Value};
use std::time::Duration;

/// The fault of one `infer`.
async fn fault(
    guest: &str,
    budget: &Budget,
    parameters: [(&str, Value); 1],
) -> Result<u64, RunError> {
    let kit = Kit::new();
    let model = kit.model(guest).await;
    let label = label();
    let answer = model.infer(request(parameters), budget, &label).await;
    kit.until_idle().await;
    answer.map(|completed| completed.cost.fuel)
}

const NOTHING: [(&str, Value); 1] = [("", Value::Boolean(false))];

fn hit(fault: Result<u64, RunError>) -> CapHit {
    match fault {
        Err(RunError::Cap(hit)) => hit,
        other => panic!("a cap was to be hit, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fuel_ends_an_endless_run() {
    let fuel = 50_000_000;
    let budget = Budget { fuel, ..budget() };
    let expected = CapHit {
        cap: Cap::Fuel,
        limit: fuel,
        used: fuel,
    };
    assert_eq!(hit(fault("burns_fuel", &budget, NOTHING).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fuel_of_a_failed_run_is_on_the_meter() {
    let kit = Kit::new();
    let model = kit.model("burns_fuel").await;
    let budget = Budget {
        fuel: 1_000_000,
        ..budget()
    };
    let label = label();
    assert!(model.infer(request([]), &budget, &label).await.is_err());
    kit.until_idle().await;
    assert_eq!(label.cost().fuel, 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_a_run_that_has_fuel() {
    let budget = Budget {
        fuel: u64::MAX / 2,
        wall_time: Duration::from_millis(60),
        ..budget()
    };
    let hit = hit(fault("burns_fuel", &budget, NOTHING).await);
    assert_eq!((hit.cap, hit.limit), (Cap::WallTimeMs, 60));
    assert!(hit.used >= 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_refused_at_the_cap_and_the_failure_that_follows_says_so() {
    let kit = Kit::new();
    let model = kit.model("grows_memory").await;
    let budget = Budget {
        memory_bytes_max: 32 << 20,
        ..budget()
    };
    for then in ["trap", "fail"] {
        let asked = request([("then", Value::Text(then.into()))]);
        let fault = model.infer(asked, &budget, &label()).await;
        let hit = hit(fault.map(|completed| completed.cost.fuel));
        assert_eq!((hit.cap, hit.limit), (Cap::Memory, 32 << 20), "{then}");
        assert!(hit.used > 32 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_carries_on_without_more_memory_is_served() {
    let kit = Kit::new();
    let model = kit.model("grows_memory").await;
    let budget = Budget {
        memory_bytes_max: 32 << 20,
        ..budget()
    };
    let asked = request([("then", Value::Text("carry-on".into()))]);
    let completed = model.infer(asked, &budget, &label()).await.unwrap();
    let bytes = number(&completed.value, "bytes");
    assert!(bytes > 30 << 20 && bytes <= 32 << 20, "{bytes}");
    assert_eq!(completed.cost.memory_bytes, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_all_runs_has_a_bound_that_is_not_the_models_fault() {
    let kit = Kit::with(SandboxConfig {
        memory_total_bytes_max: 16 << 20,
        ..config()
    });
    let model = kit.model("grows_memory").await;
    for then in ["trap", "fail"] {
        let asked = request([("then", Value::Text(then.into()))]);
        let fault = model.infer(asked, &budget(), &label()).await;
        let Err(RunError::Overloaded { scope, limit, .. }) = fault else {
            panic!("{fault:?}")
        };
        assert_eq!((scope, limit), (Scope::Memory, 16 << 20));
    }
    kit.until_idle().await;
    assert_eq!(kit.sandbox.stats().memory_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stdout_is_capped() {
    let budget = Budget {
        stdio_bytes_max: 10_000,
        ..budget()
    };
    let hit = hit(fault("endless_stdout", &budget, NOTHING).await);
    assert_eq!((hit.cap, hit.limit), (Cap::StdioBytes, 10_000));
    assert!(hit.used > 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_capped() {
    let budget = Budget {
        log_lines_max: 5,
        ..budget()
    };
    let expected = CapHit {
        cap: Cap::LogLines,
        limit: 5,
        used: 6,
    };
    assert_eq!(hit(fault("endless_log", &budget, NOTHING).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_are_capped_and_as_many_as_the_cap_are_not() {
    let budget = Budget {
        resources_max: 40,
        ..budget()
    };
    let endless = fault("many_resources", &budget, NOTHING).await;
    assert_eq!(hit(endless).cap, Cap::Resources);
    // Each pollable of a clock is two entries on the host's side.
    let few = [("count", Value::Integer(15))];
    assert!(fault("many_resources", &budget, few).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_capped_to_the_byte() {
    let kit = Kit::new();
    let model = kit.model("huge_tensor").await;
    // The name, one dimension, and the data.
    let frame = 1 + 8;
    let budget = Budget {
        output_bytes_max: 100_000 + frame,
        ..budget()
    };
    let of = |bytes: i64| request([("bytes", Value::Integer(bytes))]);
    let completed = model.infer(of(100_000), &budget, &label()).await.unwrap();
    assert_eq!(completed.cost.output_bytes, 100_000 + frame);
    let fault = model.infer(of(100_001), &budget, &label()).await;
    let expected = RunError::Cap(CapHit {
        cap: Cap::OutputBytes,
        limit: 100_000 + frame,
        used: 100_001 + frame,
    });
    assert_eq!(fault.unwrap_err(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_crossing_makes_the_host_allocate_is_capped() {
    let kit = Kit::new();
    let model = kit.model("huge_tensor").await;
    let budget = Budget {
        hostcall_bytes_max: 1 << 20,
        output_bytes_max: u64::MAX,
        memory_bytes_max: 64 << 20,
        ..budget()
    };
    let asked = request([("bytes", Value::Integer(8 << 20))]);
    let fault = model.infer(asked, &budget, &label()).await.unwrap_err();
    let RunError::Cap(hit) = fault else {
        panic!("{fault:?}")
    };
    assert_eq!((hit.cap, hit.limit), (Cap::HostcallBytes, 1 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_string_hits_a_cap_before_the_host_pays_for_it() {
    let kit = Kit::new();
    let model = kit.model("huge_string").await;
    let mut memory = budget();
    memory.memory_bytes_max = 512 << 20;
    let begun = chunks(&model, &memory).await;
    assert!(
        matches!(&begun, Err(RunError::Cap(hit)) if hit.cap == Cap::HostcallBytes),
        "{begun:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn recursion_without_end_meets_the_end_of_its_stack() {
    let hit = hit(fault("deep_recursion", &budget(), NOTHING).await);
    assert_eq!(hit.cap, Cap::Stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_text_meets_its_cap_on_output() {
    let kit = Kit::new();
    let model = kit.model("endless_generation").await;
    let budget = Budget {
        output_bytes_max: 100_000,
        ..budget()
    };
    let fault = chunks(&model, &budget).await;
    let Err(RunError::Cap(hit)) = fault else {
        panic!("{fault:?}")
    };
    assert_eq!((hit.cap, hit.limit), (Cap::OutputBytes, 100_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_never_comes_meets_its_deadline() {
    let kit = Kit::new();
    let model = kit.model("never_next").await;
    let budget = Budget {
        fuel: u64::MAX / 2,
        wall_time: Duration::from_millis(60),
        ..budget()
    };
    let fault = chunks(&model, &budget).await;
    let Err(RunError::Cap(hit)) = fault else {
        panic!("a cap was to be hit")
    };
    assert_eq!((hit.cap, hit.limit), (Cap::WallTimeMs, 60));
    kit.until_idle().await;
}
