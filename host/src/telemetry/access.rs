//! The access log: one line a request, written when its last byte has gone out.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::Duration;

use super::logs::{LogFormat, access_sink};
use crate::ids::{KeyId, RequestId};

/// What is recorded about one request. Never its content.
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
    /// Who called.
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
}

impl AccessRecord<'_> {
    /// Whether records go anywhere. Lets the server leave out the work of making them.
    #[must_use]
    pub fn enabled() -> bool {
        access_sink().is_some()
    }

    /// Writes the line, if the access log is on.
    ///
    /// Formatted by hand and not through `tracing`: this is on the path of every request, and
    /// the general machinery costs several times as much as the line itself.
    pub fn log(&self) {
        let Some(sink) = access_sink() else { return };
        let mut line = String::with_capacity(384);
        let now = jiff::Timestamp::now();
        // Writing to a string cannot fail.
        let _ = match sink.format {
            LogFormat::Text => self.write_text(&mut line, now),
            LogFormat::Json => self.write_json(&mut line, now),
        };
        // One call is one line for the writer's thread. It cannot fail either: a line too many
        // is counted by the sink and dropped.
        let _ = sink.writer.clone().write_all(line.as_bytes());
    }

    fn write_text(&self, line: &mut String, now: jiff::Timestamp) -> fmt::Result {
        write!(
            line,
            "{now:.6}  INFO access: {} {} {} in {:.3} ms",
            self.method,
            self.route,
            self.status,
            self.duration.as_secs_f64() * 1e3,
        )?;
        if let Some(key) = self.key_id {
            write!(line, " key.id={key}")?;
        }
        if let Some(model) = self.model {
            write!(line, " model.id={model}")?;
        }
        if let Some(fuel) = self.fuel {
            write!(line, " fuel.used={fuel}")?;
        }
        writeln!(
            line,
            " bytes.in={} bytes.out={} request.id={}",
            self.bytes_in, self.bytes_out, self.request_id
        )
    }

    fn write_json(&self, line: &mut String, now: jiff::Timestamp) -> fmt::Result {
        write!(
            line,
            r#"{{"timestamp":"{now:.6}","level":"INFO","target":"access","#
        )?;
        write!(
            line,
            r#""message":"request","method":{}"#,
            Quoted(self.method)
        )?;
        write!(
            line,
            r#","route":{},"status":{}"#,
            Quoted(self.route),
            self.status
        )?;
        write!(
            line,
            r#","duration_ms":{:.3}"#,
            self.duration.as_secs_f64() * 1e3
        )?;
        if let Some(key) = self.key_id {
            write!(line, r#","key.id":{}"#, Quoted(key.as_str()))?;
        }
        if let Some(model) = self.model {
            write!(line, r#","model.id":{}"#, Quoted(model))?;
        }
        if let Some(fuel) = self.fuel {
            write!(line, r#","fuel.used":{fuel}"#)?;
        }
        write!(
            line,
            r#","bytes.in":{},"bytes.out":{}"#,
            self.bytes_in, self.bytes_out
        )?;
        writeln!(
            line,
            r#","request.id":{}}}"#,
            Quoted(self.request_id.as_str())
        )
    }
}

/// A JSON string. The values here are names that cannot need escaping; should one ever do, a
/// line of the log must still be one JSON object.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
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
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut line = String::new();
        record.write_json(&mut line, now).unwrap();
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["method"], "PO\"ST\n");
        assert_eq!(json["duration_ms"], 1.5);
        assert_eq!(json["key.id"], "config-1");
        assert_eq!(json["fuel.used"], 9);
        assert_eq!(json["timestamp"], "1970-01-01T00:00:00.000000Z");
        let mut line = String::new();
        AccessRecord {
            method: "POST",
            ..record
        }
        .write_text(&mut line, now)
        .unwrap();
        assert_eq!(
            line,
            "1970-01-01T00:00:00.000000Z  INFO access: POST /models/{name} 200 in 1.500 ms \
             key.id=config-1 model.id=echo@1.0.0 fuel.used=9 bytes.in=1 bytes.out=2 \
             request.id=r-1\n"
        );
    }
}
