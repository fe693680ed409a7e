//! What has been computed of the tokens so far: their keys and values in each layer.

use crate::shape::Shape;

/// Tokens that a page has room for. Pages are made as they are needed, so that a short answer
/// has the memory of a short one, and nothing is ever copied to a larger place.
const PAGE_TOKENS: usize = 64;

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
    let is_full = pages
        .last()
        .is_none_or(|page| page.capacity() - page.len() < part.len());
    if is_full {
        let mut page = Vec::new();
        page.try_reserve_exact(PAGE_TOKENS * part.len())
            .map_err(|_| OutOfMemory)?;
        pages.try_reserve(1).map_err(|_| OutOfMemory)?;
        pages.push(page);
    }
    if let Some(page) = pages.last_mut() {
        page.extend_from_slice(part);
    }
    Ok(())
}
