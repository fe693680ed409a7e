//! Not hostile: tells what its clocks and random numbers say, in `load` and in the run. With the
//! parameter `spin` it turns that often between two looks at the clock.
#![cfg_attr(target_family = "wasm", no_std)]

mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated code")]

    wit_bindgen::generate!({
        inline: "
        package belljar:hostile;
        package wasi:io@0.2.0 {
            interface poll {
                resource pollable {
                    ready: func() -> bool;
                    block: func();
                }
                poll: func(in: list<borrow<pollable>>) -> list<u32>;
            }
        }
        package wasi:clocks@0.2.0 {
            interface monotonic-clock {
                use wasi:io/poll@0.2.0.{pollable};
                type instant = u64;
                type duration = u64;
                now: func() -> instant;
                resolution: func() -> duration;
                subscribe-instant: func(when: instant) -> pollable;
                subscribe-duration: func(when: duration) -> pollable;
            }
            interface wall-clock {
                record datetime { seconds: u64, nanoseconds: u32 }
                now: func() -> datetime;
                resolution: func() -> datetime;
            }
        }
        package wasi:random@0.2.0 {
            interface random {
                get-random-bytes: func(len: u64) -> list<u8>;
                get-random-u64: func() -> u64;
            }
            interface insecure {
                get-insecure-random-bytes: func(len: u64) -> list<u8>;
                get-insecure-random-u64: func() -> u64;
            }
            interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
        }
        world everything {
            import wasi:io/poll@0.2.0;
            import wasi:clocks/monotonic-clock@0.2.0;
            import wasi:clocks/wall-clock@0.2.0;
            import wasi:random/random@0.2.0;
            import wasi:random/insecure@0.2.0;
            import wasi:random/insecure-seed@0.2.0;
        }
    ",
        world: "belljar:hostile/everything",
        generate_all,
    });
}

use belljar_guest::tensors::{Request, Response, Tensor};
use belljar_guest::{Error, Lifecycle, Tensors};
use bindings::wasi::clocks::monotonic_clock::{now, subscribe_duration, subscribe_instant};
use bindings::wasi::clocks::wall_clock;
use bindings::wasi::io::poll::poll;
use bindings::wasi::random::{insecure, insecure_seed, random};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static LOAD_WALL_MS: AtomicU64 = AtomicU64::new(0);
static LOAD_RANDOM: AtomicU64 = AtomicU64::new(0);

struct Guest;

fn wall_ms() -> u64 {
    let wall_clock::Datetime {
        seconds,
        nanoseconds,
    } = wall_clock::now();
    seconds * 1_000 + u64::from(nanoseconds / 1_000_000)
}

impl Lifecycle for Guest {
    fn load() -> Result<(), Error> {
        LOAD_WALL_MS.store(wall_ms(), Relaxed);
        LOAD_RANDOM.store(random::get_random_u64(), Relaxed);
        Ok(())
    }
}

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let began = now();
        for turn in 0..hostile::number_of(request.parameter("spin"), 0) {
            core::hint::black_box(turn);
        }
        let spun = now() - began;
        // The nearest of three ends, and the others are as far away as before.
        let (far, near, over) = (
            subscribe_duration(5_000_000_000),
            subscribe_duration(2_000_000_000),
            subscribe_instant(u64::MAX),
        );
        let before = near.ready();
        let ready = poll(&[&far, &near, &over]);
        let polled = now();
        far.block();
        let blocked = now();
        let first = ready.first().copied().map_or(u64::MAX, u64::from);
        let bytes = random::get_random_bytes(24);
        let (seed_low, seed_high) = insecure_seed::insecure_seed();
        let tell = |name: &str, value: u64| Tensor::from_slice(name, [], &[value]);
        Ok(Response::from([
            tell("wall_ms", wall_ms()),
            tell("spun_ns", spun),
            tell("was_ready", u64::from(before)),
            tell("ready", ready.len() as u64),
            tell("first_ready", first),
            tell("polled_ms", (polled - began) / 1_000_000),
            tell("blocked_ms", (blocked - began) / 1_000_000),
            tell("began_ns", began),
            Tensor::from_slice("random", [bytes.len() as u64], &bytes),
            tell("random_u64", random::get_random_u64()),
            tell("insecure", insecure::get_insecure_random_u64()),
            tell("insecure_seed", seed_low ^ seed_high),
            tell("load_wall_ms", LOAD_WALL_MS.load(Relaxed)),
            tell("load_random", LOAD_RANDOM.load(Relaxed)),
        ]))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: lifecycle, tensors);
