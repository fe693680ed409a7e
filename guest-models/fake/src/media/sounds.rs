//! The format and the length of sounds.

use super::Bytes as _;

/// How many chunks of a WAV file are looked at, and how far into an MP3 file its first frame is
/// looked for.
const CHUNKS_MAX: u32 = 256;
const FRAME_REACH: usize = 4096;
/// The end of an Ogg file, in which its last page begins.
const LAST_PAGE_BYTES: usize = 65_536 + 512;

/// The format of a sound, empty if it is none, and its length in milliseconds.
pub(super) fn read(bytes: &[u8], mime: &str) -> (&'static str, Option<u64>) {
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE") {
        return ("WAV", wav(bytes));
    }
    if bytes.starts_with(b"fLaC") {
        return ("FLAC", flac(bytes));
    }
    if bytes.starts_with(b"OggS") {
        return ogg(bytes);
    }
    if bytes.starts_with(b"ID3") || bytes.be16(0).is_some_and(|head| head & 0xffe0 == 0xffe0) {
        if let Some(length) = mp3(bytes) {
            return ("MP3", Some(length));
        }
        if bytes.starts_with(b"ID3") {
            return ("MP3", None);
        }
    }
    match mime.split(';').next().unwrap_or_default().trim() {
        // As OpenAI takes it: 24 000 samples a second of two bytes each.
        "audio/pcm" | "audio/pcm16" | "audio/L16" => ("PCM", Some(bytes.len() as u64 / 48)),
        "audio/mpeg" | "audio/mp3" => ("MP3", None),
        "audio/wav" | "audio/x-wav" => ("WAV", None),
        _ => ("", None),
    }
}

/// How long so many parts of a second are, in milliseconds.
fn length(parts: u64, a_second: u64) -> Option<u64> {
    parts.checked_mul(1000)?.checked_div(a_second)
}

fn wav(bytes: &[u8]) -> Option<u64> {
    let mut at = 12_usize;
    let mut a_second = 0;
    for _ in 0..CHUNKS_MAX {
        if at >= bytes.len() {
            return None;
        }
        let size = bytes.le32(at + 4)?;
        let begin = at + 8;
        match bytes.get(at..at + 4)? {
            b"fmt " => a_second = bytes.le32(begin + 8)?,
            b"data" => {
                // What is streamed says that it is as long as can be.
                let there = bytes.len().saturating_sub(begin) as u64;
                return length(there.min(size.into()), a_second.into());
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = begin
            .checked_add(size as usize)?
            .checked_next_multiple_of(2)?;
    }
    None
}

fn flac(bytes: &[u8]) -> Option<u64> {
    // Of the first block: 20 bits of samples a second, 8 of their form, 36 of how many there are.
    let packed = bytes.array(18).map(u64::from_be_bytes)?;
    let samples = packed & 0xf_ffff_ffff;
    let length = length(samples, packed >> 44)?;
    (samples > 0).then_some(length)
}

fn ogg(bytes: &[u8]) -> (&'static str, Option<u64>) {
    let begin = 27 + bytes.get(26).map_or(0, |segments| usize::from(*segments));
    let packet = bytes.get(begin..).unwrap_or_default();
    let (format, a_second, skipped) = if packet.starts_with(b"OpusHead") {
        ("Opus", Some(48_000), packet.le16(10).unwrap_or(0))
    } else if packet.starts_with(b"\x01vorbis") {
        ("Ogg", packet.le32(12), 0)
    } else {
        ("Ogg", None, 0)
    };
    let end = bytes
        .get(bytes.len().saturating_sub(LAST_PAGE_BYTES)..)
        .unwrap_or_default();
    let last = end.windows(4).rposition(|mark| mark == b"OggS");
    let samples = last.and_then(|at| end.array(at + 6).map(u64::from_le_bytes));
    let length = samples.zip(a_second).and_then(|(samples, a_second)| {
        length(samples.checked_sub(skipped.into())?, a_second.into())
    });
    (format, length)
}

/// What the head of a frame of an MP3 says.
struct Frame {
    bits_a_second: u32,
    samples_a_second: u32,
    samples: u32,
    /// Where a count of all frames may stand behind the head.
    count_at: usize,
}

impl Frame {
    fn read(head: u32) -> Option<Self> {
        const MPEG1: [u32; 15] = [
            0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ];
        const MPEG2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        const RATES: [u32; 3] = [44_100, 48_000, 32_000];
        let bits = |shift: u32, mask: u32| head >> shift & mask;
        // Layer III only.
        if bits(21, 0x7ff) != 0x7ff || bits(17, 3) != 1 {
            return None;
        }
        let version = bits(19, 3);
        let (rates, halved) = match version {
            3 => (MPEG1, 0),
            2 => (MPEG2, 1),
            0 => (MPEG2, 2),
            _ => return None,
        };
        let kilobits = rates.get(bits(12, 15) as usize)?;
        let rate = RATES.get(bits(10, 3) as usize)?;
        let is_mono = bits(6, 3) == 3;
        let count_at = match (version, is_mono) {
            (3, false) => 36,
            (3, true) | (_, false) => 21,
            (_, true) => 13,
        };
        Some(Self {
            bits_a_second: kilobits * 1000,
            samples_a_second: rate >> halved,
            samples: if version == 3 { 1152 } else { 576 },
            count_at,
        })
    }
}

fn mp3(bytes: &[u8]) -> Option<u64> {
    let mut begin = 0;
    if bytes.starts_with(b"ID3") {
        // Seven bits a byte.
        let [a, b, c, d] = bytes.array(6)?.map(|byte: u8| usize::from(byte & 0x7f));
        begin = 10 + (a << 21 | b << 14 | c << 7 | d);
    }
    let reach = begin.saturating_add(FRAME_REACH).min(bytes.len());
    let (at, frame) = (begin..reach).find_map(|at| Some((at, Frame::read(bytes.be32(at)?)?)))?;
    let count = at + frame.count_at;
    if let Some(b"Xing" | b"Info") = bytes.get(count..count + 4)
        && bytes.be32(count + 4)? & 1 == 1
    {
        let frames = u64::from(bytes.be32(count + 8)?);
        return length(
            frames * u64::from(frame.samples),
            frame.samples_a_second.into(),
        );
    }
    let bits = (bytes.len() - at) as u64 * 8;
    length(bits, frame.bits_a_second.into())
}
