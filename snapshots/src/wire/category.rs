//! Paths of categories: one rule for feeds, filters, rules and facets.
//!
//! A path goes from the widest category to the narrowest with `>` between them. All other signs (`.`, `/`, `|`) belong to
//! the names. Two names are the same if they differ in case or in blanks only.

use std::iter;

/// What separates a category from its parent in a path.
pub const PATH_SEPARATOR: &str = " > ";

/// A path as a snapshot holds it: `Home>Kitchen & Co. > ` is `Home > Kitchen & Co.`. `&gt;`, which feeds carry over from
/// HTML, separates too.
pub fn path(text: &str) -> String {
    let text = text.replace("&gt;", ">");
    let mut path = String::with_capacity(text.len() + 8);
    for name in names(&text) {
        if !path.is_empty() {
            path.push_str(PATH_SEPARATOR);
        }
        path.push_str(name);
    }
    path
}

/// Whether a category is `wanted` or lies below it. Nothing lies below an empty path.
pub fn is_within(category: &str, wanted: &str) -> bool {
    let mut above = names(category);
    let mut wanted = names(wanted).peekable();
    wanted.peek().is_some() && wanted.all(|name| above.next().is_some_and(|known| is_same(known, name)))
}

/// Whether two names, of categories or brands, are the same.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || folded(one).eq(folded(other))
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('>').map(str::trim).filter(|name| !name.is_empty())
}

/// Full case folding, but for letters that no two words differ by: lower case, as `ẞ` has no other upper case; upper case,
/// which writes `ß` as `SS` and all three sigmas as one; and lower case.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.split_whitespace()
        .flat_map(|word| iter::once(' ').chain(word.chars()))
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_separator_separates() {
        assert_eq!(path("Home>Kitchen & Co. > "), "Home > Kitchen & Co.");
        assert_eq!(path("Dr. Martens | Men/Women"), "Dr. Martens | Men/Women");
        assert_eq!(path("Home &gt; Pots"), "Home > Pots");
        assert_eq!(path(" > "), "");
    }

    #[test]
    fn the_shops_spelling_matches_whatever_the_case() {
        for (category, wanted, expected) in [
            ("Garden > Tools", "garden", true),
            ("Garden > Tools", "GARDEN>tools", true),
            ("Straßen > Öfen", "STRASSEN > öFEN", true),
            ("GROẞ", "gross", true),
            ("ΟΔΟΣ", "οδος", true),
            ("Garden", "Garden > Tools", false),
            ("Gardening", "Garden", false),
            ("Garden", "", false),
            ("Cups  and mugs", " cups and  MUGS ", true),
        ] {
            assert_eq!(is_within(category, wanted), expected, "{category} below {wanted}");
        }
    }

    proptest! {
        #[test]
        fn every_path_is_within_itself_and_its_parents(names in prop::collection::vec("[^>&\\p{Cc}\\s][^>&\\p{Cc}]{0,6}", 1..5)) {
            let whole = path(&names.join(">"));
            prop_assert_eq!(path(&whole), whole.clone());
            for end in 1..=names.len() {
                let above = names[..end].join(" > ");
                prop_assert!(is_within(&whole, &above), "{} below {}", whole, above);
            }
        }
    }
}
