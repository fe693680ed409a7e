#![allow(clippy::unwrap_used)]
use super::*;
use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand::SeedableRng as _;

fn read(text: &str) -> Result<Distribution, DistributionError> {
    Distribution::read(text, Quantity::Time, &Recorded::default())
}

fn samples(of: &Distribution, seed: u64, count: usize) -> Vec<f64> {
    let mut generator = ChaCha20Rng::seed_from_u64(seed);
    (0..count).map(|_| of.sample(&mut generator)).collect()
}

/// Mean and standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, variance.sqrt())
}

/// So many that a mean is off by half a percent of the deviation.
const COUNT: usize = 40_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Bounds that hold nothing back, so that what is measured is the distribution itself.
    #[test]
    fn each_has_its_mean_and_its_deviation(
        mean_ms in 20_u32..2_000,
        part in 0.02_f64..0.25,
        seed: u64,
    ) {
        let mean = f64::from(mean_ms) / 1e3;
        let deviation_us = (mean * part * 1e6).round();
        let deviation = deviation_us / 1e6;
        let half_us = (deviation * 3_f64.sqrt() * 1e6).round();
        let (from, to) = (mean * 1e6 - half_us, mean * 1e6 + half_us);
        for text in [
            format!("uniform({from}us..{to}us)"),
            format!("normal({mean_ms}ms,{deviation_us}us)"),
            format!("lognormal({mean_ms}ms,{deviation_us}us)"),
            format!("gamma({mean_ms}ms,{deviation_us}us)"),
        ] {
            let (got_mean, got_deviation) = moments(&samples(&read(&text).unwrap(), seed, COUNT));
            prop_assert!((got_mean - mean).abs() < 0.03 * deviation, "{}: {}", text, got_mean);
            let off = (got_deviation / deviation - 1.0).abs();
            prop_assert!(off < 0.04, "{}: {} for {}", text, got_deviation, deviation);
        }
    }

    #[test]
    fn bounds_hold(
        shape in prop::sample::select(vec!["uniform(0ms..1s", "normal(200ms,2s", "lognormal(1s,5s", "gamma(1s,5s"]),
        min in 0_u32..500,
        width in 0_u32..500,
        seed: u64,
    ) {
        let of = read(&format!("{shape},min={min}ms,max={}ms)", min + width)).unwrap();
        let (least, most) = (f64::from(min) / 1e3, f64::from(min + width) / 1e3);
        for value in samples(&of, seed, 500) {
            prop_assert!((least..=most).contains(&value), "{}", value);
        }
    }

    /// What a header says is shown again, and means the same.
    #[test]
    fn a_text_and_what_is_read_from_it_are_one(
        mean in 1_u32..10_000,
        deviation in 1_u32..10_000,
        seed: u64,
    ) {
        for text in [
            format!("{mean}ms"),
            format!("uniform({mean}ms..{}ms,max=7s)", mean + deviation),
            format!("normal({mean}ms,{deviation}us,min=1ms)"),
            format!("lognormal({mean}ms,{deviation}ms,min=1ms,max=2m)"),
            format!("gamma({mean}ms,{deviation}ms)"),
        ] {
            let of = read(&text).unwrap();
            let again = read(&of.to_string()).unwrap();
            prop_assert_eq!(samples(&of, seed, 20), samples(&again, seed, 20), "{}", of);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(uniform|normal|lognormal|gamma|recorded|x)?[(]?[0-9a-z.,=()/-]{0,40}[)]?") {
        for quantity in [Quantity::Time, Quantity::Speed] {
            if let Ok(of) = Distribution::read(&text, quantity, &Recorded::default()) {
                let (least, most) = quantity.range();
                for value in samples(&of, 1, 20) {
                    prop_assert!((least..=most).contains(&value), "{}", value);
                }
            }
        }
    }
}

/// The figures were made on one machine; every other has to make them too.
#[test]
fn a_seed_is_the_same_sequence_on_every_machine() {
    let times = |text: &str| {
        let mut generator = ChaCha20Rng::seed_from_u64(7);
        let of = read(text).unwrap();
        let times = (0..4).map(|_| of.sample_time(&mut generator).as_micros());
        times.collect::<Vec<_>>()
    };
    assert_eq!(times("200ms"), [200_000; 4]);
    assert_eq!(times("uniform(100ms..300ms)"), UNIFORM_US);
    assert_eq!(times("normal(200ms,20ms)"), NORMAL_US);
    assert_eq!(times("lognormal(200ms,50ms)"), LOG_NORMAL_US);
    assert_eq!(times("gamma(200ms,50ms)"), GAMMA_US);
}

const UNIFORM_US: [u128; 4] = [104_667, 206_922, 290_277, 156_762];
const NORMAL_US: [u128; 4] = [152_113, 201_977, 226_022, 195_595];
const LOG_NORMAL_US: [u128; 4] = [107_606, 198_808, 267_296, 183_786];
const GAMMA_US: [u128; 4] = [99_652, 267_517, 137_810, 193_644];

#[test]
fn what_is_wrong_with_a_text_is_said() {
    for (text, message) in [
        ("", "`` is no time"),
        ("200", "`200` is no time"),
        ("poisson(1ms)", "no distribution `poisson`"),
        ("fast", "no distribution `fast`"),
        ("uniform(1ms)", "expected `uniform(FROM..TO)`"),
        (
            "uniform(2ms..1ms)",
            "the first of two bounds is above the second",
        ),
        ("normal(1ms)", "expected `normal(MEAN,DEVIATION)`"),
        ("normal(1ms,1ms", "expected `normal(MEAN,DEVIATION)`"),
        ("normal(1ms,1ms,1ms)", "expected `normal(MEAN,DEVIATION)`"),
        ("normal(1ms,-1ms)", "`-1ms` is no time"),
        ("normal(1ms,1ms,min=2ms,max=1ms)", "the first of two bounds"),
        ("normal(1ms,1ms,min=2ms,min=1ms)", "once each"),
        ("normal(1ms,min=2ms,1ms)", "behind the rest"),
        ("normal(1ms,1ms,most=2ms)", "once each"),
        ("gamma(0ms,1ms)", "above zero"),
        ("lognormal(0ms,1ms)", "above zero"),
        ("recorded(mine)", "no file of recorded values is set"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    let speed = |text| Distribution::read(text, Quantity::Speed, &Recorded::default());
    assert!(
        speed("0/s")
            .unwrap_err()
            .to_string()
            .contains("is no speed")
    );
    assert!(
        speed("200ms")
            .unwrap_err()
            .to_string()
            .contains("is no speed")
    );
    assert_eq!(
        speed("normal(8000/s,0/s)").unwrap().to_string(),
        "normal(8000/s,0/s)"
    );
}

#[test]
fn what_was_recorded_comes_again_and_nothing_else_does() {
    let mut recorded = Recorded::default();
    let csv = b"ttft_ms, itl, prefill_per_s\n200, 20ms, 8000\n250.5, , 9000\n 300 ,21ms,9500\n";
    recorded.add("mine", csv).unwrap();
    recorded.add("gaps", b"itl_us\n100\n200\n").unwrap();
    let names: Vec<_> = recorded.names().collect();
    let all = [
        "gaps",
        "gaps.itl_us",
        "mine.itl",
        "mine.prefill_per_s",
        "mine.ttft_ms",
    ];
    assert_eq!(names, all);
    for (text, quantity, values) in [
        (
            "recorded(mine.ttft_ms)",
            Quantity::Time,
            vec![0.2, 0.2505, 0.3],
        ),
        ("recorded(mine.itl)", Quantity::Time, vec![0.02, 0.021]),
        ("recorded(mine.itl,max=20ms)", Quantity::Time, vec![0.02]),
        (
            "recorded(mine.prefill_per_s)",
            Quantity::Speed,
            vec![8e3, 9e3, 9.5e3],
        ),
        ("recorded(gaps)", Quantity::Time, vec![0.0001, 0.0002]),
    ] {
        let of = Distribution::read(text, quantity, &recorded).unwrap();
        let mut got = samples(&of, 3, 100);
        got.sort_by(f64::total_cmp);
        got.dedup();
        assert_eq!(got, values, "{text}");
        assert_eq!(of.to_string(), text);
    }
    let wrong = Distribution::read("recorded(mine.itl)", Quantity::Speed, &recorded);
    assert!(matches!(wrong, Err(DistributionError::WrongColumn(_))));
    let none = Distribution::read("recorded(its)", Quantity::Time, &recorded).unwrap_err();
    assert!(none.to_string().contains("`gaps`, `gaps.itl_us`"), "{none}");
}

#[test]
fn a_file_that_is_wrong_adds_nothing_and_says_where() {
    let mut recorded = Recorded::default();
    for (csv, message) in [
        (&b"itl_ms\n1\nfast\n"[..], "line 3, column `f.itl_ms`"),
        (b"itl_ms\n-1\n", "line 2"),
        (b"itl_ms\n", "column `f.itl_ms` is empty"),
        (b"a_ms,b_ms\n1,2\n3\n", "found record with 1 fields"),
        (b"a_ms,a_ms\n1,2\n", "`f.a_ms` already"),
        (b"a ms\n1\n", "`f.a ms` is no name"),
        (b"", "`f.` is no name"),
        (b"a_ms\n\xff\n", "UTF-8"),
    ] {
        match recorded.add("f", csv) {
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(message), "{error}");
            }
            Ok(()) => assert!(csv.is_empty(), "{message}"),
        }
        assert_eq!(recorded.names().count(), 0);
    }
}
