//! What stands near a token, as bits: whether a rule that begins here can be met at all.
//!
//! A rule looks at the tokens before and after the one it begins at. In a text that is made to
//! cost time most of these looks are in vain, and no branch of theirs is foreseen. So what a
//! rule cannot do without is asked first, of bits that were gathered without any branch.

use crate::features::{Feature, Found};
use crate::lexicon::Classes;
use crate::token::{Kind, Token};

/// How many tokens behind a token are looked at by any rule.
pub(crate) const AHEAD_TOKENS: usize = 12;

/// A set of what tokens can be: signs, numbers, words of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traits(u64);

impl Traits {
    /// Of everything, also of what does not exist.
    pub(crate) const ANY: Self = Self(1 << 63);
    /// The text ends within reach.
    pub(crate) const END: Self = Self(1 << 62);
    /// A word.
    pub(crate) const WORD: Self = Self(1 << 61);
    /// A number.
    pub(crate) const NUMBER: Self = Self(1 << 60);
    /// After this token an odd number of single quotes and backticks was seen.
    pub(crate) const ODD_SINGLE: Self = Self(1 << 59);
    /// After this token an odd number of double quotes was seen.
    pub(crate) const ODD_DOUBLE: Self = Self(1 << 58);

    /// Words of these classes.
    pub(crate) const fn of(classes: Classes) -> Self {
        Self((classes.bits() as u64) << Self::SIGNS)
    }

    /// These signs.
    pub(crate) const fn signs(signs: &[u8]) -> Self {
        let mut all = 0;
        let mut rest = signs;
        while let [sign, tail @ ..] = rest {
            all |= Self::sign(*sign);
            rest = tail;
        }
        Self(all)
    }

    /// How many signs there are: the punctuation of ASCII without `_`, which is a letter here.
    const SIGNS: u32 = 31;

    const ALL_SIGNS: u64 = (1 << Self::SIGNS) - 1;

    /// The bit of a sign; 0 for what is none.
    const fn sign(sign: u8) -> u64 {
        let number = match sign {
            b'!'..=b'/' => sign - b'!',
            b':'..=b'@' => sign - b':' + 15,
            b'['..=b'^' => sign - b'[' + 22,
            b'`' => 26,
            b'{'..=b'~' => sign - b'{' + 27,
            _ => return 0,
        };
        1 << number
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    #[inline]
    fn of_token(token: &Token) -> Self {
        const SIGNS: [u64; 128] = {
            let mut signs = [0; 128];
            let mut rest = signs.as_mut_slice();
            let mut sign = 0;
            while let [slot, tail @ ..] = rest {
                *slot = Traits::sign(sign);
                sign += 1;
                rest = tail;
            }
            signs
        };
        let sign = SIGNS.get(usize::from(token.sign)).copied().unwrap_or(0);
        let word = u64::from(token.kind == Kind::Word) * Self::WORD.0;
        let number = u64::from(token.is_number()) * Self::NUMBER.0;
        let classes = Self::of(token.classes.and(Classes::ALL)).0;
        Self(Self::ANY.0 | sign | word | number | classes)
    }
}

// Signs, classes and the single traits share the bits.
const _: () = assert!(Traits::of(Classes::ALL).0 < Traits::ODD_DOUBLE.0);

/// What stands around one token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookAhead {
    pub(crate) before: Traits,
    pub(crate) this: Traits,
    pub(crate) next: Traits,
    /// The tokens behind it, as far as any rule looks.
    pub(crate) ahead: Traits,
}

/// What stands near each token of a part.
#[derive(Debug, Default)]
pub(crate) struct Nearby {
    /// Of the token before the part, of those in it, and of those behind it.
    traits: Vec<Traits>,
    /// For each token of the part, what stands behind it within reach.
    ahead: Vec<Traits>,
}

impl Nearby {
    /// Looks at `count` tokens from `start` on. `ends` when the text ends with the last token.
    pub(crate) fn look(&mut self, tokens: &[Token], start: usize, count: usize, ends: bool) {
        let last = self.traits.get(self.ahead.len()).copied();
        let mut odd = last.unwrap_or_default().0 & (Traits::ODD_SINGLE.0 | Traits::ODD_DOUBLE.0);
        let before = start
            .checked_sub(1)
            .and_then(|before| tokens.get(before))
            .map_or(Traits::ANY, Traits::of_token);
        self.traits.clear();
        self.traits.push(before);
        let seen = tokens.get(start..).unwrap_or_default();
        let seen = seen.get(..count + AHEAD_TOKENS).unwrap_or(seen);
        self.traits.extend(seen.iter().map(|token| {
            let length = u64::from(token.length() & 1);
            let sign = token.sign;
            let single = u64::from((sign == b'\'') | (sign == b'`'));
            let double = u64::from(sign == b'"');
            odd ^= length * (single * Traits::ODD_SINGLE.0 + double * Traits::ODD_DOUBLE.0);
            Traits(Traits::of_token(token).0 | odd)
        }));
        let missing = (count + 1 + AHEAD_TOKENS).saturating_sub(self.traits.len());
        let nothing = if ends {
            Traits::ANY.or(Traits::END)
        } else {
            Traits::ANY
        };
        self.traits.extend(std::iter::repeat_n(nothing, missing));
        self.gather(count);
    }

    /// Puts together what stands behind each token, in steps that double how far it reaches.
    fn gather(&mut self, count: usize) {
        self.ahead.clear();
        self.ahead
            .extend_from_slice(self.traits.get(2..).unwrap_or_default());
        for step in [1, 2, 4, 4] {
            let (length, ahead) = (self.ahead.len(), self.ahead.as_mut_slice());
            for at in 0..length.saturating_sub(step) {
                let further = ahead.get(at + step).copied().unwrap_or_default();
                if let Some(here) = ahead.get_mut(at) {
                    *here = here.or(further);
                }
            }
        }
        self.ahead.truncate(count);
    }

    /// All that stands in the part and near it.
    pub(crate) fn present(&self) -> Traits {
        self.traits
            .iter()
            .fold(Traits::default(), |all, one| all.or(*one))
    }

    /// The tokens of the part.
    fn part(&self) -> &[Traits] {
        self.traits.get(1..).unwrap_or_default()
    }

    /// What stands near the token `at` of the part.
    #[inline]
    pub(crate) fn near(&self, at: usize) -> LookAhead {
        let of = |at: usize| self.traits.get(at).copied().unwrap_or_default();
        LookAhead {
            before: of(at),
            this: of(at + 1),
            next: of(at + 2),
            ahead: self.ahead.get(at).copied().unwrap_or_default(),
        }
    }
}

/// A rule that begins at a sign, as far as bits can say what it needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// The signs it begins at.
    pub(crate) signs: &'static [u8],
    begins: Traits,
    /// What it finds.
    finds: &'static [Feature],
    need: Need,
}

impl Rule {
    /// A rule that needs nothing.
    pub(crate) const fn at(signs: &'static [u8], finds: &'static [Feature]) -> Self {
        Self {
            signs,
            begins: Traits::signs(signs),
            finds,
            need: Need {
                before: Traits::ANY,
                next: Traits::ANY,
                ahead: Traits::ANY,
            },
        }
    }

    /// It needs one of these before the sign.
    pub(crate) const fn before(mut self, before: Traits) -> Self {
        self.need.before = before;
        self
    }

    /// It needs one of these next to the sign.
    pub(crate) const fn next(mut self, next: Traits) -> Self {
        self.need.next = next;
        self
    }

    /// It needs one of these behind the sign.
    pub(crate) const fn ahead(mut self, ahead: Traits) -> Self {
        self.need.ahead = ahead;
        self
    }
}

/// What one rule needs near its sign: one trait at each place. Without any it is never met.
#[derive(Debug, Clone, Copy, Default)]
struct Need {
    before: Traits,
    next: Traits,
    ahead: Traits,
}

impl Need {
    /// Without a branch for each place.
    #[inline]
    const fn is_met(self, near: &LookAhead) -> bool {
        near.before.has(self.before) & near.next.has(self.next) & near.ahead.has(self.ahead)
    }
}

/// The most rules of a grammar that begin at one sign.
const RULES_MAX: usize = 3;

/// What the rules of a grammar need, by the sign they begin at.
#[derive(Debug, Default)]
pub(crate) struct Prefilter {
    /// The signs that rules begin at which may be met in the part.
    active: Traits,
    /// Of each active sign, where its needs are.
    places: [u8; Traits::SIGNS as usize],
    signs: Vec<[Need; RULES_MAX]>,
    /// The tokens to look at, by their places in the part.
    chosen: Vec<u16>,
}

impl Prefilter {
    /// Turns to a part in which nothing stands but `present`. What the rules could find that was
    /// found already is no reason to look again.
    pub(crate) fn turn_to(&mut self, rules: &[Rule], present: Traits, found: &Found) {
        self.active = Traits::default();
        self.signs.clear();
        for rule in rules {
            let can_be_met = present.has(rule.need.before)
                & present.has(rule.need.next)
                & present.has(rule.need.ahead)
                & present.has(rule.begins);
            let is_open =
                || rule.finds.is_empty() || rule.finds.iter().any(|feature| !found.has(*feature));
            if can_be_met && is_open() {
                self.add(rule);
            }
        }
    }

    fn add(&mut self, rule: &Rule) {
        for sign in rule.signs {
            let bit = Traits::sign(*sign);
            let Some(place) = self.places.get_mut(bit.trailing_zeros() as usize) else {
                continue;
            };
            if self.active.0 & bit == 0 {
                self.active.0 |= bit;
                *place = u8::try_from(self.signs.len()).unwrap_or(u8::MAX);
                self.signs.push([Need::default(); RULES_MAX]);
            }
            let slots = self.signs.get_mut(usize::from(*place));
            let free = slots.into_iter().flatten().find(|need| need.next.0 == 0);
            debug_assert!(free.is_some(), "too many rules begin at one sign");
            if let Some(free) = free {
                *free = rule.need;
            }
        }
    }

    /// Chooses the tokens with this mark that are no sign or at which a rule begins that may be
    /// met in the part. Gives how many there are. Without a branch: in a text made to cost time
    /// none of them is foreseen.
    pub(crate) fn choose(&mut self, tokens: &[Token], mark: Classes, nearby: &Nearby) -> usize {
        self.chosen.resize(self.chosen.len().max(tokens.len()), 0);
        let mut count = 0;
        for (number, (token, this)) in (0..).zip(tokens.iter().zip(nearby.part())) {
            let sign = this.0 & Traits::ALL_SIGNS;
            let begins = (sign == 0) | (sign & self.active.0 != 0) | asks_nothing();
            if let Some(slot) = self.chosen.get_mut(count) {
                *slot = number;
            }
            count += usize::from(begins & token.has(mark));
        }
        count
    }

    /// The place in the part of the chosen token `number`.
    #[inline]
    pub(crate) fn chosen(&self, number: usize) -> usize {
        self.chosen
            .get(number)
            .map_or(0, |place| usize::from(*place))
    }

    /// True when a rule may be met that begins at the sign in the middle, which is active.
    #[inline]
    pub(crate) fn may_be_met(&self, near: &LookAhead) -> bool {
        let place = self.places.get(near.this.0.trailing_zeros() as usize);
        let needs = place.and_then(|place| self.signs.get(usize::from(*place)));
        needs.is_some_and(|[a, b, c]| a.is_met(near) | b.is_met(near) | c.is_met(near))
    }
}

/// True in tests that show what the rules find when nothing is asked before them.
#[cfg(not(test))]
pub(crate) const fn asks_nothing() -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static ASKS_NOTHING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(test)]
pub(crate) fn asks_nothing() -> bool {
    ASKS_NOTHING.get()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::FieldKind;
    use crate::screener::find;

    /// What the rules of all grammars look for, and what stands between.
    const PIECES: &str = "select union all from where drop table insert into or and xor not like is in \
        having order by group null procedure analyse waitfor delay exec xp_cmdshell rlike uNiOn sElEcT \
        information_schema sys sleep( version( char( or' '1'='1 1=1 ||1 && 0x41424344 1,2,3 /* */ /*!5 -- # \
        -- ;drop @@version @x :] $ne $where ->> ?& <=> ' \" ` '' \"\" ( ) (( ); ' ; ;id |cat &&ls whoami cat \
        /etc/passwd `id` $(id) $(( ${IFS} $IFS ${x:0:1} $@ $* ${7*7} {{7*7}} {ls,-l} {a,-x} = x=1;$x >& 2>&1 \
        >/tmp/x <<< <?php <%= <!--#exec () { :;}; %systemroot% for %i in ( if not \"%1\"== /dev/tcp/ /bin/sh \
        /usr/bin/id /b?n/c[a]t \\ncat c\\at w'h'oami system(\"id\") eval($_GET[x]) nohup sudo sh -c nc -e curl \
        http://a ping -c 3 ipconfig /all net user rcpt to: ehlo <script> </script> <img src=x onerror=alert(1)> \
        \" onfocus= onload once <svg/onload <a href=javascript:x> data:text/html <?xml <!DOCTYPE a [ <!ENTITY % x \
        SYSTEM <![CDATA[ &x; %x; alert(1) document.cookie self.x self srcdoc= style=x:expression( xss )( )(| *) \
        *)( )!( '), (|( (&( (uid=*) (cn=a ../ ..\\ . , : + - * ! ? ~ ^ [ ] the please explain a b house 1 22 \n é я \u{2003}";

    fn text() -> impl Strategy<Value = String> {
        let pieces: Vec<_> = PIECES
            .split(' ')
            .filter(|piece| !piece.is_empty())
            .collect();
        let piece = prop::sample::select(pieces);
        let spaced = prop::sample::select(vec!["", " ", " ", "\n"]);
        prop::collection::vec((piece, spaced), 1..40).prop_map(|pieces| {
            pieces
                .into_iter()
                .map(|(piece, space)| piece.to_owned() + space)
                .collect()
        })
    }

    fn features(text: &str) -> Vec<(Feature, Option<u32>)> {
        let found = find(FieldKind::Prompt, text);
        found
            .features()
            .map(|feature| (feature, found.position(feature)))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_asked_first_hides_nothing(text in text()) {
            let asked = features(&text);
            ASKS_NOTHING.set(true);
            let all = features(&text);
            ASKS_NOTHING.set(false);
            prop_assert_eq!(asked, all);
        }
    }

    #[test]
    fn what_stands_near_is_seen_as_far_as_rules_look() {
        use crate::reader::{Part, Reader};
        let text = format!("a {}' ; select", "x ".repeat(10));
        let mut reader = Reader::new(&text);
        let mut part = Part::default();
        assert!(reader.next_part(&mut part));
        let near = part.nearby.near(0);
        assert!(near.before == Traits::ANY && near.next.has(Traits::WORD));
        assert!(near.ahead.has(Traits::signs(b"'")) && near.ahead.has(Traits::signs(b";")));
        assert!(!near.ahead.has(Traits::of(Classes::SELECT)) && !near.ahead.has(Traits::END));
        let near = part.nearby.near(1);
        assert!(near.ahead.has(Traits::of(Classes::SELECT)) && !near.ahead.has(Traits::END));
        assert!(part.nearby.near(2).ahead.has(Traits::END));
        assert!(!part.nearby.near(10).this.has(Traits::ODD_SINGLE));
        assert!(part.nearby.near(12).this.has(Traits::ODD_SINGLE));
    }
}
