//! Where a stop string ends the text. The host enforces stop strings too; a model that does so
//! itself can say that it stopped, and does no work that is thrown away.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// Holds pieces back for as long as they could be the beginning of a stop string.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stops {
    stops: Vec<String>,
    longest: usize,
    held: VecDeque<String>,
    /// The held pieces, joined.
    text: String,
}

impl Stops {
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops: Vec<String> = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .cloned()
            .collect();
        let longest = stops.iter().map(String::len).max().unwrap_or(0);
        Self {
            stops,
            longest,
            ..Self::default()
        }
    }

    /// Whether nothing can stop the text.
    pub(crate) fn are_none(&self) -> bool {
        self.longest == 0
    }

    /// Takes in the next piece, and gives those that are safe to `emit`. Returns whether a stop
    /// string is complete; what came before it has then been given.
    pub(crate) fn take(&mut self, piece: String, mut emit: impl FnMut(String)) -> bool {
        if self.longest == 0 {
            emit(piece);
            return false;
        }
        self.text.push_str(&piece);
        self.held.push_back(piece);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| self.text.find(stop.as_str()))
            .min();
        let end = found.unwrap_or(self.text.len().saturating_sub(self.longest - 1));
        let mut given = 0;
        while let Some(piece) = self.held.front() {
            if given + piece.len() > end {
                break;
            }
            given += piece.len();
            self.held.pop_front().into_iter().for_each(&mut emit);
        }
        if found.is_some() {
            // The stop string begins inside of a piece: its beginning still belongs to the text.
            if let Some(beginning) = self.text.get(given..end).filter(|text| !text.is_empty()) {
                emit(beginning.into());
            }
            self.held.clear();
        }
        self.text.drain(..given);
        found.is_some()
    }

    /// Gives what is still held, at the end of the text.
    pub(crate) fn finish(&mut self, emit: impl FnMut(String)) {
        self.text.clear();
        self.held.drain(..).for_each(emit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut stops = Stops::new(&stops.iter().map(|&stop| stop.into()).collect::<Vec<_>>());
        let mut given = vec![];
        for piece in pieces {
            if stops.take((*piece).into(), |piece| given.push(piece)) {
                return (given, true);
            }
        }
        stops.finish(|piece| given.push(piece));
        (given, false)
    }

    #[track_caller]
    fn check(stops: &[&str], pieces: &[&str], expect: &[&str], stopped: bool) {
        let (given, found) = run(stops, pieces);
        assert_eq!(
            (given.iter().map(String::as_str).collect::<Vec<_>>(), found),
            (expect.to_vec(), stopped)
        );
    }

    #[test]
    fn the_text_ends_before_the_stop_string() {
        check(&["c"], &["a", "b", "c", "d"], &["a", "b"], true);
        check(&["b c"], &["a", " b", " c", " d"], &["a", " "], true);
        check(&["ab"], &["xa", "by"], &["x"], true);
        check(&["a"], &["a"], &[], true);
    }

    #[test]
    fn the_first_of_several_decides() {
        check(&["d", "bc"], &["a", "b", "c", "d"], &["a"], true);
    }

    #[test]
    fn what_only_begins_like_one_is_given() {
        check(
            &["abc"],
            &["a", "b", "x", "a", "b"],
            &["a", "b", "x", "a", "b"],
            false,
        );
        check(&["é!"], &["é", "é", "?"], &["é", "é", "?"], false);
    }

    #[test]
    fn an_empty_one_stops_nothing() {
        check(&[""], &["a"], &["a"], false);
        check(&[], &["a"], &["a"], false);
    }
}
