//! Where time is virtual, answers come at once and say when they would have come: in headers, and
//! in a member of each event of a stream.

use crate::http::own_headers::{X_BELLJAR_E2E_MS, X_BELLJAR_TTFT_MS};
use crate::inference::SimulatedTimes;
use belljar_testing::latency::milliseconds;
use http::{HeaderMap, HeaderValue};
use std::io::Write as _;
use std::time::Duration;

/// What the data of an event begins with, in the words of every API.
const DATA: &[u8] = b"data: {";

/// Says when an answer would have come.
pub(crate) fn tell(headers: &mut HeaderMap, times: Option<SimulatedTimes>) {
    let Some(SimulatedTimes { first, last }) = times else {
        return;
    };
    let mut put = |name, time| {
        let text = format!("{:.3}", milliseconds(time));
        if let Ok(text) = HeaderValue::from_str(&text) {
            headers.insert(name, text);
        }
    };
    put(X_BELLJAR_TTFT_MS, first);
    if let Some(last) = last {
        put(X_BELLJAR_E2E_MS, last);
    }
}

/// Says in each event that has been written since `from` when it would have come: a first member
/// `belljar`, with `at_ms` in it.
pub(crate) fn tell_in_events(out: &mut Vec<u8>, from: usize, at: Duration) {
    let written = out.split_off(from.min(out.len()));
    for line in written.split_inclusive(|byte| *byte == b'\n') {
        let Some(rest) = line.strip_prefix(DATA) else {
            out.extend_from_slice(line);
            continue;
        };
        out.extend_from_slice(DATA);
        // Writing to a vector does not fail.
        let _ = write!(out, "\"belljar\":{{\"at_ms\":{:.3}}}", milliseconds(at));
        if !rest.starts_with(b"}") {
            out.push(b',');
        }
        out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_says_when_it_would_have_come() {
        let mut out = b"data: {\"first\":1}\n\n".to_vec();
        let from = out.len();
        out.extend_from_slice(
            b"event: x\ndata: {\"a\":\"data: {\"}\n\ndata: {}\n\ndata: [DONE]\n\n",
        );
        tell_in_events(&mut out, from, Duration::from_micros(220_500));
        let expected = "data: {\"first\":1}\n\nevent: x\n\
            data: {\"belljar\":{\"at_ms\":220.500},\"a\":\"data: {\"}\n\n\
            data: {\"belljar\":{\"at_ms\":220.500}}\n\ndata: [DONE]\n\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
