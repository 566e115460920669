//! Country names as logs write them.

/// The lower-case ISO 3166 code of a country's English name, or the lower-case name if it is not in this list; `None`
/// if the log has no country.
pub(super) fn code_of(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    if matches!(lower.as_str(), "" | "unspecified" | "unknown" | "european community") {
        return None;
    }
    let found = CODES.iter().find(|(known, _)| *known == lower);
    Some(found.map_or(lower, |(_, code)| (*code).to_owned()))
}

// The Channel Islands have no common code; Jersey is the larger part.
const CODES: [(&str, &str); 58] = [
    ("united kingdom", "gb"),
    ("germany", "de"),
    ("france", "fr"),
    ("eire", "ie"),
    ("ireland", "ie"),
    ("spain", "es"),
    ("netherlands", "nl"),
    ("belgium", "be"),
    ("switzerland", "ch"),
    ("portugal", "pt"),
    ("australia", "au"),
    ("norway", "no"),
    ("italy", "it"),
    ("channel islands", "je"),
    ("finland", "fi"),
    ("cyprus", "cy"),
    ("sweden", "se"),
    ("austria", "at"),
    ("denmark", "dk"),
    ("japan", "jp"),
    ("poland", "pl"),
    ("israel", "il"),
    ("usa", "us"),
    ("united states", "us"),
    ("hong kong", "hk"),
    ("singapore", "sg"),
    ("iceland", "is"),
    ("canada", "ca"),
    ("greece", "gr"),
    ("malta", "mt"),
    ("united arab emirates", "ae"),
    ("rsa", "za"),
    ("south africa", "za"),
    ("lebanon", "lb"),
    ("lithuania", "lt"),
    ("brazil", "br"),
    ("czech republic", "cz"),
    ("czechia", "cz"),
    ("bahrain", "bh"),
    ("saudi arabia", "sa"),
    ("thailand", "th"),
    ("korea", "kr"),
    ("nigeria", "ng"),
    ("bermuda", "bm"),
    ("hungary", "hu"),
    ("romania", "ro"),
    ("bulgaria", "bg"),
    ("croatia", "hr"),
    ("slovakia", "sk"),
    ("slovenia", "si"),
    ("estonia", "ee"),
    ("latvia", "lv"),
    ("luxembourg", "lu"),
    ("turkey", "tr"),
    ("india", "in"),
    ("china", "cn"),
    ("mexico", "mx"),
    ("new zealand", "nz"),
];

#[cfg(test)]
mod tests {
    use crate::import::countries::code_of;

    #[test]
    fn names_become_codes_and_unknown_stays_unknown() {
        assert_eq!(code_of("EIRE").as_deref(), Some("ie"));
        assert_eq!(code_of("United Kingdom").as_deref(), Some("gb"));
        assert_eq!(code_of("European Community"), None);
        assert_eq!(code_of("Atlantis").as_deref(), Some("atlantis"));
    }
}
