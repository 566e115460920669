//! Copies of logs as spreadsheets, databases and data frames save them.

use crate::{Shop, counts, text};
use serde_json::Value;

const RETAIL: &str = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n";
const REES46: &str =
    "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n";

/// The events of a file as a dry run shows them, and its notes.
fn shown(shop: &Shop, format: &str, more: &[&str], content: impl AsRef<[u8]>) -> (Vec<Value>, String) {
    let file = shop.file("copy.csv", content);
    let output = shop.verge(&[&["import", "--format", format, "--dry-run"], more, &[text(&file)]].concat());
    let printed = String::from_utf8(output.stdout).unwrap();
    let events = printed.lines().filter_map(|line| line.split_once(": {")).filter(|(at, _)| *at != "item");
    let events = events.map(|(_, event)| serde_json::from_str(&format!("{{{event}")).unwrap()).collect();
    (events, printed)
}

#[test]
fn quantities_are_read_in_every_spelling_or_refused() {
    let shop = Shop::new();
    for (written, read) in
        [("6", 6), ("6.0", 6), ("\"6,0\"", 6), ("6.000", 6), (" 6 ", 6), ("+6", 6), ("\"6,000\"", 6_000)]
    {
        let row = format!("{RETAIL}1,10001,CUP,{written},2010-12-01 08:26:00,2.55,7,France\n");
        let (events, printed) = shown(&shop, "online-retail", &[], row);
        assert_eq!(events.first().map(|event| &event["quantity"]), Some(&read.into()), "{printed}");
    }
    for (written, reason) in
        [("-6.0", "return"), ("1.5", "bad number"), ("6e0", "bad number"), ("", "bad number")]
    {
        let row = format!("{RETAIL}1,10001,CUP,{written},2010-12-01 08:26:00,2.55,7,France\n");
        let (events, printed) = shown(&shop, "online-retail", &[], row);
        assert!(events.is_empty() && printed.contains(reason), "{printed}");
    }
    let map = ["--map", "item=sku,at=day,kind='purchase',quantity=n"];
    let (events, printed) = shown(&shop, "csv", &map, "sku;day;n\nA;24.12.2025;6,000\n");
    assert!(events.is_empty() && printed.contains("can be 6000 or 6"), "{printed}");
    let (events, printed) =
        shown(&shop, "csv", &map, "sku;day;n\nA;24.12.2025;2,6\nB;24.12.2025;2,0\nC;24.12.2025;0\n");
    assert_eq!(events.iter().map(|event| &event["quantity"]).collect::<Vec<_>>(), [3, 2], "{printed}");
    assert!(printed.contains("quantity rounded 1 times, first in line 2"), "{printed}");
}

#[test]
fn prices_of_two_readings_are_decided_by_currency_file_and_option() {
    let shop = Shop::new();
    let price = |format: &str, more: &[&str], content: &str| {
        let (events, printed) = shown(&shop, format, more, content);
        events.first().map(|event| event["price"].clone()).ok_or(printed)
    };
    let retail = |price: &str| format!("{RETAIL}1,10001,CUP,6,2010-12-01 08:26:00,{price},7,France\n");
    assert_eq!(price("online-retail", &[], &retail("\"2,550\"")), Ok(2550.0.into()), "pounds have a point");
    let refused = price("online-retail", &[], &retail("2.550")).unwrap_err();
    assert!(refused.contains("2.55 or 2550"), "{refused}");
    assert_eq!(price("online-retail", &["--decimal", "."], &retail("2.550")), Ok(2.55.into()));
    let refused = price("online-retail", &[], &retail("2.55 EUR")).unwrap_err();
    assert!(refused.contains("GBP"), "{refused}");
    let map = ["--map", "item=sku,at=day,kind='purchase',price=paid,currency=code"];
    let table = |rows: &str| format!("sku;day;paid;code\n{rows}");
    assert_eq!(price("csv", &map, &table("A;24.12.2025;1.250;\nB;24.12.2025;3,50;\n")), Ok(1250.0.into()));
    assert_eq!(price("csv", &map, &table("A;24.12.2025;1,250;usd\n")), Ok(1250.0.into()));
    let refused = price("csv", &map, &table("A;24.12.2025;7,50 €;SEK\n")).unwrap_err();
    assert!(refused.contains("EUR") && refused.contains("SEK"), "{refused}");
    let (events, _) = shown(&shop, "csv", &map, table("A;24.12.2025;7,50 €;\n"));
    assert_eq!((&events[0]["price"], &events[0]["currency"]), (&7.5.into(), &"EUR".into()));
}

#[test]
fn times_are_read_in_every_importer() {
    let shop = Shop::new();
    let spellings = [
        "2019-10-01 07:05:09 UTC",
        "2019-10-01T07:05:09Z",
        "2019-10-01 07:05:09.000+00:00",
        "2019-10-01T09:05:09+0200",
        "1.10.2019 07:05:09",
        "1 October 2019 7:05:09 AM",
        "20191001T070509Z",
        "1569913509",
        "1569913509.0",
        "1569913509000",
        "1569913509000000",
    ];
    for time in spellings {
        for (format, more, content) in [
            ("rees46", &[][..], format!("{REES46}{time},view,5,9,tools,acme,2.00,7,s\n")),
            (
                "retailrocket",
                &[],
                format!("timestamp,visitorid,event,itemid,transactionid\n{time},7,view,5,\n"),
            ),
            ("online-retail", &[], format!("{RETAIL}1,10001,CUP,6,{time},2.55,7,France\n")),
            ("csv", &["--map", "item=sku,at=when,kind='view'"], format!("sku,when\n5,{time}\n")),
        ] {
            let (events, printed) = shown(&shop, format, more, content);
            let at = events.first().map(|event| &event["at"]);
            assert_eq!(at, Some(&"2019-10-01T07:05:09Z".into()), "{format} {time}: {printed}");
        }
    }
    let properties = "timestamp,itemid,property,value\n2019-10-01T07:05:09Z,5.0,categoryid,20.0\n1569913508,5,categoryid,9\n";
    let (_, printed) = shown(&shop, "retailrocket", &[], properties);
    assert!(printed.contains(r#"item: {"id":"5","category":"20"}"#), "the latest counts: {printed}");
}

#[test]
fn kinds_and_absent_values_are_read_in_their_usual_spellings() {
    let shop = Shop::new();
    let rows = "1569913509,View,5.0,9.0,NULL,N/A,\"2,50\",7.0,nan\n1569913510,add_to_cart,5,9,tools.saw,None,<NA>,\\N,s\n\
        1569913511,remove_from_cart,5,9,,,,7,s\n1569913512,view,undefined,9,,,,7,s\n";
    let (events, printed) = shown(&shop, "rees46", &[], format!("{REES46}{rows}"));
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["view", "cart"], "{printed}");
    assert_eq!((&events[0]["item"], &events[0]["visitor"]), (&"5".into(), &"7".into()));
    assert!(events[0].get("session").is_none() && events[1].get("visitor").is_none(), "{printed}");
    assert!(printed.contains(r#"item: {"id":"5","category":"tools > saw","price":2.5}"#), "{printed}");
    assert!(printed.contains("removed from cart") && printed.contains("bad item id"), "{printed}");
}

#[test]
fn encodings_and_line_ends_give_the_same_events() {
    let shop = Shop::new();
    let table = format!("{RETAIL}1,10001,KÄSE,6,2010-12-01 08:26:00,2.55,7,France\n");
    let utf16: Vec<u8> = format!("\u{feff}{table}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    let latin: Vec<u8> = table.chars().map(|sign| u8::try_from(u32::from(sign)).unwrap()).collect();
    let old_mac = table.replace('\n', "\r");
    for content in
        [table.as_bytes(), &utf16, &latin, old_mac.as_bytes(), format!("sep=,\r\n{table}").as_bytes()]
    {
        let (events, printed) = shown(&shop, "online-retail", &[], content);
        assert!(events.len() == 1 && printed.contains("KÄSE"), "{printed}");
    }
}

#[test]
fn what_is_refused_teaches_nothing_and_what_is_taken_says_what_was_left_out() {
    let shop = Shop::new();
    let rows = "2099-10-01 00:00:00 UTC,view,61,9,tools,acme,2.00,7,s\nsome day,view,62,9,tools,acme,2.00,7,s\n\
        2019-10-01 00:00:00 UTC,gaze,63,9,tools,acme,2.00,7,s\n2019-10-01 00:00:00 UTC,view,64,9,tools,acme,dear,7,s\n\
        2019-10-01 00:00:00 UTC,view,65,9,tools,acme,2.00,7,s\n";
    let report = shop.import("rees46", &[text(&shop.file("rees.csv", format!("{REES46}{rows}")))]);
    assert_eq!(counts(&report), [5, 1, 0, 4]);
    let items: Vec<_> = shop.log().items.into_iter().map(|item| item.id).collect();
    assert_eq!((items, shop.log().events.len()), (vec!["65".to_owned()], 1));
    let lines = r#"{"id":"cup","title":"Cup","price":"7,50 EUR","availability":"some day","colour":"red"}
{"id":"jug","price":"1.250"}
"#;
    let report = shop.import("jsonl", &[text(&shop.file("items.jsonl", lines))]);
    assert_eq!(counts(&report), [2, 0, 0, 1]);
    let notes = report["notes"].to_string();
    assert!(notes.contains("availability left out") && notes.contains("colour not read"), "{report}");
    let decided = shop.import("jsonl", &["--decimal", ",", text(&shop.file("again.jsonl", lines))]);
    assert_eq!(counts(&decided), [2, 0, 0, 0]);
    let jug = shop.log().items.into_iter().find(|item| item.id == "jug");
    assert_eq!(jug.and_then(|item| item.price), Some(1250.0));
}
