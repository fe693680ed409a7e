//! A real model, where it is in the cache: `examples/models/smollm2 fetch` brings it there.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../made/cached.rs"]
mod cached;

use cached::cached;
use llama::runtime::Runtime;
use llama::tokenizer::Marks;

/// The first steps of two prompts, as a computation in f32 over the unpacked weights has them.
#[test]
fn smollm2_says_what_its_weights_say() {
    const NAME: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
    let Some(path) = cached(NAME) else {
        eprintln!("skipped: {NAME} is not in the cache of models");
        return;
    };
    let runtime = Runtime::read(std::fs::read(path).unwrap().leak()).unwrap();
    let first = |prompt: &str, expected: &[u32]| {
        let tokens = runtime.tokenizer.encode(prompt, Marks::Found).unwrap();
        assert_eq!(tokens, expected);
        let mut session = runtime.model.session();
        runtime.model.extend(&mut session, &tokens).unwrap();
        let logits = session.logits();
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        (best.unwrap(), logits[best.unwrap()])
    };
    let (token, logit) = first("The capital of France is", &[504, 3575, 282, 4649, 314]);
    assert_eq!(token, 7042);
    assert!((logit - 17.3713).abs() < 0.25, "{logit}");
    let (token, logit) = first(
        "Once upon a time, there was a little",
        &[6403, 1980, 253, 655, 28, 665, 436, 253, 1838],
    );
    assert_eq!(token, 8180);
    assert!((logit - 17.5509).abs() < 0.4, "{logit}");
}
