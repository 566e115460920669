//! Areas of events: countries and subdivisions by ISO 3166, and whatever else senders may name.

/// Most distinct areas of a dataset. They are numbered in 16 bits; events of further areas count as events of an unknown one.
pub const MAX_AREAS: usize = 10_000;
/// Room that only countries may use, so that no other name can take their place.
const COUNTRIES: usize = 300;
/// Room that subdivisions may not use, so that made-up ones cannot take the place of configured names.
const NAMES: usize = 1_000;

/// The countries of each continent by ISO 3166-1 code, as in the UN's M49 standard. Cloudflare's continents differ in a few
/// islands only.
const CONTINENTS: [(&str, &str); 7] = [
    (
        "af",
        "ao bf bi bj bw cd cf cg ci cm cv dj dz eg eh er et ga gh gm gn gq gw ke km lr ls ly ma mg ml mr mu mw mz na ne \
         ng re rw sc sd sh sl sn so ss st sz td tf tg tn tz ug yt za zm zw",
    ),
    ("an", "aq bv gs hm"),
    (
        "as",
        "ae af am az bd bh bn bt cc cn cx cy ge hk id il in io iq ir jo jp kg kh kp kr kw kz la lb lk mm mn mo mv my np \
         om ph pk ps qa sa sg sy th tj tl tm tr tw uz vn ye",
    ),
    (
        "eu",
        "ad al at ax ba be bg by ch cz de dk ee es fi fo fr gb gg gi gr hr hu ie im is it je li lt lu lv mc md me mk mt \
         nl no pl pt ro rs ru se si sj sk sm ua va xk",
    ),
    (
        "na",
        "ag ai aw bb bl bm bq bs bz ca cr cu cw dm do gd gl gp gt hn ht jm kn ky lc mf mq ms mx ni pa pm pr sv sx tc tt \
         us vc vg vi",
    ),
    ("oc", "as au ck fj fm gu ki mh mp nc nf nr nu nz pf pg pn pw sb tk to tv um vu wf ws"),
    ("sa", "ar bo br cl co ec fk gf gy pe py sr uy ve"),
];

/// Letters of the alphabet.
const LETTERS: usize = 26;

/// Place in [`CONTINENTS`] of each pair of letters, plus 1; 0 for one that is no country.
static CONTINENT_OF: [u8; LETTERS * LETTERS] = {
    let mut table = [0; LETTERS * LETTERS];
    let mut place = 0;
    while place < CONTINENTS.len() {
        let codes = CONTINENTS[place].1.as_bytes();
        let mut at = 0;
        while at + 1 < codes.len() {
            table[(codes[at] - b'a') as usize * LETTERS + (codes[at + 1] - b'a') as usize] = place as u8 + 1;
            at += 3;
        }
        place += 1;
    }
    table
};

/// The continent's lower-case code of a country's lower-case code; `None` if it is none of ISO 3166-1.
pub fn continent(country: &str) -> Option<&'static str> {
    let [first, second] = country.as_bytes() else { return None };
    let letter = |byte: &u8| byte.is_ascii_lowercase().then(|| usize::from(byte - b'a'));
    let place = CONTINENT_OF[letter(first)? * LETTERS + letter(second)?];
    CONTINENTS.get(usize::from(place).checked_sub(1)?).map(|(continent, _)| *continent)
}

/// Whether a lower-case area is a country of ISO 3166-1, or has the form of a subdivision of one, `us-ca`.
pub fn is_iso(area: &str) -> bool {
    match area.split_once('-') {
        None => continent(area).is_some(),
        Some((country, subdivision)) => {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            (1..=3).contains(&subdivision.len())
                && subdivision.bytes().all(legal)
                && continent(country).is_some()
        }
    }
}

/// The number of areas of a dataset up to which this one may be added.
pub fn room(area: &str) -> usize {
    match area {
        _ if continent(area).is_some() => MAX_AREAS + COUNTRIES,
        _ if is_iso(area) => MAX_AREAS - NAMES,
        _ => MAX_AREAS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_country_has_its_continent() {
        let codes: Vec<&str> = CONTINENTS.iter().flat_map(|(_, codes)| codes.split(' ')).collect();
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!((distinct.len(), codes.len()), (250, 250), "ISO 3166-1 has 249, and Kosovo");
        for (on, codes) in CONTINENTS {
            assert!(codes.split(' ').all(|code| continent(code) == Some(on) && code.len() == 2), "{on}");
        }
        assert!(COUNTRIES >= codes.len());
    }

    #[test]
    fn made_up_areas_are_not_of_iso() {
        for area in ["gb", "us-ca", "fr-75", "gb-eng", "xk"] {
            assert!(is_iso(area), "{area}");
        }
        for area in [
            "",
            "zz",
            "GB",
            "uk",
            "atlantis",
            "world",
            "gb-",
            "gb-engl",
            "zz-a",
            "gb-e!",
            "continent-eu",
            "-",
            "g-b",
            "é",
        ] {
            assert!(!is_iso(area), "{area}");
        }
        assert!(room("gb") > room("dach") && room("dach") > room("us-zzz"));
    }

    proptest! {
        #[test]
        fn any_area_is_judged(area in "\\PC{0,6}|[a-z]{2}(-[a-z0-9]{0,4})?") {
            prop_assert!(is_iso(&area) || continent(&area).is_none());
            prop_assert!(room(&area) <= usize::from(u16::MAX));
        }
    }
}
