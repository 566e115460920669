//! Feeds as shop systems and spreadsheets write them: what the catalogue holds afterwards.

use crate::service::{Caller, Service};
use serde_json::{Value, json};

fn upload(caller: &Caller, query: &str, feed: impl AsRef<[u8]>) -> Value {
    caller.send("POST", &format!("/v1/feeds{query}"), Some(feed.as_ref())).json()
}

/// The item, without the fields that are not of interest.
fn item(caller: &Caller, id: &str, fields: &[&str]) -> Value {
    let stored = caller.get(&format!("/v1/items/{id}")).json();
    fields.iter().map(|field| stored[*field].clone()).collect()
}

#[test]
fn prices_are_read_by_value_currency_column_and_setting() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let rows: [(&str, Value); 20] = [
        ("2.450,00 EUR", json!([2450.0, "EUR"])),
        ("7,5 EUR", json!([7.5, "EUR"])),
        ("2 450,00 NOK", json!([2450.0, "NOK"])),
        ("2'450.50 CHF", json!([2450.5, "CHF"])),
        ("7.50GBP", json!([7.5, "GBP"])),
        ("£7.50", json!([7.5, "GBP"])),
        ("7,50 €", json!([7.5, "EUR"])),
        ("2,450 USD", json!([2450.0, "USD"])),
        ("3.456.789,10 EUR", json!([3_456_789.1, "EUR"])),
        ("2,34,567.80 INR", json!([234_567.8, "INR"])),
        (",75", json!([0.75, null])),
        ("7,5000 EUR", json!([7.5, "EUR"])),
        ("R$ 2.450,00", json!([2450.0, "BRL"])),
        ("129,- kr", json!([129.0, null])),
        ("Rp 250.000.000", json!([250_000_000.0, "IDR"])),
        ("2.450 EUR", json!([null, null])),
        ("7,250 KWD", json!([null, null])),
        ("-7.50 EUR", json!([null, null])),
        ("7e3", json!([null, null])),
        ("7.50 EUR USD", json!([null, null])),
    ];
    let feed: String = rows.iter().enumerate().map(|(row, (text, _))| format!("{row}\t{text}\n")).collect();
    let report = upload(&caller, "", format!("id\tprice\n{feed}"));
    assert_eq!((&report["items"], &report["rejected"]), (&json!(15), &json!(5)), "{report}");
    let readings = report["errors"][0]["error"].as_str().unwrap();
    assert!(readings.contains("2.45 or 2450"), "{readings}");
    for (row, (text, expected)) in rows.iter().enumerate() {
        assert_eq!(item(&caller, &row.to_string(), &["price", "currency"]), *expected, "{text}");
    }
    upload(&caller, "?decimal=,", "id\tprice\n15\t2.450 EUR\n16\t7,250 KWD\n");
    assert_eq!(item(&caller, "15", &["price"]), json!([2450.0]));
    assert_eq!(item(&caller, "16", &["price"]), json!([7.25]));
    upload(&caller, "", "id\tprice\n17\t2.450 EUR\n18\t7,50 EUR\n");
    assert_eq!(item(&caller, "17", &["price"]), json!([2450.0]), "the column decides");
}

#[test]
fn a_sale_that_is_none_is_left_out_and_told() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let feed = "id,price,sale_price,sale_price_effective_date\n\
        zero,20 EUR,0.00,\nhigher,20 EUR,25 EUR,\nother,20 EUR,15 USD,\nempty,20 EUR,,\n\
        day,20 EUR,15,2026-11-01/2026-11-30\nopen,20 EUR,15,2026-11-01T12:00-0300/\n";
    let report = upload(&caller, "", feed);
    assert_eq!((&report["items"], report["warnings"].as_array().unwrap().len()), (&json!(6), 3), "{report}");
    for id in ["zero", "higher", "other", "empty"] {
        assert_eq!(item(&caller, id, &["price", "sale_price"]), json!([20.0, null]), "{id}");
    }
    let sale = ["sale_price", "sale_from", "sale_until"];
    assert_eq!(item(&caller, "day", &sale), json!([15.0, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]));
    assert_eq!(item(&caller, "open", &sale), json!([15.0, "2026-11-01T15:00:00Z", null]));
}

#[test]
fn atom_and_rss_are_read_by_googles_names_first() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let atom = "<feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:g=\"http://base.google.com/ns/1.0\"><title>Shop</title>\
        <link rel=\"self\" href=\"https://shop.example/feed\"/><entry><id>https://shop.example/7</id><title>Boat</title>\
        <link rel=\"edit\" href=\"https://shop.example/edit/7\"/><link rel=\"alternate\" href=\"https://shop.example/p/7\"/>\
        <g:id>7-en</g:id><g:price>1.250,00 EUR</g:price></entry></feed>";
    assert_eq!(upload(&caller, "", atom)["items"], 1);
    assert_eq!(
        item(&caller, "7-en", &["name", "url", "price"]),
        json!(["Boat", "https://shop.example/p/7", 1250.0])
    );
    let rss = "<rss xmlns:merchant=\"http://base.google.com/ns/1.0\" xmlns:a=\"http://www.w3.org/2005/Atom\"><channel><item>\
        <title>RSS</title><merchant:title>Caf&eacute; &#8211; <![CDATA[A & B]]></merchant:title><merchant:id>8</merchant:id>\
        <a:link rel=\"self\" href=\"https://shop.example/api/8\"/><link>https://shop.example/p/8</link>\
        <merchant:shipping><merchant:price>4 EUR</merchant:price></merchant:shipping><merchant:price>9 EUR</merchant:price>\
        </item><item><merchant:id>9</merchant:id><title>&shop;</title></item></channel></rss>";
    let report = upload(&caller, "", rss);
    assert_eq!(
        item(&caller, "8", &["name", "url", "price"]),
        json!(["Café – A & B", "https://shop.example/p/8", 9.0])
    );
    assert!(report["errors"][0]["error"].as_str().unwrap().contains("&shop;"), "text is not lost: {report}");
}

#[test]
fn availability_is_read_in_the_usual_words() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let read = |words: &[&str], expected: bool| {
        let rows: String = words.iter().enumerate().map(|(row, word)| format!("{row}\t{word}\n")).collect();
        let report = upload(&caller, "", format!("id\tavailability\n{rows}"));
        assert!(report.get("warnings").is_none(), "{report}");
        for (row, word) in words.iter().enumerate() {
            assert_eq!(item(&caller, &row.to_string(), &["in_stock"]), json!([expected]), "{word}");
        }
    };
    read(
        &[
            "in_stock",
            "In Stock",
            "pre-order",
            "Backorder",
            "onbackorder",
            "available for order",
            "http://schema.org/PreOrder",
            "LimitedAvailability",
            "12",
            "3 in stock",
            "yes",
            "auf Lager",
        ],
        true,
    );
    read(
        &[
            "out of stock",
            "OutOfStock",
            "sold-out",
            "discontinued",
            "https://schema.org/SoldOut",
            "0",
            "FALSE",
            "agotado",
        ],
        false,
    );
}

#[test]
fn exports_of_shop_systems_are_read_by_their_columns() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let shopify = "Handle;Title;Vendor;Type;Published;Option1 Name;Option1 Value;Variant SKU;Variant Inventory Qty;\
        Variant Inventory Policy;Variant Price;Variant Compare At Price;Image Src;Status;Tags\n\
        kite;Kite;Nord;Toys;true;Colour;Red;K-R;2;deny;1.060,00;1.280,00;k.jpg;active;\n\
        kite;;;;;;Blue;K-B;0;deny;60,00;;;;\nkite;;;;;;;;;;;;k2.jpg;;\n\
        reel;Reel;Nord;Toys;true;Title;Default Title;;5;deny;9,00;;;draft;\n";
    let report = upload(&caller, "", shopify);
    assert_eq!(
        (&report["format"], &report["items"], &report["skipped"]),
        (&json!("shopify"), &json!(2), &json!(2))
    );
    assert_eq!(report["ignored"], json!(["Option1 Name", "Tags"]));
    let fields = ["name", "category", "price", "sale_price", "in_stock", "group"];
    assert_eq!(item(&caller, "K-R", &fields), json!(["Kite", "Toys", 1280.0, 1060.0, true, "kite"]));
    assert_eq!(item(&caller, "K-B", &fields), json!(["Kite", "Toys", 60.0, null, false, "kite"]));

    let woocommerce = "ID,Type,SKU,Name,Published,Visibility in catalog,In stock?,Stock,Sale price,Regular price,Categories,Images,Parent,Weight\n\
        5,variable,boat,Boat,1,visible,1,,,,\"Toys > Water, New\",b.jpg,,\n\
        6,variation,boat-s,Boat S,1,visible,1,2,\"8,00\",\"10,00\",,,boat,1\n\
        7,simple,'-net,Net,1,visible,0,0,,5,Toys,,,\n8,simple,x,Draft,-1,visible,1,,,5,Toys,,,\n9,simple,y,Hidden,1,hidden,1,,,5,Toys,,,\n";
    let report = upload(&caller, "?id=SKU", woocommerce);
    assert_eq!(
        (&report["items"], &report["skipped"], &report["ignored"]),
        (&json!(2), &json!(3), &json!(["Weight"]))
    );
    let fields = ["name", "category", "image", "price", "sale_price", "in_stock", "group"];
    assert_eq!(
        item(&caller, "boat-s", &fields),
        json!(["Boat S", "Toys > Water", "b.jpg", 10.0, 8.0, true, "boat"])
    );
    assert_eq!(item(&caller, "-net", &fields), json!(["Net", "Toys", null, 5.0, null, false, null]));
}

#[test]
fn encodings_delimiters_and_quotes_give_the_same_text() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let latin =
        |text: &str| text.chars().map(|sign| u8::try_from(u32::from(sign)).unwrap()).collect::<Vec<_>>();
    for feed in [
        "id,title,price\nt,\"Türe, groß\",1250\n".as_bytes().to_vec(),
        "\u{feff}id;title;price\r\nt;Türe, groß;1250,00\r\n".as_bytes().to_vec(),
        "sep=;\nid;title;price\nt;Türe, groß;1.250,00\n".as_bytes().to_vec(),
        "id|title|price\rt|Türe, groß|1250.00\r".as_bytes().to_vec(),
        "\"id\"\t\"title\"\t\"price\"\nt\t\"Türe, groß\"\t\"1,250.00\"\n".as_bytes().to_vec(),
        latin("id;title;price\nt;Türe, groß;1250\n"),
        utf16("\u{feff}id\ttitle\tprice\nt\tTüre, groß\t1250\n"),
        latin(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><rss><channel><item><id>t</id><title>Türe, groß</title><price>1250</price></item></channel></rss>",
        ),
    ] {
        caller.send("DELETE", "/v1/items/t", None);
        let report = upload(&caller, "", &feed);
        assert_eq!(item(&caller, "t", &["name", "price"]), json!(["Türe, groß", 1250.0]), "{report}");
    }
    upload(&caller, "", "id\ttitle\nq\tRope 6\" long\nr\t\"Rope 6\"\" long\"\n");
    assert_eq!(item(&caller, "q", &["name"]), json!(["Rope 6\" long"]));
    assert_eq!(item(&caller, "r", &["name"]), json!(["Rope 6\" long"]));
}

#[test]
fn googles_names_are_read_from_json_and_other_names_are_told() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let feed = r#"{"id":"a","title":"Boat","availability":"out of stock","link":"https://shop.example/a","product_type":"Toys > Water","size":"M"}
{"id":39910.0,"price":{"value":"7,50","currency":"EUR"},"in_stock":"false","brand":"","itemGroupId":"boats"}
{"id":"c","added_at":"1.11.2026 10:00","in_stock":1}
{"id":true}
"#;
    let report = upload(&caller, "", feed);
    assert_eq!(
        (&report["items"], &report["rejected"], &report["ignored"]),
        (&json!(3), &json!(1), &json!(["size"]))
    );
    assert_eq!(
        item(&caller, "a", &["name", "in_stock", "url", "category"]),
        json!(["Boat", false, "https://shop.example/a", "Toys > Water"])
    );
    assert_eq!(
        item(&caller, "39910", &["price", "currency", "in_stock", "brand", "group"]),
        json!([7.5, "EUR", false, null, "boats"])
    );
    assert_eq!(item(&caller, "c", &["added_at", "in_stock"]), json!(["2026-11-01T10:00:00Z", true]));
}

#[test]
fn the_last_row_of_an_id_counts() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let report = upload(&caller, "", "id,title\nK,First\nK,Second\nk,Other\n");
    assert_eq!((&report["duplicates"], &report["warnings"][0]["id"]), (&json!(1), &json!("K")), "{report}");
    assert_eq!(item(&caller, "K", &["name"]), json!(["Second"]));
    assert_eq!(item(&caller, "k", &["name"]), json!(["Other"]));
}
