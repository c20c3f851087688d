//! The escapes of JSON strings.
//!
//! Constraint: the strings were checked by the cursor; on others the results are some text, never a panic.

/// The value of every hexadecimal digit; of other bytes, a number that is none.
const DIGITS: [u32; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u32;
        values[b"0123456789ABCDEF"[value] as usize] = value as u32;
        value += 1;
    }
    values
};

const NO_DIGIT: u32 = 1 << 31;

/// The four hexadecimal digits at `at`.
#[inline(always)]
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits: &[u8; 4] = bytes.get(at..)?.first_chunk()?;
    // A byte is always a place in 256.
    let [a, b, c, d] = digits.map(|digit| DIGITS[usize::from(digit)]);
    ((a | b | c | d) < NO_DIGIT).then_some(a << 12 | b << 8 | c << 4 | d)
}

/// What the escape whose backslash stands at `at` means, and its length in bytes.
#[inline(always)]
pub(super) fn escape_at(bytes: &[u8], at: usize) -> (char, usize) {
    match bytes.get(at + 1) {
        Some(b'n') => ('\n', 2),
        Some(b't') => ('\t', 2),
        Some(b'r') => ('\r', 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'u') => match hex4(bytes, at + 2) {
            Some(high @ 0xD800..=0xDBFF) => {
                let low = hex4(bytes, at + 8).unwrap_or(0xDC00);
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF);
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            Some(code) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            None => (char::REPLACEMENT_CHARACTER, 2),
        },
        Some(&other) if other.is_ascii() => (char::from(other), 2),
        _ => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// Appends the text that a string stands for, in UTF-8.
pub(super) fn unescape_into(raw: &str, text: &mut Vec<u8>) {
    let mut rest = raw.as_bytes();
    while let Some(slash) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(rest.get(..slash).unwrap_or_default());
        let (character, length) = escape_at(rest, slash);
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(slash + length..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
}

/// The text that a string stands for.
pub(super) fn unescape(raw: &str) -> String {
    let mut text = Vec::with_capacity(raw.len());
    unescape_into(raw, &mut text);
    // Whole characters were appended.
    String::from_utf8(text).unwrap_or_default()
}

/// The characters that a string stands for.
pub(super) fn characters(raw: &str) -> impl Iterator<Item = char> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (character, length) = if first == '\\' { escape_at(rest.as_bytes(), 0) } else { (first, first.len_utf8()) };
        rest = rest.get(length..).unwrap_or_default();
        Some(character)
    })
}
