//! A slot that one tenant has used is clean for the next: with each way of cleaning, after each
//! way of ending. There is one slot only, so the finder runs where the writer ran.

use crate::kit::{Kit, budget, config, label, number, request, request_of, scalar};
use belljar_sandbox::{
    Budget, CheckedRequest, ReadyModel, RunError, SandboxConfig, SlotCaps, SlotReset,
    SlotResetChoice, SwapEvidence, wit::types::Value,
};
use std::time::Duration;

/// More than is kept resident and less than the cap, in bytes.
const SECRET_BYTES: i64 = 24 << 20;

fn writer_request(then: &str) -> CheckedRequest {
    request([
        ("bytes", Value::Integer(SECRET_BYTES)),
        ("then", Value::Text(then.into())),
    ])
}

async fn find(finder: &ReadyModel) -> u64 {
    let asked = request([("bytes", Value::Integer(SECRET_BYTES))]);
    let completed = finder.infer(asked, &budget(), &label()).await.unwrap();
    assert!(completed.cost.memory_bytes >= SECRET_BYTES as u64);
    number(&completed.value, "found")
}

async fn one_slot(slot_reset: SlotResetChoice) -> (Kit, ReadyModel, ReadyModel) {
    let kit = Kit::with(SandboxConfig {
        runs_max: 1,
        slot: SlotCaps {
            memories_max: 1,
            ..config().slot
        },
        slot_reset,
        ..config()
    });
    let writer = kit.model("secret_writer").await;
    let finder = kit.model("secret_finder").await;
    (kit, writer, finder)
}

async fn no_secret_survives(slot_reset: SlotResetChoice) {
    let (kit, writer, finder) = one_slot(slot_reset).await;
    for round in 0..3 {
        // A normal end.
        let ended = writer
            .infer(writer_request("return"), &budget(), &label())
            .await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(find(&finder).await, 0, "after a normal end, round {round}");

        let trapped = writer
            .infer(writer_request("trap"), &budget(), &label())
            .await;
        assert!(matches!(trapped, Err(RunError::Trap { .. })), "{trapped:?}");
        assert_eq!(find(&finder).await, 0, "after a trap, round {round}");

        let short = Budget {
            fuel: u64::MAX / 2,
            wall_time: Duration::from_millis(500),
            ..budget()
        };
        let late = writer.infer(writer_request("loop"), &short, &label()).await;
        assert!(matches!(late, Err(RunError::Cap(_))), "{late:?}");
        kit.until_idle().await;
        assert_eq!(find(&finder).await, 0, "after a deadline, round {round}");

        let endless = Budget {
            fuel: u64::MAX / 2,
            wall_time: Duration::from_secs(3600),
            ..budget()
        };
        let before = kit.sandbox.stats().moved;
        let run = tokio::spawn({
            let writer = writer.clone();
            async move {
                writer
                    .infer(writer_request("loop"), &endless, &label())
                    .await
            }
        });
        while kit.sandbox.stats().memory_bytes < SECRET_BYTES as u64
            || kit.sandbox.stats().moved == before
        {
            tokio::task::yield_now().await;
        }
        run.abort();
        kit.until_idle().await;
        assert_eq!(
            find(&finder).await,
            0,
            "after a cancelled run, round {round}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_survives_rewriting() {
    no_secret_survives(SlotResetChoice::KeepResident).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_survives_the_page_map_scan() {
    let kit = Kit::new();
    if kit.sandbox.slot_reset() != SlotReset::PagemapScan {
        eprintln!("skipped: this machine can swap or its kernel has no page-map scan");
        return;
    }
    drop(kit);
    no_secret_survives(SlotResetChoice::PagemapScan).await;
}

/// Shows that the two tests above can fail: the finder does see what its own instance holds.
#[tokio::test(flavor = "multi_thread")]
async fn the_finder_finds() {
    let (_kit, _, finder) = one_slot(SlotResetChoice::Auto).await;
    let asked = request([
        ("bytes", Value::Integer(SECRET_BYTES)),
        ("plant", Value::Integer(3)),
    ]);
    let completed = finder.infer(asked, &budget(), &label()).await.unwrap();
    assert_eq!(number(&completed.value, "found"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn globals_tables_and_memory_are_fresh_after_each_way_of_ending() {
    let mut ways = vec![SlotResetChoice::KeepResident];
    if !SwapEvidence::default().swap_is_possible() {
        ways.push(SlotResetChoice::Auto);
    }
    for slot_reset in ways {
        let kit = Kit::with(SandboxConfig {
            runs_max: 1,
            slot_reset,
            ..config()
        });
        let model = kit.model("leaves_traces").await;
        let asked = |inputs: usize| {
            let inputs = (0..inputs).map(|index| scalar(&format!("x{index}"), 1));
            request_of(inputs.collect::<Vec<_>>(), [])
        };
        let traces = async || {
            let completed = model.infer(asked(0), &budget(), &label()).await.unwrap();
            number(&completed.value, "count")
        };
        assert_eq!(traces().await, 0);
        assert_eq!(traces().await, 0, "after a normal end");
        let trapped = model.infer(asked(1), &budget(), &label()).await;
        assert!(matches!(trapped, Err(RunError::Trap { .. })), "{trapped:?}");
        assert_eq!(traces().await, 0, "after a trap");
        let short = Budget {
            fuel: 100_000_000,
            ..budget()
        };
        let looped = model.infer(asked(2), &short, &label()).await;
        assert!(matches!(looped, Err(RunError::Cap(_))), "{looped:?}");
        kit.until_idle().await;
        assert_eq!(traces().await, 0, "after a cap");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_map_scan_is_never_used_where_pages_can_be_swapped() {
    let kit = Kit::new();
    if SwapEvidence::default().swap_is_possible() {
        assert_eq!(kit.sandbox.slot_reset(), SlotReset::KeepResident);
    }
    assert!(!kit.sandbox.slot_reset_has_become_unsafe());
}
