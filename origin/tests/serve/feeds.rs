//! Feeds, uploaded and watched.

use crate::service::{Service, peer, until};
use serde_json::json;
use std::sync::{Arc, Mutex};

#[test]
fn the_valid_rows_of_an_uploaded_feed_are_imported() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let feed =
        "id,title,price,availability,size\n1,Cup,2.50 GBP,in stock,S\n2,Jug,dear,in stock,\n3,Pot,4,soon,\n";
    let report = caller.send("POST", "/v1/feeds", Some(feed.as_bytes())).json();
    assert_eq!(
        report,
        json!({"format":"csv", "items":2, "changed":2, "removed":0, "rejected":1, "skipped":0, "duplicates":0,
            "errors":[{"line":3, "id":"2", "field":"price", "error":"'dear' is no price such as 15.00 or 15.00 USD"}],
            "warnings":[{"line":4, "id":"3", "field":"availability", "error":"'soon' is not known; expected in_stock, out_of_stock, preorder, backorder, yes, no or a quantity"}],
            "ignored":["size"]})
    );
    assert_eq!(caller.get("/v1/items/1").json()["price"], 2.5);
    assert_eq!(caller.get("/v1/items/3").json()["price"], 4.0);
    let full = caller.send("POST", "/v1/feeds?full=true&max_removed=1", Some(b"id\tname\n7\tMug\n")).json();
    assert_eq!((&full["format"], &full["removed"]), (&json!("tsv"), &json!(2)));
    assert_eq!((caller.get("/v1/items/1").status, caller.get("/v1/items/7").status), (404, 200));
    for (query, field) in [
        ("full=maybe", "full"),
        ("ful=true", "ful"),
        ("max_removed=2", "max_removed"),
        ("decimal=x", "decimal"),
        ("currency=EURO", "currency"),
    ] {
        let problem = caller.send("POST", &format!("/v1/feeds?{query}"), Some(b"id\n1\n")).problem();
        assert_eq!((&problem["status"], &problem["field"]), (&json!(400), &json!(field)));
    }
}

/// A service whose catalogue holds ten items, and how many of them are left after a feed.
fn after_feed(feed: &[u8]) -> (u16, serde_json::Value, usize) {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    let whole: String = (0..10).map(|number| format!("n{number},Item {number}\n")).collect();
    assert_eq!(caller.send("POST", "/v1/feeds", Some(format!("id,title\n{whole}").as_bytes())).status, 200);
    let answer = caller.send("POST", "/v1/feeds?full=true", Some(feed));
    let left = (0..10).filter(|number| caller.get(&format!("/v1/items/n{number}")).status == 200).count();
    let status = caller.get("/v1/admin/status").json();
    if answer.status != 200 {
        assert!(service.metric("feed_errors_total{feed=\"upload\"}") >= Some(1.0));
        assert!(status["feeds"][0]["problem"].is_string(), "{status}");
        service.terminate();
        let log = service.ended();
        assert!(
            log.iter().any(|line| line["level"] == "WARN" && line["message"] == "feed failed"),
            "{log:?}"
        );
    }
    (answer.status, answer.json(), left)
}

#[test]
fn a_feed_that_was_cut_or_removes_too_much_fails_everywhere_and_removes_nothing() {
    let whole: String = (0..9).map(|number| format!("n{number},Item {number}\n")).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, format!("id,title\n{whole}").as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for feed in [
        &b"id,title\nn0,Item 0\n"[..],
        b"id,title\nn0,Item 0\nn1",
        b"id,title\nn0,\"Item",
        b"{\"id\":\"n0\"}\n{\"id\":\"n1\",",
        b"<rss><item><id>n0</id></item>",
        &gzip[..gzip.len() - 9],
        b"",
    ] {
        let (status, problem, left) = after_feed(feed);
        assert_eq!((status, left, &problem["report"]["removed"]), (422, 10, &json!(0)), "{problem}");
    }
    let (status, report, left) = after_feed(&gzip);
    assert_eq!((status, left, &report["removed"]), (200, 9, &json!(1)));
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    caller.send("POST", "/v1/feeds", Some(b"id,price\na,1\nb,2\n"));
    let query = "/v1/feeds?full=true&dry_run=true&max_removed=0.5";
    let report = caller.send("POST", query, Some(b"id,price\na,3\n")).json();
    assert_eq!(
        (&report["changed"], &report["removed"], &report["dry_run"]),
        (&json!(1), &json!(1), &json!(true))
    );
    assert_eq!(report["changes"][0]["after"]["price"], 3.0);
    assert_eq!(
        (caller.get("/v1/items/a").json()["price"].clone(), caller.get("/v1/items/b").status),
        (json!(1.0), 200)
    );
}

#[test]
fn prices_of_two_readings_need_the_column_or_the_setting() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let feed = "id,price\na,\"2.450 EUR\"\nb,\"7,50 EUR\"\nc,7.25 EUR\nd,-1 EUR\n";
    let report = caller.send("POST", "/v1/feeds", Some(feed.as_bytes())).json();
    let errors = report["errors"].as_array().unwrap();
    assert!(errors.len() == 2 && errors[0]["error"].as_str().unwrap().contains("2.45 or 2450"), "{report}");
    caller.send("POST", "/v1/feeds?decimal=,", Some(feed.as_bytes()));
    let price = |id: &str| caller.get(&format!("/v1/items/{id}")).json()["price"].clone();
    assert_eq!([price("a"), price("b"), price("c")], [json!(2450.0), json!(7.5), json!(7.25)]);
}

#[test]
fn a_sale_stands_beside_the_regular_price_and_ends_without_one() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let rss = "<rss xmlns:g=\"http://base.google.com/ns/1.0\"><channel><item><g:id>s</g:id><title>Caf&eacute;</title>\
        <g:item_group_id>cups</g:item_group_id><g:sale_price>15,00 EUR</g:sale_price><g:price>20,00 EUR</g:price>\
        <g:sale_price_effective_date>2025-03-01T00:00+0100/2099-04-01T00:00+0100</g:sale_price_effective_date></item></channel></rss>";
    caller.send("POST", "/v1/feeds", Some(rss.as_bytes()));
    assert_eq!(
        caller.get("/v1/items/s").json(),
        json!({"id":"s", "name":"Café", "price":20.0, "sale_price":15.0, "sale_from":"2025-02-28T23:00:00Z",
            "sale_until":"2099-03-31T23:00:00Z", "currency":"EUR", "group":"cups"})
    );
    caller.send("POST", "/v1/feeds", Some(b"id,price,sale_price\ns,20.00 EUR,\n"));
    assert_eq!(caller.get("/v1/items/s").json()["sale_price"], json!(null));
}

#[test]
fn stock_follows_the_word_and_an_unknown_one_is_told() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let stock = |word: &str| {
        let report =
            caller.send("POST", "/v1/feeds", Some(format!("id,availability\nw,{word}\n").as_bytes())).json();
        (caller.get("/v1/items/w").json()["in_stock"].clone(), report["warnings"].is_array())
    };
    assert_eq!(stock("In Stock"), (json!(true), false));
    assert_eq!(stock("Sold out"), (json!(false), false));
    assert_eq!(stock("next summer"), (json!(false), true));
    assert_eq!(stock(""), (json!(false), false));
    assert_eq!(stock("https://schema.org/BackOrder"), (json!(true), false));
}

#[test]
fn categories_match_by_the_shops_own_spelling() {
    let service = Service::start_shop("");
    let caller = service.with_key(&service.key("admin"));
    let popular = |query: &str| {
        let printed = service.verge(&["recommend", "--what", "popular", "--query", query, "--json"]);
        serde_json::from_str::<serde_json::Value>(&printed).unwrap()["items"].as_array().unwrap().clone()
    };
    let id = popular("limit=1")[0]["id"].as_str().unwrap().to_owned();
    let feed = format!("id,product_type\n{id},Möbel/Stühle > St. Moritz | v2.0>GROẞ \n");
    assert_eq!(caller.send("POST", "/v1/feeds", Some(feed.as_bytes())).status, 200);
    service.verge(&["build", "--no-judge"]);
    for category in
        ["Möbel/Stühle", "möbel/stühle>st. moritz | V2.0", "MÖBEL/STÜHLE > St. Moritz | v2.0 > gross"]
    {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("category", category).finish();
        assert_eq!(popular(&query)[0]["id"], id, "{category}");
    }
    assert!(popular("category=M%C3%B6bel").is_empty());
}

#[test]
fn a_watched_file_is_imported_when_it_changes_and_errors_are_counted() {
    let config =
        "[[feeds]]\nname = \"shop\"\nfrom = \"feed.csv\"\nevery_s = 1\nfull = true\nmax_removed = 0.5\n";
    let service = Service::start_with(config, &[]);
    let caller = service.with_key(&service.key("catalogue"));
    until("an error", || service.metric("feed_errors_total{feed=\"shop\"}") >= Some(1.0));
    let write = |text: &str| std::fs::write(service.dir().join("feed.csv"), text).unwrap();
    write("id,name\n1,Cup\n2,Jug\n");
    until("the first feed", || caller.get("/v1/items/2").status == 200);
    write("id,name\n1,Large cup\n");
    until("the second feed", || caller.get("/v1/items/2").status == 404);
    assert_eq!(caller.get("/v1/items/1").json()["name"], "Large cup");
    assert!(service.metric("feed_read_timestamp_seconds{feed=\"shop\"}") > Some(1e9));
}

#[test]
fn a_watched_address_is_requested_conditionally() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let body = "{\"id\":\"1\",\"name\":\"Cup\"}\n";
    let fresh = format!(
        "HTTP/1.1 200 OK\r\netag: \"one\"\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let known = "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned();
    let heads = Arc::clone(&requests);
    let address = peer(move |request| {
        let head = request.to_lowercase();
        let answer = if head.contains("if-none-match: \"one\"") { known.clone() } else { fresh.clone() };
        heads.lock().unwrap().push(head);
        answer
    });
    let config = format!(
        "[[feeds]]\nname = \"shop\"\nfrom = \"http://{address}/feed\"\nevery_s = 1\nauthorization = \"Basic x\"\n"
    );
    let service = Service::start_with(&config, &[]);
    let caller = service.with_key(&service.key("catalogue"));
    until("the feed", || caller.get("/v1/items/1").status == 200);
    until("the second request", || requests.lock().unwrap().len() > 1);
    let requests = requests.lock().unwrap().clone();
    assert!(
        !requests[0].contains("if-none-match") && requests[0].contains("authorization: basic x"),
        "{requests:?}"
    );
    assert!(requests[1].contains("if-none-match: \"one\""), "{requests:?}");
    assert_eq!(service.metric("feed_errors_total{feed=\"shop\"}"), None);
}

#[test]
fn a_feed_address_that_never_answers_does_not_delay_stopping() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let config = format!("[[feeds]]\nname = \"shop\"\nfrom = \"http://{address}/feed\"\n");
    let service = Service::start_with(&config, &[]);
    let _request = silent.accept().unwrap();
    service.terminate();
    service.ended();
}
