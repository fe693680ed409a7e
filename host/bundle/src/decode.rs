//! From the bytes that a sender sends to the bytes of a tar: recognises plain, gzip and zstd by
//! their first bytes, decompresses inside bounds, and counts both sides.
//!
//! The place for every cap that is about amounts of bytes. It knows nothing of tar.

mod frames;

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use crate::error::BundleError;
use crate::limits::ArchiveLimits;
use frames::ZstdFrames;

/// `pzstd` and `bgzip` write a stream in pieces that are complete in themselves, the smallest of
/// them 64 KiB. Each costs a decoder to set up, so without this floor on their average an upload
/// of nothing but empty pieces would cost minutes.
const PIECE_BYTES_MIN: u64 = 512;

/// Pieces of any size that every stream may have: small archives are cut small.
const PIECES_FREE: u64 = 64;

/// Up to here a good ratio proves nothing: a small tar is mostly padding.
const RATIO_FREE_BYTES: u64 = 1 << 20;

/// Read from the sender in pieces of this many bytes.
const SOURCE_BUFFER_BYTES: usize = 64 << 10;

/// The decompressed stream of an archive.
pub(crate) struct Decoded<R: Read> {
    stream: Stream<R>,
    unpacked_bytes: u64,
    unpacked_bytes_max: u64,
    ratio_max: u32,
    /// Gzip members or zstd frames that have begun.
    pieces: u64,
}

enum Stream<R: Read> {
    Plain(Source<R>),
    /// The decoder of the present member; absent only while it is replaced.
    Gzip(Option<Box<GzDecoder<Source<R>>>>),
    Zstd(Box<ZstdFrames<R>>),
}

impl<R: Read> Decoded<R> {
    /// Looks at the first bytes and decides how to read the rest.
    pub(crate) fn new(body: R, limits: &ArchiveLimits) -> Result<Self, BundleError> {
        let mut source = Source::new(body, limits.compressed_bytes_max);
        let magic = source.peek().map_err(|error| damaged("tar", error))?;
        let stream = match magic {
            [] => return Err(BundleError::Empty),
            [0x1f, 0x8b, ..] => Stream::Gzip(Some(Box::new(GzDecoder::new(source)))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | frames::skippable!() => {
                Stream::Zstd(Box::new(ZstdFrames::new(source)?))
            }
            other => match refused_format(other) {
                Some(format) => return Err(BundleError::FormatRefused { format }),
                None => Stream::Plain(source),
            },
        };
        Ok(Self {
            stream,
            unpacked_bytes: 0,
            unpacked_bytes_max: limits.unpacked_bytes_max,
            ratio_max: limits.ratio_max,
            pieces: 1,
        })
    }

    /// Reads some bytes; 0 means that the stream has ended and that nothing follows it.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let count = loop {
            match self.stream.read(buffer) {
                Ok(0) if !buffer.is_empty() && self.stream.next_piece()? => self.count_piece()?,
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(self.stream.format(), error)),
            }
        };
        if count == 0 {
            return Ok(0);
        }
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(count as u64);
        if self.unpacked_bytes > self.unpacked_bytes_max {
            return Err(BundleError::UnpackedTooLarge {
                limit: self.unpacked_bytes_max,
            });
        }
        let allowed = self
            .compressed_bytes()
            .saturating_mul(u64::from(self.ratio_max))
            .max(RATIO_FREE_BYTES);
        if self.unpacked_bytes > allowed && !matches!(self.stream, Stream::Plain(_)) {
            return Err(BundleError::RatioTooHigh {
                limit: self.ratio_max,
            });
        }
        Ok(count)
    }

    /// Fills the buffer as far as the stream goes, and says how far that is.
    pub(crate) fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..)
            && !rest.is_empty()
        {
            match self.read(rest)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    fn count_piece(&mut self) -> Result<(), BundleError> {
        self.pieces += 1;
        if self.pieces > PIECES_FREE.max(self.unpacked_bytes / PIECE_BYTES_MIN) {
            return Err(BundleError::SeveralStreams {
                format: self.stream.format(),
                limit: PIECE_BYTES_MIN,
            });
        }
        Ok(())
    }

    /// Bytes of the stream as sent, so far.
    pub(crate) fn compressed_bytes(&self) -> u64 {
        match &self.stream {
            Stream::Plain(source) => source.consumed_bytes,
            Stream::Gzip(decoder) => decoder
                .as_ref()
                .map_or(0, |decoder| decoder.get_ref().consumed_bytes),
            Stream::Zstd(frames) => frames.source().consumed_bytes,
        }
    }

    /// Bytes that came out, so far.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }
}

impl<R: Read> Stream<R> {
    fn format(&self) -> &'static str {
        match self {
            Self::Plain(_) => "tar",
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        }
    }

    /// Goes on to the next member or frame; `false` where the sender's stream ends with this one.
    /// What follows must be another one: some tools read on behind other bytes and some do not.
    /// Further pieces are part of the same tar, which ends only once.
    fn next_piece(&mut self) -> Result<bool, BundleError> {
        match self {
            Self::Plain(_) => Ok(false),
            Self::Gzip(slot) => {
                let Some(decoder) = slot else {
                    return Ok(false);
                };
                let format = "gzip";
                let next = decoder.get_mut().peek();
                match next.map_err(|error| damaged(format, error))? {
                    [] => Ok(false),
                    [0x1f, 0x8b, ..] => {
                        *slot = slot
                            .take()
                            .map(|decoder| Box::new(GzDecoder::new(decoder.into_inner())));
                        Ok(true)
                    }
                    _ => Err(BundleError::CompressedTrailing { format }),
                }
            }
            Self::Zstd(frames) => frames.next_frame(),
        }
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(buffer),
            Self::Gzip(decoder) => match decoder {
                Some(decoder) => decoder.read(buffer),
                None => Ok(0),
            },
            Self::Zstd(frames) => frames.read(buffer),
        }
    }
}

/// Formats that people send by mistake, told by their first bytes.
fn refused_format(magic: &[u8]) -> Option<&'static str> {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "a zip archive"),
        (b"\xfd7zXZ\0", "an xz stream"),
        (b"BZh", "a bzip2 stream"),
        (b"\x04\x22\x4d\x18", "an lz4 stream"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\0asm", "a bare WebAssembly file"),
        (b"GGUF", "a bare GGUF file"),
        (b"\x80\x02", "a pickle"),
        (b"\x80\x03", "a pickle"),
        (b"\x80\x04", "a pickle"),
        (b"\x80\x05", "a pickle"),
        (b"--", "a multipart body"),
    ];
    KNOWN
        .iter()
        .find(|(bytes, _)| magic.starts_with(bytes))
        .map(|(_, format)| *format)
}

/// Sorts what a decoder reports: our own refusals and the sender's failures travel inside
/// `io::Error` and come out here unchanged; the rest is damaged data.
fn damaged(format: &'static str, error: io::Error) -> BundleError {
    let error = match error.downcast::<BundleError>() {
        Ok(inner) => return inner,
        Err(error) => error,
    };
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return BundleError::Truncated {
            inside: "the compressed stream",
        };
    }
    let reason = error.to_string();
    // zstd's only way of saying so is this text; a test holds it to that.
    if format == "zstd" && reason.contains("too much memory") {
        return BundleError::WindowTooLarge {
            limit: 1 << frames::WINDOW_LOG_MAX,
        };
    }
    BundleError::DecodeFailed { format, reason }
}

/// The sender's stream: counts what the decoder takes from it, and turns its failures into ours.
struct Source<R> {
    body: R,
    buffer: Box<[u8]>,
    /// Where the bytes are that were read and not taken yet.
    start: usize,
    end: usize,
    consumed_bytes: u64,
    bytes_max: u64,
}

/// Enough bytes to tell every format that we know.
const MAGIC_BYTES: usize = 6;

impl<R: Read> Source<R> {
    fn new(body: R, bytes_max: u64) -> Self {
        let buffer = vec![0; SOURCE_BUFFER_BYTES].into_boxed_slice();
        Self {
            body,
            buffer,
            start: 0,
            end: 0,
            consumed_bytes: 0,
            bytes_max,
        }
    }

    /// The next bytes without taking them: at least [`MAGIC_BYTES`], or all there are. How the
    /// sender cuts the stream into packets must not change what we take its format for.
    fn peek(&mut self) -> io::Result<&[u8]> {
        if self.end - self.start < MAGIC_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            while self.end < MAGIC_BYTES && self.read_more()? > 0 {}
        }
        self.available()
    }

    /// Takes `count` bytes and drops them. `false` where there are fewer.
    fn skip(&mut self, mut count: u64) -> io::Result<bool> {
        while count > 0 {
            let here = self.fill_buf()?.len() as u64;
            if here == 0 {
                return Ok(false);
            }
            let step = here.min(count);
            self.consume(usize::try_from(step).unwrap_or(usize::MAX));
            count -= step;
        }
        Ok(true)
    }

    /// Reads behind what is there. 0 means that the sender is done.
    fn read_more(&mut self) -> io::Result<usize> {
        let Some(room) = self.buffer.get_mut(self.end..) else {
            return Ok(0);
        };
        let count = loop {
            match self.body.read(room) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(io::Error::other(BundleError::SenderBroke { source })),
            }
        };
        self.end += count.min(room.len());
        Ok(count)
    }

    /// What was read and not taken yet, as far as the cap allows.
    fn available(&self) -> io::Result<&[u8]> {
        let room = self.bytes_max.saturating_sub(self.consumed_bytes);
        let all = self.buffer.get(self.start..self.end).unwrap_or_default();
        if room == 0 && !all.is_empty() {
            let limit = self.bytes_max;
            return Err(io::Error::other(BundleError::CompressedTooLarge { limit }));
        }
        let allowed = usize::try_from(room).unwrap_or(usize::MAX).min(all.len());
        Ok(all.get(..allowed).unwrap_or_default())
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.read_more()?;
        }
        self.available()
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.consumed_bytes = self.consumed_bytes.saturating_add(count as u64);
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let filled = self.fill_buf()?;
        let count = filled.len().min(buffer.len());
        if let (Some(from), Some(to)) = (filled.get(..count), buffer.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }
}
