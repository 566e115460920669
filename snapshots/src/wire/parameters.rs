//! The names of query parameters: known ones, ones that are ignored, and what an unknown one was meant to be.

/// The parameters of one item.
pub const ITEM: &[&str] = PARAMETERS.split_at(1).0;
/// The parameters of a list.
pub const LIST: &[&str] = &PARAMETERS;
/// All parameters.
const PARAMETERS: [&str; 14] = [
    "region",
    "limit",
    "cursor",
    "exclude",
    "category",
    "brand",
    "price_min",
    "price_max",
    "strategy",
    "segment",
    "force",
    "placement",
    "item",
    "recents",
];

/// Parameters that campaigns, analytics and caches append to the addresses of a storefront, besides `utm_…`.
const IGNORED: [&str; 18] = [
    "_",
    "_ga",
    "_gl",
    "cb",
    "dclid",
    "epik",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "mc_cid",
    "mc_eid",
    "msclkid",
    "srsltid",
    "ttclid",
    "twclid",
    "wbraid",
];

/// Longest unknown name that is repeated in an error, in characters.
const MAX_NAME: usize = 64;

/// Whether a parameter has no meaning to Verge but is not an error.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with("utm_") || IGNORED.contains(&name)
}

/// The name as an error repeats it, and what is wrong with it.
pub(super) fn unknown(name: &str, accepted: &[&str]) -> (String, String) {
    let shown: String = name.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect();
    let detail = match nearest(name, accepted) {
        Some(meant) => format!("unknown parameter; did you mean `{meant}`?"),
        None if accepted.is_empty() => "this path has no parameters".to_owned(),
        None => format!("unknown parameter; this path has {}", accepted.join(", ")),
    };
    (if shown.is_empty() { "query".to_owned() } else { shown }, detail)
}

/// The accepted name that a misspelt one is nearest to, by letters alone: `priceMin`, `min_price` and `pricemn` are
/// `price_min`.
fn nearest<'a>(name: &str, accepted: &[&'a str]) -> Option<&'a str> {
    let letters = |text: &str| text.bytes().filter(u8::is_ascii_alphanumeric).collect::<Vec<_>>();
    let given = letters(&name.chars().take(MAX_NAME).collect::<String>().to_ascii_lowercase());
    let most = given.len().div_ceil(3).min(3).min(given.len().saturating_sub(1));
    (0..=most).find_map(|most| {
        let is_near = |known: &&&str| {
            let (first, last) = known.split_once('_').unwrap_or((known, ""));
            [letters(&[first, last].concat()), letters(&[last, first].concat())]
                .iter()
                .any(|known| is_within(&given, known, most))
        };
        accepted.iter().find(is_near).copied()
    })
}

/// Whether at most `most` insertions, removals, replacements and swaps of neighbours turn one text into the other.
fn is_within(one: &[u8], other: &[u8], most: usize) -> bool {
    let ([first, one_rest @ ..], [second, other_rest @ ..]) = (one, other) else {
        return one.len().abs_diff(other.len()) <= most;
    };
    if first == second {
        return is_within(one_rest, other_rest, most);
    }
    let Some(most) = most.checked_sub(1) else { return false };
    let swapped = match (one, other) {
        ([a, b, one @ ..], [c, d, other @ ..]) if a == d && b == c => is_within(one, other, most),
        _ => false,
    };
    swapped
        || is_within(one_rest, other_rest, most)
        || is_within(one_rest, other, most)
        || is_within(one, other_rest, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_misspelt_name_is_recognised() {
        for (name, expected) in [
            ("limt", Some("limit")),
            ("limti", Some("limit")),
            ("Limit", Some("limit")),
            ("price-min", Some("price_min")),
            ("maxPrice", Some("price_max")),
            ("price[max]", Some("price_max")),
            ("items", Some("item")),
            ("item[]", Some("item")),
            ("excluded", Some("exclude")),
            ("categories", Some("category")),
            ("recent", Some("recents")),
            ("colour", None),
            ("q", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(nearest(name, LIST), expected, "{name}");
        }
        assert_eq!(nearest("limt", ITEM), None);
    }

    #[test]
    fn an_error_lists_what_the_path_accepts() {
        assert_eq!(unknown("colour", ITEM).1, "unknown parameter; this path has region");
        assert_eq!(unknown("colour", &[]).1, "this path has no parameters");
        let (name, _) = unknown(&"x\u{0}".repeat(100), LIST);
        assert_eq!(name, "x".repeat(64));
    }

    proptest! {
        #[test]
        fn one_error_of_spelling_is_understood(
            known in prop::sample::select(LIST), at in any::<prop::sample::Index>(), kind in 0..4u8, letter in "[a-z]",
        ) {
            let mut name: Vec<char> = known.chars().collect();
            let at = at.index(name.len());
            match kind {
                0 => name.insert(at, letter.chars().next().unwrap()),
                1 => drop(name.remove(at)),
                2 => name[at] = letter.chars().next().unwrap(),
                _ => name.swap(at, (at + 1).min(known.len() - 1)),
            }
            let name: String = name.into_iter().collect();
            // `price_mix` is as near to one as to the other.
            let alike = |found: &str| found == known || found.starts_with("price") && known.starts_with("price");
            prop_assert!(nearest(&name, LIST).is_some_and(alike), "{}", name);
        }

        #[test]
        fn any_name_is_bounded(name in "\\PC{0,300}") {
            let (shown, detail) = unknown(&name, LIST);
            prop_assert!(!shown.is_empty() && shown.chars().count() <= 64 && detail.len() < 300);
        }
    }
}
