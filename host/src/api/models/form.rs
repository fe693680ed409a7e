//! A bundle that comes as the field `file` of a form. What stands around that field is bounded,
//! because a reader of forms must keep it until it knows what it is; the field's content streams.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::Field;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::http::error::ApiError;
use crate::http::signature::BodyCheck;

/// What a form may hold besides the bundle: its other fields, the heads of all fields, and what
/// stands before the first.
pub(super) const FORM_BYTES_MAX: u64 = 64 << 10;

/// The longest media type of a form. RFC 2046 allows boundaries of 70 characters; the reader
/// looks for one in each piece, so that a longer one would cost its length each time.
const MEDIA_TYPE_BYTES_MAX: usize = 256;

/// Small pieces of a body are joined until they are as long as this: the reader looks at all it
/// has kept whenever it gets more.
const PIECE_BYTES_MIN: usize = 8 << 10;

/// Pieces of the bundle that wait for its reader.
const PIECES_AHEAD: usize = 4;

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    const MULTIPART: &[u8] = b"multipart/form-data";
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let start = content_type.and_then(|value| value.get(..MULTIPART.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
}

/// Hands the bundle in a form to `store`, piece by piece, and gives back what became of it.
pub(super) async fn store_file<T, S>(
    request: Request,
    store: impl FnOnce(ReceiverStream<io::Result<Bytes>>) -> S,
) -> Result<T, ApiError>
where
    S: Future<Output = Result<T, ApiError>>,
{
    let media_type = request.headers().get(header::CONTENT_TYPE);
    if media_type.is_some_and(|value| value.len() > MEDIA_TYPE_BYTES_MAX) {
        return Err(malformed());
    }
    let (parts, body) = request.into_parts();
    let surplus = Surplus::default();
    let source = Source::of(body);
    // A body that was signed is read to its very end before the bundle is: what it is held to is
    // known only there, and a reader of forms stops at the end of the form.
    let rest = parts.extensions.get::<BodyCheck>().map(|_| source.clone());
    let body = Body::from_stream(Measured::new(source, surplus.clone()));
    let mut request = Request::from_parts(parts, body);
    // Without this, a form ends after 2 MB. The bundle's own caps hold while it is read.
    DefaultBodyLimit::disable().apply(&mut request);
    let form = Multipart::from_request(request, &())
        .await
        .map_err(|_| malformed())?;
    // A field borrows the form it came in, and the store wants a body of its own.
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let mut fed = pin!(feed(form, sender, &surplus, rest));
    let mut stored = pin!(store(ReceiverStream::new(receiver)));
    tokio::select! {
        biased;
        // A form without the field has an error of its own; the rest is told by who reads.
        fed = &mut fed => match fed {
            Ok(()) => stored.await,
            Err(error) => Err(error),
        },
        // Its time is over, or it was refused before its end: the rest is of no use.
        stored = &mut stored => stored,
    }
}

/// Sends the pieces of the field `file`. Stops where nobody wants them any more.
async fn feed(
    mut form: Multipart,
    sender: mpsc::Sender<io::Result<Bytes>>,
    surplus: &Surplus,
    rest: Option<Source>,
) -> Result<(), ApiError> {
    let refused = |surplus: &Surplus| {
        if surplus.is_over() {
            too_much()
        } else {
            malformed()
        }
    };
    while let Some(field) = form.next_field().await.map_err(|_| refused(surplus))? {
        if field.name() == Some("file") {
            let is_whole = send(field, &sender, surplus).await;
            if let Some(rest) = rest.filter(|_| is_whole)
                && let Err(error) = read_on(form, rest).await
            {
                // The bundle does not end: nobody waits for more where this is not taken.
                let _ = sender.send(Err(error)).await;
            }
            return Ok(());
        }
        skip(field).await.map_err(|()| refused(surplus))?;
    }
    Err(ApiError::missing_argument("file".to_owned()))
}

/// Sends the pieces of a field, and says whether all of them were.
async fn send(
    mut field: Field<'_>,
    sender: &mpsc::Sender<io::Result<Bytes>>,
    surplus: &Surplus,
) -> bool {
    loop {
        let piece = match field.chunk().await {
            Ok(Some(piece)) => Ok(piece),
            Ok(None) => return true,
            Err(error) => Err(io::Error::other(error)),
        };
        surplus.take_off(piece.as_ref().map_or(0, Bytes::len));
        let is_cut = piece.is_err();
        if sender.send(piece).await.is_err() || is_cut {
            return false;
        }
    }
}

/// Reads what comes behind the bundle: other fields, and what stands behind the form.
async fn read_on(mut form: Multipart, mut rest: Source) -> io::Result<()> {
    while let Some(field) = form.next_field().await.map_err(io::Error::other)? {
        skip(field)
            .await
            .map_err(|()| io::Error::other("the form breaks off"))?;
    }
    let mut bytes: u64 = 0;
    while let Some(piece) = rest.next().await {
        bytes = bytes.saturating_add(piece?.len() as u64);
        if bytes > FORM_BYTES_MAX {
            return Err(io::Error::other("too much stands behind the form"));
        }
    }
    Ok(())
}

async fn skip(mut field: Field<'_>) -> Result<(), ()> {
    while field.chunk().await.map_err(|_| ())?.is_some() {}
    Ok(())
}

fn malformed() -> ApiError {
    ApiError::invalid_request(
        "invalid_multipart",
        "The multipart body is malformed or cut off.",
    )
    .closing()
}

fn too_much() -> ApiError {
    ApiError::invalid_request(
        "invalid_multipart",
        format!(
            "The form holds more than {FORM_BYTES_MAX} bytes besides its field `file`: send the \
             bundle in that field, or as the whole body."
        ),
    )
    .closing()
}

/// The bytes of a form that have come and are no content of the bundle.
#[derive(Clone, Debug, Default)]
struct Surplus(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    bytes: AtomicU64,
    is_over: AtomicBool,
}

impl Surplus {
    /// Counts a piece that has come. `false` where the pieces before it were too much already:
    /// the content in the newest one has not been taken off yet.
    fn add(&self, bytes: usize) -> bool {
        let before = self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let may_grow = before <= FORM_BYTES_MAX;
        if !may_grow {
            self.0.is_over.store(true, Ordering::Relaxed);
        }
        may_grow
    }

    fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Relaxed)
    }

    fn take_off(&self, bytes: usize) {
        self.0.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

/// A body that somebody else may read on where the reader of the form has stopped.
#[derive(Clone)]
struct Source(Arc<Mutex<BodyDataStream>>);

impl Source {
    fn of(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body.into_data_stream())))
    }
}

impl Stream for Source {
    type Item = io::Result<Bytes>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let piece = Pin::new(&mut *self.0.lock()).poll_next(context);
        piece.map_err(io::Error::other)
    }
}

/// A body that comes one piece at a time. The reader of forms takes all that is ready before it
/// looks at any of it; a pause after each piece makes it look.
struct Measured {
    body: Source,
    surplus: Surplus,
    /// Small pieces that have come.
    waiting: BytesMut,
    must_pause: bool,
    has_ended: bool,
}

impl Measured {
    fn new(body: Source, surplus: Surplus) -> Self {
        Self {
            body,
            surplus,
            waiting: BytesMut::new(),
            must_pause: false,
            has_ended: false,
        }
    }

    fn give(&mut self, piece: Bytes) -> Poll<Option<io::Result<Bytes>>> {
        if !self.surplus.add(piece.len()) {
            return Poll::Ready(Some(Err(io::Error::other("the form is too long"))));
        }
        self.must_pause = true;
        Poll::Ready(Some(Ok(piece)))
    }

    fn give_waiting(&mut self) -> Poll<Option<io::Result<Bytes>>> {
        let piece = self.waiting.split().freeze();
        self.give(piece)
    }
}

impl Stream for Measured {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        if std::mem::take(&mut self.must_pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while !self.has_ended {
            match Pin::new(&mut self.body).poll_next(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    if self.waiting.is_empty() && piece.len() >= PIECE_BYTES_MIN {
                        return self.give(piece);
                    }
                    self.waiting.extend_from_slice(&piece);
                    if self.waiting.len() >= PIECE_BYTES_MIN {
                        return self.give_waiting();
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => self.has_ended = true,
                Poll::Pending if self.waiting.is_empty() => return Poll::Pending,
                Poll::Pending => return self.give_waiting(),
            }
        }
        if self.waiting.is_empty() {
            Poll::Ready(None)
        } else {
            self.give_waiting()
        }
    }
}
