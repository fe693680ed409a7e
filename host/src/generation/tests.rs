//! Answers at the pace of a tester, with a run in the place of a sandbox and a clock that the test
//! moves.

#![allow(clippy::unwrap_used)]
use super::stream::script::{Handle, Outcome, Then, limits, run, word};
use super::*;
use belljar_sandbox::wit::text::{Chunk, FinishReason};
use belljar_testing::distribution::Recorded;
use belljar_testing::latency::{Latency, Pacer, Profiles, PromptSize, Turn};
use belljar_testing::scheduler::{Engine, Prompt, Scheduler, StepTime};
use futures_util::future::join_all;
use proptest::prelude::*;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

type Stream = GenerationStream<Handle<Outcome<StreamSink>>>;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn paced(text: &str, is_virtual: bool) -> Timing {
    let latency = Latency::read(text, &Profiles::shipped(), &Recorded::default());
    let turn = Turn {
        seed: 1,
        request: 2,
        answer: 0,
    };
    let pacer = Pacer::new(
        Arc::new(latency.unwrap().unwrap()),
        turn,
        PromptSize::default(),
    );
    Timing::new(Instant::now(), Pace::Set(Box::new(pacer)), is_virtual)
}

/// Steps of 10 ms, a token each.
fn server(is_virtual: bool) -> SimulatedServer {
    let number = |number| NonZeroU32::new(number).unwrap();
    let engine = Engine {
        step: StepTime {
            base: ms(10),
            ..StepTime::default()
        },
        max_num_seqs: number(2),
        max_num_batched_tokens: number(512),
        block_size: 16,
        num_gpu_blocks: number(100),
        enable_prefix_caching: true,
    };
    let scheduler = Scheduler::new(Arc::new(engine));
    SimulatedServer::new(scheduler, is_virtual, Box::new(|_, _| {}))
}

fn seated(server: &SimulatedServer, is_virtual: bool) -> Timing {
    let prompt = Arc::new(Prompt::of(&[1, 2, 3]));
    let seat = server.enter(prompt, Duration::ZERO, Box::new(|_| {}));
    let pace = Pace::Simulated(Box::new(seat.unwrap()));
    Timing::new(Instant::now(), pace, is_virtual)
}

async fn open(chunks: Vec<Chunk>, then: Then, timing: Timing) -> Stream {
    let (sink, queue) = StreamSink::new(&limits(), TokenMeter::default());
    let (run, _) = run(sink, chunks, then);
    GenerationStream::open(run, queue, timing).await.unwrap()
}

/// When each event of a stream comes, and when it is said to be due.
async fn all(stream: &mut Stream) -> Vec<(Duration, Duration)> {
    let start = Instant::now();
    let mut times = Vec::new();
    while let Some(event) = poll_fn(|context| stream.poll_next(context)).await {
        event.unwrap();
        times.push((start.elapsed(), stream.timing().due()));
    }
    times
}

/// The delays of a model are not what a tester asked for.
fn words(count: usize) -> Vec<Chunk> {
    (0..count).map(|_| word("a", 7_000_000)).collect()
}

/// The clock of a test goes in whole milliseconds.
fn rounded(times: &[(Duration, Duration)]) -> Vec<u128> {
    let late = |(came, due): &(Duration, Duration)| came.saturating_sub(*due) <= ms(1);
    assert!(times.iter().all(late), "{times:?}");
    times.iter().map(|(_, due)| due.as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_at_the_pace_that_was_set() {
    let mut stream = open(words(3), Then::End, paced("ttft=200ms,itl=20ms", false)).await;
    // The end comes with the last token.
    assert_eq!(rounded(&all(&mut stream).await), [200, 220, 240, 240]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_one_piece_takes_the_time_of_its_stream() {
    let text = "ttft=normal(200ms,20ms),itl=gamma(20ms,5ms)";
    let mut stream = open(words(9), Then::End, paced(text, false)).await;
    let (_, last) = all(&mut stream).await.pop().unwrap();
    let sink = Collector::new(&limits(), TokenMeter::default());
    let (run, _) = run(sink, words(9), Then::End);
    let start = Instant::now();
    let whole = Collector::whole(run.await.unwrap(), paced(text, false)).await;
    assert_eq!(whole.timing.due(), last);
    assert_eq!(whole.token_times.len(), 9);
    assert!(start.elapsed().saturating_sub(last) <= ms(1));
}

#[tokio::test(start_paused = true)]
async fn virtual_time_has_the_times_of_the_clock_and_nobody_waits() {
    let text = "ttft=normal(200ms,20ms),itl=lognormal(20ms,5ms)";
    let mut stream = open(words(9), Then::End, paced(text, false)).await;
    let real = all(&mut stream).await;
    let start = Instant::now();
    let mut stream = open(words(9), Then::End, paced(text, true)).await;
    assert_eq!(stream.timing().due(), real[0].1, "known when it begins");
    let simulated = all(&mut stream).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    let due = |times: &[(Duration, Duration)]| times.iter().map(|time| time.1).collect::<Vec<_>>();
    assert_eq!(due(&simulated), due(&real));
}

#[tokio::test(start_paused = true)]
async fn streams_share_a_simulated_server() {
    let server = server(false);
    let timings = [(); 3].map(|()| seated(&server, false));
    let [one, two, three] = timings.map(|timing| async {
        let mut stream = open(words(3), Then::End, timing).await;
        all(&mut stream).await
    });
    let (one, two, three) = tokio::join!(one, two, three);
    assert_eq!(rounded(&one), [10, 20, 30, 30]);
    // It comes while the first step goes on.
    assert_eq!(rounded(&two), [20, 30, 40, 40]);
    // There are two places.
    assert_eq!(rounded(&three), [40, 50, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_a_simulated_server_makes_room() {
    let server = server(false);
    let timings = [(); 3].map(|()| seated(&server, false));
    let [one, two, three] = timings;
    let endless = open(words(1), Then::Silence, one).await;
    let mut last = open(words(1), Then::End, three).await;
    let mut other = open(words(1), Then::Silence, two).await;
    let first = poll_fn(|context| other.poll_next(context)).await;
    assert!(matches!(first, Some(Ok(Event::Text(_)))));
    drop(endless);
    assert_eq!(rounded(&all(&mut last).await).len(), 2);
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn a_simulated_server_in_virtual_time_answers_at_once() {
    let server = server(true);
    let start = Instant::now();
    let mut stream = open(words(3), Then::End, seated(&server, true)).await;
    let due: Vec<_> = all(&mut stream).await;
    drop(stream);
    let due: Vec<_> = due.iter().map(|time| time.1.as_millis()).collect();
    assert_eq!(due, [10, 20, 30, 30]);
    // An answer in one piece, after the other, whose end was not known when the step that goes on
    // began.
    let sink = Collector::new(&limits(), TokenMeter::default());
    let (run, _) = run(sink, words(4), Then::End);
    let whole = Collector::whole(run.await.unwrap(), seated(&server, true)).await;
    assert_eq!(whole.timing.due(), ms(50));
    assert_eq!(
        whole.events.last(),
        Some(&Event::Finish(FinishReason::Stop))
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// There are two places, and whoever has them is not read while the third is waited for.
#[tokio::test(start_paused = true)]
async fn whoever_waits_in_virtual_time_for_those_who_do_not_go_on_comes_to_an_end() {
    let server = server(true);
    let [one, two, three] = [(); 3].map(|()| seated(&server, true));
    let start = Instant::now();
    // As one request for three answers has them: each is opened before any is read on.
    let mut one = open(words(2), Then::End, one).await;
    let two = open(words(2), Then::Silence, two).await;
    let mut last = open(words(3), Then::End, three).await;
    let dues = |times: &[(Duration, Duration)]| times.iter().map(|time| time.1).collect::<Vec<_>>();
    let waited = last.timing().due();
    assert!(waited > ms(10 * 4_000), "{waited:?}");
    let after = |steps: u64| waited + ms(10 * steps);
    let times = dues(&all(&mut last).await);
    assert_eq!(times, [after(0), after(1), after(2), after(2)]);
    // What they have of tokens is there.
    assert_eq!(dues(&all(&mut one).await), [ms(10), ms(20), ms(20)]);
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(two);
}

/// An answer that was read to its end keeps nobody waiting, though its reader keeps it.
#[tokio::test(start_paused = true)]
async fn an_answer_that_was_read_in_virtual_time_makes_room() {
    let server = server(true);
    let [one, two, three] = [(); 3].map(|()| seated(&server, true));
    let mut one = open(words(4), Then::End, one).await;
    let mut two = open(words(4), Then::End, two).await;
    assert_eq!(all(&mut one).await.len(), 5);
    assert_eq!(all(&mut two).await.len(), 5);
    let mut three = open(words(1), Then::End, three).await;
    // The others have their last tokens after 40 and 50 ms; at each of these the next step begins.
    assert_eq!(three.timing().due(), ms(60));
    assert_eq!(all(&mut three).await.len(), 2);
    drop((one, two));
}

/// Words that are told apart.
fn numbered(count: usize) -> Vec<Chunk> {
    let words = (0..count).map(|number| format!("{number} "));
    words.map(|text| word(&text, 7_000_000)).collect()
}

/// Each event of a stream, and when it is said to be due.
async fn said(stream: &mut Stream) -> Vec<(Event, Duration)> {
    let mut said = Vec::new();
    while let Some(event) = poll_fn(|context| stream.poll_next(context)).await {
        said.push((event.unwrap(), stream.timing().due()));
    }
    said
}

/// Runs a test on a clock that goes on by itself while nobody works.
fn on_a_paused_clock<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}

/// Latencies of every kind that needs no file.
const LATENCIES: [&str; 6] = [
    "ttft=200ms,itl=20ms",
    "ttft=normal(200ms,50ms),itl=gamma(20ms,5ms)",
    "ttft=lognormal(1s,300ms),itl=uniform(0ms..1ms)",
    "ttft=2s,itl=normal(10ms,20ms,min=1us,max=15ms),prefill=normal(8000/s,100/s)",
    "itl=uniform(100us..300us)",
    "profile=mlperf-llama-2-70b",
];

/// Builds of simulated servers, down to a single block and a token a step.
fn engines() -> impl Strategy<Value = Engine> {
    let times = (1_u64..40_000, 0_u64..2_000, 0_u64..2_000, 0_u64..9_000);
    let sizes = (1_u32..8, 1_u32..300, 1_u32..4, 1_u32..40);
    (times, sizes, any::<bool>()).prop_map(|(times, sizes, enable_prefix_caching)| {
        let [base, prefill_token, sequence, thousand_context_tokens] =
            [times.0, times.1, times.2, times.3].map(Duration::from_micros);
        let number = |number| NonZeroU32::new(number).unwrap();
        Engine {
            step: StepTime {
                base,
                prefill_token,
                sequence,
                thousand_context_tokens,
            },
            max_num_seqs: number(sizes.0),
            max_num_batched_tokens: number(sizes.1),
            block_size: 16 * sizes.2,
            num_gpu_blocks: number(sizes.3),
            enable_prefix_caching,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Answers at once, each of which is read while the others are.
    #[test]
    fn a_clock_and_virtual_time_have_the_same_answers_at_a_pace_that_was_set(
        seed in any::<u64>(),
        request in any::<u64>(),
        latency in 0..LATENCIES.len(),
        tokens in 0_u32..5_000,
        lengths in prop::collection::vec(0_usize..40, 1..5),
    ) {
        let read = Latency::read(LATENCIES[latency], &Profiles::shipped(), &Recorded::default());
        let latency = Arc::new(read.unwrap().unwrap());
        let answers = |is_virtual: bool| {
            let timing = |answer| {
                let turn = Turn { seed, request, answer };
                let prompt = PromptSize { tokens, cached: tokens / 3 };
                let pacer = Pacer::new(Arc::clone(&latency), turn, prompt);
                Timing::new(Instant::now(), Pace::Set(Box::new(pacer)), is_virtual)
            };
            on_a_paused_clock(async {
                let answers = (0..).zip(&lengths).map(async |(answer, length)| {
                    let mut stream = open(numbered(*length), Then::End, timing(answer)).await;
                    said(&mut stream).await
                });
                join_all(answers).await
            })
        };
        let on_the_clock = answers(false);
        for (said, length) in on_the_clock.iter().zip(&lengths) {
            prop_assert_eq!(said.len(), length + 1);
            prop_assert!(said.is_sorted_by_key(|(_, due)| *due));
        }
        prop_assert_eq!(answers(true), on_the_clock);
    }

    /// An answer that has the server to itself, as a stream and in one piece.
    #[test]
    fn a_clock_and_virtual_time_have_the_same_answer_of_a_simulated_server(
        engine in engines(),
        tokens in 0_u32..400,
        way in 0_u64..300_000,
        length in 0_usize..60,
    ) {
        let prompt: Vec<_> = (0..tokens).collect();
        let prompt = Arc::new(Prompt::of(&prompt));
        let timing = |is_virtual: bool| {
            let scheduler = Scheduler::new(Arc::new(engine.clone()));
            let server = SimulatedServer::new(scheduler, is_virtual, Box::new(|_, _| {}));
            let way = Duration::from_micros(way);
            let seat = server.enter(Arc::clone(&prompt), way, Box::new(|_| {}));
            let pace = Pace::Simulated(Box::new(seat.unwrap()));
            Timing::new(Instant::now(), pace, is_virtual)
        };
        let answer = |is_virtual: bool| on_a_paused_clock(async {
            let mut stream = open(numbered(length), Then::End, timing(is_virtual)).await;
            let said = said(&mut stream).await;
            let sink = Collector::new(&limits(), TokenMeter::default());
            let (run, _) = run(sink, numbered(length), Then::End);
            let run = run.await.unwrap();
            let whole = Collector::whole(run, timing(is_virtual)).await;
            (said, whole.token_times)
        });
        let (said, token_times) = answer(false);
        prop_assert_eq!(said.len(), length + 1);
        let dues: Vec<_> = said.iter().map(|(_, due)| *due).take(length).collect();
        prop_assert_eq!(&token_times, &dues);
        prop_assert!(dues.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", dues);
        prop_assert_eq!(answer(true), (said, token_times));
    }
}
