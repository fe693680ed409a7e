#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Option<Latency>, LatencyError> {
    Latency::read(text, &Profiles::shipped(), &Recorded::default())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn times(text: &str, turn: Turn, prompt: PromptSize, count: usize) -> Vec<Duration> {
    let latency = Arc::new(read(text).unwrap().unwrap());
    let mut pacer = Pacer::new(latency, turn, prompt);
    (0..count).map(|_| pacer.next_token()).collect()
}

const TURN: Turn = Turn {
    seed: 7,
    request: 3,
    answer: 0,
};

#[test]
fn the_first_token_takes_its_time_and_each_other_its_gap() {
    let none = PromptSize::default();
    let got = times("ttft=200ms,itl=20ms", TURN, none, 4);
    assert_eq!(got, [ms(200), ms(220), ms(240), ms(260)]);
    assert_eq!(times("ttft=200ms", TURN, none, 3), [ms(200); 3]);
    assert_eq!(times("itl=5ms", TURN, none, 3), [ms(0), ms(5), ms(10)]);
}

#[test]
fn what_is_in_the_cache_of_a_prompt_is_not_read() {
    let prompt = PromptSize {
        tokens: 1_000,
        cached: 0,
    };
    let text = "ttft=100ms, prefill=2000/s";
    assert_eq!(times(text, TURN, prompt, 1), [ms(600)]);
    let cached = PromptSize {
        cached: 900,
        ..prompt
    };
    assert_eq!(times(text, TURN, cached, 1), [ms(150)]);
    let more = PromptSize {
        cached: 2_000,
        ..prompt
    };
    assert_eq!(times(text, TURN, more, 1), [ms(100)]);
}

#[test]
fn a_turn_has_its_own_times_and_the_same_ones_again() {
    let text = "ttft=normal(200ms,50ms),itl=gamma(20ms,5ms)";
    let of = |turn| times(text, turn, PromptSize::default(), 20);
    let first = of(TURN);
    assert_eq!(of(TURN), first);
    assert!(first.is_sorted());
    for other in [
        Turn { seed: 8, ..TURN },
        Turn { request: 4, ..TURN },
        Turn { answer: 1, ..TURN },
    ] {
        assert_ne!(of(other), first, "{other:?}");
    }
}

#[test]
fn members_beside_a_profile_take_the_place_of_its_own() {
    let of = |text: &str| read(text).unwrap().unwrap().to_string();
    assert_eq!(of("profile=mlperf-llama-2-70b"), "ttft=2s,itl=200ms");
    assert_eq!(of("profile=mlperf-llama-2-70b,itl=1ms"), "ttft=2s,itl=1ms");
    assert_eq!(
        of("ttft=1ms;profile=mlperf-llama-2-70b"),
        "ttft=1ms,itl=200ms"
    );
    assert_eq!(read("none").unwrap(), None);
    let simulated = read("profile=h100x2-llama-3-3-70b-fp8,ttft=5ms")
        .unwrap()
        .unwrap();
    assert!(simulated.engine.is_some() && simulated.ttft.is_some());
}

#[test]
fn what_is_wrong_with_a_text_is_said() {
    for (text, message) in [
        ("", "expected 1 to 1024 bytes"),
        ("ttft", "`ttft`: `` is no time"),
        ("ttft=fast", "`ttft`: there is no distribution `fast`"),
        ("ttft=1ms,ttft=2ms", "`ttft` is there twice"),
        ("ttft=1ms,tpot=2ms", "there is no member `tpot`"),
        ("none,ttft=1ms", "there is no member `none`"),
        ("prefill=20ms", "`prefill`: `20ms` is no speed"),
        (
            "profile=mlperf-llama-2-7b",
            "did you mean `mlperf-llama-2-70b`",
        ),
        ("profile=x", "there are `anyscale-llama-2-70b`"),
        (
            "profile=h100x2-llama-3-3-70b-fp8,itl=1ms",
            "`itl` cannot be set beside",
        ),
        ("ttft=normal(1ms,1ms,itl=2ms", "`ttft`: expected"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    assert!(read(&"x".repeat(TEXT_BYTES_MAX + 1)).is_err());
}

#[test]
fn a_rule_is_for_its_models_and_keys() {
    let rule = |text: &str| LatencyRule::read(text, &Profiles::shipped(), &Recorded::default());
    let all = rule("gpt-4o* ttft=1ms").unwrap();
    assert!(all.is_for(&["fake", "gpt-4o-mini"], None));
    assert!(!all.is_for(&["gpt-4"], Some("k")));
    let one = rule("fake@config-* none").unwrap();
    assert!(one.is_for(&["gpt-4o", "fake"], Some("config-2")));
    assert!(!one.is_for(&["fake"], Some("key_1")) && !one.is_for(&["fake"], None));
    assert!(!one.is_for(&["fake2"], Some("config-1")));
    assert_eq!(one.latency, None);
    assert_eq!(one.to_string(), "fake@config-* none");
    for text in ["", "fake", "@key ttft=1ms", "fake@ ttft=1ms", "fake x=1"] {
        assert!(rule(text).is_err(), "{text}");
    }
}

/// Reads them all, and holds each to having a source.
#[test]
fn every_profile_that_comes_with_the_program_says_where_it_is_from() {
    for toml in profile::SHIPPED {
        let mut alone = Profiles::default();
        alone.add(toml, &Recorded::default()).unwrap();
        for (name, profile) in alone.iter() {
            assert!(profile.source.starts_with("https://"), "{name}");
            assert!(
                !profile.about.is_empty() && !profile.derived.is_empty(),
                "{name}"
            );
            assert_ne!(profile.latency, Latency::default(), "{name}");
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(is_name), "{name}");
        }
    }
    assert_eq!(Profiles::shipped().names().count(), 23);
}

#[test]
fn a_file_of_profiles_that_is_wrong_adds_nothing_and_says_what_is() {
    let mut profiles = Profiles::default();
    for (toml, message) in [
        ("[a]\nabout = \"x\"", "missing field `source`"),
        (
            "[a]\nabout = \"x\"\nsource = \"y\"\nttf = \"1ms\"",
            "unknown field `ttf`",
        ),
        (
            "[a]\nabout = \"x\"\nsource = \"y\"\nttft = \"1\"",
            "profile `a`: `ttft`: `1` is no time",
        ),
        (
            "[a]\nabout = \"x\"\nsource = \"y\"\n[a.engine]\nstep = \"1\"\nnum_gpu_blocks = 5",
            "profile `a`, `engine`: `step`: `1` is no time",
        ),
        (
            "[a]\nabout = \"x\"\nsource = \"y\"\n[a.engine]\nstep = \"1ms\"\nnum_gpu_blocks = 0",
            "nonzero",
        ),
        (
            "[a]\nabout = \"x\"\nsource = \"y\"\nitl = \"1ms\"\n[a.engine]\nstep = \"1ms\"\nnum_gpu_blocks = 5",
            "`itl` cannot be set beside",
        ),
    ] {
        let error = profiles
            .add(toml, &Recorded::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
        assert_eq!(profiles.names().count(), 0);
    }
    let own = "[a]\nabout = \"x\"\nsource = \"y\"\nitl = \"uniform(1ms..2ms)\"";
    profiles.add(own, &Recorded::default()).unwrap();
    let of = profiles.profile("a").unwrap();
    assert_eq!(of.latency.to_string(), "itl=uniform(1ms..2ms)");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "((ttft|itl|prefill|profile|x)[=(]?[0-9a-z.,;=()/-]{0,20}[,;]?){0,3}") {
        if let Ok(Some(latency)) = read(&text) {
            let again = read(&latency.to_string()).unwrap().unwrap();
            prop_assert_eq!(again.to_string(), latency.to_string());
        }
    }
}
