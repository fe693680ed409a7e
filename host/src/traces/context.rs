//! The context of a trace as W3C writes it: <https://www.w3.org/TR/trace-context/>, level 1.

use std::str::FromStr as _;
use std::sync::Arc;

use opentelemetry::trace::{SpanId, TraceId, TraceState};

/// The header with the ids, in and out.
pub(super) const TRACEPARENT: &str = "traceparent";
/// The header with what others have noted on their way, in and out.
pub(super) const TRACESTATE: &str = "tracestate";

/// Characters of a `traceparent` of version 00, and of what is understood of later ones.
const PARENT_BYTES: usize = 55;
/// Characters of a `tracestate` that is passed on: the least that W3C asks for.
const STATE_BYTES_MAX: usize = 512;
/// The flag that says that the caller keeps the spans of this trace.
const SAMPLED: u8 = 1;

/// A span of a trace, named so that other spans can be put below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub(super) trace_id: TraceId,
    /// The span.
    pub(super) span_id: SpanId,
    /// Whether its spans are kept.
    pub(super) is_sampled: bool,
    /// What others have noted on their way.
    pub(super) state: Option<Arc<str>>,
}

impl TraceContext {
    /// The context that the lines of these two headers name. None where they name none, or in
    /// another form: then the rest is not looked at either.
    pub(super) fn read<'a>(
        mut parents: impl Iterator<Item = &'a [u8]>,
        states: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let line = parents.next()?;
        if parents.next().is_some() {
            return None;
        }
        let mut context = Self::parse(line)?;
        context.state = read_state(states);
        Some(context)
    }

    /// What a `traceparent` says. A later version may say more behind a further dash.
    fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(PARENT_BYTES)?;
        let mut parts = head.split(|&byte| byte == b'-');
        let mut part = || parts.next();
        let (version, trace_id, span_id, flags) = (part()?, part()?, part()?, part()?);
        if part().is_some() {
            return None;
        }
        let [version] = hex(version)?;
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let (trace_id, span_id, [flags]) = (hex(trace_id)?, hex(span_id)?, hex(flags)?);
        let is_named = trace_id != [0; 16] && span_id != [0; 8];
        (is_whole && is_named).then_some(Self {
            trace_id: TraceId::from_bytes(trace_id),
            span_id: SpanId::from_bytes(span_id),
            is_sampled: flags & SAMPLED != 0,
            state: None,
        })
    }

    /// As a `traceparent`, which is also the form of a `traceresponse`.
    #[must_use]
    pub fn header(&self) -> String {
        let flags = u8::from(self.is_sampled) * SAMPLED;
        format!("00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }

    /// The headers of a request that is sent because of this span, each a name and a value that
    /// headers can carry.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![(TRACEPARENT, self.header())];
        headers.extend(
            self.state
                .iter()
                .map(|state| (TRACESTATE, state.to_string())),
        );
        headers
    }

    /// The id of the trace, as logs have it.
    #[must_use]
    pub fn trace_id(&self) -> impl std::fmt::Display + use<> {
        self.trace_id
    }

    /// The id of the span, as logs have it.
    #[must_use]
    pub fn span_id(&self) -> impl std::fmt::Display + use<> {
        self.span_id
    }
}

/// Bytes in lower-case hexadecimal digits, as many as there are to be.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// The lines of `tracestate` as one. Passed on as a whole or not at all.
fn read_state<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Arc<str>> {
    let mut state = String::new();
    for line in lines {
        if !state.is_empty() {
            state.push(',');
        }
        state.push_str(std::str::from_utf8(line).ok()?);
        if state.len() > STATE_BYTES_MAX {
            return None;
        }
    }
    // Its values may be anything else by that parser.
    if !state.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let parsed = TraceState::from_str(&state).ok()?;
    let state = parsed.header();
    (!state.is_empty()).then(|| state.into())
}

/// Random bytes for an id, which must not be all zero.
pub(super) fn random<const N: usize>() -> [u8; N] {
    loop {
        let bytes: [u8; N] = std::array::from_fn(|_| rand::random());
        if bytes != [0; N] {
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_context_is_written_as_it_was_read() {
        for flags in ["00", "01"] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = TraceContext::parse(text.as_bytes()).unwrap();
            assert_eq!(context.header(), text);
            assert_eq!(context.is_sampled, flags == "01");
            assert_eq!(context.trace_id().to_string(), TRACE);
            assert_eq!(context.span_id().to_string(), SPAN);
        }
    }

    #[test]
    fn what_is_malformed_is_no_context() {
        let good = format!("00-{TRACE}-{SPAN}-01");
        for later in [
            good.clone(),
            format!("cc-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-comes"),
            // Flags that nobody knows yet.
            format!("00-{TRACE}-{SPAN}-ff"),
        ] {
            assert!(TraceContext::parse(later.as_bytes()).is_some(), "{later}");
        }
        for bad in [
            String::new(),
            good.to_uppercase(),
            format!("{good}-more"),
            format!("{good} "),
            format!(" {good}"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01.what"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{}-{SPAN}-01", TRACE.replace('4', "g")),
            format!("00-{TRACE}{SPAN}--01"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00_{TRACE}_{SPAN}_01"),
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_head_names_one_context_and_its_state_is_whole_or_none() {
        let line = format!("00-{TRACE}-{SPAN}-01");
        let read = |parents: usize, states: &[&str]| {
            let parents = std::iter::repeat_n(line.as_bytes(), parents);
            let states = states.iter().map(|state| state.as_bytes());
            TraceContext::read(parents, states).map(|context| context.state)
        };
        assert_eq!(read(0, &["a=1"]), None);
        assert_eq!(read(2, &[]), None);
        assert_eq!(read(1, &[]), Some(None));
        let state = |states: &[&str]| read(1, states).unwrap();
        assert_eq!(
            state(&["a=1,b@c=2", "d=3"]).as_deref(),
            Some("a=1,b@c=2,d=3")
        );
        assert_eq!(state(&["no state"]), None);
        assert_eq!(state(&["A=1"]), None);
        assert_eq!(state(&["a=\u{1b}[2J"]), None);
        assert_eq!(state(&["a=ü"]), None);
        let long = format!("a={}", "1".repeat(252));
        assert_eq!(state(&[&long, &long.replace('a', "b"), "c=1"]), None);
    }
}
