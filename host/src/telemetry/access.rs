//! The access log: one line a request, written when its last byte has gone out.

use std::time::Duration;

use jiff::Timestamp;

use super::line::Line;
use super::logs::{LogFormat, access_sink};
use crate::clock::time_of_day;
use crate::ids::{KeyId, RequestId};

/// The record of one request. Never has its content.
#[derive(Clone, Debug)]
pub struct AccessRecord<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The route's template, such as `/models/{name}`: a path could hold anything.
    pub route: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// From the head of the request to the last byte of the answer.
    pub duration: Duration,
    /// The caller's key.
    pub key_id: Option<&'a KeyId>,
    /// The model that ran, `name@version`.
    pub model: Option<&'a str>,
    /// Fuel used by the run.
    pub fuel: Option<u64>,
    /// Bytes of the request's body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were sent.
    pub bytes_out: u64,
    /// The id in `x-request-id`.
    pub request_id: &'a RequestId,
    /// The trace and the span, as hexadecimal digits; none where traces are off. Named as all
    /// collectors of logs look for them.
    pub trace: Option<(&'a str, &'a str)>,
}

impl AccessRecord<'_> {
    /// Whether records go anywhere. Lets the server leave out the work of making them.
    #[must_use]
    pub fn enabled() -> bool {
        access_sink().is_some()
    }

    /// Writes the line, if the access log is on.
    pub fn log(&self) {
        let Some(sink) = access_sink() else { return };
        let now = time_of_day();
        let line = match sink.format {
            LogFormat::Text => self.as_text(now),
            LogFormat::Json => self.as_json(now),
        };
        sink.writer.append(line.bytes());
    }

    fn as_text(&self, now: Timestamp) -> Line {
        let mut line = Line::new();
        line.time(now).text("  INFO access: ").text(self.method);
        line.text(" ").text(self.route);
        line.text(" ").number(self.status.into());
        line.text(" in ").milliseconds(self.duration).text(" ms");
        if let Some(key) = self.key_id {
            line.text(" key.id=").text(key.as_str());
        }
        if let Some(model) = self.model {
            line.text(" model.id=").text(model);
        }
        if let Some(fuel) = self.fuel {
            line.text(" fuel.used=").number(fuel);
        }
        line.text(" bytes.in=").number(self.bytes_in);
        line.text(" bytes.out=").number(self.bytes_out);
        line.text(" request.id=").text(self.request_id.as_str());
        if let Some((trace_id, span_id)) = self.trace {
            line.text(" trace_id=").text(trace_id);
            line.text(" span_id=").text(span_id);
        }
        line.text("\n");
        line
    }

    fn as_json(&self, now: Timestamp) -> Line {
        let mut line = Line::new();
        line.text(r#"{"timestamp":""#).time(now);
        line.text(r#"","level":"INFO","target":"access","message":"request","method":"#);
        line.quoted(self.method);
        line.text(r#","route":"#).quoted(self.route);
        line.text(r#","status":"#).number(self.status.into());
        line.text(r#","duration_ms":"#).milliseconds(self.duration);
        if let Some(key) = self.key_id {
            line.text(r#","key.id":"#).quoted(key.as_str());
        }
        if let Some(model) = self.model {
            line.text(r#","model.id":"#).quoted(model);
        }
        if let Some(fuel) = self.fuel {
            line.text(r#","fuel.used":"#).number(fuel);
        }
        line.text(r#","bytes.in":"#).number(self.bytes_in);
        line.text(r#","bytes.out":"#).number(self.bytes_out);
        line.text(r#","request.id":"#)
            .quoted(self.request_id.as_str());
        if let Some((trace_id, span_id)) = self.trace {
            line.text(r#","trace_id":"#).quoted(trace_id);
            line.text(r#","span_id":"#).quoted(span_id);
        }
        line.text("}\n");
        line
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_record_is_one_line_in_both_forms() {
        let (key_id, request_id) = (KeyId::configured(1), RequestId::accept(b"r-1").unwrap());
        let record = AccessRecord {
            method: "PO\"ST\n",
            route: "/models/{name}",
            status: 200,
            duration: Duration::from_micros(1500),
            key_id: Some(&key_id),
            model: Some("echo@1.0.0"),
            fuel: Some(9),
            bytes_in: 1,
            bytes_out: 2,
            request_id: &request_id,
            trace: Some(("0af7", "b7ad")),
        };
        let now = Timestamp::UNIX_EPOCH;
        let line = record.as_json(now);
        assert_eq!(
            String::from_utf8_lossy(line.bytes()),
            concat!(
                r#"{"timestamp":"1970-01-01T00:00:00.000000Z","level":"INFO","target":"access","#,
                r#""message":"request","method":"PO\"ST\u000a","route":"/models/{name}","#,
                r#""status":200,"duration_ms":1.500,"key.id":"config-1","model.id":"echo@1.0.0","#,
                r#""fuel.used":9,"bytes.in":1,"bytes.out":2,"request.id":"r-1","#,
                r#""trace_id":"0af7","span_id":"b7ad"}"#,
                "\n"
            )
        );
        let json: serde_json::Value = serde_json::from_slice(line.bytes()).unwrap();
        assert_eq!(json["method"], "PO\"ST\n");
        let line = AccessRecord {
            method: "POST",
            ..record
        }
        .as_text(now);
        assert_eq!(
            String::from_utf8_lossy(line.bytes()),
            "1970-01-01T00:00:00.000000Z  INFO access: POST /models/{name} 200 in 1.500 ms \
             key.id=config-1 model.id=echo@1.0.0 fuel.used=9 bytes.in=1 bytes.out=2 \
             request.id=r-1 trace_id=0af7 span_id=b7ad\n"
        );
    }
}
