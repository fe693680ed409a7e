//! A rule file: whatever is wrong in it is told with a place that it has, and what has been read
//! answers, or names its nearest rule.
#![no_main]

use belljar_testing::rules::{
    NAME_BYTES_MAX, PROBLEMS_MAX, RULES_MAX, RuleMessage, RuleRequest, Rules, Surroundings,
    no_data_sets,
};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let around = Surroundings {
        data_set: &no_data_sets,
        latency: &|text| match text.len() % 2 {
            0 => Ok(()),
            _ => Err("of odd length".to_owned()),
        },
    };
    let rules = match Rules::parse(text, &around) {
        Ok(rules) => rules,
        Err(error) => {
            let lines = text.lines().count();
            assert!((1..=PROBLEMS_MAX).contains(&error.problems().len()));
            for problem in error.problems() {
                let line = problem.place().line;
                assert!(line >= 1 && line <= lines + 1, "{problem}");
                assert_ne!(problem.place().column, Some(0), "{problem}");
            }
            return;
        }
    };
    assert!(rules.names().len() <= RULES_MAX);
    assert!(rules.names().all(|name| name.len() <= NAME_BYTES_MAX));
    let body = json!({
        "model": "m",
        "messages": [{"role": "user", "content": "How warm is it in Paris, and in 3 days?"}],
        "tools": [{"type": "function", "function": {"name": "weather"}}],
    });
    let request = RuleRequest {
        model: "m",
        path: "/v1/chat/completions",
        world: "",
        headers: &[
            (
                "authorization".to_owned(),
                "Bearer secret-of-mine".to_owned(),
            ),
            ("x-team".to_owned(), "a".to_owned()),
        ],
        body: &body,
        messages: &[RuleMessage {
            role: "user",
            text: "How warm is it in Paris, and in 3 days?".to_owned(),
            ..RuleMessage::default()
        }],
        tools: &["weather".to_owned()],
        is_stream: false,
    };
    for before in [0, 1, u64::MAX] {
        let mut counted = 0;
        let answered = rules.answer(&request, |_| {
            counted += 1;
            before
        });
        match answered {
            // Nobody can have a rule say what lets a caller in, but who writes it there.
            Ok(Some(answer)) => {
                assert_eq!(counted, 1);
                assert!(
                    text.contains("secret") || !format!("{answer:?}").contains("secret-of-mine")
                );
            }
            Ok(None) => {
                assert_eq!(counted, 0);
                assert_eq!(rules.nearest(&request).is_none(), rules.names().len() == 0);
            }
            Err(failed) => assert!(rules.names().any(|name| name == failed.rule)),
        }
    }
});
