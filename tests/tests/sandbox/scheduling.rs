//! Who runs when: admission, moving to the guest threads, cancellation.

use crate::kit::{Kit, budget, config, label, number, request, text_request};
use belljar_sandbox::{
    Budget, ChunkSink, RunError, SandboxConfig, Scope,
    wit::{text::Chunk, types::Value},
};
use std::{ops::ControlFlow, time::Duration};
use tokio::sync::mpsc;

/// Endless but for its deadline.
fn endless() -> Budget {
    Budget {
        fuel: u64::MAX / 2,
        wall_time: Duration::from_secs(3600),
        ..budget()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_says_when_to_try_again() {
    let kit = Kit::with(SandboxConfig {
        runs_max: 1,
        queue_max: 0,
        ..config()
    });
    let hog = kit.model("burns_fuel").await;
    let quick = kit.model("counter").await;
    let running = tokio::spawn({
        let hog = hog.clone();
        async move { hog.infer(request([]), &endless(), &label()).await }
    });
    while kit.sandbox.stats().running == 0 {
        tokio::task::yield_now().await;
    }
    let fault = quick.infer(request([]), &budget(), &label()).await;
    assert!(
        matches!(
            fault,
            Err(RunError::Overloaded {
                scope: Scope::Host,
                retry_after_s: 1..,
                ..
            })
        ),
        "{fault:?}"
    );
    running.abort();
    kit.until_idle().await;
    assert!(quick.infer(request([]), &budget(), &label()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_crowd_fills_its_own_queue_and_not_the_hosts() {
    let kit = Kit::with(SandboxConfig {
        runs_max: 8,
        queue_max: 8,
        model_runs_max: 1,
        model_queue_max: 1,
        ..config()
    });
    let hog = kit.model("burns_fuel").await;
    let quick = kit.model("counter").await;
    let crowd: Vec<_> = (0..2)
        .map(|_| {
            let hog = hog.clone();
            tokio::spawn(async move { hog.infer(request([]), &endless(), &label()).await })
        })
        .collect();
    while hog.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let fault = hog.infer(request([]), &endless(), &label()).await;
    assert!(
        matches!(
            fault,
            Err(RunError::Overloaded {
                scope: Scope::Model,
                ..
            })
        ),
        "{fault:?}"
    );
    assert!(quick.infer(request([]), &budget(), &label()).await.is_ok());
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
    kit.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_ends_its_run() {
    let kit = Kit::new();
    let model = kit.model("burns_fuel").await;
    let run = tokio::spawn(async move { model.infer(request([]), &endless(), &label()).await });
    while kit.sandbox.stats().moved == 0 {
        tokio::task::yield_now().await;
    }
    run.abort();
    kit.until_idle().await;
}

/// A sink whose reader is behind.
struct Slow(mpsc::Sender<Vec<Chunk>>);

impl ChunkSink for Slow {
    async fn take(&mut self, chunks: Vec<Chunk>) -> Result<ControlFlow<()>, RunError> {
        self.0.send(chunks).await.unwrap();
        Ok(ControlFlow::Continue(()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_its_text() {
    let kit = Kit::new();
    let model = kit.model("endless_generation").await;
    let budget = Budget {
        output_bytes_max: u64::MAX,
        ..endless()
    };
    let (said, mut heard) = mpsc::channel(1);
    let run = model
        .generate(text_request([]), Slow(said), &budget, &label())
        .await
        .unwrap();
    assert!(heard.recv().await.is_some());
    assert_eq!(kit.sandbox.stats().running, 1);
    drop(run);
    kit.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_takes_its_time_is_heard_word_by_word() {
    let kit = Kit::new();
    let model = kit.model("slow_next").await;
    // Past the time in which a model counts as quick, on any machine.
    let dear = text_request([("turns", Value::Integer(10_000_000))]);
    let (said, mut heard) = mpsc::channel(1);
    let budget = endless();
    let run = model
        .generate(dear, Slow(said), &budget, &label())
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(heard.recv().await.unwrap().len(), 1);
    }
    drop(run);
    kit.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_endless_runs_leave_short_ones_their_turn() {
    let kit = Kit::with(SandboxConfig {
        runs_max: 128,
        model_runs_max: 128,
        ..config()
    });
    let hog = kit.model("burns_fuel").await;
    let quick = kit.model("counter").await;
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let hog = hog.clone();
            tokio::spawn(async move { hog.infer(request([]), &endless(), &label()).await })
        })
        .collect();
    while kit.sandbox.stats().running < 100 {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        let completed = quick.infer(request([]), &budget(), &label()).await.unwrap();
        assert_eq!(number(&completed.value, "count"), 1);
    }
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
    kit.until_idle().await;
}
