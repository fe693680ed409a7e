//! Where the fuel of a run goes: by function and, where the component says, by source line.
//!
//! The engine looks at the epoch wherever a function begins and a loop turns. A run that is profiled
//! is called back at each of these places, and the fuel since the last place goes to the stack of
//! that one. Everything comes from the guest's own steps, so the same run gives the same profile on
//! every machine.
//!
//! Fuel is written down where functions call and return, and not within loops. What shows up at once
//! after the turns of a loop is divided among the places where they were seen.

use crate::printable::printable;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use wasmtime::{FrameInfo, WasmBacktrace};

/// Different stacks that are told apart. What comes after them is under one of their own.
const STACKS_MAX: usize = 100_000;
/// Places that are looked at before every second one of the next ones is, and so on: a stack takes
/// microseconds to read, and a long run has billions of places.
const LOOKS_BEFORE_HALVING: u64 = 1_024;
/// Places among which fuel is divided at most.
const PENDING_MAX: usize = 256;
/// Places between two looks at the clock.
const PLACES_BETWEEN_CLOCKS: u64 = 1_024;
/// Bytes of the name of one function or file.
const NAME_BYTES_MAX: usize = 256;
/// What stands for a run's fuel before its first place, and for stacks beyond [`STACKS_MAX`].
const START: &str = "(start)";
const OTHERS: &str = "(others)";

/// A place in the guest's code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileFrame {
    /// The function, by its source's name where the component has names.
    pub function: String,
    /// The source line, as `file:line`, where the component says and the engine keeps it.
    pub line: Option<String>,
}

/// The fuel of each stack, the outermost frame first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    stacks: HashMap<Vec<ProfileFrame>, u64>,
}

impl Profile {
    /// All stacks with their fuel, in a fixed order.
    #[must_use]
    pub fn stacks(&self) -> Vec<(&[ProfileFrame], u64)> {
        let mut stacks: Vec<_> = self
            .stacks
            .iter()
            .map(|(frames, fuel)| (frames.as_slice(), *fuel))
            .collect();
        stacks.sort_unstable();
        stacks
    }

    /// The fuel of all of them together.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.stacks.values().sum()
    }

    fn add(&mut self, stack: &[ProfileFrame], fuel: u64) {
        if fuel == 0 {
            return;
        }
        if let Some(sum) = self.stacks.get_mut(stack) {
            *sum = sum.saturating_add(fuel);
            return;
        }
        let stack = if self.stacks.len() < STACKS_MAX {
            stack.to_vec()
        } else {
            vec![ProfileFrame {
                function: OTHERS.to_owned(),
                line: None,
            }]
        };
        *self.stacks.entry(stack).or_default() += fuel;
    }

    fn merge(&mut self, other: &Self) {
        for (stack, fuel) in &other.stacks {
            self.add(stack, *fuel);
        }
    }
}

/// What the profiles of a request's runs add up in. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Profiler(Arc<Mutex<Profile>>);

impl Profiler {
    /// The profile of the runs that have ended by now.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.0.lock().clone()
    }
}

/// The profile of one run while it goes on.
pub(crate) struct Sampler {
    to: Profiler,
    profile: Profile,
    /// Fuel left when it was last seen to be less than before.
    fuel_left: u64,
    /// The stacks at the places since then, all of which share what shows up next.
    pending: Vec<Vec<ProfileFrame>>,
    places: u64,
    looks: u64,
    /// Every how many places there is a look.
    stride: u64,
}

impl Sampler {
    pub(crate) fn new(to: Profiler, fuel: u64) -> Self {
        Self {
            to,
            profile: Profile::default(),
            fuel_left: fuel,
            pending: Vec::new(),
            places: 0,
            looks: 0,
            stride: 1,
        }
    }

    /// Notes that the run is at a place, and says whether it is to be looked at.
    pub(crate) fn is_due(&mut self) -> bool {
        self.places = self.places.wrapping_add(1);
        self.places.is_multiple_of(self.stride)
    }

    /// Whether it is time to look at the clock.
    pub(crate) fn is_clock_due(&self) -> bool {
        self.places.is_multiple_of(PLACES_BETWEEN_CLOCKS)
    }

    /// Takes in a place: the stack there, and the fuel that is left.
    pub(crate) fn look(&mut self, backtrace: &WasmBacktrace, fuel_left: u64) {
        self.settle(fuel_left);
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS_BEFORE_HALVING) {
            self.stride = self.stride.saturating_mul(2);
        }
        let stack = frames(backtrace);
        if self.pending.len() < PENDING_MAX {
            self.pending.push(stack);
        } else if let Some(place) = self
            .pending
            .get_mut(usize::try_from(self.looks).unwrap_or(0) % PENDING_MAX)
        {
            *place = stack;
        }
    }

    /// Gives the fuel that has shown up to the places before.
    fn settle(&mut self, fuel_left: u64) {
        let fuel = self.fuel_left.saturating_sub(fuel_left);
        if fuel == 0 {
            return;
        }
        self.fuel_left = fuel_left;
        let pending = std::mem::take(&mut self.pending);
        let Some((last, others)) = pending.split_last() else {
            let start = ProfileFrame {
                function: START.to_owned(),
                line: None,
            };
            self.profile.add(&[start], fuel);
            return;
        };
        let count = u64::try_from(pending.len()).unwrap_or(1);
        let each = fuel / count;
        for stack in others {
            self.profile.add(stack, each);
        }
        // What the division leaves, too.
        let rest = fuel - each * (count - 1);
        self.profile.add(last, rest);
    }

    /// Ends the profile with the fuel that is left, and hands it over.
    pub(crate) fn end(mut self, fuel_left: u64) {
        self.settle(fuel_left);
        self.to.0.lock().merge(&self.profile);
    }
}

/// The frames of a stack, the outermost first. A function that the compiler has put into another is
/// a frame of its own where the component says so.
fn frames(backtrace: &WasmBacktrace) -> Vec<ProfileFrame> {
    let mut frames: Vec<ProfileFrame> = backtrace.frames().iter().flat_map(places).collect();
    // The lines of calls would make a stack of each path through a function.
    frames
        .iter_mut()
        .skip(1)
        .for_each(|frame| frame.line = None);
    frames.reverse();
    frames
}

/// The places that one frame stands for, the innermost first.
pub(crate) fn places(frame: &FrameInfo) -> Vec<ProfileFrame> {
    let own = || match frame.func_name() {
        Some(name) => readable(name),
        None => format!("function {}", frame.func_index()),
    };
    if frame.symbols().is_empty() {
        return vec![ProfileFrame {
            function: own(),
            line: None,
        }];
    }
    let symbols = frame.symbols().iter();
    symbols
        .map(|symbol| ProfileFrame {
            function: symbol.name().map_or_else(own, readable),
            line: source_line(symbol),
        })
        .collect()
}

/// Where a symbol is in its source, as `file:line`: the file by the last two parts of its path, which
/// is another one on each machine.
pub(crate) fn source_line(symbol: &wasmtime::FrameSymbol) -> Option<String> {
    let (file, line) = (symbol.file()?, symbol.line()?);
    let start = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    let file = file.get(start..).unwrap_or(file);
    Some(format!("{}:{line}", printable(file, NAME_BYTES_MAX)))
}

/// A name as its author has written it, safe to print.
pub(crate) fn readable(name: &str) -> String {
    let demangled = rustc_demangle::try_demangle(name).map(|name| format!("{name:#}"));
    let name = demangled.unwrap_or_else(|_| without_hash(name).to_owned());
    printable(&name, NAME_BYTES_MAX)
}

/// A name that was made readable before, without the number that its compiler has put behind it.
fn without_hash(name: &str) -> &str {
    const DIGITS: usize = 16;
    match name.rsplit_once("::h") {
        Some((name, hash))
            if hash.len() == DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            name
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(names: &[&str]) -> Vec<ProfileFrame> {
        let frame = |name: &&str| ProfileFrame {
            function: (*name).to_owned(),
            line: None,
        };
        names.iter().map(frame).collect()
    }

    #[test]
    fn fuel_goes_to_the_places_before_it_shows_and_none_is_lost() {
        let to = Profiler::default();
        let mut sampler = Sampler::new(to.clone(), 1_000);
        sampler.settle(990);
        for place in [stack(&["a"]), stack(&["a", "b"]), stack(&["a", "b"])] {
            sampler.settle(990);
            sampler.pending.push(place);
        }
        sampler.settle(890);
        sampler.pending.push(stack(&["a"]));
        sampler.end(875);
        let profile = to.profile();
        let fuel = |names: &[&str]| profile.stacks.get(&stack(names)).copied();
        assert_eq!(fuel(&[START]), Some(10));
        assert_eq!(fuel(&["a"]), Some(33 + 15));
        assert_eq!(fuel(&["a", "b"]), Some(67));
        assert_eq!(profile.fuel(), 125);
    }

    #[test]
    fn stacks_beyond_the_most_are_under_one() {
        let mut profile = Profile::default();
        for number in 0..STACKS_MAX + 3 {
            profile.add(&stack(&[&number.to_string()]), 1);
        }
        assert_eq!(profile.stacks.len(), STACKS_MAX + 1);
        assert_eq!(profile.stacks.get(&stack(&[OTHERS])), Some(&3));
    }

    #[test]
    fn names_are_as_they_were_written() {
        assert_eq!(
            readable("_ZN4core3fmt5write17h0123456789abcdefE"),
            "core::fmt::write"
        );
        assert_eq!(
            readable("core::fmt::write::h0123456789abcdef"),
            "core::fmt::write"
        );
        assert_eq!(readable("multiply"), "multiply");
        assert_eq!(readable("a\u{1b}[2J"), "a\u{fffd}[2J");
    }
}
