//! Joins neighbouring pieces, the best pair of the whole text first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

/// A piece of a text, and its token where it has one.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) range: Range<usize>,
    pub(super) token: Option<u32>,
}

/// What two pieces become; the least priority is first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    pub(super) priority: f64,
    pub(super) token: u32,
}

/// A pair that could be joined, as it was when it was found.
#[derive(Debug)]
struct Candidate {
    joined: Joined,
    left: usize,
    right: usize,
    ends: (usize, usize),
}

impl Candidate {
    fn order(&self, other: &Self) -> Ordering {
        // The heap gives the greatest; of equals, the leftmost comes first.
        let by_priority = other.joined.priority.total_cmp(&self.joined.priority);
        by_priority.then(other.left.cmp(&self.left))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order(other)
    }
}

/// A piece among its neighbours. One that was joined to its left is empty.
#[derive(Debug)]
struct Link {
    piece: Piece,
    before: Option<usize>,
    after: Option<usize>,
}

/// Joins pairs for as long as there is one that can be, in a time that is nearly in proportion
/// to the text.
pub(super) fn join(
    pieces: impl Iterator<Item = Piece>,
    find: impl Fn(&Piece, &Piece) -> Option<Joined>,
) -> impl Iterator<Item = Piece> {
    let mut links: Vec<Link> = Vec::new();
    for piece in pieces {
        let index = links.len();
        if let Some(last) = links.last_mut() {
            last.after = Some(index);
        }
        links.push(Link {
            piece,
            before: index.checked_sub(1),
            after: None,
        });
    }
    let mut heap = BinaryHeap::new();
    let propose = |links: &[Link], left: Option<usize>, heap: &mut BinaryHeap<Candidate>| {
        let left = left?;
        let right = links.get(left)?.after?;
        let pair = (&links.get(left)?.piece, &links.get(right)?.piece);
        heap.push(Candidate {
            joined: find(pair.0, pair.1)?,
            left,
            right,
            ends: (pair.0.range.end, pair.1.range.end),
        });
        Some(())
    };
    for left in 0..links.len() {
        propose(&links, Some(left), &mut heap);
    }
    while let Some(candidate) = heap.pop() {
        let is_current = |index: usize, end: usize| {
            links
                .get(index)
                .is_some_and(|link| !link.piece.range.is_empty() && link.piece.range.end == end)
        };
        if !is_current(candidate.left, candidate.ends.0)
            || !is_current(candidate.right, candidate.ends.1)
        {
            continue;
        }
        let Some(right) = links.get_mut(candidate.right) else {
            continue;
        };
        let end = right.piece.range.end;
        let after = right.after;
        right.piece.range.start = end;
        if let Some(link) = after.and_then(|after| links.get_mut(after)) {
            link.before = Some(candidate.left);
        }
        let Some(left) = links.get_mut(candidate.left) else {
            continue;
        };
        left.piece.range.end = end;
        left.piece.token = Some(candidate.joined.token);
        left.after = after;
        let before = left.before;
        propose(&links, before, &mut heap);
        propose(&links, Some(candidate.left), &mut heap);
    }
    let pieces = links.into_iter().map(|link| link.piece);
    pieces.filter(|piece| !piece.range.is_empty())
}
