//! What happens when swap is turned on under a running server: the page-map scan would then miss
//! pages, and show one tenant's bytes to the next.

use belljar::clock::Clock;
use belljar_sandbox::SlotReset;
use belljar_tests::TestHost;
use serde_json::json;
use std::time::{Duration, Instant};

const NO_SWAP: &str = "Filename\t\t\tType\t\tSize\tUsed\tPriority\n";

#[tokio::test]
async fn models_move_to_the_other_way_of_cleaning_when_swap_appears() {
    let folder = tempfile::tempdir().unwrap();
    let swaps = folder.path().join("swaps");
    std::fs::write(&swaps, NO_SWAP).unwrap();
    let nowhere = folder.path().join("nowhere");
    let host = TestHost::start_adjusted(Clock::system(), &[], |settings| {
        let evidence = &mut settings.sandbox.swap_evidence;
        evidence.swaps = swaps.clone();
        evidence.cgroup = nowhere;
    })
    .await;
    if host.registry().sandbox().slot_reset() != SlotReset::PagemapScan {
        println!("skipped: this kernel has no page-map scan");
        return;
    }
    std::fs::write(
        &swaps,
        format!("{NO_SWAP}/dev/vda2 partition 1048572 0 -2\n"),
    )
    .unwrap();
    let caller = host.anonymous();
    let echo = json!({"model":"echo","inputs":{"x":[7]}});
    let begin = Instant::now();
    // Requests are served the whole time; the server looks once a second.
    while host.registry().sandbox().slot_reset() == SlotReset::PagemapScan {
        caller.post("/infer", &echo).await.expect_status(200);
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "the models never moved"
        );
    }
    caller.post("/infer", &echo).await.expect_status(200);
    let moved = host.registry().sandbox();
    assert!(moved.stats().slots > 0 && !moved.slot_reset_has_become_unsafe());
}
