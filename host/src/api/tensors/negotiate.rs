//! Which format a body is in, and which one the caller wants back.

use super::pickle::looks_like_pickle;

/// A format that answers are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON, in our own form or the Open Inference Protocol's.
    Json,
    /// The Open Inference Protocol's JSON with binary tensors behind it.
    OipBinary,
    Msgpack,
    Safetensors,
}

/// The formats and their media types, the one we answer with first.
const MEDIA_TYPES: [(Format, &[&str]); 4] = [
    (Format::Json, &["application/json"]),
    (Format::OipBinary, &["application/octet-stream"]),
    (
        Format::Msgpack,
        &[
            "application/msgpack",
            "application/x-msgpack",
            "application/vnd.msgpack",
        ],
    ),
    (
        Format::Safetensors,
        &["application/vnd.safetensors", "application/x-safetensors"],
    ),
];

const PICKLE_MEDIA_TYPES: [&str; 7] = [
    "application/x-pickle",
    "application/python-pickle",
    "application/x-python-pickle",
    "application/pickle",
    "application/vnd.python.pickle",
    "application/x-python-serialize",
    "application/x-python-object",
];

impl Format {
    /// The media type of an answer in this format. JSON with binary tensors behind it has that of
    /// [`Format::OipBinary`].
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::OipBinary => "application/octet-stream",
            Self::Msgpack => "application/msgpack",
            Self::Safetensors => "application/vnd.safetensors",
        }
    }
}

/// The format of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    Json,
    /// JSON of that many bytes, and binary tensors after it.
    JsonWithTail(usize),
    Msgpack,
    Safetensors,
}

impl BodyFormat {
    /// The format to answer in when `Accept` leaves the choice.
    pub(crate) fn answer(self) -> Format {
        match self {
            // Binary inputs say nothing about outputs: those come as JSON unless the request
            // asks for binary ones.
            Self::Json | Self::JsonWithTail(_) => Format::Json,
            Self::Msgpack => Format::Msgpack,
            Self::Safetensors => Format::Safetensors,
        }
    }
}

/// Why the format of a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsupportedBody {
    /// It says that it is a pickle, or looks like one.
    Pickle,
    /// Raw bytes without the header that says where the JSON ends.
    NoHeaderLength,
    /// Nothing we read.
    Unknown,
}

/// The format of a body, by its `Content-Type` and the header of the binary extension.
pub(crate) fn body_format(
    content_type: Option<&str>,
    header_length: Option<usize>,
    body: &[u8],
) -> Result<BodyFormat, UnsupportedBody> {
    let essence = content_type.map(essence).unwrap_or_default();
    if PICKLE_MEDIA_TYPES
        .iter()
        .any(|pickle| essence.eq_ignore_ascii_case(pickle))
    {
        return Err(UnsupportedBody::Pickle);
    }
    let format = MEDIA_TYPES
        .iter()
        .find(|(_, names)| names.iter().any(|name| essence.eq_ignore_ascii_case(name)))
        .map(|(format, _)| *format);
    match (format, header_length) {
        (Some(Format::Json | Format::OipBinary), Some(length)) => {
            Ok(BodyFormat::JsonWithTail(length))
        }
        (Some(Format::Json), None) => Ok(BodyFormat::Json),
        (Some(Format::Msgpack), _) => Ok(BodyFormat::Msgpack),
        (Some(Format::Safetensors), _) => Ok(BodyFormat::Safetensors),
        // What pickle clients send when they give their bytes no type, or the type of any bytes.
        (Some(Format::OipBinary), None) | (None, _) if looks_like_pickle(body) => {
            Err(UnsupportedBody::Pickle)
        }
        (Some(Format::OipBinary), None) => Err(UnsupportedBody::NoHeaderLength),
        (None, None) if essence.is_empty() => Ok(BodyFormat::Json),
        (None, Some(length)) if essence.is_empty() => Ok(BodyFormat::JsonWithTail(length)),
        (None, _) => Err(UnsupportedBody::Unknown),
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// The format to answer in, by the values of `Accept`; none if it allows none of ours.
///
/// `same` is the format of the request: it wins where the caller likes several equally.
pub(crate) fn accepted(accept: &[&str], same: Format) -> Option<Format> {
    let mut any = false;
    let mut best: Option<(u16, bool, Format)> = None;
    for (format, names) in MEDIA_TYPES {
        let mut quality = None;
        for range in accept.iter().flat_map(|value| value.split(',')) {
            if range.trim().is_empty() {
                continue;
            }
            any = true;
            let Some(specificity) = specificity(essence(range), names) else {
                continue;
            };
            let weight = weight(range);
            // The most specific range decides, and of equals the last one.
            if quality.is_none_or(|(before, _)| specificity >= before) {
                quality = Some((specificity, weight));
            }
        }
        let Some((_, weight @ 1..)) = quality else {
            continue;
        };
        let is_same = format == same;
        if best.is_none_or(|(before, before_same, _)| (weight, is_same) > (before, before_same)) {
            best = Some((weight, is_same, format));
        }
    }
    if any {
        best.map(|(_, _, format)| format)
    } else {
        Some(same)
    }
}

/// Whether `Accept` allows a format at all.
pub(crate) fn allows(accept: &[&str], format: Format) -> bool {
    let names = MEDIA_TYPES.iter().find(|(known, _)| *known == format);
    let names = names.map(|(_, names)| *names).unwrap_or_default();
    let ranges = accept.iter().flat_map(|value| value.split(','));
    let ranges = ranges.filter(|range| !range.trim().is_empty());
    let mut ranges = ranges.peekable();
    if ranges.peek().is_none() {
        return true;
    }
    let of_it = ranges.filter_map(|range| Some((specificity(essence(range), names)?, range)));
    let most_exact = of_it.max_by_key(|(specificity, _)| *specificity);
    most_exact.is_some_and(|(_, range)| weight(range) > 0)
}

/// How exactly a media range names one of `names`: 0 `*/*`, 1 `application/*`, 2 in full.
fn specificity(range: &str, names: &[&str]) -> Option<u8> {
    if range == "*/*" {
        Some(0)
    } else if range.eq_ignore_ascii_case("application/*") {
        Some(1)
    } else {
        names
            .iter()
            .any(|name| range.eq_ignore_ascii_case(name))
            .then_some(2)
    }
}

/// The `q` of a media range in thousandths; one where it is missing or makes no sense.
fn weight(range: &str) -> u16 {
    let q = range.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(q) = q
        .and_then(|q| q.parse::<f32>().ok())
        .filter(|q| (0.0..=1.0).contains(q))
    else {
        return 1_000;
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1000"
    )]
    let thousandths = (q * 1_000.0).round() as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_accept(accept: &[&str], same: Format, expect: Option<Format>) {
        assert_eq!(accepted(accept, same), expect, "{accept:?}");
    }

    #[test]
    fn accept_chooses_the_answer() {
        use Format::{Json, Msgpack, OipBinary, Safetensors};
        check_accept(&[], Msgpack, Some(Msgpack));
        check_accept(&[""], Json, Some(Json));
        check_accept(&["*/*"], Safetensors, Some(Safetensors));
        check_accept(&["application/json"], Msgpack, Some(Json));
        check_accept(&["application/x-msgpack"], Json, Some(Msgpack));
        check_accept(
            &["application/json;q=0.5, application/msgpack"],
            Json,
            Some(Msgpack),
        );
        check_accept(
            &["application/json;q=0.5", "application/msgpack;q=0.4"],
            Msgpack,
            Some(Json),
        );
        check_accept(
            &["text/html, application/xhtml+xml, */*;q=0.8"],
            Json,
            Some(Json),
        );
        check_accept(&["application/json;q=0, */*"], Json, Some(OipBinary));
        check_accept(
            &["application/octet-stream, application/json"],
            Json,
            Some(Json),
        );
        check_accept(&["text/html"], Json, None);
        check_accept(&["application/json;q=0"], Json, None);
        check_accept(&["application/*"], Msgpack, Some(Msgpack));
        check_accept(&["APPLICATION/JSON; charset=utf-8"], Msgpack, Some(Json));
        check_accept(&["application/json;q=lots"], Msgpack, Some(Json));
    }

    #[test]
    fn accept_allows_or_not() {
        let binary = |accept: &[&str]| allows(accept, Format::OipBinary);
        assert!(binary(&[]));
        assert!(binary(&["", " , "]));
        assert!(binary(&["application/json, */*;q=0.1"]));
        assert!(binary(&["application/json", "application/octet-stream"]));
        assert!(!binary(&["application/json"]));
        assert!(!binary(&["application/octet-stream;q=0, */*"]));
        assert!(!binary(&["*/*", "application/octet-stream;q=0"]));
    }

    #[test]
    fn the_body_is_known_by_its_type() {
        let check = |content_type: Option<&str>, length, body: &[u8], expect| {
            assert_eq!(
                body_format(content_type, length, body),
                expect,
                "{content_type:?}"
            );
        };
        check(None, None, b"{}", Ok(BodyFormat::Json));
        check(
            Some("application/json; charset=utf-8"),
            None,
            b"{}",
            Ok(BodyFormat::Json),
        );
        check(
            Some("application/octet-stream"),
            Some(2),
            b"{}",
            Ok(BodyFormat::JsonWithTail(2)),
        );
        check(
            Some("application/octet-stream"),
            None,
            b"{}",
            Err(UnsupportedBody::NoHeaderLength),
        );
        check(
            Some("application/octet-stream"),
            None,
            b"\x80\x04N.",
            Err(UnsupportedBody::Pickle),
        );
        check(None, None, b"\x80\x04N.", Err(UnsupportedBody::Pickle));
        check(
            Some("application/x-pickle"),
            None,
            b"",
            Err(UnsupportedBody::Pickle),
        );
        check(
            Some("application/x-www-form-urlencoded"),
            None,
            b"{}",
            Err(UnsupportedBody::Unknown),
        );
        check(
            Some("Application/X-MsgPack"),
            None,
            b"",
            Ok(BodyFormat::Msgpack),
        );
        check(
            Some("application/x-safetensors"),
            None,
            b"",
            Ok(BodyFormat::Safetensors),
        );
    }
}
