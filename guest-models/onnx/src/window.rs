//! An asset as a sequence of bytes that is never in memory as a whole: a piece of it is, and moves.

use belljar_guest::assets;

/// How much is asked of the host at a time. What is read stays in the snapshot as garbage, so it
/// is little beside any model.
const WINDOW_BYTES: u64 = 64 << 10;

/// How much of a weight is read at a time, for the same reason.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;

/// The part of an asset that is in memory.
pub(crate) struct Window {
    asset: String,
    size: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) fn open(asset: &str) -> Result<Self, String> {
        Ok(Self {
            asset: asset.to_owned(),
            size: assets::size(asset).map_err(|error| error.to_string())?,
            start: 0,
            bytes: Vec::new(),
        })
    }

    pub(crate) fn asset(&self) -> &str {
        &self.asset
    }

    /// How many bytes the asset has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn byte(&mut self, at: u64) -> Result<u8, String> {
        if let Some(byte) = self.held(at) {
            return Ok(byte);
        }
        self.bytes = piece(&self.asset, at, WINDOW_BYTES)?;
        self.start = at;
        self.held(at).ok_or_else(|| ended(at))
    }

    fn held(&self, at: u64) -> Option<u8> {
        let index = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(index).copied()
    }

    /// Puts the bytes from `at` to `end` after those of `out`.
    pub(crate) fn copy(&mut self, mut at: u64, end: u64, out: &mut Vec<u8>) -> Result<(), String> {
        while at < end {
            self.byte(at)?;
            let from = (at - self.start) as usize;
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
            let held = self.bytes.get(from..).unwrap_or_default();
            let taken = held.get(..wanted).unwrap_or(held);
            out.extend_from_slice(taken);
            at += taken.len() as u64;
        }
        Ok(())
    }
}

/// Bytes of an asset: at least one, or an error.
pub(crate) fn piece(asset: &str, at: u64, length: u64) -> Result<Vec<u8>, String> {
    let bytes = assets::read(asset, at, length).map_err(|error| error.to_string())?;
    if bytes.is_empty() {
        return Err(ended(at));
    }
    Ok(bytes)
}

fn ended(at: u64) -> String {
    format!("the file ends at byte {at}, where more was announced")
}
