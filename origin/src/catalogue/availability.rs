//! Words for the availability of an item: those of Google, Facebook and schema.org, and those of shop systems and
//! merchants in many languages.

use origin_data::fields::shown;

/// Reads a word, a quantity, or yes and no. An item that can be ordered and is delivered later is available.
///
/// # Errors
/// The word is unknown; the error lists the accepted values.
pub(super) fn read(text: &str) -> Result<bool, String> {
    let lower = text.trim().to_lowercase();
    let address = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")).unwrap_or(&lower);
    let address = address.strip_prefix("www.").unwrap_or(address);
    let word =
        ["schema.org/", "schema:"].iter().find_map(|start| address.strip_prefix(start)).unwrap_or(&lower);
    // `5`, `5.0`, `>10`, `99+`
    let number = word.trim_start_matches('>').trim_end_matches('+').trim();
    if number.starts_with(|sign: char| sign.is_ascii_digit() || sign == '-')
        && let Ok(quantity) = number.replace(',', ".").parse::<f64>()
    {
        return Ok(quantity > 0.0);
    }
    let compact: String = word.chars().filter(|sign| sign.is_alphanumeric()).collect();
    if is_among(IN, &compact) {
        return Ok(true);
    }
    if is_among(OUT, &compact) {
        return Ok(false);
    }
    // `3 in stock`, `Only 2 left`, `In stock (3)`
    let digit = |sign: char| sign.is_ascii_digit();
    let mut parts = compact.split(digit).filter(|part| !part.is_empty());
    let (one, other) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let stock = if one == "only" { other } else { one };
    let of_stock = is_among(IN, stock) || is_among("left leftinstock remaining pieces pcs", stock);
    if compact.contains(digit) && of_stock && (one == "only" || other.is_empty()) && parts.next().is_none() {
        return Ok(!word.starts_with('-') && compact.bytes().any(|byte| matches!(byte, b'1'..=b'9')));
    }
    Err(format!(
        "'{}' is not known; expected in_stock, out_of_stock, preorder, backorder, yes, no or a quantity",
        shown(text)
    ))
}

fn is_among(words: &str, compact: &str) -> bool {
    !compact.is_empty() && words.split_whitespace().any(|word| word == compact)
}

/// Words of letters and digits in lower case, without separators; one language a line.
const IN: &str = "
    instock available availablenow availablefororder availableforsale preorder preordering presale backorder onbackorder
    backordered limitedavailability limitedstock lowstock onlineonly instoreonly madetoorder fewleft lastitems unlimited yes
    true y on
    auflager lagernd lieferbar verfügbar vorrätig sofortlieferbar sofortverfügbar vorbestellung vorbestellbar vorbestellen lieferrückstand ja
    enstock disponible precommande précommande surcommande oui
    enexistencias hayexistencias disponibleparareservar reserva preventa sí si
    disponibile inmagazzino preordine prenotabile sì
    opvoorraad leverbaar beschikbaar voorbestelling voorbestellen nabestelling
    emestoque emstock disponível disponivel prévenda prevenda sim
    wmagazynie dostępny dostępne dostępność przedsprzedaż tak
    ilager finnsilager påbeställning förbeställning pålager forudbestilling forhåndsbestilling forhåndsbestilles
    varastossa saatavilla ennakkotilaus kyllä
    skladem naskladě předobjednávka dostupné dostupný ano naskladom predobjednávka raktáron elérhető előrendelés igen
    înstoc instoc precomandă stokta stoktavar mevcut önsipariş evet σεδιαθεσιμότητα διαθέσιμο
    вналичии есть предзаказ подзаказ да внаявності
    在庫あり 予約 予約受付中 取り寄せ 有货 有貨 現貨 现货 预订 預購 재고있음 예약구매
";

const OUT: &str = "
    outofstock sold soldout unavailable notavailable notinstock nostock nolongeravailable discontinued temporarilyoutofstock
    temporarilyunavailable currentlyunavailable oos reserved no false n off
    nichtauflager nichtverfügbar nichtlieferbar nichtvorrätig ausverkauft vergriffen nein
    enrupturedestock rupturedestock rupture épuisé epuise indisponible nondisponible nodisponible horsstock non
    agotado sinexistencias sinstock fueradestock fueradeexistencias nodisponible
    esaurito nondisponibile nonpiùdisponibile
    nietopvoorraad uitverkocht nietleverbaar nietbeschikbaar nee
    esgotado foradeestoque semestoque semstock indisponível indisponivel não nao
    brak niedostępny niedostępne brakwmagazynie wyprzedane nie
    ejilager slutilager slutsåld slut ikkepålager udsolgt utsolgt
    eivarastossa loppuvarastosta loppuunmyyty loppu ei
    nenískladem vyprodáno nedostupné nedostupný vypredané niejenasklade nincsraktáron elfogyott nem
    stocepuizat indisponibil stoktayok stoktadeğil tükendi hayır εξαντλήθηκε μηδιαθέσιμο
    нетвналичии нет распродано неманаявності
    在庫なし 在庫切れ 売り切れ 品切れ 缺货 缺貨 售罄 无货 無貨 품절 재고없음
";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_numbers_and_languages_are_read() {
        for word in [
            "in_stock",
            " In Stock",
            "InStock",
            "pre-order",
            "On backorder",
            "https://schema.org/PreOrder",
            "LimitedAvailability",
            "7",
            "2.0",
            "99+",
            "> 10",
            "YES",
            "1",
            "3 in stock",
            "Only 2 left in stock",
            "2 left",
            "In stock (4)",
            "http://www.schema.org/InStock",
            "auf Lager",
            "En stock",
            "op voorraad",
            "В наличии",
            "在庫あり",
        ] {
            assert_eq!(read(word), Ok(true), "{word}");
        }
        for word in [
            "out of stock",
            "OUT_OF_STOCK",
            "Sold-out",
            "http://schema.org/Discontinued",
            "0",
            "-3",
            "0 in stock",
            "0 left",
            "-2 in stock",
            "False",
            "nicht auf Lager",
            "ausverkauft",
            "épuisé",
            "Non disponibile",
            "нет в наличии",
        ] {
            assert_eq!(read(word), Ok(false), "{word}");
        }
        for word in [
            "",
            "soon",
            "ask us",
            "in stock soon",
            "5 weeks",
            "in stock in 3 weeks",
            "only",
            "NaN",
            "inf",
            "-",
        ] {
            assert!(read(word).is_err(), "{word}");
        }
    }

    proptest! {
        #[test]
        fn every_word_reads_in_any_case_and_with_any_gaps(
            at in 0usize..400, available in any::<bool>(), upper in any::<bool>(), gap in "[ _-]?",
        ) {
            let words: Vec<_> = if available { IN } else { OUT }.split_whitespace().collect();
            let word = words[at % words.len()];
            // Two languages share it, with one meaning each: `n` is no and nothing else.
            prop_assume!(available || !IN.split_whitespace().any(|other| other == word));
            let middle = word.char_indices().nth(word.chars().count() / 2).map_or(0, |(at, _)| at);
            let text = format!("{}{gap}{}", &word[..middle], &word[middle..]);
            let text = if upper && word.is_ascii() { text.to_uppercase() } else { text };
            prop_assert_eq!(read(&text), Ok(available), "{}", text);
        }

        #[test]
        fn a_quantity_is_in_stock_above_nothing(quantity in -1_000i64..1_000) {
            prop_assert_eq!(read(&quantity.to_string()), Ok(quantity > 0));
        }

        #[test]
        fn any_text_is_a_word_or_is_not(text in "\\PC{0,20}") {
            let _ = read(&text);
        }
    }
}
