//! Answers at the pace of a tester, with a run in the place of a sandbox and a clock that the test
//! moves.

#![allow(clippy::unwrap_used)]
use super::stream::script::{Handle, Outcome, Then, limits, run, word};
use super::*;
use belljar_sandbox::wit::text::{Chunk, FinishReason};
use belljar_testing::distribution::Recorded;
use belljar_testing::latency::{Latency, Pacer, Profiles, PromptSize, Turn};
use belljar_testing::scheduler::{Engine, Prompt, Scheduler, StepTime};
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
