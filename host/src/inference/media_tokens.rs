//! The tokens of pictures, sounds and files, which the public APIs count by size and length.

use belljar_sandbox::wit::text::{File, Image};
use belljar_sandbox::wit::types::Source;
use belljar_tokens::Encoding;

/// Tokens of a picture, and of each of its tiles where it is looked at closely.
const IMAGE: u32 = 85;
const TILE: u32 = 170;
/// Pixels of a tile; a picture is first made as small as the two others say.
const TILE_SIDE: u64 = 512;
const LONG_SIDE_MAX: u64 = 2_048;
const SHORT_SIDE_MAX: u64 = 768;
/// What a picture has whose size is not known.
const UNKNOWN_SIDES: (u32, u32) = (1_024, 1_024);
/// Tokens of a second of sound.
const SECOND: u64 = 10;
/// Bytes of a second of sound that is packed as it usually is.
const SECOND_BYTES: u64 = 16_000;
/// Bytes of a file that is no text, for each token.
const FILE_BYTES: usize = 1 << 10;

/// The tokens of a picture.
pub(super) fn image_tokens(image: &Image) -> u32 {
    if image.detail.as_deref() == Some("low") {
        return IMAGE;
    }
    let sides = match &image.source {
        Source::Inline(media) => sides(&media.data),
        Source::Url(_) => None,
    };
    let (width, height) = sides.unwrap_or(UNKNOWN_SIDES);
    let tiles = tiles(width.into(), height.into());
    IMAGE.saturating_add(TILE.saturating_mul(tiles))
}

/// The tokens of a picture as Anthropic counts them: by its area, once it is no larger than its
/// models look at.
pub(super) fn area_tokens(image: &Image) -> u32 {
    const PIXELS: u64 = 750;
    const LONG_SIDE_MAX: u64 = 1_568;
    const TOKENS_MAX: u64 = 1_600;
    let sides = match &image.source {
        Source::Inline(media) => sides(&media.data),
        Source::Url(_) => None,
    };
    let (width, height) = sides.unwrap_or(UNKNOWN_SIDES);
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let longest = width.max(height).max(LONG_SIDE_MAX);
    let scaled = |side: u64| (side * LONG_SIDE_MAX).div_ceil(longest);
    let tokens = scaled(width)
        .saturating_mul(scaled(height))
        .div_ceil(PIXELS);
    u32::try_from(tokens.min(TOKENS_MAX)).unwrap_or(u32::MAX)
}

fn tiles(width: u64, height: u64) -> u32 {
    let (width, height) = (width.max(1), height.max(1));
    // As a fraction, so that no picture is a tile too large for a rounding.
    let (mut over, mut under) = (1, 1);
    if width.max(height) > LONG_SIDE_MAX {
        (over, under) = (LONG_SIDE_MAX, width.max(height));
    }
    if width.min(height) * over > SHORT_SIDE_MAX * under {
        (over, under) = (SHORT_SIDE_MAX, width.min(height));
    }
    let along = |side: u64| (side * over).div_ceil(under * TILE_SIDE).max(1);
    u32::try_from(along(width).saturating_mul(along(height))).unwrap_or(u32::MAX)
}

/// The width and the height that a picture says it has.
fn sides(bytes: &[u8]) -> Option<(u32, u32)> {
    let be = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let le16 = |at: usize| {
        Some(u32::from(u16::from_le_bytes(
            *bytes.get(at..)?.first_chunk()?,
        )))
    };
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((be(16)?, be(20)?));
    }
    if bytes.starts_with(b"GIF8") {
        return Some((le16(6)?, le16(8)?));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        let le24 = |at: usize| {
            let [low, middle, high] = *bytes.get(at..)?.first_chunk::<3>()?;
            Some(u32::from_le_bytes([low, middle, high, 0]))
        };
        return match bytes.get(12..16)? {
            b"VP8X" => Some((le24(24)? + 1, le24(27)? + 1)),
            b"VP8 " => Some((le16(26)? & 0x3fff, le16(28)? & 0x3fff)),
            b"VP8L" => {
                let packed = u32::from_le_bytes(*bytes.get(21..)?.first_chunk()?);
                Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
            }
            _ => None,
        };
    }
    if bytes.starts_with(b"\xff\xd8") {
        return jpeg_sides(bytes);
    }
    None
}

/// Looks for the segment that begins a picture. Each step is at least two bytes long.
fn jpeg_sides(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let [mark, kind, high, low] = *bytes.get(at..)?.first_chunk()?;
        if mark != 0xff {
            return None;
        }
        match kind {
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let [h1, h2, w1, w2] = *bytes.get(at + 5..)?.first_chunk()?;
                let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
                return Some((side(w1, w2), side(h1, h2)));
            }
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
}

/// The tokens of a sound.
pub(super) fn audio_tokens(source: &Source) -> u32 {
    let Source::Inline(media) = source else {
        return IMAGE;
    };
    let bytes = media.data.len() as u64;
    let second = wave_second(&media.data).filter(|bytes| *bytes > 0);
    let tokens = bytes
        .saturating_mul(SECOND)
        .div_ceil(second.unwrap_or(SECOND_BYTES));
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// How many bytes a second has in a WAV file of the usual form.
fn wave_second(bytes: &[u8]) -> Option<u64> {
    let is_wave = bytes.starts_with(b"RIFF") && bytes.get(8..16) == Some(b"WAVEfmt ");
    let second = u32::from_le_bytes(*bytes.get(28..)?.first_chunk()?);
    is_wave.then_some(second.into())
}

/// The tokens of a file: those of its text, or by its size.
pub(super) fn file_tokens(encoding: Encoding, file: &File) -> u32 {
    let Source::Inline(media) = &file.source else {
        return IMAGE;
    };
    match std::str::from_utf8(&media.data) {
        Ok(text) => u32::try_from(encoding.count(text)).unwrap_or(u32::MAX),
        Err(_) => u32::try_from(media.data.len() / FILE_BYTES + 1).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_sandbox::wit::types::Media;

    /// The pictures and the figures of OpenAI's page on what pictures cost.
    #[test]
    fn pictures_have_the_tokens_that_openai_documents() {
        assert_eq!(IMAGE + TILE * tiles(1_024, 1_024), 765);
        assert_eq!(IMAGE + TILE * tiles(2_048, 4_096), 1_105);
        assert_eq!(tiles(512, 512), 1);
        assert_eq!(tiles(0, 1), 1);
        assert!(tiles(u32::MAX.into(), 1) > 0);
    }

    #[test]
    fn the_size_of_a_picture_is_read() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend_from_slice(&[0, 0, 2, 0, 0, 0, 1, 0]);
        assert_eq!(sides(&png), Some((512, 256)));
        assert_eq!(sides(b"GIF89a\x0a\0\x14\0"), Some((10, 20)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x14\0\x0a";
        assert_eq!(sides(jpeg), Some((10, 20)));
        for broken in [
            &b""[..],
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0\0",
            b"RIFF0000WEBP",
        ] {
            assert_eq!(sides(broken), None);
        }
    }

    #[test]
    fn sound_is_counted_by_its_length() {
        let mut wave = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wave.extend_from_slice(&8_000_u32.to_le_bytes());
        wave.extend_from_slice(&16_000_u32.to_le_bytes());
        wave.resize(32_000, 0);
        let source = Source::Inline(Media {
            mime: "audio/wav".to_owned(),
            data: wave,
        });
        assert_eq!(audio_tokens(&source), 20);
    }
}
