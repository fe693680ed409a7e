//! The clocks and the random numbers of a guest. They come from its request alone, so that a run
//! can be run again and gives the same: the wall clock stands still at the moment when the request
//! came, the monotonic clock goes with the fuel, a sleep ends at once and moves that clock, and
//! what is random is a stream of ChaCha20 under the run's seed.
//!
//! A guest has no other clock, so it cannot time what others on the machine leave in its caches.

use crate::{
    ambient::{FuelClock, NANOSECONDS_A_FUEL, NEVER},
    state::GuestState,
};
use chacha20::{ChaCha20Rng, rand_core::Rng as _};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};
use wasmtime::{
    StoreContextMut, bail,
    component::{HasSelf, Linker, Resource, ResourceType},
};
use wasmtime_wasi::p2::{
    DynPollable, Pollable,
    bindings::{clocks::wall_clock, random},
    subscribe,
};
use wasmtime_wasi_io::bindings::wasi::io::poll::{Host as PollHost, HostPollable as _};

/// A step of the wall clock, in nanoseconds.
const WALL_CLOCK_STEP_NS: u32 = 1_000_000;

/// Random bytes that one call may ask for.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// The interfaces whose functions need the fuel, in the version of the linked WASI.
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";
const POLL: &str = "wasi:io/poll@0.2.12";

/// A sleep that a guest has begun.
struct Sleep {
    clock: Arc<FuelClock>,
    end_ns: u64,
}

#[async_trait::async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        poll_fn(|_| {
            if self.clock.now() >= self.end_ns {
                return Poll::Ready(());
            }
            // Whoever polls moves the clock and asks again, so that nobody has to be woken.
            self.clock.wait_for(self.end_ns);
            Poll::Pending
        })
        .await;
    }
}

/// Waits for what a guest waits for: where that is not there yet, the nearest of its sleeps ends.
async fn wait<T>(clock: &FuelClock, waiting: impl Future<Output = T>) -> T {
    let mut waiting = pin!(waiting);
    poll_fn(|context| {
        loop {
            match waiting.as_mut().poll(context) {
                Poll::Pending if clock.skip() => {}
                polled => return polled,
            }
        }
    })
    .await
}

/// The clock of a run, gone on to this moment.
fn clock(store: &mut StoreContextMut<'_, GuestState>) -> wasmtime::Result<Arc<FuelClock>> {
    let left = store.get_fuel()?;
    let state = store.data_mut();
    let clock = Arc::clone(state.ambient.clock());
    clock.go_on(state.budget().fuel.saturating_sub(left));
    Ok(clock)
}

fn sleep_until(
    mut store: StoreContextMut<'_, GuestState>,
    end_ns: impl FnOnce(u64) -> u64,
) -> wasmtime::Result<Resource<DynPollable>> {
    let clock = clock(&mut store)?;
    // The last moment is one like any other, and not the mark of nobody.
    let end_ns = end_ns(clock.now()).min(NEVER - 1);
    let table = store.data_mut().table();
    let sleep = table.push(Sleep { clock, end_ns })?;
    subscribe(table, sleep)
}

/// Links the clocks, waiting, and random numbers.
pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wall_clock::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    random::random::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    random::insecure::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    random::insecure_seed::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;

    let mut monotonic = linker.instance(MONOTONIC_CLOCK)?;
    monotonic.func_wrap("now", |mut store, (): ()| Ok((clock(&mut store)?.now(),)))?;
    monotonic.func_wrap("resolution", |_, (): ()| Ok((NANOSECONDS_A_FUEL,)))?;
    monotonic.func_wrap("subscribe-instant", |store, (end,): (u64,)| {
        Ok((sleep_until(store, |_| end)?,))
    })?;
    monotonic.func_wrap("subscribe-duration", |store, (length,): (u64,)| {
        Ok((sleep_until(store, |now| now.saturating_add(length))?,))
    })?;

    let mut poll = linker.instance(POLL)?;
    let pollable = ResourceType::host::<DynPollable>();
    poll.resource("pollable", pollable, |mut store, rep| {
        store.data_mut().table().drop(Resource::new_own(rep))
    })?;
    poll.func_wrap_async(
        "[method]pollable.ready",
        |mut store, (pollable,): (Resource<DynPollable>,)| {
            Box::new(async move {
                clock(&mut store)?;
                Ok((store.data_mut().table().ready(pollable).await?,))
            })
        },
    )?;
    poll.func_wrap_async(
        "[method]pollable.block",
        |mut store, (pollable,): (Resource<DynPollable>,)| {
            Box::new(async move {
                let clock = clock(&mut store)?;
                wait(&clock, store.data_mut().table().block(pollable)).await
            })
        },
    )?;
    poll.func_wrap_async(
        "poll",
        |mut store, (pollables,): (Vec<Resource<DynPollable>>,)| {
            Box::new(async move {
                let clock = clock(&mut store)?;
                Ok((wait(&clock, store.data_mut().table().poll(pollables)).await?,))
            })
        },
    )?;
    Ok(())
}

impl wall_clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let unix_ms = self.origin().time().unix_ms();
        Ok(wall_clock::Datetime {
            seconds: unix_ms / 1000,
            nanoseconds: u32::try_from(unix_ms % 1000)? * 1_000_000,
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: WALL_CLOCK_STEP_NS,
        })
    }
}

fn bytes(random: &mut ChaCha20Rng, len: u64) -> wasmtime::Result<Vec<u8>> {
    if len > RANDOM_BYTES_MAX {
        bail!("{len} random bytes are more than {RANDOM_BYTES_MAX}, the most of one call");
    }
    let mut bytes = vec![0; usize::try_from(len)?];
    random.fill_bytes(&mut bytes);
    Ok(bytes)
}

impl random::random::Host for GuestState {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        bytes(&mut self.chance().random, len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.chance().random.next_u64())
    }
}

impl random::insecure::Host for GuestState {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        bytes(&mut self.chance().insecure, len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.chance().insecure.next_u64())
    }
}

impl random::insecure_seed::Host for GuestState {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok(self.insecure_random_seed())
    }
}
