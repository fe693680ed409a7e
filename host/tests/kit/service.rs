//! A service of somebody's, as far as its answers on the wire are concerned: what a proxy stands in
//! front of.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::Value;

/// A request as it came.
pub(crate) struct Request {
    pub(crate) path: String,
    /// By name in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// Every value of a header, in the order in which they came.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let of_name = self.headers.iter().filter(|(other, _)| other == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }
}

/// The answer to it, piece by piece.
pub(crate) struct Answer(TcpStream);

/// It listens until the process of the test ends.
pub(crate) struct Service {
    pub(crate) url: String,
}

impl Service {
    /// Begins to answer, each request on a connection of its own.
    pub(crate) fn start(answer: impl Fn(&Request, &mut Answer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    if let Some(request) = read(&stream) {
                        answer(&request, &mut Answer(stream));
                    }
                });
            }
        });
        Self { url }
    }
}

impl Answer {
    /// JSON in one piece.
    pub(crate) fn json(&mut self, status: u16, body: &Value) {
        let body = body.to_string();
        self.send(&format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             set-cookie: session=0123456789\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ));
    }

    /// The head of an answer in pieces.
    pub(crate) fn begin(&mut self, status: u16, kind: &str) {
        self.send(&format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\
             connection: close\r\n\r\n"
        ));
    }

    pub(crate) fn piece(&mut self, text: &str) {
        self.send(&format!("{:x}\r\n{text}\r\n", text.len()));
    }

    pub(crate) fn end(&mut self) {
        self.send("0\r\n\r\n");
    }

    /// Leaves in the midst of the answer.
    pub(crate) fn break_off(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }

    /// An answer that is packed, whatever was asked for.
    pub(crate) fn packed(&mut self) {
        self.send(
            "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
             content-length: 2\r\nconnection: close\r\n\r\n\x1f\x0b",
        );
    }

    /// Who asked may be gone, which is what some tests are about.
    fn send(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes());
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let bytes: usize = match length {
        Some((_, value)) => value.parse().ok()?,
        None => 0,
    };
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}
