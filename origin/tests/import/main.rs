//! `verge import` and `verge generate` as a person runs them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod copies;

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const RETAIL: &str = "\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
700001,10001A,TIN ROBOT,2,2011-03-01 09:15:00,4.25,501.0,United Kingdom
700001,10002,\"PAPER KITE, BLUE\",1,2011-03-01 09:15:00,2.10,501.0,United Kingdom
700001,POST,POSTAGE,1,2011-03-01 09:15:00,12.00,501.0,United Kingdom
C700002,10001A,TIN ROBOT,-1,2011-03-02 10:00:00,4.25,501.0,United Kingdom
700003,10001a,TIN ROBOT,6,2011-03-02 11:30:00,3.95,,France
700004,10002,thrown away,5,2011-03-02 12:00:00,0.00,,United Kingdom
700005,10002,BLUE KITE,one,2011-03-02 12:30:00,2.10,,EIRE
";

struct Shop {
    dir: TempDir,
}

impl Shop {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn verge(&self, args: &[&str]) -> Output {
        self.verge_reading(args, b"")
    }

    fn verge_reading(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_verge"))
            .current_dir(self.dir.path())
            .env_remove("VERGE_CONFIG")
            .env("VERGE_DATA_DIR", self.data())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    fn import(&self, format: &str, more: &[&str]) -> Value {
        let mut args = vec!["import", "--json", "--format", format];
        args.extend(more);
        let output = self.verge(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn log(&self) -> origin_data::Dataset {
        origin::store::Store::open(&self.data()).unwrap().log().unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn counts(report: &Value) -> [u64; 4] {
    ["rows", "imported", "already_there", "rejected"].map(|key| report[key].as_u64().unwrap())
}

#[test]
fn every_row_is_accounted_for_and_rejects_are_kept() {
    let shop = Shop::new();
    let file = shop.file("retail.csv", RETAIL);
    let report = shop.import("online-retail", &[text(&file)]);
    assert_eq!(counts(&report), [7, 3, 0, 4]);
    for (reason, line) in [("not a product", 4), ("return", 5), ("no price", 7), ("bad number", 8)] {
        assert_eq!(report["reasons"][reason]["rows"], 1, "{reason}");
        assert_eq!(report["reasons"][reason]["first"], format!("{}:{line}", text(&file)));
    }
    let rejects = std::fs::read_to_string(shop.data().join("rejects/retail.csv")).unwrap();
    let rows: Vec<_> = csv::Reader::from_reader(rejects.as_bytes()).records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[1][0], &rows[1][1]), ("5", "return: invoice C700002"));
    assert_eq!(&rows[1][2], RETAIL.lines().nth(4).unwrap());

    let log = shop.log();
    assert_eq!(log.areas, ["", "fr", "gb"]);
    let names: Vec<_> = log.items.iter().map(|item| (&*item.id, item.name.as_deref().unwrap())).collect();
    assert_eq!(names, [("10001A", "TIN ROBOT"), ("10002", "PAPER KITE, BLUE")]);
    let events: Vec<_> = log.events.iter().map(|event| (event.item, event.area, event.quantity)).collect();
    assert_eq!(events, [(0, 2, 2), (1, 2, 1), (0, 1, 6)]);
    assert_eq!(log.events[0].session, log.events[1].session);
    assert!(log.events[2].visitor != 0, "without a customer the invoice is the visitor");
}

#[test]
fn the_same_log_adds_nothing_however_it_is_packed_and_a_grown_one_what_is_new() {
    let shop = Shop::new();
    let (short, long) = (&RETAIL[..RETAIL.find("C700002").unwrap()], RETAIL);
    assert!(long.len() < 1024, "shorter than what tells sources apart");
    let file = shop.file("retail.csv", short);
    assert_eq!(counts(&shop.import("online-retail", &[text(&file)])), [3, 2, 0, 1]);
    let packed = shop.file("moved.bin", zstd::encode_all(long.as_bytes(), 1).unwrap());
    assert_eq!(counts(&shop.import("online-retail", &[text(&packed)])), [7, 1, 2, 4]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(long.as_bytes()).unwrap();
    let gzip = shop.file("again", gzip.finish().unwrap());
    let report = shop.import("online-retail", &[text(&gzip)]);
    assert_eq!(counts(&report), [7, 0, 3, 4]);
    assert_eq!((&report["items_changed"], &report["store"]["events"]), (&0.into(), &3.into()));
    // Another log with the same header is another source.
    let other = shop.file("other.csv", short.replace("70000", "80000"));
    assert_eq!(counts(&shop.import("online-retail", &[text(&other)])), [3, 2, 0, 1]);
}

#[test]
fn a_damaged_archive_keeps_what_came_before_and_the_whole_one_completes_it() {
    let shop = Shop::new();
    let lines: String = (0..400_000).map(|line| format!("i{} i{}\n", line % 977, line % 1009)).collect();
    let whole = zstd::encode_all(lines.as_bytes(), 1).unwrap();
    let cut = shop.file("cut.zst", &whole[..whole.len() / 2]);
    let output = shop.verge(&["import", "--format", "sessions", text(&cut)]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("cut.zst: damaged after line"), "{error}");
    let before = shop.log().events.len() as u64;
    assert!(before > 0 && before < 800_000);
    let report = shop.import("sessions", &[text(&shop.file("whole.zst", &whole))]);
    assert_eq!(counts(&report)[0], 400_000);
    assert_eq!(report["events_new"].as_u64().unwrap() + before, 800_000);
    assert_eq!(shop.log().events.len(), 800_000);
}

#[test]
fn every_format_finds_its_way() {
    let shop = Shop::new();
    let rees = shop.file(
        "rees.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n\
         2019-11-02 08:00:00 UTC,view,31,900,tools.saw,acme,25.00,u1,s-1\n\
         2019-11-02 08:00:09 UTC,remove_from_cart,31,900,tools.saw,acme,25.00,u1,s-1\n",
    );
    let report = shop.import("rees46", &["--area", "US", "--currency", "usd", text(&rees)]);
    assert_eq!(counts(&report), [2, 1, 0, 1]);
    let log = shop.log();
    assert_eq!(log.areas[usize::from(log.events[0].area)], "us");
    assert_eq!(log.items[0].currency.as_deref(), Some("USD"));

    let events = shop.file(
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,9,addtocart,r5,\n",
    );
    let items = shop.file(
        "item_properties_part1.csv",
        "timestamp,itemid,property,value\n1433221332000,r5,categoryid,77\n",
    );
    let report = shop.import("retailrocket", &[text(&items), text(&events)]);
    assert_eq!((counts(&report), report["catalogue"].as_u64()), ([2, 1, 0, 0], Some(1)));

    let edges = shop.file("edges.txt", "4\ta1\t4\t20190617\n4\ta2\t9\t20190617\n");
    let features = shop.file("features.txt", "a1\t1\t12\t0\t5.5\n");
    let report = shop.import("alibaba", &[text(&features), text(&edges)]);
    assert_eq!((counts(&report), report["catalogue"].as_u64()), ([3, 1, 0, 1], Some(1)));

    let sessions = shop.file("sessions.txt", "y1 y2 y1\n\ny3\n");
    let report = shop.import("sessions", &["--since", "2022-01-01T00:00:00Z", text(&sessions)]);
    assert_eq!((counts(&report), report["events_new"].as_u64()), ([2, 2, 0, 0], Some(4)));
    assert_eq!(report["first"], "2022-01-01T00:00:00Z");

    let ids: Vec<_> = shop.log().items.into_iter().map(|item| item.id).collect();
    assert_eq!(ids, ["31", "a1", "r5", "y1", "y2", "y3"]);
}

#[test]
fn what_generate_writes_import_reads_and_the_store_gets_the_same_either_way() {
    let (piped, direct) = (Shop::new(), Shop::new());
    let options = ["generate", "--items", "80", "--sessions", "150", "--seed", "3"];
    let made = piped.verge(&options);
    assert!(made.status.success());
    let read = ["import", "--format", "jsonl", "--json", "-"];
    let first: Value = serde_json::from_slice(&piped.verge_reading(&read, &made.stdout).stdout).unwrap();
    let [rows, imported, there, rejected] = counts(&first);
    assert_eq!((rows - 80, there, rejected), (imported, 0, 0));
    let again: Value = serde_json::from_slice(&piped.verge_reading(&read, &made.stdout).stdout).unwrap();
    assert_eq!((counts(&again), again["items_changed"].as_u64()), ([rows, 0, imported, 0], Some(0)));

    assert!(direct.verge(&[&options[..], &["--into-store"]].concat()).status.success());
    let (mut one, mut other) = (piped.log(), direct.log());
    for event in one.events.iter_mut().chain(&mut other.events) {
        (event.visitor, event.session) = (0, 0); // Hashed with each store's own key.
    }
    assert_eq!(one, other);
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let shop = Shop::new();
    let file = shop.file("odd.csv", "a,b\n1,2\n");
    let failing = |args: &[&str]| {
        let output = shop.verge(args);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = failing(&["import", "--format", "retailrocket", text(&file)]);
    assert!(error.contains("odd.csv:1") && error.contains("timestamp,visitorid"), "{error}");
    let error = failing(&["import", "--format", "jsonl", "nowhere.jsonl"]);
    assert!(error.contains("cannot read nowhere.jsonl"), "{error}");
    assert!(failing(&["import", "--format", "xml", text(&file)]).contains("online-retail"));
    let error = failing(&["import", "--format", "jsonl", "--currency", "pounds", text(&file)]);
    assert!(error.contains("ISO 4217"), "{error}");
    let error = failing(&["generate", "--items", "0"]);
    assert!(error.contains("--items"), "{error}");
}

#[test]
fn help_teaches_the_way() {
    let shop = Shop::new();
    let help = String::from_utf8(shop.verge(&["--help"]).stdout).unwrap();
    let steps = ["verge import", "verge build", "verge publish", "verge recommend"];
    let places: Vec<_> = steps.iter().map(|step| help.find(step).unwrap()).collect();
    assert!(places.is_sorted(), "{help}");
    let help = String::from_utf8(shop.verge(&["import", "--help"]).stdout).unwrap();
    assert!(help.contains("not a product") && help.contains("IMPORTING TWICE"), "{help}");
}

#[test]
fn online_retail_is_read_by_its_header_whatever_the_copy() {
    let copies = [
        // Semicolons, decimal commas and dotted dates, with an index and a column of no use.
        ";Country;Customer ID;Price;InvoiceDate;Quantity;Description;StockCode;Invoice;Total\n\
         0;France;901.0;1.450,50;3.2.2011 09:15;2,0;\"TIN\nROBOT\";20001.0;800001;9\n\
         1;France;901.0;2,10;3.2.2011 09:16;1;KITE;20002;800001;2,1\n",
        "InvoiceNo\tStockCode\tDescription\tQuantity\tInvoiceDate\tUnitPrice\tCustomerID\tCountry\n\
         800001\t20001\tTIN 4\" ROBOT\t2\t2/3/2011 9:15:00 AM\t1450.50\t901\tFrance\n\
         800001\t20002\tKITE\t1\t2/3/11 9:16:00 AM\t2.10\t901\tFrance\n",
        "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,Country,CustomerID\n\
         800001,20001,2,03/02/2011 9:15,\"1,450.50\",France,901\n\
         800001,20002,1,03/02/2011 9:16,2.10,France,901\n\
         C9,20002,1,23/02/2011 9:16,2.10,France,901\n",
        "Invoice|StockCode|Quantity|InvoiceDate|Price|Country|Customer ID\n\
         800001|20001|2|03-02-2011 09:15|1450.50|France|901\n\
         800001|20002|1|03-02-2011 09:16|2.10|France|901\n",
    ];
    for copy in copies {
        let shop = Shop::new();
        let report = shop.import("online-retail", &[text(&shop.file("copy.csv", copy))]);
        assert_eq!(report["imported"], 2, "{report}");
        assert_eq!(
            (&report["first"], &report["last"]),
            (&"2011-02-03T09:15:00Z".into(), &"2011-02-03T09:16:00Z".into()),
            "{copy}"
        );
        assert_eq!(report["visitors"], 1);
        let log = shop.log();
        let items: Vec<_> = log.items.iter().map(|item| (&*item.id, item.price.unwrap())).collect();
        assert_eq!(items, [("20001", 1450.5), ("20002", 2.1)], "{copy}");
        assert_eq!((log.areas[1].as_str(), log.events[0].quantity), ("fr", 2));
    }
}

#[test]
fn dates_of_two_orders_are_asked_about() {
    let shop = Shop::new();
    let file = shop.file("orders.csv", "sku,when\na,3/4/2025 10:00\nb,5/4/2025 10:00\n");
    let map = ["--map", "item=sku,at=when,kind='purchase'", text(&file)];
    let output = shop.verge(&[&["import", "--format", "csv"], &map[..]].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("--dates") && error.contains("3/4/2025"), "{error}");
    let report = shop.import("csv", &[&["--dates", "dmy"], &map[..]].concat());
    assert_eq!(report["first"], "2025-04-03T10:00:00Z");
    assert!(report["notes"][0].as_str().unwrap().contains("day/month/year"), "{report}");
}

#[test]
fn rees46_copies_are_read_by_their_header() {
    let shop = Shop::new();
    let file = shop.file(
        "copy.csv",
        ",event_type,event_time,product_id,category_code,brand,price,user_id,user_session,category_id\n\
         0,view,2021-05-04 10:00:00 UTC,31.0,tools.saw,acme,25.0,7.0,s1,9.1e+17\n\
         1,purchase,2021-05-04T10:00:01Z,31,NaN,None,25.0,7,\\N,900\n\
         2,view,1620122402,32,NULL,nan,nan,8,nan,901.0\n\
         3,view,2021-05-04 10:00:03+00:00,undefined,,,,8,,\n\
         4,view,2091-05-04 10:00:03,33,tools,acme,3.0,8,s,900\n",
    );
    let report = shop.import("rees46", &[text(&file)]);
    assert_eq!(counts(&report), [5, 3, 0, 2]);
    assert_eq!(
        (&report["first"], &report["last"]),
        (&"2021-05-04T10:00:00Z".into(), &"2021-05-04T10:00:02Z".into())
    );
    assert_eq!(report["visitors"], 2);
    let items = shop.log().items;
    let known: Vec<_> = items.iter().map(|item| (&*item.id, item.category.as_deref())).collect();
    assert_eq!(known, [("31", Some("tools > saw")), ("32", Some("901"))], "a refused row teaches nothing");
}

#[test]
fn retailrockets_times_are_told_apart_by_size() {
    for time in ["1741503909", "1741503909000", "1741503909000000", "1741503909000000000"] {
        let shop = Shop::new();
        let rows = format!("visitorid,timestamp,itemid,event\n7,{time},55,view\n");
        let report = shop.import("retailrocket", &[text(&shop.file("events.csv", rows))]);
        assert_eq!(report["first"], "2025-03-09T07:05:09Z", "{time}");
    }
}

#[test]
fn any_table_is_read_by_a_mapping() {
    let shop = Shop::new();
    let file = shop.file("export.tsv", "ts\tsku\taction\tuser\tpaid\n2025-03-09T08:05:09+0100\tA,1\tAddToCart\tu\t12,50\n1741503910000\tB\tbuy\tu\t1.299,00\n");
    let map = ["--map", "item=sku,at=ts,kind=action,visitor=user,price=paid"];
    let shown = shop.verge(&[&["import", "--format", "csv", "--dry-run"], &map[..], &[text(&file)]].concat());
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("export.tsv:2: {") && shown.contains("\"item\":\"A,1\"") && shown.contains("1299"),
        "{shown}"
    );
    assert!(!shop.data().join("store.sqlite").exists(), "a dry run stores nothing");
    let report = shop.import("csv", &[&map[..], &["--area", "de", text(&file)]].concat());
    assert_eq!((counts(&report), &report["first"]), ([2, 2, 0, 0], &"2025-03-09T07:05:09Z".into()));
    let piped = shop.verge_reading(
        &[&["import", "--format", "csv", "--json"], &map[..], &["-"]].concat(),
        &std::fs::read(&file).unwrap(),
    );
    assert_eq!(counts(&serde_json::from_slice(&piped.stdout).unwrap()), [2, 0, 2, 0]);
}

#[test]
fn a_dry_run_shows_ten_rows() {
    let shop = Shop::new();
    let rows: String = (0..30).map(|line| format!("i{line} j{line}\n")).collect();
    let output =
        shop.verge(&["import", "--format", "sessions", "--dry-run", text(&shop.file("s.txt", rows))]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && shown.lines().count() == 10, "{shown}");
}

#[test]
fn what_imports_nothing_fails_and_a_wrong_format_is_named() {
    let shop = Shop::new();
    let retail = shop.file("retail.csv", RETAIL);
    let failing = |args: &[&str]| {
        let output = shop.verge(&[&["import", "--format"], args].concat());
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for format in ["rees46", "retailrocket", "jsonl", "sessions", "alibaba"] {
        let error = failing(&[format, text(&retail)]);
        assert!(error.contains("this looks like online-retail"), "{format}: {error}");
    }
    for (format, content) in
        [("jsonl", ""), ("rees46", "\n"), ("online-retail", RETAIL.lines().next().unwrap()), ("sessions", "")]
    {
        assert!(failing(&[format, text(&shop.file("empty", content))]).contains("no row"), "{format}");
    }
    assert!(failing(&["jsonl", text(&shop.file("odd", "what\never\n"))]).contains("no row was imported"));
    assert!(failing(&["csv", text(&shop.file("o.csv", "a,b\n1,2\n"))]).contains("--map"));
    assert!(shop.log().items.is_empty() && shop.log().events.is_empty());
}

#[test]
fn a_feed_is_read_by_the_command_too() {
    let shop = Shop::new();
    let first = shop.file("feed.csv", "id;title;price\na;Tür;7,50 EUR\nb;Cup;1.299 EUR\nc;Pot;3\n");
    let output = shop.verge(&["feed", "--full", text(&first)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let prices: Vec<_> = shop.log().items.iter().map(|item| item.price.unwrap()).collect();
    assert_eq!(prices, [7.5, 1299.0, 3.0]);
    let cut = shop.verge_reading(&["feed", "--full", "-"], b"id;title\na;Cup\n");
    assert!(!cut.status.success() && String::from_utf8_lossy(&cut.stderr).contains("max_removed"));
    let dry =
        shop.verge_reading(&["feed", "--full", "--max-removed", "1", "--dry-run", "-"], b"id;title\na;Mug\n");
    let report: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!((&report["removed"], &report["changed"], shop.log().items.len()), (&2.into(), &1.into(), 3));
}

/// The real logs are not part of the project.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn a_real_shop_of_half_a_million_rows_is_accounted_for() {
    let Some(file) = real("online_retail.csv.zst") else { return };
    let shop = Shop::new();
    let report = shop.import("online-retail", &[text(&file)]);
    let [rows, imported, already_there, rejected] = counts(&report);
    assert_eq!((rows, already_there, imported + rejected), (541_909, 0, rows));
    // 9,288 invoices C…, 1,336 other lines of a negative quantity, 3 invoices A…: counted apart from this.
    assert_eq!(report["reasons"]["return"]["rows"], 9_288 + 1_336);
    assert_eq!(report["reasons"]["adjustment"]["rows"], 3);
    let log = shop.log();
    for code in
        ["POST", "DOT", "M", "C2", "D", "S", "BANK CHARGES", "AMAZONFEE", "PADS", "GIFT_0001_20", "85123a"]
    {
        assert!(log.items.iter().all(|item| item.id != code), "{code}");
    }
    let heart = log.items.iter().find(|item| item.id == "85123A").unwrap();
    assert_eq!(heart.name.as_deref(), Some("WHITE HANGING HEART T-LIGHT HOLDER"));
    assert!(log.items.iter().any(|item| item.id == "DCGSSGIRL"));
}

#[test]
fn real_sessions_and_kinds_are_read_whole() {
    let (Some(train), Some(test), Some(rees)) = (
        real("yoochoose_1_64_train_sessions.txt.zst"),
        real("yoochoose_1_64_test_sessions.txt.zst"),
        real("rees46_2019-10-01.csv.zst"),
    ) else {
        return;
    };
    let shop = Shop::new();
    let report = shop.import("sessions", &[text(&train), text(&test)]);
    assert_eq!((counts(&report)[0], report["events_new"].as_u64()), (131_491, Some(557_248)));
    let report = shop.import("rees46", &[text(&rees)]);
    // The excerpt ends in the middle of a row.
    assert_eq!(counts(&report), [17_435, 17_434, 0, 1]);
    assert_eq!(report["reasons"]["wrong columns"]["rows"], 1);
}
