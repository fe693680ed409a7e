//! Numbers of JSON. Digits are taken eight at a time, and a division by a power of ten does the
//! rest where its result is known to be the right one.

/// A number that has been read and not yet been worked out.
pub(super) struct Token<'j> {
    /// The whole of it.
    text: &'j [u8],
    is_negative: bool,
    /// Whether it has a point or an exponent.
    is_float: bool,
    /// Its digits as one number, and the power of ten that it is to be multiplied with. None
    /// where the digits or the exponent are too many.
    parts: Option<(u64, i32)>,
}

/// A number, as `serde_json` sorts them.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Negative(i64),
    Float(f64),
}

/// Digits that always fit 64 bits.
const DIGITS_MAX: usize = 19;

/// The powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Whole numbers up to this one are exact in an `f64`.
const EXACT_MAX: u64 = 1 << 53;

/// The bits of an `f64` that an `f32` has no room for.
const DROPPED: u64 = (1 << 29) - 1;
/// What these are halfway between two `f32`.
const HALFWAY: u64 = 1 << 28;
/// How far from halfway they must be for an `f64` that is off by less than two units in its last
/// place to be rounded like the exact number, with room to spare.
const CLEAR_OF_HALFWAY: u64 = 8;

/// Reads the number at a place, and says where it ends. None where there is none that JSON
/// allows.
#[inline]
pub(super) fn read(json: &[u8], start: usize) -> Option<(Token<'_>, usize)> {
    let is_negative = json.get(start) == Some(&b'-');
    let mut at = start + usize::from(is_negative);
    let first = *json.get(at)?;
    if !first.is_ascii_digit() {
        return None;
    }
    at += 1;
    let mut mantissa = u64::from(first - b'0');
    let mut digits = 1;
    if json.get(at).is_some_and(u8::is_ascii_digit) {
        if first == b'0' {
            return None;
        }
        digits += take_digits(json, &mut at, &mut mantissa);
    }
    let mut power = 0_i32;
    let has_point = json.get(at) == Some(&b'.');
    if has_point {
        at += 1;
        let fraction = take_digits(json, &mut at, &mut mantissa);
        if fraction == 0 {
            return None;
        }
        digits += fraction;
        power = i32::try_from(fraction).map_or(i32::MIN, |fraction| -fraction);
    }
    let mut fits = digits <= DIGITS_MAX;
    let has_exponent = matches!(json.get(at), Some(b'e' | b'E'));
    if has_exponent {
        at += 1;
        let sign = json.get(at).copied();
        if matches!(sign, Some(b'-' | b'+')) {
            at += 1;
        }
        let mut exponent = 0;
        let digits = take_digits(json, &mut at, &mut exponent);
        if digits == 0 {
            return None;
        }
        fits &= digits <= 4;
        let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
        power = if sign == Some(b'-') {
            power.saturating_sub(exponent)
        } else {
            power.saturating_add(exponent)
        };
    }
    let token = Token {
        text: json.get(start..at)?,
        is_negative,
        is_float: has_point || has_exponent,
        parts: fits.then_some((mantissa, power)),
    };
    Some((token, at))
}

impl Token<'_> {
    /// The `f32` that is nearest to the `f64` that is nearest to the number: what one gets who
    /// reads an `f64` and makes an `f32` of it. None where that is not known without more work.
    #[inline]
    pub(super) fn single(&self) -> Option<f32> {
        let (mantissa, power) = self.parts?;
        let nearly = scaled(mantissa, power)?;
        // Off by half a unit in the last place for the mantissa, and by half for the division.
        let dropped = nearly.to_bits() & DROPPED;
        if dropped.abs_diff(HALFWAY) < CLEAR_OF_HALFWAY {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounds")]
        let single = nearly as f32;
        // Below and above these the two round elsewhere.
        if nearly != 0.0 && !(f32::MIN_POSITIVE..f32::MAX).contains(&single) {
            return None;
        }
        Some(if self.is_negative { -single } else { single })
    }

    /// The number. None where it is out of the range of an `f64`.
    #[inline]
    pub(super) fn value(&self) -> Option<Value> {
        match self.parts {
            Some((whole, 0)) if !self.is_float => {
                if !self.is_negative {
                    return Some(Value::Unsigned(whole));
                }
                match 0_i64.checked_sub_unsigned(whole) {
                    Some(value) if value < 0 => return Some(Value::Negative(value)),
                    // Minus zero, and what is below all integers.
                    _ => {}
                }
            }
            Some((mantissa, power)) if mantissa <= EXACT_MAX => {
                // One rounding of two exact numbers gives the nearest one.
                if let Some(value) = scaled(mantissa, power) {
                    let value = if self.is_negative { -value } else { value };
                    return Some(Value::Float(value));
                }
            }
            _ => {}
        }
        let text = std::str::from_utf8(self.text).ok()?;
        // One digit more than is sure to fit may fit all the same.
        if !self.is_float
            && let Ok(whole) = text.parse()
        {
            return Some(Value::Unsigned(whole));
        }
        let value = text.parse::<f64>().ok()?;
        value.is_finite().then_some(Value::Float(value))
    }
}

/// The mantissa times a power of ten, where that is one rounding beyond the mantissa's own.
#[inline]
fn scaled(mantissa: u64, power: i32) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "who calls this knows")]
    let mantissa = mantissa as f64;
    let by = *POWERS.get(usize::try_from(power.unsigned_abs()).ok()?)?;
    Some(if power < 0 {
        mantissa / by
    } else {
        mantissa * by
    })
}

/// Adds the digits at a place to a number, which wraps where they are too many, and says how
/// many they are.
#[inline]
fn take_digits(json: &[u8], at: &mut usize, number: &mut u64) -> usize {
    let start = *at;
    while let Some(block) = json.get(*at..).and_then(|rest| rest.first_chunk::<8>()) {
        let digits = u64::from_le_bytes(*block) ^ ZEROES;
        let others = not_digits(digits);
        let count = others.trailing_zeros() / 8;
        if count == 0 {
            return *at - start;
        }
        // The first digit is the lowest byte; shifted up, those that are missing are zeroes in
        // front.
        let shift = 64 - 8 * count;
        let scale = POWERS_OF_TEN.get(count as usize).copied().unwrap_or(1);
        *number = number
            .wrapping_mul(scale)
            .wrapping_add(eight_digits(digits << shift));
        *at += count as usize;
        if count < 8 {
            return *at - start;
        }
    }
    while let Some(digit) = json.get(*at).filter(|byte| byte.is_ascii_digit()) {
        *number = number
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'));
        *at += 1;
    }
    *at - start
}

const POWERS_OF_TEN: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// `00000000`.
const ZEROES: u64 = 0x3030_3030_3030_3030;

/// Of eight bytes from which `0` has been taken, the highest bit of each that is no digit.
#[inline]
const fn not_digits(bytes: u64) -> u64 {
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const OVER_NINE: u64 = 0x7676_7676_7676_7676;
    (((bytes & LOW_BITS) + OVER_NINE) | bytes) & !LOW_BITS
}

/// The number of eight digits, each in a byte, the first in the lowest.
#[inline]
const fn eight_digits(digits: u64) -> u64 {
    // Pairs first, then fours, then all: three multiplications instead of eight.
    const PAIR: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let upper = (pairs & PAIR).wrapping_mul(100 + (1_000_000 << 32));
    let lower = ((pairs >> 16) & PAIR).wrapping_mul(1 + (10_000 << 32));
    upper.wrapping_add(lower) >> 32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// Numbers near where an `f32` rounds up or down, and any others.
    fn texts() -> impl Strategy<Value = String> {
        let halfway = (any::<f32>(), -3_i64..=3).prop_map(|(single, off)| {
            let bits = f64::from(single).to_bits() | HALFWAY;
            f64::from_bits(bits.wrapping_add_signed(off))
        });
        prop_oneof![
            halfway.prop_map(|value| format!("{value:e}")),
            any::<f32>().prop_map(|value| format!("{}", f64::from(value))),
            any::<f64>().prop_map(|value| format!("{value}")),
            any::<f64>().prop_map(|value| format!("{value:e}")),
            "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,5})?",
            "-?[0-9]{1,22}",
            "[0-9.eE+-]{1,12}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn numbers_are_those_of_the_general_reader(text in texts()) {
            let general = serde_json::from_str::<serde_json::Number>(&text).ok();
            let own = read(text.as_bytes(), 0).filter(|(_, end)| *end == text.len());
            let value = own.as_ref().and_then(|(token, _)| token.value());
            let expected = general.as_ref().map(|number| {
                match (number.as_u64(), number.as_i64()) {
                    (Some(value), _) => Value::Unsigned(value),
                    (None, Some(value)) => Value::Negative(value),
                    (None, None) => Value::Float(number.as_f64().unwrap()),
                }
            });
            prop_assert_eq!(&value, &expected);
            if let Some(single) = own.and_then(|(token, _)| token.single()) {
                #[expect(clippy::cast_possible_truncation, reason = "what is tested")]
                let expected = general.unwrap().as_f64().unwrap() as f32;
                prop_assert_eq!(single.to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn usual_numbers_are_known_without_more_work() {
        for text in ["0.01764160394668579", "-1.5", "3", "0", "-0", "1e-3", "640"] {
            let (token, end) = read(text.as_bytes(), 0).unwrap();
            assert_eq!(end, text.len());
            #[expect(clippy::cast_possible_truncation, reason = "what is tested")]
            let expected = text.parse::<f64>().unwrap() as f32;
            assert_eq!(
                token.single().map(f32::to_bits),
                Some(expected.to_bits()),
                "{text}"
            );
        }
    }
}
