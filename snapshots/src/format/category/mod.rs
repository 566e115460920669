//! Category paths and names of brands, and when two of them are the same.
//!
//! A path goes from the widest category to the narrowest with `>` between them. All other characters (`.`, `/`, `|`) belong
//! to the names. Names are compared by Unicode's full case folding; blanks around them do not count, and one blank inside a
//! name equals several.

mod folding;

use folding::{LONGER, PAIRED, SHIFTED, SHIFTED_BEYOND};

/// What separates a category from its parent in a path.
pub const PATH_SEPARATOR: &str = " > ";

/// The names of a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('>').map(str::trim).filter(|name| !name.is_empty())
}

/// The path as a snapshot holds it: `Home>Kitchen & Co. > ` is `Home > Kitchen & Co.`. Names keep their spelling. `&gt;`,
/// which feeds carry over from HTML, separates too.
pub fn path(text: &str) -> String {
    let text = text.replace("&gt;", ">");
    names(&text).collect::<Vec<_>>().join(PATH_SEPARATOR)
}

/// Whether a category is `wanted` or a subcategory of it. An empty path has no subcategories.
pub fn is_within(category: &str, wanted: &str) -> bool {
    Wanted::new(wanted).includes(category)
}

/// A name to find among many, such as that of a brand.
#[derive(Clone, Debug)]
pub struct WantedName(String);

impl WantedName {
    /// Prepares a name as a merchandiser or visitor wrote it.
    pub fn new(text: &str) -> Self {
        Self(folded_words(text).collect())
    }

    /// Whether a name of a snapshot is this one.
    pub fn is(&self, name: &str) -> bool {
        match (self.0.as_bytes().first(), name.as_bytes().first()) {
            (None, _) => false,
            // Most names differ in the first letter; one of ASCII folds to no other.
            (Some(wanted), Some(known))
                if known.is_ascii_alphanumeric() && known.to_ascii_lowercase() != *wanted =>
            {
                false
            }
            _ => folded_words(name).eq(self.0.chars()),
        }
    }
}

/// A category to find, with its subcategories, among many.
#[derive(Clone, Debug)]
pub struct Wanted(String);

impl Wanted {
    /// Prepares a path as a merchandiser or visitor wrote it.
    pub fn new(text: &str) -> Self {
        Self(folded(&text.replace("&gt;", ">")).collect())
    }

    /// Whether a category of a snapshot is this one or a subcategory.
    pub fn includes(&self, category: &str) -> bool {
        let alike = |(wanted, known): &(u8, u8)| *wanted == known.to_ascii_lowercase() && known.is_ascii();
        let same = self.0.bytes().zip(category.bytes()).take_while(alike).count();
        match category.as_bytes().get(same) {
            // Most categories differ in an early letter of ASCII, which folds to no other.
            Some(letter) if letter.is_ascii_alphanumeric() => return false,
            None if same < self.0.len() => return false,
            _ => {}
        }
        let mut category = folded(category);
        let starts = self.0.chars().all(|letter| category.next() == Some(letter));
        let mut ends = || category.next().is_none_or(|blank| blank == ' ' && category.next() == Some('>'));
        starts && !self.0.is_empty() && ends()
    }
}

/// A path with folded names, separated as in a snapshot.
fn folded(path: &str) -> impl Iterator<Item = char> {
    names(path).enumerate().flat_map(|(place, name)| {
        let separator = if place == 0 { "" } else { PATH_SEPARATOR };
        separator.chars().chain(folded_words(name))
    })
}

fn folded_words(name: &str) -> impl Iterator<Item = char> {
    name.split_whitespace().enumerate().flat_map(|(place, word)| {
        let blank = if place == 0 { "" } else { " " };
        blank.chars().chain(
            word.chars().map(fold).flat_map(|(first, rest)| core::iter::once(first).chain(rest.chars())),
        )
    })
}

/// A letter's folding: its first letter and the others.
fn fold(letter: char) -> (char, &'static str) {
    if letter.is_ascii() {
        return (letter.to_ascii_lowercase(), "");
    }
    let code = u32::from(letter);
    let shifted = |by: i32| (code.checked_add_signed(by).and_then(char::from_u32).unwrap_or(letter), "");
    let Ok(short) = u16::try_from(code) else {
        let range = SHIFTED_BEYOND.iter().find(|(first, last, _)| (*first..=*last).contains(&code));
        return range.map_or((letter, ""), |range| shifted(range.2));
    };
    // Greek letters with a iota subscript, in blocks of sixteen: eight small ones, then their capitals.
    if let 0x1f80..0x1fb0 = short {
        let bare = [0x1f00, 0x1f20, 0x1f60].into_iter().nth(usize::from((short - 0x1f80) / 16));
        return (bare.and_then(|bare| char::from_u32(bare + (code & 7))).unwrap_or(letter), "ι");
    }
    let last = SHIFTED
        .partition_point(|(first, ..)| *first <= short)
        .checked_sub(1)
        .and_then(|place| SHIFTED.get(place));
    if let Some((.., by)) = last.filter(|(_, last, _)| short <= *last) {
        return shifted(*by);
    }
    let last = PAIRED
        .partition_point(|(first, _)| *first <= short)
        .checked_sub(1)
        .and_then(|place| PAIRED.get(place));
    if last.is_some_and(|(first, last)| short <= *last && (short - first).is_multiple_of(2)) {
        return shifted(1);
    }
    let longer =
        LONGER.binary_search_by_key(&short, |(letter, _)| *letter).ok().and_then(|place| LONGER.get(place));
    let split = longer.and_then(|(_, text)| Some((text.chars().next()?, text)));
    split.map_or((letter, ""), |(first, text)| (first, text.get(first.len_utf8()..).unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded_letter(letter: char) -> String {
        let (first, rest) = fold(letter);
        format!("{first}{rest}")
    }

    /// Full case folding, as the standard library's conversions give it.
    fn expected(letter: char) -> String {
        letter.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
    }

    #[test]
    fn letters_fold_as_by_the_conversions_of_the_standard_library() {
        // Later versions of Unicode add letters in the last blocks only.
        let differ = ('\0'..=char::MAX).filter(|letter| folded_letter(*letter) != expected(*letter));
        assert_eq!(differ.filter(|letter| *letter < '\u{a7c0}').collect::<String>(), "");
    }

    #[test]
    fn only_the_separator_separates() {
        assert_eq!(path("Home>Kitchen & Co. > "), "Home > Kitchen & Co.");
        assert_eq!(path("Dr. Martens | Men/Women"), "Dr. Martens | Men/Women");
        assert_eq!(path("Home &gt; Pots"), "Home > Pots");
        assert_eq!(path(" > "), "");
    }

    #[test]
    fn categories_match_in_any_spelling() {
        for (category, wanted, expected) in [
            ("Garden > Tools", "garden", true),
            ("Garden > Tools", "GARDEN>tools", true),
            ("Garden>Tools", " Garden  > Tools > ", true),
            ("Straßen > Öfen", "STRASSEN > öFEN", true),
            ("Strassen", "straß", false),
            ("GROẞ", "gross", true),
            ("ΟΔΟΣ", "οδος", true),
            ("Дача > Сад", "ДАЧА > сад", true),
            ("Garden", "Garden > Tools", false),
            ("Gardening", "Garden", false),
            ("Garden tools", "Garden", false),
            ("Garden", "", false),
            ("Garden", ">", false),
            ("Cups  and mugs", " cups and  MUGS ", true),
            ("No.7 > Care", "no.7", true),
            ("No.7 > Care", "No", false),
        ] {
            assert_eq!(is_within(category, wanted), expected, "{category} within {wanted}");
        }
    }

    #[test]
    fn names_match_in_any_spelling() {
        let is = |name: &str, wanted: &str| WantedName::new(wanted).is(name);
        assert!(is("Ærø  Æble", " ærø æble") && is("STRAẞE", "strasse") && is("Acme > Co", "acme > CO"));
        assert!(!is("a", "ab") && !is("ab", "a") && !is("", "") && !is("Acme", ""));
    }

    /// What `includes` computes, by definition.
    fn within(category: &str, wanted: &str) -> bool {
        let list = |path: &str| {
            let folded = |name: &str| {
                name.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(expected).collect()
            };
            path.split('>')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(folded)
                .collect::<Vec<String>>()
        };
        let (category, wanted) = (list(category), list(wanted));
        !wanted.is_empty() && category.starts_with(&wanted)
    }

    proptest! {
        #[test]
        fn every_path_is_within_itself_and_its_parents_in_every_spelling(
            names in prop::collection::vec("[^>&\\p{Cc}\\s][^>&\\p{Cc}]{0,6}|[a-cß]{1,3}", 1..5), upper in any::<bool>(),
            separator in "[ \t]{0,2}>[ ]{0,2}",
        ) {
            let whole = path(&names.join(">"));
            prop_assert_eq!(path(&whole), &*whole);
            for end in 1..=names.len() {
                let above = names[..end].join(&separator);
                let above = if upper { above.to_uppercase() } else { above.to_lowercase() };
                prop_assert!(is_within(&whole, &above), "{} within {}", whole, above);
            }
        }

        #[test]
        fn a_name_is_itself_in_every_spelling(name in "\\PC{1,12}|[a-cA-Cß]{1,3}", other in "[a-cA-Cß ]{0,3}") {
            let wanted = WantedName::new(&name);
            let found = !name.trim().is_empty();
            prop_assert_eq!(wanted.is(&name.to_uppercase()), found && WantedName::new(&name.to_uppercase()).is(&name));
            prop_assert_eq!(wanted.is(&format!(" {name} ")), found);
            let alike = !other.trim().is_empty()
                && folded_words(&name).collect::<String>() == folded_words(&other).collect::<String>();
            prop_assert_eq!(wanted.is(&other), alike);
        }

        #[test]
        fn a_search_finds_what_the_definition_says(
            category in "[a-cA-Cß >é]{0,9}|\\PC{0,12}", wanted in "[a-cA-Cß >é]{0,5}|\\PC{0,9}",
        ) {
            prop_assert_eq!(is_within(&category, &wanted), within(&category, &wanted.replace("&gt;", ">")));
        }
    }
}
