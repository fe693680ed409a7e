//! Undoes what `Content-Encoding` names. What comes out counts against the limit of the body
//! like what comes in, so a small body cannot become a large one.

use super::Segments;
use crate::http::error::ApiError;
use flate2::write::{GzDecoder, ZlibDecoder};
use http::header::GetAll;
use http::{HeaderMap, HeaderValue, header};
use std::io::{self, Write};

/// How a body is packed (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    /// The zlib format, whatever the name says.
    Deflate,
}

impl Coding {
    /// The coding of a body; none when it comes as it is.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let named = headers.get_all(header::CONTENT_ENCODING);
        Self::named(named).ok_or_else(ApiError::content_encoding)
    }

    /// The coding that a header names, which may be none; none at all where it is not known.
    pub(super) fn named(lines: GetAll<'_, HeaderValue>) -> Option<Option<Self>> {
        let mut named = lines.iter();
        let name = named
            .next()
            .map(|name| name.as_bytes().to_ascii_lowercase());
        if named.next().is_some() {
            return None;
        }
        match name.as_deref() {
            None | Some(b"identity") => Some(None),
            Some(b"gzip" | b"x-gzip") => Some(Some(Self::Gzip)),
            Some(b"deflate") => Some(Some(Self::Deflate)),
            Some(_) => None,
        }
    }
}

/// Members of a gzip body whatever its size.
const GZIP_MEMBERS_MIN: u64 = 1_024;
/// Bytes of the largest body for each further member: tools that pack in blocks take larger ones. Each
/// member costs a fresh decoder, so that a body of empty members would cost more than it sends.
const GZIP_MEMBER_BYTES: u64 = 16 << 10;

/// Unpacks a body piece by piece.
pub(super) enum Unpacker {
    Gzip(GzipMembers),
    Deflate(ZlibDecoder<Unpacked>),
}

impl Unpacker {
    /// For a body of which at most `bytes_max` may come out.
    pub(super) fn new(coding: Coding, bytes_max: u64) -> Self {
        let unpacked = Unpacked {
            segments: Segments::default(),
            bytes_max,
            is_over: false,
        };
        match coding {
            Coding::Gzip => Self::Gzip(GzipMembers {
                members_left: GZIP_MEMBERS_MIN + bytes_max / GZIP_MEMBER_BYTES,
                decoder: GzDecoder::new(unpacked),
            }),
            Coding::Deflate => Self::Deflate(ZlibDecoder::new(unpacked)),
        }
    }

    /// Unpacks the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let written = match self {
            Self::Gzip(members) => members.write_all(piece),
            Self::Deflate(decoder) => decoder.write_all(piece),
        };
        written.map_err(|_| self.refusal())
    }

    /// The body, which must have ended where its packing does.
    pub(super) fn finish(mut self) -> Result<Segments, ApiError> {
        let ended = match &mut self {
            Self::Gzip(members) => members.decoder.try_finish(),
            // A decoder whose stream has ended takes not a byte more; another does.
            Self::Deflate(decoder) => match decoder.write(&[0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => Err(error),
            },
        };
        if ended.is_err() {
            return Err(self.refusal());
        }
        Ok(std::mem::take(&mut self.unpacked_mut().segments))
    }

    fn refusal(&mut self) -> ApiError {
        let unpacked = self.unpacked_mut();
        if unpacked.is_over {
            ApiError::too_large(unpacked.bytes_max, super::SETTING)
        } else {
            ApiError::broken_packing()
        }
    }

    fn unpacked_mut(&mut self) -> &mut Unpacked {
        match self {
            Self::Gzip(members) => members.decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }
}

/// The members of a gzip body, one after the other (RFC 1952, section 2.2).
pub(super) struct GzipMembers {
    decoder: GzDecoder<Unpacked>,
    /// How many may follow the one that is read.
    members_left: u64,
}

impl GzipMembers {
    fn write_all(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            let taken = self.decoder.write(piece)?;
            piece = piece.get(taken..).unwrap_or_default();
            // A decoder whose member has ended takes not a byte more.
            if taken == 0 {
                self.next_member()?;
            }
        }
        Ok(())
    }

    fn next_member(&mut self) -> io::Result<()> {
        self.decoder.try_finish()?;
        self.members_left = self
            .members_left
            .checked_sub(1)
            .ok_or(io::ErrorKind::InvalidData)?;
        let unpacked = std::mem::take(self.decoder.get_mut());
        self.decoder = GzDecoder::new(unpacked);
        Ok(())
    }
}

/// What came out so far.
#[derive(Default)]
pub(super) struct Unpacked {
    segments: Segments,
    bytes_max: u64,
    is_over: bool,
}

impl Write for Unpacked {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let bytes = u64::try_from(self.segments.bytes + data.len()).unwrap_or(u64::MAX);
        if bytes > self.bytes_max {
            self.is_over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.segments.add(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    fn pack(coding: Coding, body: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn unpack(
        coding: Coding,
        packed: &[u8],
        piece: usize,
        bytes_max: u64,
    ) -> Result<Vec<u8>, &'static str> {
        let mut unpacker = Unpacker::new(coding, bytes_max);
        for piece in packed.chunks(piece) {
            unpacker.push(piece).map_err(|error| error.code())?;
        }
        let segments = unpacker.finish().map_err(|error| error.code())?;
        Ok(segments.join().to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_packed_comes_out(
            coding in prop::sample::select(vec![Coding::Gzip, Coding::Deflate]),
            body in prop::collection::vec(0_u8..4, 0..70_000),
            piece in 1_usize..3_000,
        ) {
            let packed = pack(coding, &body);
            let bytes = u64::try_from(body.len()).unwrap();
            prop_assert_eq!(unpack(coding, &packed, piece, bytes), Ok(body));
            if bytes > 0 {
                let over = unpack(coding, &packed, piece, bytes - 1);
                prop_assert_eq!(over, Err("payload_too_large"));
            }
        }
    }

    #[test]
    fn what_breaks_off_or_goes_on_is_refused() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = pack(coding, b"{\"a\":1}");
            for length in 0..packed.len() {
                let cut = packed.get(..length).unwrap();
                let broken = unpack(coding, cut, 3, 100);
                assert_eq!(
                    broken,
                    Err("invalid_content_encoding"),
                    "{coding:?} {length}"
                );
            }
            let more = [&*packed, b"{}"].concat();
            assert!(unpack(coding, &more, 100, 100).is_err(), "{coding:?}");
            let mut bent = packed.clone();
            let at = bent.len() - 3;
            bent[at] ^= 1;
            assert!(unpack(coding, &bent, 100, 100).is_err(), "{coding:?}");
        }
    }

    #[test]
    fn a_body_says_once_how_it_is_packed() {
        let of = |names: &[&str]| {
            let mut headers = HeaderMap::new();
            for name in names {
                headers.append(header::CONTENT_ENCODING, name.parse().unwrap());
            }
            Coding::of(&headers).map_err(|error| error.code())
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["Identity"]), Ok(None));
        assert_eq!(of(&["GZIP"]), Ok(Some(Coding::Gzip)));
        assert_eq!(of(&["deflate"]), Ok(Some(Coding::Deflate)));
        for odd in [
            &["br"][..],
            &["gzip, gzip"],
            &["gzip", "gzip"],
            &["identity", "gzip"],
            &[""],
        ] {
            assert_eq!(of(odd), Err("unsupported_content_encoding"), "{odd:?}");
        }
    }
}
