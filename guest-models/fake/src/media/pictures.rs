//! The format and the size of pictures.

use super::Bytes as _;

/// How many segments of a JPEG are looked at: profiles and thumbnails can take hundreds.
const SEGMENTS_MAX: u32 = 4096;

/// The format of a picture, empty if it is none, and its width and height.
pub(super) fn read(bytes: &[u8]) -> (&'static str, Option<(u32, u32)>) {
    let (format, sides) = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        ("PNG", bytes.be32(16).zip(bytes.be32(20)))
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        ("JPEG", jpeg(bytes))
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        ("GIF", bytes.le16(6).zip(bytes.le16(8)))
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        ("WebP", webp(bytes))
    } else if bytes.starts_with(b"BM") {
        ("BMP", bmp(bytes))
    } else {
        ("", None)
    };
    // A picture without a side is none that anybody has seen.
    let is_real = |(width, height): &(u32, u32)| *width > 0 && *height > 0;
    let sides = sides.filter(is_real);
    if format == "BMP" && sides.is_none() {
        // Two letters alone say little.
        return ("", None);
    }
    (format, sides)
}

fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    for _ in 0..SEGMENTS_MAX {
        let [mark, kind] = bytes.array(at)?;
        if mark != 0xff {
            return None;
        }
        at += match kind {
            // Filling.
            0xff => 1,
            // Marks without a length.
            0x01 | 0xd0..=0xd8 => 2,
            // What begins the picture itself, of whatever kind.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return bytes.be16(at + 7).zip(bytes.be16(at + 5));
            }
            // The end, or the data.
            0xd9 | 0xda => return None,
            _ => 2 + bytes.be16(at + 2)? as usize,
        };
    }
    None
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let le24 = |at| {
        let [low, middle, high] = bytes.array(at)?;
        Some(u32::from_le_bytes([low, middle, high, 0]))
    };
    match bytes.get(12..16)? {
        b"VP8X" => Some((le24(24)? + 1, le24(27)? + 1)),
        b"VP8L" => {
            let sides = bytes.le32(21)?;
            Some(((sides & 0x3fff) + 1, (sides >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((bytes.le16(26)? & 0x3fff, bytes.le16(28)? & 0x3fff)),
        _ => None,
    }
}

fn bmp(bytes: &[u8]) -> Option<(u32, u32)> {
    // The head of the first version is 12 bytes long and has sides of 16 bits.
    match bytes.le32(14)? {
        12 => bytes.le16(18).zip(bytes.le16(20)),
        40..=256 => {
            let side = |at| {
                let side = bytes.array(at).map(i32::from_le_bytes)?;
                // A picture that stands on its head has a height below 0.
                Some(side.unsigned_abs())
            };
            side(18).zip(side(22))
        }
        _ => None,
    }
}
