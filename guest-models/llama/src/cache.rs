//! What has been computed of the tokens so far: their keys and values in each layer.

use crate::shape::Shape;

/// Tokens that a page has room for. Pages are made as they are needed, so that a short answer
/// has the memory of a short one, and nothing is ever copied to a larger place.
const PAGE_TOKENS: usize = 64;

/// Tokens of a block that is kept for later requests. It divides a page, so that no block is in two.
pub const BLOCK_TOKENS: usize = 32;
const _: () = assert!(PAGE_TOKENS.is_multiple_of(BLOCK_TOKENS));

/// The keys and values of all tokens so far.
#[derive(Debug)]
pub struct Cache {
    /// By layer, then by head.
    heads: Vec<Head>,
    kv_heads: usize,
    head: usize,
    tokens: usize,
}

/// What one head of one layer has seen.
#[derive(Debug, Default)]
struct Head {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

/// There is no more memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl Cache {
    /// A cache without tokens.
    pub fn new(shape: &Shape) -> Self {
        let count = shape.layers * shape.kv_heads;
        Self {
            heads: (0..count).map(|_| Head::default()).collect(),
            kv_heads: shape.kv_heads,
            head: shape.head,
            tokens: 0,
        }
    }

    /// How many tokens it holds in all layers.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Counts tokens that all layers have been given.
    pub(crate) fn advance(&mut self, count: usize) {
        self.tokens += count;
    }

    /// Adds the key and the value of the next token to each head of a layer.
    pub(crate) fn push(
        &mut self,
        layer: usize,
        keys: &[f32],
        values: &[f32],
    ) -> Result<(), OutOfMemory> {
        let first = layer * self.kv_heads;
        let heads = self.heads.iter_mut().skip(first).take(self.kv_heads);
        let parts = keys
            .chunks_exact(self.head)
            .zip(values.chunks_exact(self.head));
        for (head, (key, value)) in heads.zip(parts) {
            append(&mut head.keys, key)?;
            append(&mut head.values, value)?;
        }
        Ok(())
    }

    /// The keys and values of a block of tokens as bytes: by layer, by head, keys before values, each
    /// a row of little-endian numbers a token. None where there are no such tokens.
    pub fn rows(&self, block: usize) -> Option<Vec<u8>> {
        let tokens = block * BLOCK_TOKENS..(block + 1) * BLOCK_TOKENS;
        if tokens.end > self.tokens {
            return None;
        }
        let page = tokens.start / PAGE_TOKENS;
        let first = tokens.start % PAGE_TOKENS * self.head;
        let length = BLOCK_TOKENS * self.head;
        let mut bytes = Vec::new();
        let size = self.heads.len() * 2 * length * size_of::<f32>();
        bytes.try_reserve_exact(size).ok()?;
        for head in &self.heads {
            for pages in [&head.keys, &head.values] {
                for number in pages.get(page)?.get(first..first + length)? {
                    bytes.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
        Some(bytes)
    }

    /// Adds a block of tokens by their keys and values, as [`Cache::rows`] gives them, behind
    /// whole blocks. Returns whether they were of this model: if not, nothing is added.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] where there is no room for them.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<bool, OutOfMemory> {
        let length = BLOCK_TOKENS * self.head;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let is_whole = rest.is_empty() && numbers.len() == self.heads.len() * 2 * length;
        if !is_whole || !self.tokens.is_multiple_of(BLOCK_TOKENS) {
            return Ok(false);
        }
        let mut parts = numbers.chunks_exact(length);
        for head in &mut self.heads {
            for pages in [&mut head.keys, &mut head.values] {
                let page = page_with_room(pages, self.head)?;
                let numbers = parts.next().unwrap_or_default().iter();
                page.extend(numbers.map(|number| f32::from_le_bytes(*number)));
            }
        }
        self.tokens += BLOCK_TOKENS;
        Ok(true)
    }

    /// The pages of the keys and of the values of a head, oldest first.
    pub(crate) fn pages(
        &self,
        layer: usize,
        head: usize,
    ) -> impl Iterator<Item = (&[f32], &[f32])> {
        let head = self.heads.get(layer * self.kv_heads + head);
        head.into_iter().flat_map(|head| {
            let keys = head.keys.iter().map(Vec::as_slice);
            keys.zip(head.values.iter().map(Vec::as_slice))
        })
    }
}

fn append(pages: &mut Vec<Vec<f32>>, part: &[f32]) -> Result<(), OutOfMemory> {
    page_with_room(pages, part.len())?.extend_from_slice(part);
    Ok(())
}

/// The last page, or a new one where that is full. The numbers are those of one token.
fn page_with_room(pages: &mut Vec<Vec<f32>>, numbers: usize) -> Result<&mut Vec<f32>, OutOfMemory> {
    let is_full = pages
        .last()
        .is_none_or(|page| page.capacity() - page.len() < numbers);
    if is_full {
        let mut page = Vec::new();
        page.try_reserve_exact(PAGE_TOKENS * numbers)
            .map_err(|_| OutOfMemory)?;
        pages.try_reserve(1).map_err(|_| OutOfMemory)?;
        pages.push(page);
    }
    pages.last_mut().ok_or(OutOfMemory)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn filled(tokens: usize) -> Cache {
        let mut cache = Cache {
            heads: (0..6).map(|_| Head::default()).collect(),
            kv_heads: 2,
            head: 4,
            tokens: 0,
        };
        for token in 0..tokens {
            for layer in 0..3 {
                let number = |index: usize| (token * 1000 + layer * 100 + index) as f32 + 0.5;
                let keys: Vec<f32> = (0..8).map(number).collect();
                let values: Vec<f32> = (10..18).map(number).collect();
                cache.push(layer, &keys, &values).unwrap();
            }
        }
        cache.advance(tokens);
        cache
    }

    fn pages(cache: &Cache) -> Vec<Vec<(&[f32], &[f32])>> {
        let heads = (0..3).flat_map(|layer| (0..2).map(move |head| (layer, head)));
        heads
            .map(|(layer, head)| cache.pages(layer, head).collect())
            .collect()
    }

    #[test]
    fn restored_rows_are_those_that_were_there() {
        let whole = filled(3 * BLOCK_TOKENS + 5);
        let mut restored = filled(0);
        for block in 0..3 {
            assert_eq!(restored.restore(&whole.rows(block).unwrap()), Ok(true));
        }
        assert_eq!(restored.tokens(), 3 * BLOCK_TOKENS);
        assert_eq!(pages(&restored), pages(&filled(3 * BLOCK_TOKENS)));
        assert_eq!(whole.rows(3), None, "five tokens are no block");
    }

    #[test]
    fn rows_of_another_size_or_in_another_place_add_nothing() {
        let rows = filled(BLOCK_TOKENS).rows(0).unwrap();
        let mut cache = filled(0);
        for wrong in [
            &[][..],
            &rows[1..],
            &rows[4..],
            &[rows.as_slice(), &[0; 4]].concat(),
        ] {
            assert_eq!(cache.restore(wrong), Ok(false));
        }
        assert_eq!(pages(&cache), pages(&filled(0)));
        let mut within = filled(7);
        assert_eq!(within.restore(&rows), Ok(false));
        assert_eq!(pages(&within), pages(&filled(7)));
    }
}
