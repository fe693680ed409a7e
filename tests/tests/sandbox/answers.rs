//! The guest's word is taken for nothing: what its answers must be, and whose fault it is when
//! they are not.

use crate::kit::{Kit, Last, budget, chunks, label, number, request, text_request};
use belljar_sandbox::{
    GuestError, RunError,
    wit::{
        embeddings::Input,
        text::{Chunk, Content},
        types::Value,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn each_request_finds_a_fresh_instance() {
    let kit = Kit::new();
    let model = kit.model("counter").await;
    for _ in 0..100 {
        let completed = model.infer(request([]), &budget(), &label()).await.unwrap();
        assert_eq!(number(&completed.value, "count"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_the_models_fault_and_says_which() {
    let kit = Kit::new();
    for guest in ["traps", "panics"] {
        let model = kit.model(guest).await;
        let fault = model.infer(request([]), &budget(), &label()).await;
        let Err(RunError::Trap { reason }) = fault else {
            panic!("{fault:?}")
        };
        assert!(reason.contains("unreachable"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tensor_whose_bytes_and_shape_disagree_is_refused() {
    let kit = Kit::new();
    let model = kit.model("wrong_shape").await;
    let fault = model.infer(request([]), &budget(), &label()).await;
    assert!(
        matches!(&fault, Err(RunError::InvalidOutput { .. })),
        "{fault:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_string_that_is_not_utf8_is_refused() {
    let kit = Kit::new();
    let model = kit.model("invalid_utf8").await;
    let fault = chunks(&model, &budget()).await;
    let Err(RunError::InvalidOutput { reason }) = fault else {
        panic!("{fault:?}")
    };
    assert!(reason.to_lowercase().contains("utf-8"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_as_many_as_asked_alike_and_finite() {
    let kit = Kit::new();
    let model = kit.model("bad_embeddings").await;
    for how in ["nan", "infinity", "uneven", "few", "length"] {
        let inputs = vec![Input::Text(how.into()), Input::Text("other".into())];
        let fault = model.embed(inputs, Some(4), &budget(), &label()).await;
        assert!(
            matches!(&fault, Err(RunError::InvalidOutput { .. })),
            "{how}: {fault:?}"
        );
    }
    let inputs = vec![Input::Text("good".into())];
    let good = model.embed(inputs, Some(4), &budget(), &label()).await;
    assert_eq!(good.unwrap().value.vectors, [[0.5; 4]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_chunks_than_were_asked_for_are_refused() {
    let kit = Kit::new();
    let model = kit.model("more_than_asked").await;
    let fault = chunks(&model, &budget()).await;
    assert!(
        matches!(&fault, Err(RunError::InvalidOutput { .. })),
        "{fault:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_model_claims_to_have_used_is_passed_on_as_its_claim() {
    let kit = Kit::new();
    let model = kit.model("lies_about_usage").await;
    let text = chunks(&model, &budget()).await.unwrap().value;
    let is_text = |chunk: &&Chunk| matches!(chunk.content, Content::Text(_));
    assert_eq!(text.sink.iter().filter(is_text).count(), 2);
    assert_eq!(text.usage.unwrap().completion_tokens, 4_000_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_its_sink_ends_is_over_and_its_cost_is_known() {
    let kit = Kit::new();
    let model = kit.model("endless_generation").await;
    let sink = Last::default();
    let run = model
        .generate(text_request([]), sink, &budget(), &label())
        .await;
    let completed = run.unwrap().await.unwrap();
    assert_eq!(completed.value.sink.batches, 1);
    assert_eq!(completed.value.usage, None, "the guest is not asked again");
    assert!(completed.cost.fuel > 0 && completed.cost.output_bytes > 0);
    kit.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_its_sink_refuses_fails_with_its_reason() {
    let kit = Kit::new();
    let model = kit.model("endless_generation").await;
    let refusing = Last {
        refuses: true,
        ..Last::default()
    };
    let run = model
        .generate(text_request([]), refusing, &budget(), &label())
        .await;
    let fault = run.unwrap().await.err();
    assert!(
        matches!(&fault, Some(RunError::InvalidOutput { reason }) if reason == "refused"),
        "{fault:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_own_errors_keep_whose_fault_they_are() {
    let kit = Kit::new();
    let model = kit.model("errs").await;
    let fault = async |kind: &str| {
        let asked = request([("kind", Value::Text(kind.into()))]);
        match model.infer(asked, &budget(), &label()).await {
            Err(RunError::Guest(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(
        fault("invalid-input").await,
        GuestError::InvalidInput(text) if text.contains("bad input")
    ));
    assert!(matches!(
        fault("unsupported").await,
        GuestError::Unsupported(_)
    ));
    let failed = fault("failed").await;
    assert!(matches!(failed, GuestError::Failed(_)));
    assert!(
        !failed.to_string().contains("secret"),
        "the text is for the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capability_that_is_not_exported_is_named() {
    let kit = Kit::new();
    let model = kit.model("counter").await;
    let fault = model
        .embed(vec![Input::Text("x".into())], None, &budget(), &label())
        .await;
    assert_eq!(
        fault.unwrap_err(),
        RunError::NoCapability {
            interface: "embeddings"
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_kernels_agree_with_plain_loops_inside_the_sandbox() {
    let kit = Kit::new();
    let model = kit.model("kernels").await;
    let completed = model.infer(request([]), &budget(), &label()).await.unwrap();
    assert_eq!(number(&completed.value, "wrong"), 0);
}
