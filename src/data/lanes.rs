//! What kind of byte stands where, for 64 bytes at a time.
//!
//! Purpose: the loops that walk over texts ask one bit mask for 64 bytes instead of 64 bytes. Bit `i` of a mask tells of
//! byte `i`.
//! Constraint: two engines give the same masks: SSE2, which every x86-64 processor has, and plain 64-bit numbers for the
//! others. The tests hold both against a byte by byte oracle.

/// How many bytes are looked at together.
pub(super) const LANES: usize = 64;

/// What counting needs to know of 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Classes {
    /// ASCII letters and digits.
    pub word: u64,
    /// ASCII characters that can be seen, words included, DEL apart.
    pub visible: u64,
    /// Bytes of characters beyond ASCII.
    pub high: u64,
    /// Those of them that are not the first of their character.
    pub behind: u64,
    /// Backslashes, which are visible too.
    pub slash: u64,
}

/// The backslashes that begin an escape, and the bytes behind them, when the first byte is in none.
#[inline]
pub(super) fn escapes(slash: u64) -> (u64, u64) {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    // In a run of backslashes every other one is escaped. The subtraction carries through each run; comparing with the
    // odd places tells at which of its places it began.
    let ends = ((slash << 1) | ODD).wrapping_sub(slash) ^ ODD;
    (ends & slash, ends ^ slash)
}

#[cfg(target_arch = "x86_64")]
pub(super) use sse2::{classes, letters_u, specials, specials_16};
#[cfg(not(target_arch = "x86_64"))]
pub(super) use swar::{classes, letters_u, specials, specials_16};

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_cmplt_epi8, _mm_min_epu8,
        _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };

    use super::{Classes, LANES};

    /// Quotes, backslashes and control characters.
    #[inline]
    pub fn specials(bytes: &[u8; LANES]) -> u64 {
        // SAFETY: SSE2 is a part of x86-64.
        unsafe { joined(bytemuck::cast::<_, [__m128i; 4]>(*bytes).map(|lane| special(lane))) }
    }

    /// [`specials`] of 16 bytes.
    #[inline]
    pub fn specials_16(bytes: &[u8; 16]) -> u32 {
        // SAFETY: SSE2 is a part of x86-64.
        unsafe { _mm_movemask_epi8(special(bytemuck::cast(*bytes))) as u32 }
    }

    #[inline]
    pub fn classes(bytes: &[u8; LANES]) -> Classes {
        let lanes: [__m128i; 4] = bytemuck::cast(*bytes);
        // SAFETY: SSE2 is a part of x86-64.
        unsafe {
            Classes {
                word: joined(lanes.map(|lane| word(lane))),
                visible: joined(lanes.map(|lane| visible(lane))),
                high: joined(lanes),
                // As signed numbers these are the lowest.
                behind: joined(lanes.map(|lane| _mm_cmplt_epi8(lane, _mm_set1_epi8(0xc0u8 as i8)))),
                slash: joined(lanes.map(|lane| slash(lane))),
            }
        }
    }

    /// Where `u` stands.
    #[inline]
    pub fn letters_u(bytes: &[u8; LANES]) -> u64 {
        let lanes: [__m128i; 4] = bytemuck::cast(*bytes);
        // SAFETY: SSE2 is a part of x86-64.
        unsafe { joined(lanes.map(|lane| _mm_cmpeq_epi8(lane, _mm_set1_epi8(b'u' as i8)))) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn joined([a, b, c, d]: [__m128i; 4]) -> u64 {
        let bits = |lane| u64::from(_mm_movemask_epi8(lane) as u16);
        bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn special(lane: __m128i) -> __m128i {
        let control = _mm_cmpeq_epi8(_mm_min_epu8(lane, _mm_set1_epi8(0x1f)), lane);
        let quote = _mm_cmpeq_epi8(lane, _mm_set1_epi8(b'"' as i8));
        _mm_or_si128(_mm_or_si128(control, quote), slash(lane))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn slash(lane: __m128i) -> __m128i {
        _mm_cmpeq_epi8(lane, _mm_set1_epi8(b'\\' as i8))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn visible(lane: __m128i) -> __m128i {
        let deleted = _mm_cmpeq_epi8(lane, _mm_set1_epi8(0x7f));
        _mm_andnot_si128(deleted, _mm_cmpgt_epi8(lane, _mm_set1_epi8(b' ' as i8)))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn word(lane: __m128i) -> __m128i {
        let letter = within(_mm_or_si128(lane, _mm_set1_epi8(0x20)), b'a', 26);
        _mm_or_si128(letter, within(lane, b'0', 10))
    }

    /// Comparisons are of signed bytes: the range is moved to the lowest numbers.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn within(lane: __m128i, first: u8, count: u8) -> __m128i {
        let moved = _mm_add_epi8(lane, _mm_set1_epi8(0x80u8.wrapping_sub(first) as i8));
        _mm_cmplt_epi8(moved, _mm_set1_epi8(0x80u8.wrapping_add(count) as i8))
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod swar {
    use super::{Classes, LANES};

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    const LOW: u64 = 0x7f * ONES;

    /// The high bit of every byte that is not less than `least`, of bytes without their own high bit.
    fn from(low: u64, least: u8) -> u64 {
        low.wrapping_add(ONES * u64::from(0x80 - least)) & HIGH
    }

    /// The high bit of every ASCII byte in `first..first + count`.
    fn within(eight: u64, first: u8, count: u8) -> u64 {
        let low = eight & LOW;
        from(low, first) & !from(low, first + count) & !eight
    }

    fn special(eight: u64) -> u64 {
        within(eight, 0, 0x20) | within(eight, b'"', 1) | within(eight, b'\\', 1)
    }

    /// The eight high bits as the eight bits of a byte.
    fn gather(bits: u64) -> u64 {
        (bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }

    fn mask<const N: usize>(bytes: &[u8; N], bits: impl Fn(u64) -> u64) -> u64 {
        let (eights, _) = bytes.as_chunks::<8>();
        eights.iter().rev().fold(0, |mask, eight| mask << 8 | gather(bits(u64::from_le_bytes(*eight)) & HIGH))
    }

    pub fn specials(bytes: &[u8; LANES]) -> u64 {
        mask(bytes, special)
    }

    pub fn specials_16(bytes: &[u8; 16]) -> u32 {
        mask(bytes, special) as u32
    }

    pub fn letters_u(bytes: &[u8; LANES]) -> u64 {
        mask(bytes, |eight| within(eight, b'u', 1))
    }

    pub fn classes(bytes: &[u8; LANES]) -> Classes {
        Classes {
            word: mask(bytes, |eight| within(eight | (0x20 * ONES), b'a', 26) | within(eight, b'0', 10)),
            visible: mask(bytes, |eight| within(eight, b'!', 94)),
            high: mask(bytes, |eight| eight),
            behind: mask(bytes, |eight| eight & !(eight << 1)),
            slash: mask(bytes, |eight| within(eight, b'\\', 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};

    use super::*;

    fn slow(bytes: &[u8; LANES], is: impl Fn(u8) -> bool) -> u64 {
        (0..LANES).filter(|at| is(bytes[*at])).map(|at| 1 << at).sum()
    }

    #[test]
    fn every_byte_is_told_at_every_place() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
        for round in 0..4_000 {
            let mut bytes = [0; LANES];
            random.fill_bytes(&mut bytes);
            if round < 256 {
                bytes = [round as u8; LANES];
            } else if round % 2 == 0 {
                bytes = bytes.map(|byte| br#"aZ09 ~"\@[`{/:"#[usize::from(byte) % 14]);
                bytes[random.random_range(0..LANES)] = random.random_range(0..=255);
            }
            let special = slow(&bytes, |byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            let expected = Classes {
                word: slow(&bytes, |byte| byte.is_ascii_alphanumeric()),
                visible: slow(&bytes, |byte| byte.is_ascii_graphic()),
                high: slow(&bytes, |byte| !byte.is_ascii()),
                behind: slow(&bytes, |byte| (0x80..0xc0).contains(&byte)),
                slash: slow(&bytes, |byte| byte == b'\\'),
            };
            let u = slow(&bytes, |byte| byte == b'u');
            assert_eq!([letters_u(&bytes), swar::letters_u(&bytes)], [u; 2], "{bytes:?}");
            let first: &[u8; 16] = bytes.first_chunk().expect("16 of 64");
            assert_eq!((specials(&bytes), classes(&bytes)), (special, expected), "{bytes:?}");
            assert_eq!((swar::specials(&bytes), swar::classes(&bytes)), (special, expected), "{bytes:?}");
            assert_eq!([specials_16(first), swar::specials_16(first)], [special as u16 as u32; 2], "{bytes:?}");
        }
    }

    #[test]
    fn escapes_are_told_in_runs_of_any_length() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(12);
        for round in 0..20_000 {
            let few: u64 = random.random();
            let slash = if round % 2 == 0 { few } else { few | random.random::<u64>() };
            let (mut begins, mut escaped) = (0u64, 0u64);
            for at in 0..LANES {
                if slash >> at & 1 == 1 && escaped >> at & 1 == 0 {
                    begins |= 1 << at;
                    escaped |= 1u64.checked_shl(at as u32 + 1).unwrap_or(0);
                }
            }
            assert_eq!(escapes(slash), (begins, escaped), "{slash:b}");
        }
    }
}
