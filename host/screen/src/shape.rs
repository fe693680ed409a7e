//! Looks at how the text as a whole reads: as people talk, or as a piece of something.

use crate::features::{Feature, Found};
use crate::reader::{Part, Tokens};
use crate::token::Token;

/// Signs that people talk.
pub(crate) fn talk(cx: &Tokens<'_>, found: &mut Found) {
    const FOREIGN_MANY: u32 = 12;
    const LINES_MIN: u32 = 3;
    let context = cx.context;
    for (feature, least) in [
        (Feature::ShapePlain2, 2),
        (Feature::ShapePlain4, 4),
        (Feature::ShapePlain8, 8),
        (Feature::ShapePlain16, 16),
        (Feature::ShapePlain40, 40),
    ] {
        found.add_if(context.plain >= least, feature, 0);
    }
    found.add_if(context.plain == 0, Feature::ShapeNoPlain, 0);
    for (feature, least) in [
        (Feature::ShapeRun3, 3),
        (Feature::ShapeRun5, 5),
        (Feature::ShapeRun8, 8),
    ] {
        found.add_if(context.plain_run >= least, feature, 0);
    }
    for (feature, least) in [
        (Feature::ShapeStop1, 1),
        (Feature::ShapeStop3, 3),
        (Feature::ShapeStop8, 8),
    ] {
        found.add_if(context.stop >= least, feature, 0);
    }
    let tokens = context.words.saturating_add(context.punct);
    let tenths = context
        .plain
        .saturating_mul(10)
        .checked_div(tokens)
        .unwrap_or(0);
    for (feature, least) in [
        (Feature::ShapeShare1, 1),
        (Feature::ShapeShare3, 3),
        (Feature::ShapeShare5, 5),
    ] {
        found.add_if(tenths >= least, feature, 0);
    }
    found.add_if(context.foreign > 0, Feature::ShapeForeign, 0);
    found.add_if(
        context.foreign >= FOREIGN_MANY,
        Feature::ShapeForeignMany,
        0,
    );
    found.add_if(context.lines >= LINES_MIN, Feature::ShapeLines, 0);
    found.add_if(context.talks, Feature::ShapeTalks, 0);
    found.add_if(context.asks, Feature::ShapeAsks, 0);
    found.add_if(context.quotes(), Feature::ShapeQuotes, 0);
    found.add_if(
        context.words >= 2 && context.punct * 4 <= context.words,
        Feature::ShapeWordsOnly,
        0,
    );
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Bit 0: an odd number of single quotes; bit 1: of double quotes.
    odd_quotes: u32,
    /// How many brackets are open.
    pub(crate) depth: i64,
    odd_bracket: bool,
    /// Tokens other than the first with spaces before them.
    spaced: bool,
}

/// Counts quotes and brackets in a part of the text.
pub(crate) fn scan(cx: &Tokens<'_>, part: &Part, state: &mut State, found: &mut Found) {
    let begins = usize::from(part.range.start == 0);
    let tokens = cx.tokens.get(part.range.clone()).unwrap_or_default();
    // Without a branch for each kind of sign: in a text of random signs none is foreseen.
    for token in tokens {
        let sign = token.sign;
        let odd = token.length() & 1;
        state.odd_quotes ^= odd * (u32::from(sign == b'\'') | u32::from(sign == b'"') << 1);
        let bracket = i64::from(sign == b'(') - i64::from(sign == b')');
        state.depth += bracket * i64::from(token.length());
        if (state.depth < 0) & !state.odd_bracket {
            state.odd_bracket = true;
            found.add(Feature::ShapeBracketOdd, token.start);
        }
    }
    state.spaced = state.spaced || tokens.iter().skip(begins).any(Token::is_spaced);
}

/// Signs that the text is a piece of something.
pub(crate) fn ends(cx: &Tokens<'_>, state: &State, found: &mut Found) {
    found.add_if(state.odd_quotes != 0, Feature::ShapeQuoteOdd, 0);
    let Some(first) = cx.head().first() else {
        return;
    };
    let mid = first.is_any(b"'\"`);|&,%+=>]}\\") || (first.is_any(b"-") && first.length() == 1);
    found.add_if(mid, Feature::ShapeStartsMid, first.start);
    found.add_if(
        !state.spaced && cx.head().len() >= 4,
        Feature::ShapeNoSpaces,
        first.start,
    );
}
