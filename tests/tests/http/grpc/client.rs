//! A client of gRPC that can also send what no client would.

use bytes::{Buf as _, Bytes};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use prost::Message;
use reqwest::header::HeaderMap;
use std::net::SocketAddr;
use tokio::net::TcpStream;

use crate::host::PATIENCE;

pub(crate) const SERVICE: &str = "/inference.GRPCInferenceService";

/// A connection of HTTP/2, with prior knowledge.
#[derive(Clone)]
pub(crate) struct Connection {
    requests: SendRequest<Bytes>,
    authority: String,
    key: Option<String>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self {
            requests,
            authority: address.to_string(),
            key: None,
        }
    }

    /// The same connection for a caller with a key.
    pub(crate) fn with_key(&self, key: Option<&str>) -> Self {
        Self {
            key: key.map(str::to_owned),
            ..self.clone()
        }
    }

    /// Opens a call, with more headers.
    pub(crate) async fn call_with(&self, path: &str, headers: &[(&str, &str)]) -> Call {
        let mut request = axum::http::Request::builder()
            .method("POST")
            .uri(format!("http://{}{path}", self.authority))
            .header("te", "trailers");
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut ready = self.requests.clone().ready().await.unwrap();
        let request = request.body(()).unwrap();
        let (answer, body) = ready.send_request(request, false).unwrap();
        Call { answer, body }
    }

    /// Opens a call of the Open Inference Protocol.
    pub(crate) async fn call(&self, method: &str) -> Call {
        self.call_with(&format!("{SERVICE}/{method}"), &[]).await
    }

    /// Makes a call of one message.
    pub(crate) async fn ask(&self, method: &str, message: &impl Message) -> Answer {
        self.ask_with(method, message, &[]).await
    }

    /// The same, with more headers.
    pub(crate) async fn ask_with(
        &self,
        method: &str,
        message: &impl Message,
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = format!("{SERVICE}/{method}");
        let mut call = self.call_with(&path, headers).await;
        call.send(framed(message), true).await;
        call.end().await
    }
}

/// A message behind its length.
pub(crate) fn framed(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// A call that is open.
pub(crate) struct Call {
    answer: ResponseFuture,
    body: SendStream<Bytes>,
}

impl Call {
    /// Sends bytes, as fast as the server lets them in; nothing where it takes no more.
    pub(crate) async fn send(&mut self, bytes: impl Into<Bytes>, is_last: bool) {
        let mut bytes = bytes.into();
        loop {
            self.body.reserve_capacity(bytes.len());
            let room = if bytes.is_empty() {
                Some(Ok(0))
            } else {
                std::future::poll_fn(|context| self.body.poll_capacity(context)).await
            };
            let Some(Ok(room)) = room else { return };
            let piece = bytes.split_to(room.min(bytes.len()));
            let is_over = bytes.is_empty();
            if self.body.send_data(piece, is_last && is_over).is_err() || is_over {
                return;
            }
        }
    }

    /// The head of the answer.
    pub(crate) async fn begin(self) -> Answering {
        let answer = tokio::time::timeout(PATIENCE, self.answer);
        let (head, body) = answer.await.unwrap().unwrap().into_parts();
        Answering {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            rest: Vec::new(),
            request: self.body,
        }
    }

    /// The whole answer.
    pub(crate) async fn end(self) -> Answer {
        self.begin().await.end().await
    }
}

/// An answer that has begun.
pub(crate) struct Answering {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: RecvStream,
    rest: Vec<u8>,
    /// The side of the request, which is open until this is dropped.
    pub(crate) request: SendStream<Bytes>,
}

impl Answering {
    /// Sends more of the request.
    pub(crate) fn send(&mut self, bytes: impl Into<Bytes>, is_last: bool) {
        self.request.send_data(bytes.into(), is_last).unwrap();
    }

    /// The next message; none after the last.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Option<M> {
        loop {
            if let Some(message) = take(&mut self.rest) {
                return Some(M::decode(&*message).unwrap());
            }
            let data = tokio::time::timeout(PATIENCE, self.body.data())
                .await
                .unwrap()?;
            let data = data.unwrap();
            self.body
                .flow_control()
                .release_capacity(data.len())
                .unwrap();
            self.rest.extend_from_slice(&data);
        }
    }

    /// Reads the answer to its end.
    pub(crate) async fn end(mut self) -> Answer {
        let mut messages = Vec::new();
        loop {
            while let Some(message) = take(&mut self.rest) {
                messages.push(message);
            }
            let data = tokio::time::timeout(PATIENCE, self.body.data())
                .await
                .unwrap();
            let Some(data) = data else { break };
            let data = data.unwrap();
            self.body
                .flow_control()
                .release_capacity(data.len())
                .unwrap();
            self.rest.extend_from_slice(&data);
        }
        assert!(self.rest.is_empty(), "a message is cut off");
        let trailers = self.body.trailers().await.unwrap();
        Answer {
            status: self.status,
            ends: trailers.unwrap_or_else(|| self.headers.clone()),
            headers: self.headers,
            messages,
        }
    }
}

fn take(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut prefix = bytes.get(..5)?;
    assert_eq!(prefix.get_u8(), 0, "not packed");
    let length = usize::try_from(prefix.get_u32()).unwrap();
    let message = bytes.get(5..5 + length)?.to_vec();
    bytes.drain(..5 + length);
    Some(message)
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) messages: Vec<Vec<u8>>,
    /// The trailers, or the head where there is nothing else.
    pub(crate) ends: HeaderMap,
}

impl Answer {
    fn end(&self, name: &str) -> &str {
        let value = self.ends.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    }

    /// The code of gRPC, and our own.
    pub(crate) fn codes(&self) -> (u8, &str) {
        (
            self.end("grpc-status").parse().unwrap(),
            self.end("belljar-code"),
        )
    }

    /// What people read, as it is sent.
    pub(crate) fn message(&self) -> &str {
        self.end("grpc-message")
    }

    /// The one message of a call that went well.
    #[track_caller]
    pub(crate) fn expect<M: Message + Default>(&self) -> M {
        assert_eq!(self.codes(), (0, ""), "{self:?}");
        assert_eq!(self.messages.len(), 1, "{self:?}");
        M::decode(&*self.messages[0]).unwrap()
    }

    /// Insists on a refusal in gRPC's form, and on nothing else being in the answer.
    #[track_caller]
    pub(crate) fn expect_refusal(&self, grpc: u8, code: &str) -> &Self {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.codes(), (grpc, code), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/grpc");
        assert!(
            !self.message().is_empty() && self.messages.is_empty(),
            "{self:?}"
        );
        assert!(self.headers.contains_key("x-request-id"), "{self:?}");
        self
    }
}
