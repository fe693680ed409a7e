//! The containers of sound. Those that need no codec hold the samples as they are; the others
//! hold silence of the same length, whose frames are the same bytes over and over.

use super::RATE;
use std::iter::repeat_n;

/// A container of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::openai) enum Format {
    Wav,
    Pcm16,
    /// With frames that are not compressed.
    Flac,
    /// Silent.
    Mp3,
    /// In Ogg; silent.
    Opus,
    /// In ADTS; silent.
    Aac,
}

/// Samples of a frame of FLAC.
const FLAC_BLOCK: usize = 4_096;

impl Format {
    /// The format of a name.
    pub(in crate::api::openai) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "wav" => Self::Wav,
            "pcm16" => Self::Pcm16,
            "flac" => Self::Flac,
            "mp3" => Self::Mp3,
            "opus" => Self::Opus,
            "aac" => Self::Aac,
            _ => return None,
        })
    }

    pub(super) fn is_silent(self) -> bool {
        matches!(self, Self::Mp3 | Self::Opus | Self::Aac)
    }

    /// Samples in this container.
    pub(super) fn of(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::Wav => wav(samples),
            Self::Pcm16 => samples
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect(),
            Self::Flac => flac(samples),
            Self::Mp3 | Self::Opus | Self::Aac => self.silence(samples.len()),
        }
    }

    /// So many samples of silence.
    pub(super) fn silence(self, samples: usize) -> Vec<u8> {
        match self {
            Self::Mp3 => {
                // MPEG 2, layer III, 24 kHz, 32 kbit/s, one channel; nothing in the frame.
                const HEAD: [u8; 4] = [0xff, 0xf3, 0x44, 0xc4];
                let frame = || HEAD.into_iter().chain(repeat_n(0, 92));
                (0..samples.div_ceil(576)).flat_map(|_| frame()).collect()
            }
            Self::Aac => {
                // ADTS of 13 bytes: AAC LC, 24 kHz, one channel; and a silent frame.
                const FRAME: [u8; 13] = [
                    0xff, 0xf1, 0x58, 0x40, 0x01, 0xbf, 0xfc, 0x00, 0xc8, 0x00, 0x80, 0x23, 0x80,
                ];
                FRAME.repeat(samples.div_ceil(1_024))
            }
            Self::Opus => opus(samples),
            Self::Wav | Self::Pcm16 | Self::Flac => self.of(&vec![0; samples]),
        }
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = size_of_val(samples);
    let mut out = Vec::with_capacity(bytes + 44);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&number(bytes + 36).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    // Bare samples, of one channel.
    out.extend_from_slice(&[1, 0, 1, 0]);
    out.extend_from_slice(&RATE.to_le_bytes());
    out.extend_from_slice(&(RATE * 2).to_le_bytes());
    // Bytes of a sample over all channels, and its bits.
    out.extend_from_slice(&[2, 0, 16, 0]);
    out.extend_from_slice(b"data");
    out.extend_from_slice(&number(bytes).to_le_bytes());
    out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    out
}

fn flac(samples: &[i16]) -> Vec<u8> {
    let mut out = b"fLaC".to_vec();
    // The only block of metadata: sizes of frames, the rate, one channel of 16 bits, how many
    // samples, and no digest of them.
    out.extend_from_slice(&[0x80, 0, 0, 34]);
    let block = u16::try_from(FLAC_BLOCK).unwrap_or(u16::MAX).to_be_bytes();
    out.extend_from_slice(&[block, block].concat());
    out.extend_from_slice(&[0; 6]);
    let about = (u64::from(RATE) << 44) | (15 << 36) | u64::from(number(samples.len()));
    out.extend_from_slice(&about.to_be_bytes());
    out.extend_from_slice(&[0; 16]);
    for (index, block) in samples.chunks(FLAC_BLOCK).enumerate() {
        let begin = out.len();
        // 24 kHz, one channel, 16 bits; a size of its own for the last one.
        let is_whole = block.len() == FLAC_BLOCK;
        let size = if is_whole { 0xc7 } else { 0x77 };
        out.extend_from_slice(&[0xff, 0xf8, size, 0x08]);
        // Numbers of frames are written as UTF-8 writes characters.
        let index = char::from_u32(number(index)).unwrap_or_default();
        out.extend_from_slice(index.encode_utf8(&mut [0; 4]).as_bytes());
        if !is_whole {
            let last = u16::try_from(block.len().saturating_sub(1)).unwrap_or_default();
            out.extend_from_slice(&last.to_be_bytes());
        }
        let check = crc(out.get(begin..).unwrap_or_default(), 0x07, 8);
        out.push(check.to_be_bytes()[3]);
        // The samples as they are.
        out.push(0x02);
        out.extend(block.iter().flat_map(|sample| sample.to_be_bytes()));
        let check = crc(out.get(begin..).unwrap_or_default(), 0x8005, 16);
        out.extend_from_slice(check.to_be_bytes().get(2..).unwrap_or_default());
    }
    out
}

/// A checksum of so many bits, its polynomial given with the highest power first.
fn crc(bytes: &[u8], polynomial: u32, bits: u32) -> u32 {
    let top = 32 - bits;
    let mut table = [0_u32; 256];
    for (byte, entry) in (0_u32..).zip(&mut table) {
        let mut value = byte << 24;
        for _ in 0..8 {
            let carry = value >> 31;
            value = (value << 1) ^ (carry * (polynomial << top));
        }
        *entry = value;
    }
    let sum = bytes.iter().fold(0_u32, |sum, byte| {
        let index = usize::from(sum.to_be_bytes()[0] ^ byte);
        (sum << 8) ^ table.get(index).copied().unwrap_or_default()
    });
    sum >> top
}

fn opus(samples: usize) -> Vec<u8> {
    // 20 ms of nothing, and how many samples of 48 kHz they are.
    const FRAME: [u8; 3] = [0xf8, 0xff, 0xfe];
    const FRAME_SAMPLES: u64 = 960;
    const PAGE_FRAMES: usize = 50;
    let mut head = b"OpusHead\x01\x01\0\0".to_vec();
    head.extend_from_slice(&RATE.to_le_bytes());
    head.extend_from_slice(&[0, 0, 0]);
    let mut out = page(0x02, 0, 0, &[&head]);
    out.extend(page(0, 0, 1, &[b"OpusTags\x07\0\0\0belljar\0\0\0\0"]));
    let frames = samples.div_ceil(480).max(1);
    let pages = frames.div_ceil(PAGE_FRAMES);
    for index in 0..pages {
        let begun = index * PAGE_FRAMES;
        let count = (frames - begun).min(PAGE_FRAMES);
        let end = u64::from(number(begun + count)) * FRAME_SAMPLES;
        let kind = if index + 1 == pages { 0x04 } else { 0 };
        out.extend(page(kind, end, number(index) + 2, &vec![&FRAME[..]; count]));
    }
    out
}

/// A page of Ogg, of packets that have fewer than 255 bytes each.
fn page(kind: u8, position: u64, index: u32, packets: &[&[u8]]) -> Vec<u8> {
    let mut out = b"OggS\0".to_vec();
    out.push(kind);
    out.extend_from_slice(&position.to_le_bytes());
    // The number of the stream, of the page, and room for the checksum.
    out.extend_from_slice(&1_u32.to_le_bytes());
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let length = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
    out.push(length(packets.len()));
    out.extend(packets.iter().map(|packet| length(packet.len())));
    out.extend(packets.iter().copied().flatten());
    let check = crc(&out, 0x04c1_1db7, 32).to_le_bytes();
    if let Some(room) = out.get_mut(22..26) {
        room.copy_from_slice(&check);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_their_standards() {
        // CRC-8/SMBUS, CRC-16/UMTS, CRC-32/MPEG-2 without its first value.
        assert_eq!(crc(b"123456789", 0x07, 8), 0xf4);
        assert_eq!(crc(b"123456789", 0x8005, 16), 0xfee8);
        assert_eq!(crc(b"123456789", 0x04c1_1db7, 32), 0x89a1_897f);
    }

    #[test]
    fn containers_are_as_long_as_what_they_hold() {
        let samples = [1_i16; 5_000];
        assert_eq!(Format::Wav.of(&samples).len(), 44 + 10_000);
        assert_eq!(Format::Pcm16.of(&samples).len(), 10_000);
        let flac = Format::Flac.of(&samples);
        assert_eq!(flac.len(), 42 + 10_000 + 2 * 9 + 2);
        assert_eq!(Format::Mp3.silence(24_000).len(), 42 * 96);
        assert_eq!(Format::Aac.silence(24_000).len(), 24 * 13);
        assert!(Format::Opus.silence(24_000).starts_with(b"OggS"));
    }
}
