//! The selected rows: one bit a row.
//!
//! Constraint: selecting a million rows, asking for one of them and comparing two selections cost a frame nothing that
//! is seen; a hash set took tens of milliseconds for each.

/// A set of row indices.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    bits: Vec<u64>,
    count: usize,
}

impl Selected {
    /// Every row of a set of so many.
    pub fn all(rows: usize) -> Self {
        let mut bits = vec![u64::MAX; rows / 64];
        if !rows.is_multiple_of(64) {
            bits.push((1 << (rows % 64)) - 1);
        }
        Self { bits, count: rows }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn contains(&self, row: &u32) -> bool {
        self.bits.get(*row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// True where the row was not selected before.
    pub fn insert(&mut self, row: u32) -> bool {
        let at = row as usize / 64;
        if at >= self.bits.len() {
            self.bits.resize(at + 1, 0);
        }
        let Some(word) = self.bits.get_mut(at) else { return false };
        let is_new = *word >> (row % 64) & 1 == 0;
        *word |= 1 << (row % 64);
        self.count += usize::from(is_new);
        is_new
    }

    /// True where the row was selected before.
    pub fn remove(&mut self, row: &u32) -> bool {
        let was = self.contains(row);
        if let Some(word) = self.bits.get_mut(*row as usize / 64).filter(|_| was) {
            *word &= !(1 << (row % 64));
            self.count -= 1;
        }
        was
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bits.iter().zip(0u32..).flat_map(|(word, at)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                (left != 0).then(|| {
                    left &= left - 1;
                    at * 64 + bit
                })
            })
        })
    }
}

impl PartialEq for Selected {
    /// Trailing words without a bit do not count.
    fn eq(&self, other: &Self) -> bool {
        let (long, short) = if self.bits.len() >= other.bits.len() { (self, other) } else { (other, self) };
        let common = short.bits.len();
        self.count == other.count && long.bits.get(..common) == Some(&short.bits)
    }
}

impl Eq for Selected {}

impl Extend<u32> for Selected {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, rows: I) {
        for row in rows {
            self.insert(row);
        }
    }
}

impl FromIterator<u32> for Selected {
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        let mut selected = Self::default();
        selected.extend(rows);
        selected
    }
}

impl<const N: usize> From<[u32; N]> for Selected {
    fn from(rows: [u32; N]) -> Self {
        rows.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Selected;

    #[test]
    fn it_is_a_set() {
        let (mut selected, mut oracle) = (Selected::default(), BTreeSet::new());
        let mut state = 1u32;
        for step in 0..5000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let row = state >> 8 & 511;
            if step % 3 == 2 {
                assert_eq!(selected.remove(&row), oracle.remove(&row));
            } else {
                assert_eq!(selected.insert(row), oracle.insert(row));
            }
            assert_eq!(selected.len(), oracle.len());
        }
        assert!(selected.iter().eq(oracle.iter().copied()));
        assert!((0..600).all(|row| selected.contains(&row) == oracle.contains(&row)));
        assert_eq!(selected, oracle.into_iter().collect());
    }

    #[test]
    fn all_rows_and_equality_do_not_hang_on_the_last_word() {
        for rows in [0, 1, 63, 64, 65, 1000] {
            let all = Selected::all(rows);
            assert_eq!(all, (0..rows as u32).collect());
            assert_eq!(all.iter().count(), rows);
        }
        let mut wide = Selected::from([1, 900]);
        wide.remove(&900);
        assert_eq!(wide, Selected::from([1]));
        assert_ne!(wide, Selected::from([2]));
    }
}
