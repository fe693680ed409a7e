//! The events of a streamed chat, read from the bytes as they come.

use std::collections::VecDeque;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The longest event that is read, in bytes.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug, PartialEq)]
pub(super) enum Event {
    Text(String),
    /// Why the answer ended.
    Finish(String),
    /// The member `usage` of the last chunk.
    Usage(Value),
    /// The server has ended the stream with an error.
    Failed(String),
    Done,
}

/// Bytes that have come, and what they say.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: Vec<u8>,
    ready: VecDeque<Event>,
}

impl Events {
    /// Takes up bytes.
    ///
    /// # Errors
    ///
    /// When an event is longer than any server's.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        ensure!(
            self.bytes.len() <= EVENT_BYTES_MAX,
            "an event has more than {EVENT_BYTES_MAX} bytes"
        );
        Ok(())
    }

    /// The next event that has come whole.
    ///
    /// # Errors
    ///
    /// When an event is no JSON.
    pub(super) fn next(&mut self) -> Result<Option<Event>> {
        while self.ready.is_empty() {
            // Each event here is a line, and what stands on other lines is no event.
            let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') else {
                return Ok(None);
            };
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            if let Some(data) = line.strip_prefix(b"data:") {
                self.read(data.trim_ascii())?;
            }
        }
        Ok(self.ready.pop_front())
    }

    fn read(&mut self, data: &[u8]) -> Result<()> {
        if data == b"[DONE]" {
            self.ready.push_back(Event::Done);
            return Ok(());
        }
        let chunk: Value = serde_json::from_slice(data)
            .context("an event is not JSON: is this a belljar server?")?;
        let text = |pointer: &str| chunk.pointer(pointer).and_then(Value::as_str);
        if let Some(message) = text("/error/message") {
            self.ready.push_back(Event::Failed(message.to_owned()));
            return Ok(());
        }
        let said = ["content", "refusal"].map(|name| text(&format!("/choices/0/delta/{name}")));
        for said in said.into_iter().flatten().filter(|said| !said.is_empty()) {
            self.ready.push_back(Event::Text(said.to_owned()));
        }
        if let Some(reason) = text("/choices/0/finish_reason") {
            self.ready.push_back(Event::Finish(reason.to_owned()));
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.ready.push_back(Event::Usage(usage.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
        : a remark\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"Grüße\"},\"finish_reason\":null}],\"usage\":null}\n\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2}}\n\n\
        data: [DONE]\n\n";

    fn all(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<Event> {
        let mut events = Events::default();
        let mut read = Vec::new();
        for piece in pieces {
            events.receive(&piece).unwrap();
            while let Some(event) = events.next().unwrap() {
                read.push(event);
            }
        }
        read
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let expected = vec![
            Event::Text("Grüße".into()),
            Event::Finish("stop".into()),
            Event::Usage(json!({"prompt_tokens": 2})),
            Event::Done,
        ];
        for size in [1, 2, 3, 7, 64, STREAM.len()] {
            let pieces = STREAM.as_bytes().chunks(size).map(<[u8]>::to_vec);
            assert_eq!(all(pieces), expected, "{size}");
        }
    }

    #[test]
    fn an_error_in_a_stream_is_one() {
        let failed = b"data: {\"error\":{\"message\":\"the model failed\"}}\n\n".to_vec();
        let expected = [Event::Failed("the model failed".into())];
        assert_eq!(all([failed].into_iter()), expected);
        let mut events = Events::default();
        events.receive(b"data: <html>\n").unwrap();
        assert!(events.next().is_err());
        assert!(events.receive(&vec![b'x'; EVENT_BYTES_MAX + 1]).is_err());
    }
}
