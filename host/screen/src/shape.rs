//! Looks at how the text as a whole reads: as people talk, or as a piece of something.

use crate::features::{Feature, Found};
use crate::token::Tokens;

/// Finds the features of the whole text.
pub(crate) fn scan(cx: &Tokens<'_>, found: &mut Found) {
    talk(cx, found);
    piece(cx, found);
}

/// Signs that people talk.
fn talk(cx: &Tokens<'_>, found: &mut Found) {
    const FOREIGN_MANY: u32 = 12;
    let frame = cx.frame;
    for (feature, least) in [
        (Feature::ShapePlain2, 2),
        (Feature::ShapePlain4, 4),
        (Feature::ShapePlain8, 8),
        (Feature::ShapePlain16, 16),
        (Feature::ShapePlain40, 40),
    ] {
        found.add_if(frame.plain >= least, feature, 0);
    }
    found.add_if(frame.plain == 0, Feature::ShapeNoPlain, 0);
    for (feature, least) in [
        (Feature::ShapeRun3, 3),
        (Feature::ShapeRun5, 5),
        (Feature::ShapeRun8, 8),
    ] {
        found.add_if(frame.plain_run >= least, feature, 0);
    }
    for (feature, least) in [
        (Feature::ShapeStop1, 1),
        (Feature::ShapeStop3, 3),
        (Feature::ShapeStop8, 8),
    ] {
        found.add_if(frame.stop >= least, feature, 0);
    }
    let tokens = frame.words.saturating_add(frame.punct);
    let tenths = frame
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
    found.add_if(frame.foreign > 0, Feature::ShapeForeign, 0);
    found.add_if(frame.foreign >= FOREIGN_MANY, Feature::ShapeForeignMany, 0);
    found.add_if(frame.talks, Feature::ShapeTalks, 0);
    found.add_if(frame.asks, Feature::ShapeAsks, 0);
    found.add_if(!cx.quoted.is_empty(), Feature::ShapeQuotes, 0);
    found.add_if(
        frame.words >= 2 && frame.punct * 4 <= frame.words,
        Feature::ShapeWordsOnly,
        0,
    );
}

/// Signs that the text is a piece of something.
fn piece(cx: &Tokens<'_>, found: &mut Found) {
    // Without a branch for each kind of sign: in a text of random signs none is foreseen.
    let mut single = 0_u32;
    let mut double = 0_u32;
    let mut depth = 0_i64;
    let mut odd_bracket = false;
    for token in &cx.tokens {
        let length = token.length();
        let count = |sign: u8| length * u32::from(token.is(sign));
        single ^= count(b'\'');
        double ^= count(b'"');
        depth += i64::from(count(b'(')) - i64::from(count(b')'));
        if depth < 0 && !odd_bracket {
            odd_bracket = true;
            found.add(Feature::ShapeBracketOdd, token.start);
        }
    }
    let odd = (single | double) & 1 == 1;
    found.add_if(odd, Feature::ShapeQuoteOdd, 0);
    let Some(first) = cx.tokens.first() else {
        return;
    };
    let mid = first.is_any(b"'\"`);|&,%+=>]}\\") || (first.is_any(b"-") && first.length() == 1);
    found.add_if(mid, Feature::ShapeStartsMid, first.start);
    let spaced = cx.tokens.iter().skip(1).any(crate::token::Token::is_spaced);
    found.add_if(
        !spaced && cx.tokens.len() >= 4,
        Feature::ShapeNoSpaces,
        first.start,
    );
}
