//! Codes and symbols of currencies.

use super::PriceError;

/// The currency that words beside a number name, and whether one is a symbol of countries with a decimal point.
pub(super) fn of_words<'a>(
    words: impl Iterator<Item = &'a str>,
) -> Result<(Option<&'static str>, bool), PriceError> {
    let mut named: Option<&'static str> = None;
    let mut has_point_symbol = false;
    for word in words {
        has_point_symbol |= ["$", "¥", "￥"].contains(&word) || among("Rs Rs.", word).is_some();
        match (named, of(word).ok_or(PriceError::Invalid)?) {
            (Some(known), Some(code)) if known != code => return Err(PriceError::TwoCurrencies),
            (_, Some(code)) => named = Some(code),
            _ => {}
        }
    }
    Ok((named, has_point_symbol))
}

/// The element of a list, with blanks between its elements, that a word is. Case of ASCII does not matter.
fn among(list: &'static str, word: &str) -> Option<&'static str> {
    list.split_ascii_whitespace().find(|known| known.eq_ignore_ascii_case(word))
}

/// Whether the users of a currency write a decimal point.
pub(super) fn uses_point(code: &str) -> bool {
    among(POINT_CURRENCIES, code).is_some()
}

/// The code of a currency's code or symbol; `Some(None)` for a symbol that several share.
fn of(word: &str) -> Option<Option<&'static str>> {
    if word.len() == 3
        && let Some(code) = among(CODES, word)
    {
        return Some(Some(code));
    }
    let symbol = SYMBOLS.iter().find(|(symbols, _)| among(symbols, word).is_some());
    symbol.map(|(_, code)| (!code.is_empty()).then_some(*code))
}

/// Currencies whose users write a decimal point and commas between thousands, and at most two decimals.
const POINT_CURRENCIES: &str =
    "USD GBP INR AUD NZD JPY CNY KRW HKD SGD TWD THB MYR PHP ILS MXN NGN KES PKR LKR BDT NPR";

/// Symbols and short names, and the currency that they stand for, if it is one.
const SYMBOLS: [(&str, &str); 45] = [
    ("$ ¥ ￥ Rs Rs. kr kr. :- dh dhs", ""),
    ("€ euro euros", "EUR"),
    ("£", "GBP"),
    ("US$ U$S", "USD"),
    ("C$ CA$ CAD$", "CAD"),
    ("A$ AU$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("S$ SG$", "SGD"),
    ("NT$", "TWD"),
    ("MX$", "MXN"),
    ("R$", "BRL"),
    ("円", "JPY"),
    ("元", "CNY"),
    ("₹", "INR"),
    ("₽ руб руб. Руб. РУБ", "RUB"),
    ("₺ TL", "TRY"),
    ("₴ грн грн.", "UAH"),
    ("₩ 원", "KRW"),
    ("₪", "ILS"),
    ("฿", "THB"),
    ("₫ đ", "VND"),
    ("₱", "PHP"),
    ("₦", "NGN"),
    ("₸", "KZT"),
    ("₾", "GEL"),
    ("₼", "AZN"),
    ("zł Zł ZŁ zl", "PLN"),
    ("Kč KČ Kc", "CZK"),
    ("Ft", "HUF"),
    ("lei leu", "RON"),
    ("лв лв. Лв. lv.", "BGN"),
    ("Fr. SFr. SFr", "CHF"),
    ("R", "ZAR"),
    ("RM", "MYR"),
    ("Rp Rp.", "IDR"),
    ("S/ S/.", "PEN"),
    ("KSh", "KES"),
    ("kn", "HRK"),
    ("din din. дин дин.", "RSD"),
    ("ден ден. den", "MKD"),
    ("KM", "BAM"),
    ("د.إ", "AED"),
    ("ر.س", "SAR"),
    ("Q", "GTQ"),
];

/// The codes of ISO 4217 that are money.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF \
    CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG \
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK \
    MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD \
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV \
    WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::price::read;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_symbol_names_its_currency(place in 0..SYMBOLS.len(), is_before in any::<bool>(), gap in " ?") {
            let (symbols, code) = SYMBOLS[place];
            for symbol in symbols.split(' ') {
                let text = if is_before { format!("{symbol}{gap}7.50") } else { format!("7.50{gap}{symbol}") };
                // `:-` stands after a number without cents.
                let expected = read(&text, None).map(|price| price.currency);
                prop_assert!(symbol == ":-" || expected == Ok((!code.is_empty()).then_some(code)), "{}", text);
            }
        }
    }
}
