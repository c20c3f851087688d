//! Keys and values of the tokens so far, so that the next token costs one row.

use candle_core::{Result, Tensor};

/// Rows that a fresh cache has room for.
const FIRST_ROOM: usize = 256;

/// The memory of one text, for one model.
#[derive(Debug)]
pub struct KeyValueCache {
    pub(super) layers: Vec<LayerCache>,
    pub(super) tokens: usize,
}

impl KeyValueCache {
    pub(super) fn new(layers: usize) -> Self {
        Self { layers: (0..layers).map(|_| LayerCache::default()).collect(), tokens: 0 }
    }

    /// Tokens that it holds.
    pub fn len(&self) -> usize {
        self.tokens
    }

    pub fn is_empty(&self) -> bool {
        self.tokens == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct LayerCache {
    /// Both rows × width, of which the first `used` rows are filled.
    store: Option<(Tensor, Tensor)>,
    used: usize,
}

impl LayerCache {
    /// Stores the new rows and gives all rows.
    pub(super) fn append(&mut self, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let (new, width) = k.dims2()?;
        let needed = self.used + new;
        let room = self.store.as_ref().map_or(Ok(0), |(keys, _)| keys.dim(0))?;
        if room < needed {
            let room = needed.next_power_of_two().max(FIRST_ROOM);
            let wider = |old: Option<&Tensor>| {
                let store = Tensor::zeros((room, width), k.dtype(), k.device())?;
                if let Some(old) = old.filter(|_| self.used > 0) {
                    store.slice_set(&old.narrow(0, 0, self.used)?.contiguous()?, 0, 0)?;
                }
                Ok::<_, candle_core::Error>(store)
            };
            let old = self.store.as_ref();
            self.store = Some((wider(old.map(|(keys, _)| keys))?, wider(old.map(|(_, values)| values))?));
        }
        let Some((keys, values)) = &self.store else { candle_core::bail!("the cache has no room") };
        keys.slice_set(&k.contiguous()?, 0, self.used)?;
        values.slice_set(&v.contiguous()?, 0, self.used)?;
        self.used = needed;
        Ok((keys.narrow(0, 0, needed)?, values.narrow(0, 0, needed)?))
    }
}
