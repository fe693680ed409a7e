//! A zstd stream frame by frame. Frames that the format tells decoders to skip are skipped
//! wherever they stand: `pzstd` writes one before each of its frames, other tools put an index
//! or a mark into one.

use std::io::{self, BufRead as _, Read};

use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::{Source, damaged};
use crate::error::BundleError;

/// The decompressor's limit on what it may look back at: 2^23 bytes = 8 MiB, which the zstd
/// format asks every decoder to support. A stream chooses its window itself, so without this cap
/// a few bytes of upload would make us allocate gigabytes.
pub(super) const WINDOW_LOG_MAX: u32 = 23;

/// The bytes of a skippable frame before its content: one of sixteen magic numbers and a length.
const SKIPPABLE_HEADER_BYTES: u64 = 8;

/// The pattern of bytes that begin with any of the sixteen magic numbers of skippable frames.
macro_rules! skippable {
    () => {
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
    };
}
pub(super) use skippable;

/// The frames of one stream, one after the other.
pub(super) struct ZstdFrames<R> {
    source: Source<R>,
    decoder: Decoder<'static>,
    /// Whether the present frame has been read to its end.
    ended: bool,
}

impl<R: Read> ZstdFrames<R> {
    /// A stream whose first bytes are those of a frame.
    pub(super) fn new(source: Source<R>) -> Result<Self, BundleError> {
        // Setting up the decoder reads nothing: what fails here is memory, and that is ours.
        const ACTION: &str = "setting up the zstd decoder";
        let mut decoder = Decoder::new().map_err(BundleError::store(ACTION))?;
        decoder
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .map_err(BundleError::store(ACTION))?;
        let mut frames = Self {
            source,
            decoder,
            ended: true,
        };
        if !frames.next_frame()? {
            return Err(BundleError::Empty);
        }
        Ok(frames)
    }

    pub(super) fn source(&self) -> &Source<R> {
        &self.source
    }

    /// Content of the present frame; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended {
            let input = self.source.fill_buf()?;
            let is_cut = input.is_empty();
            let done = self.decoder.run_on_buffers(input, buffer)?;
            self.source.consume(done.bytes_read);
            self.ended = done.remaining == 0;
            if done.bytes_written > 0 {
                return Ok(done.bytes_written);
            }
            if is_cut && !self.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }

    /// Goes on to the next frame with content; `false` where the stream ends.
    pub(super) fn next_frame(&mut self) -> Result<bool, BundleError> {
        let format = "zstd";
        loop {
            let next = self.source.peek();
            match next.map_err(|error| damaged(format, error))? {
                [] => return Ok(false),
                [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                    self.decoder
                        .reinit()
                        .map_err(|error| damaged(format, error))?;
                    self.ended = false;
                    return Ok(true);
                }
                skippable!() => self.skip_frame()?,
                _ => return Err(BundleError::CompressedTrailing { format }),
            }
        }
    }

    fn skip_frame(&mut self) -> Result<(), BundleError> {
        let mut header = [0; SKIPPABLE_HEADER_BYTES as usize];
        let whole = self.source.read_exact(&mut header).and_then(|()| {
            let [_, _, _, _, length @ ..] = header;
            self.source.skip(u32::from_le_bytes(length).into())
        });
        match whole.map_err(|error| damaged("zstd", error))? {
            true => Ok(()),
            false => Err(BundleError::Truncated {
                inside: "a skippable frame of the zstd stream",
            }),
        }
    }
}
