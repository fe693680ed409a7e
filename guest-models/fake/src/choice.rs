//! What is said next, of all that could be: how wide the choice is follows from the request's
//! temperature and its like, and how soon something comes again from its penalties.

use belljar_guest::text::{Request, Sampling};

use crate::random::{self, Random};

/// A whole, in the unit of [`Choice::width`].
const WHOLE: u32 = 1024;
/// The width at a temperature of 1, where nothing else is said.
const USUAL_WIDTH: u32 = WHOLE / 2;
/// How much of a deck stays out of the choice since it was dealt, in percent, and how much each
/// part of a penalty adds.
const REST: i32 = 50;
const REST_BY_PENALTY: i32 = 2;
/// The parts of a penalty of 1, and how many of them have all of their effect.
const PENALTY: f32 = 8.0;
const PENALTY_MAX: i32 = 16;
/// How far back what was said is said again where penalties are below 0.
const SAID_LATELY: usize = 3;
/// The largest deck.
pub(crate) const CARDS_MAX: usize = 32;

/// How choices are made.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) random: Random,
    /// From the prompt alone: which choice is the likeliest.
    order: u64,
    /// How much of what could be said is taken into account; only the likeliest at 0.
    width: u32,
    /// In percent.
    rest: u32,
    /// Above 0 where nothing is to be said again, below where it is to be.
    penalty: i32,
    /// Which of several answers this is, and what they have in common: each begins in a way of
    /// its own, as far as there are enough.
    variant: (usize, u64),
}

/// Things to say, those that were said last at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deck {
    /// A ring, of which the next card is at the head.
    cards: [u8; CARDS_MAX],
    count: u8,
    head: u8,
    /// What is said with the first of the cards, and how far on with each next one.
    first: u8,
    step: u8,
}

/// Cards before any is dealt: shuffling costs more than finding what a card stands for.
const IN_ORDER: [u8; CARDS_MAX] = {
    let mut cards = [0; CARDS_MAX];
    let mut card = 0;
    while card < CARDS_MAX {
        cards[card] = card as u8;
        card += 1;
    }
    cards
};

impl Choice {
    pub(crate) fn new(sampling: &Sampling, order: u64, random: Random) -> Self {
        // In whole numbers from here on, which are the same on every machine.
        let scaled = |share: f32| (share.clamp(0.0, 2.0) * WHOLE as f32) as u32;
        let mut width = sampling.temperature.map_or(USUAL_WIDTH, |t| scaled(t) / 2);
        let shares = [
            sampling.top_p,
            sampling.min_p.map(|min_p| 1.0 - min_p / 2.0),
        ];
        for share in shares.into_iter().flatten() {
            width = width * scaled(share).min(WHOLE) / WHOLE;
        }
        if let Some(top_k) = sampling.top_k.filter(|top_k| *top_k > 0) {
            // Of a list of a few dozen, that many.
            width = width.min((top_k - 1).saturating_mul(WHOLE / 32));
        }
        let parts = |penalty: Option<f32>| penalty.map_or(0, |penalty| (penalty * PENALTY) as i32);
        let penalty = parts(sampling.presence_penalty) + parts(sampling.frequency_penalty);
        let rest = REST + penalty * REST_BY_PENALTY;
        Self {
            random,
            order,
            width,
            rest: rest.clamp(0, 100) as u32,
            penalty: penalty.clamp(-PENALTY_MAX, PENALTY_MAX),
            variant: (0, order),
        }
    }

    /// The choices of one of several answers.
    pub(crate) fn of_answer(mut self, request: &Request) -> Self {
        if random::may_vary(request) {
            let seed = request.sampling.seed.map_or(0, |seed| seed.wrapping_add(1));
            self.variant = (request.choice as usize, self.order.wrapping_add(seed));
        }
        self
    }

    /// The way to begin, of so many.
    pub(crate) fn beginning(&self, number: u64, ways: usize) -> usize {
        let (variant, common) = self.variant;
        let mut first = Self {
            random: Random::new(common),
            ..self.clone()
        };
        let mut deck = self.deck(number, ways);
        (first.deal(&mut deck) + variant) % ways.max(1)
    }

    /// Choices that nobody has a say in.
    pub(crate) fn plain(random: Random) -> Self {
        let order = random.clone().bits();
        Self {
            random,
            order,
            width: USUAL_WIDTH,
            rest: REST as u32,
            penalty: 0,
            variant: (0, order),
        }
    }

    /// A deck of so many things, in an order of its own.
    pub(crate) fn deck(&self, number: u64, things: usize) -> Deck {
        // Primes above the number of cards: each step of that size comes to every card.
        const STEPS: [u8; 8] = [37, 41, 43, 47, 53, 59, 61, 67];
        let order = Random::new(self.order ^ number).bits();
        let step = STEPS.get((order >> 40) as usize % STEPS.len());
        Deck {
            cards: IN_ORDER,
            count: things.clamp(1, CARDS_MAX) as u8,
            head: 0,
            first: (order >> 8) as u8,
            step: step.copied().unwrap_or(1),
        }
    }

    /// Whether a sentence had better be another one, by whether it says what others have said.
    pub(crate) fn puts_off(&mut self, says_again: bool) -> bool {
        self.penalty != 0
            && says_again == (self.penalty > 0)
            && self.random.below(PENALTY_MAX as usize) < self.penalty.unsigned_abs() as usize
    }

    /// The next card: one of the first of those that have not been dealt for long.
    pub(crate) fn deal(&mut self, deck: &mut Deck) -> usize {
        let count = u32::from(deck.count);
        if self.penalty < 0 && self.width > 0 && self.puts_off(false) {
            let back = 1 + self
                .random
                .below(SAID_LATELY.min(count as usize - 1).max(1));
            let chosen =
                (usize::from(deck.head) + count as usize - back % count as usize) % count as usize;
            deck.cards.swap(deck.head.into(), chosen);
            return deck.next();
        }
        let rested = count - (count * self.rest / 100).min(count - 1);
        // In parts of a card, so that each step of the temperature counts.
        let span = WHOLE + (rested - 1) * self.width;
        if span > WHOLE {
            let ahead = self.random.below(span as usize) / WHOLE as usize;
            let chosen = (usize::from(deck.head) + ahead) % usize::from(deck.count);
            deck.cards.swap(deck.head.into(), chosen);
        }
        deck.next()
    }
}

impl Deck {
    /// The card that was dealt the longest ago.
    pub(crate) fn next(&mut self) -> usize {
        let card = self.cards.get(usize::from(self.head)).copied();
        self.head += 1;
        if self.head >= self.count {
            self.head = 0;
        }
        let steps = u32::from(card.unwrap_or(0)) * u32::from(self.step);
        ((u32::from(self.first) + steps) % u32::from(self.count)) as usize
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// A request that says nothing of how to choose.
    pub(crate) fn sampling() -> Sampling {
        Sampling {
            temperature: None,
            top_p: None,
            top_k: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            logprobs: None,
        }
    }

    fn deal(sampling: &Sampling, seed: u64, count: usize) -> Vec<usize> {
        let mut choice = Choice::new(sampling, 5, Random::new(seed));
        let mut deck = choice.deck(1, 20);
        (0..count).map(|_| choice.deal(&mut deck)).collect()
    }

    /// How many different beginnings many seeds give.
    fn variety(sampling: &Sampling) -> usize {
        let mut seen: Vec<Vec<usize>> = (0..200).map(|seed| deal(sampling, seed, 2)).collect();
        seen.sort();
        seen.dedup();
        seen.len()
    }

    #[test]
    fn a_higher_temperature_is_a_wider_choice() {
        let at = |temperature| {
            variety(&Sampling {
                temperature: Some(temperature),
                ..sampling()
            })
        };
        assert_eq!(at(0.0), 1);
        assert!(at(0.3) > 1 && at(0.3) < at(1.0) && at(1.0) < at(2.0));
        assert_eq!(at(1.0), variety(&sampling()));
    }

    #[test]
    fn what_is_cut_off_narrows_it() {
        let usual = variety(&sampling());
        for narrow in [
            Sampling {
                top_p: Some(0.3),
                ..sampling()
            },
            Sampling {
                top_k: Some(3),
                ..sampling()
            },
            Sampling {
                min_p: Some(0.9),
                ..sampling()
            },
        ] {
            assert!(variety(&narrow) < usual, "{narrow:?}");
        }
        assert_eq!(
            variety(&Sampling {
                top_k: Some(1),
                ..sampling()
            }),
            1
        );
        assert_eq!(
            variety(&Sampling {
                top_p: Some(1e-6),
                ..sampling()
            }),
            1
        );
    }

    #[test]
    fn penalties_put_off_what_has_been_said() {
        let soonest = |penalty| {
            let dealt = deal(
                &Sampling {
                    presence_penalty: Some(penalty),
                    ..sampling()
                },
                3,
                40,
            );
            let again = |at: usize| {
                dealt[..at]
                    .iter()
                    .rev()
                    .position(|other| *other == dealt[at])
            };
            (0..40).filter_map(again).min().unwrap()
        };
        assert!(soonest(-2.0) < soonest(2.0));
        let both = Sampling {
            presence_penalty: Some(2.0),
            frequency_penalty: Some(2.0),
            ..sampling()
        };
        let mut dealt = deal(&both, 3, 20);
        dealt.sort_unstable();
        assert_eq!(dealt, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_deck_of_any_size_is_dealt() {
        for things in 0..70 {
            let mut choice = Choice::new(&sampling(), 9, Random::new(1));
            let mut deck = choice.deck(2, things);
            for _ in 0..200 {
                assert!(choice.deal(&mut deck) < things.max(1));
            }
        }
    }
}
