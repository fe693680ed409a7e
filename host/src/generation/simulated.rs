//! A simulated server that answers share: one scheduler, which goes with the clock or, where time
//! is virtual, as far as it is asked about.

use belljar_testing::scheduler::{
    Counts, Full, Happening, Prompt, Scheduler, Sequence, SequenceId, What,
};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// What is told whenever the counts of a server change: how they were, and how they are.
pub type Observer = Box<dyn Fn(Counts, Counts) + Send + Sync>;

/// What is told when an answer leaves the queue: how long it has waited there.
pub type Begun = Box<dyn FnOnce(Duration) + Send>;

/// Steps in virtual time without a token for whoever asks, after which answers that nobody reads are
/// let go: so many tokens is how far a guest may be ahead of its reader, too.
const STEPS_AHEAD_MAX: usize = 4_096;

/// A simulated server. Clones are the same one.
#[derive(Clone)]
pub struct SimulatedServer(Arc<Shared>);

struct Shared {
    /// The moment from which its time counts; none where its time is virtual.
    begun: Option<Instant>,
    observer: Observer,
    state: Mutex<State>,
}

struct State {
    scheduler: Scheduler,
    seats: HashMap<SequenceId, Tokens>,
    happened: Vec<Happening>,
    /// Whether a task goes on with the clock.
    is_driven: bool,
    /// What the observer was told last.
    told: Counts,
}

/// The tokens of one sequence that nobody has taken yet.
struct Tokens {
    arrived: Duration,
    begun: Option<Begun>,
    /// How long it waited for its place.
    waited: Duration,
    times: VecDeque<Duration>,
    is_over: bool,
    /// Whether it is known how many there are.
    is_told: bool,
    waker: Option<Waker>,
}

/// The place of one answer in a simulated server. Dropping it takes the answer away.
#[derive(Debug)]
pub struct Seat {
    server: SimulatedServer,
    id: SequenceId,
    /// When it came, on the server's clock.
    arrived: Duration,
    /// What goes by before it gets there.
    before: Duration,
    /// When it had waited for its place, after the request.
    began: Duration,
    taken: u32,
    last: Duration,
}

impl SimulatedServer {
    /// A server that goes with the clock from now on, or one whose time is virtual.
    #[must_use]
    pub fn new(scheduler: Scheduler, is_virtual: bool, observer: Observer) -> Self {
        Self(Arc::new(Shared {
            begun: (!is_virtual).then(Instant::now),
            observer,
            state: Mutex::new(State {
                scheduler,
                seats: HashMap::new(),
                happened: Vec::new(),
                is_driven: false,
                told: Counts::default(),
            }),
        }))
    }

    /// A place for an answer to this prompt, which gets there `before` after its request.
    ///
    /// # Errors
    ///
    /// When there are too many.
    pub fn enter(
        &self,
        prompt: Arc<Prompt>,
        before: Duration,
        begun_at: Begun,
    ) -> Result<Seat, Full> {
        let Shared { begun, .. } = &*self.0;
        let mut state = self.0.state.lock();
        let arrived = begun.map_or_else(|| state.scheduler.now(), |begun| begun.elapsed());
        let sequence = Sequence {
            prompt,
            length: None,
        };
        let State {
            scheduler,
            happened,
            ..
        } = &mut *state;
        let id = scheduler.submit(arrived, sequence, happened);
        let seat = id.map(|id| {
            let tokens = Tokens {
                arrived,
                begun: Some(begun_at),
                waited: Duration::ZERO,
                times: VecDeque::new(),
                is_over: false,
                is_told: false,
                waker: None,
            };
            state.seats.insert(id, tokens);
            Seat {
                server: self.clone(),
                id,
                arrived,
                before,
                began: before,
                taken: 0,
                last: before,
            }
        });
        self.0.tell(&mut state);
        if begun.is_some() && !std::mem::replace(&mut state.is_driven, true) {
            tokio::spawn(drive(Arc::clone(&self.0)));
        }
        seat
    }
}

/// Goes with the clock until nobody is there.
async fn drive(shared: Arc<Shared>) {
    let Some(begun) = shared.begun else { return };
    loop {
        let next = {
            let mut state = shared.state.lock();
            let State {
                scheduler,
                happened,
                is_driven,
                ..
            } = &mut *state;
            scheduler.advance(begun.elapsed(), happened);
            let next = scheduler.next_at();
            *is_driven = next.is_some();
            shared.tell(&mut state);
            next
        };
        match next.and_then(|next| begun.checked_add(next)) {
            Some(next) => tokio::time::sleep_until(next).await,
            None => return,
        }
    }
}

impl State {
    /// Ends the answers whose length nobody has told and whose tokens nobody takes, but for one. In
    /// virtual time their readers may wait for that one, which waits for a place that they keep.
    fn let_go_unread(&mut self, but: SequenceId) {
        let is_unread = |(id, tokens): &(&SequenceId, &Tokens)| {
            **id != but && !tokens.is_told && tokens.times.len() >= STEPS_AHEAD_MAX
        };
        let unread = self.seats.iter().filter(is_unread).map(|(id, _)| *id);
        let mut unread: Vec<_> = unread.collect();
        // In the order in which they came: the same one each time.
        unread.sort_unstable();
        for id in unread {
            self.scheduler.end(id, 0, &mut self.happened);
        }
    }
}

impl Shared {
    /// Hands what has happened to whom it has happened to, and tells the observer.
    fn tell(&self, state: &mut State) {
        let State {
            scheduler,
            seats,
            happened,
            told,
            ..
        } = state;
        for Happening { at, sequence, what } in happened.drain(..) {
            // Whoever has gone is told nothing.
            let Some(tokens) = seats.get_mut(&sequence) else {
                continue;
            };
            match what {
                What::Token(_) => tokens.times.push_back(at),
                What::Began { .. } => {
                    tokens.waited = at.saturating_sub(tokens.arrived);
                    if let Some(begun) = tokens.begun.take() {
                        begun(tokens.waited);
                    }
                    continue;
                }
                What::Preempted => continue,
                What::Ended => tokens.is_over = true,
            }
            if let Some(waker) = tokens.waker.take() {
                waker.wake();
            }
        }
        let counts = scheduler.counts();
        if counts != *told {
            (self.observer)(*told, counts);
            *told = counts;
        }
    }
}

impl Seat {
    /// When the next token is there, after the request.
    pub(super) fn poll_token(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        let shared = &*self.server.0;
        let mut state = shared.state.lock();
        let mut steps = 0_usize;
        loop {
            let State {
                scheduler,
                seats,
                happened,
                ..
            } = &mut *state;
            let Some(tokens) = seats.get_mut(&self.id) else {
                return Poll::Ready(self.last);
            };
            if let Some(at) = tokens.times.pop_front() {
                self.began = self.before.saturating_add(tokens.waited);
                self.taken = self.taken.saturating_add(1);
                let after = at.saturating_sub(self.arrived);
                self.last = after.saturating_add(self.before);
                return Poll::Ready(self.last);
            }
            // An answer of more tokens than were told has the rest at its end.
            if tokens.is_over {
                return Poll::Ready(self.last);
            }
            let next = match shared.begun {
                None => scheduler.next_at(),
                Some(_) => {
                    tokens.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
            };
            match next {
                Some(next) => scheduler.advance(next, happened),
                None => tokens.is_over = true,
            }
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(STEPS_AHEAD_MAX) {
                state.let_go_unread(self.id);
            }
            shared.tell(&mut state);
        }
    }

    /// When the answer had waited for its place, after the request; known with its first token.
    pub(super) fn began(&self) -> Duration {
        self.began
    }

    /// Whether it is known how many tokens the answer has.
    pub(super) fn is_told(&self) -> bool {
        let state = self.server.0.state.lock();
        let tokens = state.seats.get(&self.id);
        tokens.is_none_or(|tokens| tokens.is_told)
    }

    /// Says how many tokens the answer has besides those that were taken.
    pub(super) fn tell_length(&mut self, left: u32) {
        let mut state = self.server.0.state.lock();
        let length = self.taken.saturating_add(left);
        let State {
            scheduler,
            seats,
            happened,
            ..
        } = &mut *state;
        if let Some(tokens) = seats.get_mut(&self.id) {
            tokens.is_told = true;
        }
        scheduler.end(self.id, length, happened);
        self.server.0.tell(&mut state);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.server.0.state.lock();
        state.seats.remove(&self.id);
        let State {
            scheduler,
            happened,
            ..
        } = &mut *state;
        scheduler.cancel(self.id, happened);
        self.server.0.tell(&mut state);
    }
}

impl fmt::Debug for SimulatedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedServer")
    }
}
