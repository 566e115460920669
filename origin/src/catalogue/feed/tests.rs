use super::*;
use proptest::prelude::*;
use std::io::Cursor;

fn take_bytes(store: &mut Store, feed: &[u8], options: &Options) -> Report {
    let feed = feed.to_vec();
    take(store, || Ok(Box::new(Cursor::new(feed.clone()))), options).unwrap()
}

fn fed(feeds: &[(&[u8], bool)]) -> (Store, Report, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut report = Report::default();
    for (feed, full) in feeds {
        let options = Options { full: *full, max_removed: 0.5, ..Options::default() };
        report = take_bytes(&mut store, feed, &options);
    }
    (store, report, dir)
}

/// The items of one feed, by id.
fn items(feed: &[u8]) -> (Vec<Item>, Report) {
    let (store, report, _dir) = fed(&[(feed, false)]);
    // One by one: as stored, while `Store::items` gives current prices.
    let stored = |item: &Item| store.item(&item.id).unwrap().unwrap();
    (store.items().unwrap().iter().map(stored).collect(), report)
}

fn utf16(text: &str) -> Vec<u8> {
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn every_format_is_told_by_its_content() {
    let gzip = {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, b"id\tname\n1\tCup\n").unwrap();
        gzip.finish().unwrap()
    };
    for (feed, format) in [
        (&b"id,name\n1,Cup\n"[..], "csv"),
        (&gzip, "tsv"),
        (b"id;title\n1;Cup\n", "csv"),
        (b"id|title\n1|Cup\n", "csv"),
        (b"sep=;\nid;title\n1;Cup\n", "csv"),
        (&utf16("id\ttitle\n1\tCup\n"), "tsv"),
        (b"\xef\xbb\xbf{\"id\":1,\"name\":\"Cup\"}\n\n", "jsonl"),
        (b"\n<rss><item><id>1</id><title>Cup</title></item></rss>", "xml"),
    ] {
        let (store, report, _dir) = fed(&[(feed, false)]);
        let expected = Report { format, items: 1, changed: 1, ..Report::default() };
        assert_eq!(report, expected);
        assert_eq!(store.item("1").unwrap().unwrap().name.as_deref(), Some("Cup"));
    }
}

#[test]
fn a_full_feed_removes_what_it_does_not_name_and_what_is_wrong_stays() {
    let first = b"id,price\n1,1\n2,2\n3,3\n";
    let (store, report, _dir) = fed(&[(first, true), (b"id,price\n1,1\n2,dear\n", true)]);
    assert_eq!((report.items, report.changed, report.removed, report.rejected), (1, 0, 1, 1));
    assert_eq!((report.errors[0].line, &*report.errors[0].wrong.field), (3, "price"));
    assert_eq!((store.count_items().unwrap(), store.item("2").unwrap().unwrap().price), (2, Some(2.0)));
}

#[test]
fn a_feed_that_may_be_cut_removes_nothing() {
    for cut in [
        &b"<rss><item><id>1</id></item><item><id>2"[..],
        b"",
        b"id,price\n",
        b"id,price\n1,1\n,2\n",
        b"id,price\n1,1\n2",
        b"id,price\n1,1\n2,1 E",
        b"id,availability\n1,in stock\n2,out of",
        b"id,title,price\n1,Cup,1\n2,\"Ju",
        b"{\"id\":\"1\"}\n{\"id\":",
        b"id\n1\n",
    ] {
        let (store, report, _dir) = fed(&[(b"id\n1\n2\n3\n", true), (cut, true)]);
        assert!(report.problem.is_some() && report.removed == 0, "{report:?}");
        assert_eq!(store.count_items().unwrap(), 3);
    }
}

#[test]
fn new_items_make_no_room_for_removing_others() {
    let many: String = (0..100).map(|number| format!("new{number}\n")).collect();
    let (store, report, _dir) = fed(&[(b"id\n1\n2\n3\n", true), (format!("id\n{many}").as_bytes(), true)]);
    assert!(report.problem.unwrap().contains("3 of 3 items"));
    assert_eq!(store.count_items().unwrap(), 103);
}

#[test]
fn a_dry_run_stores_nothing_and_shows_what_would_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    take_bytes(&mut store, b"id,price\na,1\nb,2\nc,3\n", &Options::default());
    let before = (store.items().unwrap(), store.catalogue_version().unwrap());
    let options = Options { full: true, dry_run: true, max_removed: 0.4, ..Options::default() };
    let report = take_bytes(&mut store, b"id,price\na,1\nb,5\nd,4\n", &options);
    assert_eq!((report.changed, report.removed, report.problem.as_deref()), (2, 1, None));
    let shown: Vec<_> = report
        .changes
        .iter()
        .map(|shown| (&*shown.id, shown.before.is_some(), shown.after.is_some()))
        .collect();
    assert_eq!(shown, [("b", true, true), ("d", false, true), ("c", true, false)]);
    assert_eq!((store.items().unwrap(), store.catalogue_version().unwrap()), before);
}

#[test]
fn the_column_decides_how_prices_are_read_and_the_setting_where_it_does_not() {
    let prices = |feed: &[u8], decimal| {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let report = take_bytes(&mut store, feed, &Options { decimal, ..Options::default() });
        (store.items().unwrap().iter().map(|item| item.price.unwrap()).collect::<Vec<_>>(), report.rejected)
    };
    assert_eq!(prices(b"id;price\na;2.450 EUR\nb;7,50 EUR\n", None), (vec![2450.0, 7.5], 0));
    assert_eq!(prices(b"id,price\na,2.450 EUR\nb,7.50 EUR\n", None), (vec![2.45, 7.5], 0));
    let mixed = b"id;price\na;2.450 EUR\nb;7,50 EUR\nc;7.25 EUR\n";
    assert_eq!(prices(mixed, None), (vec![7.5, 7.25], 1));
    assert_eq!(prices(mixed, Some(Decimal::Comma)), (vec![2450.0, 7.5, 7.25], 0));
    assert_eq!(prices(mixed, Some(Decimal::Dot)), (vec![2.45, 7.5, 7.25], 0));
}

#[test]
fn the_last_row_of_an_id_counts_and_it_is_told() {
    let (items, report) = items(b"id,title,price\nA,First,1\nA,Second,\nA,Third,dear\na,Lower,3\n");
    assert_eq!(
        items.iter().map(|item| item.name.as_deref().unwrap()).collect::<Vec<_>>(),
        ["Second", "Lower"]
    );
    assert_eq!((items[0].price, report.duplicates, report.rejected), (None, 1, 1));
    assert!(report.warnings[0].line == 2 && report.warnings[0].wrong.error.contains("line 3"), "{report:?}");
}

#[test]
fn words_that_are_not_known_and_columns_that_are_not_read_are_told() {
    let (items, report) = items(b"id,title,availability,colour,price\n1,Cup,on the way,red,2 EUR\n");
    assert_eq!((items[0].in_stock, items[0].price, report.items, report.rejected), (None, Some(2.0), 1, 0));
    assert_eq!(
        (&*report.warnings[0].wrong.field, &*report.ignored),
        ("availability", &["colour".to_owned()][..])
    );
}

#[test]
fn placeholders_are_no_ids() {
    let (items, report) = items(b"id,title\nundefined,A\nnull,B\nNaN,C\n[object Object],D\nok,E\n");
    assert_eq!((items.len(), report.rejected), (1, 4));
}

#[test]
fn shopifys_export_is_an_item_a_variant() {
    let feed = "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,\
        Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,Image Src,Variant Image,Status\n\
        rain-coat,Rain Coat,\"<p>Dry,\nand \"\"light\"\"</p>\",Nord,Apparel > Coats,Coats,,true,Size,S,RC-S,0,deny,90.00,120.00,c.jpg,,active\n\
        rain-coat,,,,,,,,,M,RC-M,0,continue,90.00,90.00,,m.jpg,\n\
        rain-coat,,,,,,,,,L,,4,deny,95.00,,,,\n\
        rain-coat,,,,,,,,,,,,,,,d.jpg,,\n\
        mug,Mug,,Nord,,Kitchen,,true,Title,Default Title,,7,deny,9.50,,,,active\n\
        old,Old,,Nord,,Kitchen,,true,Title,Default Title,OLD,7,deny,9.50,,,,archived\n\
        hid,Hidden,,Nord,,Kitchen,,false,Title,Default Title,HID,7,deny,9.50,,,,active\n";
    let (items, report) = items(feed.as_bytes());
    assert_eq!((report.format, report.items, report.skipped, report.rejected), ("shopify", 4, 3, 0));
    assert_eq!(report.ignored, ["Body (HTML)", "Option1 Name", "Tags"]);
    let ids: Vec<_> = items.iter().map(|item| &*item.id).collect();
    assert_eq!(ids, ["RC-M", "RC-S", "mug", "rain-coat/L"]);
    let [medium, small, mug, large] = &items[..] else { panic!() };
    assert_eq!((small.price_at(snapshots::time::Timestamp(0)), small.in_stock), (Some(90.0), Some(false)));
    assert_eq!(
        (medium.sale_price, medium.in_stock, medium.image.as_deref()),
        (None, Some(true), Some("m.jpg"))
    );
    assert_eq!(
        (large.name.as_deref(), large.category.as_deref()),
        (Some("Rain Coat"), Some("Apparel > Coats"))
    );
    assert_eq!((large.group.as_deref(), large.brand.as_deref()), (Some("rain-coat"), Some("Nord")));
    assert_eq!((mug.category.as_deref(), mug.in_stock), (Some("Kitchen"), Some(true)));
}

#[test]
fn woocommerces_export_is_read_with_its_variations() {
    let feed = "ID,Type,SKU,Name,Published,Visibility in catalog,In stock?,Stock,Backorders allowed?,Sale price,Date sale price ends,\
        Regular price,Categories,Images,Parent,Weight\n\
        10,variable,coat,Coat,1,visible,1,,0,,,,\"Apparel > Coats, New\",\"a.jpg, b.jpg\",,\n\
        11,variation,coat-s,Coat - S,1,visible,0,0,0,80,2099-12-31,\"1.100,50\",,,coat,2\n\
        12,variation,coat-m,Coat - M,1,visible,0,0,notify,,,\"99,00\",,m.jpg,coat,\n\
        13,\"simple, virtual\",card,Card,1,visible,1,,0,,,15,\"Gifts\\, small\",,,\n\
        14,simple,off,Off,0,visible,1,,0,,,15,Gifts,,,\n\
        15,simple,hid,Hid,1,hidden,1,,0,,,15,Gifts,,,\n";
    let (items, report) = items(feed.as_bytes());
    assert_eq!((report.format, report.items, report.skipped), ("woocommerce", 3, 3));
    assert_eq!(report.ignored, ["Weight"]);
    let [small, medium, card] = &items[..] else { panic!("{items:?}") };
    assert_eq!((&*small.id, small.price, small.sale_price), ("11", Some(1100.5), Some(80.0)));
    assert_eq!((small.category.as_deref(), small.image.as_deref()), (Some("Apparel > Coats"), Some("a.jpg")));
    assert_eq!(
        (small.group.as_deref(), small.in_stock, medium.in_stock),
        (Some("coat"), Some(false), Some(true))
    );
    assert_eq!((medium.image.as_deref(), card.category.as_deref()), (Some("m.jpg"), Some("Gifts, small")));
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    take_bytes(&mut store, feed.as_bytes(), &Options { id: Some("SKU".to_owned()), ..Options::default() });
    assert!(store.item("coat-s").unwrap().is_some());
}

#[test]
fn googles_names_are_read_from_json() {
    let feed = br#"{"id":"a","title":"Tee","availability":"sold out","link":"https://shop.example/a","productTypes":["A > B"]}
{"id":"b","price":"12.99 EUR","salePrice":{"value":9.5,"currency":"EUR"},"in_stock":"false","size":"XL"}
{"id":"c","price":"","brand":"","added_at":"2025-03-09","in_stock":1}
{"id":"d","name":{"en":"Tee"}}
"#;
    let (items, report) = items(feed);
    assert_eq!((report.items, report.rejected, &*report.ignored), (3, 1, &["size".to_owned()][..]));
    let [first, second, third] = &items[..] else { panic!() };
    assert_eq!((first.in_stock, first.category.as_deref()), (Some(false), Some("A > B")));
    assert_eq!((second.price, second.sale_price, second.in_stock), (Some(12.99), Some(9.5), Some(false)));
    assert_eq!(
        (third.in_stock, third.added_at.map(|at| at.to_string())),
        (Some(true), Some("2025-03-09T00:00:00Z".to_owned()))
    );
}

#[test]
fn each_encoding_gives_the_same_item() {
    let expected = "Tür – 20 € d’été";
    let windows =
        |text: &str| encoding_of(text, &[('ü', 0xfc), ('–', 0x96), ('€', 0x80), ('’', 0x92), ('é', 0xe9)]);
    let csv = format!("id;title\n1;{expected}\n");
    let xml = format!("<rss><item><id>1</id><title>{expected}</title></item></rss>");
    for feed in [
        csv.clone().into_bytes(),
        utf16(&csv),
        windows(&csv),
        windows(&format!("<?xml version=\"1.0\" encoding=\"windows-1252\"?>{xml}")),
        windows(&xml),
        utf16(&format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{xml}")),
    ] {
        let (items, _) = items(&feed);
        assert_eq!(items[0].name.as_deref(), Some(expected));
    }
}

fn encoding_of(text: &str, codes: &[(char, u8)]) -> Vec<u8> {
    let code =
        |sign: char| codes.iter().find(|(known, _)| *known == sign).map_or(sign as u8, |(_, code)| *code);
    text.chars().map(code).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_are_a_feed_or_a_problem(feed in proptest::collection::vec(any::<u8>(), 0..60), start in "(<|\\{|id[,\t]|Handle,Option1 Value,Variant Price\n|Type,SKU,ID,In stock\\?\n|)") {
        let bytes = [start.as_bytes(), &feed].concat();
        let mut rows = 0;
        let _ = read(&*bytes, &Options::default(), &mut About::default(), |row| {
            let _ = row.draft.finish(&Reading::default());
            rows += 1;
            Ok(())
        });
        prop_assert!(rows <= bytes.len());
    }

    #[test]
    fn what_is_written_is_read(
        rows in proptest::collection::vec(("[^\\p{Cc}\\s][^\\p{Cc}\\s]{0,9}( [\",;\\PC&&[^\\s]]{1,5})?", 0u32..10_000_000), 1..9),
        delimiter in 0usize..4,
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(b",;\t|"[delimiter]).from_writer(Vec::new());
        writer.write_record(["id", "name", "price"]).unwrap();
        for (number, (name, cents)) in rows.iter().enumerate() {
            writer.write_record([&format!("{number:03}"), name, &format!("{:.2}", f64::from(*cents) / 100.0)]).unwrap();
        }
        let (items, report) = items(&writer.into_inner().unwrap());
        prop_assert_eq!((items.len(), report.rejected), (rows.len(), 0), "{:?}", report);
        for ((name, cents), item) in rows.iter().zip(items) {
            prop_assert_eq!(item.price, Some(f64::from(*cents) / 100.0));
            prop_assert_eq!(item.name, origin_data::fields::name(name));
        }
    }
}
