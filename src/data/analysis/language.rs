//! A guess of each row's language.

use crate::data::Row;

use super::shingles::spoken;

/// A language by number: 0 is unknown, the others are places in `whatlang`'s list plus one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Language(pub u8);

/// Characters that are looked at; more do not change the guess and cost time.
const LOOKED_AT: usize = 400;
/// Texts with fewer letters say little about their language.
const FEWEST_LETTERS: usize = 12;
/// A guess below this confidence counts as unknown.
const SURE: f64 = 0.2;

/// Frequent English words that hardly occur in other languages. Every third word of English prose is one of them.
const ENGLISH: [&str; 32] = [
    "the", "and", "of", "to", "that", "with", "you", "this", "for", "from", "what", "how", "which", "your", "have",
    "has", "are", "can", "would", "should", "will", "they", "their", "it", "be", "as", "by", "or", "an", "not", "is",
    "when",
];

impl Language {
    pub const UNKNOWN: Self = Self(0);

    fn known(self) -> Option<whatlang::Lang> {
        whatlang::Lang::all().get(usize::from(self.0).checked_sub(1)?).copied()
    }

    /// ISO 639-3 code, `und` where unknown.
    pub fn code(self) -> &'static str {
        self.known().map_or("und", |language| language.code())
    }

    /// English name.
    pub fn name(self) -> &'static str {
        self.known().map_or("unknown", whatlang::Lang::eng_name)
    }

    fn from(language: whatlang::Lang) -> Self {
        let place = whatlang::Lang::all().iter().position(|other| *other == language);
        place.and_then(|place| u8::try_from(place + 1).ok()).map_or(Self::UNKNOWN, Self)
    }

    /// The language of what is said in a row, from its beginning.
    pub(super) fn of_row(row: &Row) -> Self {
        let mut text = String::with_capacity(LOOKED_AT * 2);
        let mut left = LOOKED_AT;
        for turn in spoken(row) {
            let before = text.len();
            text.extend(turn.text.chars().take(left));
            left -= text.get(before..).map_or(0, |added| added.chars().count()).min(left);
            text.push('\n');
        }
        Self::of(&text)
    }

    fn of(text: &str) -> Self {
        let letters = text.chars().filter(|c| c.is_alphabetic()).take(FEWEST_LETTERS).count();
        // One character of a script written without blanks says as much as a word.
        let is_dense = text.chars().any(|c| u32::from(c) >= 0x0E00);
        if letters < FEWEST_LETTERS && !(is_dense && letters >= 2) {
            return Self::UNKNOWN;
        }
        if is_plainly_english(text) {
            return Self::from(whatlang::Lang::Eng);
        }
        match whatlang::detect(text) {
            Some(info) if info.confidence() >= SURE => Self::from(info.lang()),
            _ => Self::UNKNOWN,
        }
    }
}

/// True where the words leave no doubt. The library compares every text with the profile of every language, 100 µs a row;
/// most rows of most sets are English and need none of it.
fn is_plainly_english(text: &str) -> bool {
    let (mut words, mut english) = (0_usize, 0_usize);
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        words += 1;
        english += usize::from(ENGLISH.iter().any(|known| known.eq_ignore_ascii_case(word)));
    }
    words >= 8 && english * 5 >= words
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Language {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// How many rows a language has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct LanguageCount {
    pub language: Language,
    pub rows: u64,
}

/// Rows by language, the most frequent first.
pub(super) fn count(languages: &[Language]) -> Vec<LanguageCount> {
    let mut counts = [0_u64; 256];
    for language in languages {
        if let Some(count) = counts.get_mut(usize::from(language.0)) {
            *count += 1;
        }
    }
    let found = counts.iter().zip(0..=u8::MAX).filter(|(rows, _)| **rows > 0);
    let mut list: Vec<_> = found.map(|(rows, code)| LanguageCount { language: Language(code), rows: *rows }).collect();
    list.sort_by_key(|count| (std::cmp::Reverse(count.rows), count.language));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_number_of_its_own() {
        let all = whatlang::Lang::all();
        assert!(all.len() > 60);
        for language in all {
            assert_eq!(Language::from(*language).known(), Some(*language));
        }
        assert_eq!((Language::UNKNOWN.code(), Language(255).code()), ("und", "und"));
    }

    #[test]
    fn plain_sentences_are_told_apart() {
        for (text, code) in [
            ("Please write a short letter to my landlord about the broken heating.", "eng"),
            ("Bitte schreibe meinem Vermieter einen kurzen Brief über die kaputte Heizung.", "deu"),
            ("Écris une courte lettre à mon propriétaire au sujet du chauffage en panne.", "fra"),
            ("Напиши короткое письмо хозяину квартиры о сломанном отоплении.", "rus"),
            ("大家に暖房の故障について短い手紙を書いてください。", "jpn"),
            ("집주인에게 고장 난 난방에 대해 짧은 편지를 써 주세요.", "kor"),
            ("ok", "und"),
            ("12345 67890", "und"),
        ] {
            assert_eq!(Language::of(text).code(), code, "{text}");
        }
    }

    #[test]
    fn the_short_cut_says_what_the_library_says() {
        let demo = include_str!("../../../assets/demo/custom.jsonl");
        let (mut short, mut agree) = (0, 0);
        for line in demo.lines() {
            // The demo set has a broken row on purpose.
            let Ok(row) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line) else { continue };
            let text: String = row.values().filter_map(|value| value.as_str()).collect::<Vec<_>>().join("\n");
            if is_plainly_english(&text) {
                short += 1;
                agree += usize::from(whatlang::detect_lang(&text) == Some(whatlang::Lang::Eng));
            }
        }
        // The library errs on a few short rows; the short cut must not be the one that errs.
        assert!(short > 300 && agree * 100 >= short * 97, "{agree} of {short}");
        for text in [
            "De kat zit op de mat en de hond is in de tuin van de buren, want het is mooi weer.",
            "Das ist der Text, den ich dir gestern geschickt habe, und er ist nicht sehr lang.",
            "Il est important de lire les documents avant de signer le contrat avec le client.",
            "el perro come the carne and la casa es grande de mi madre y mi padre",
        ] {
            assert!(!is_plainly_english(text), "{text}");
        }
    }

    #[test]
    fn the_most_frequent_comes_first() {
        let list = count(&[Language(3), Language(0), Language(3), Language(2)]);
        let pairs: Vec<_> = list.iter().map(|count| (count.language.0, count.rows)).collect();
        assert_eq!(pairs, [(3, 2), (0, 1), (2, 1)]);
    }
}
