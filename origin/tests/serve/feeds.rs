//! Feeds, uploaded and watched.

use crate::service::{Service, peer, until};
use serde_json::json;
use std::sync::{Arc, Mutex};

#[test]
fn the_valid_rows_of_an_uploaded_feed_are_imported() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let feed = "id,title,price,availability\n1,Cup,2.50 GBP,in stock\n2,Jug,dear,in stock\n3,Pot,4,sold\n";
    let report = caller.send("POST", "/v1/feeds", Some(feed.as_bytes())).json();
    assert_eq!(
        report,
        json!({"format":"csv", "items":1, "changed":1, "removed":0, "rejected":2, "errors":[
            {"line":3, "id":"2", "field":"price", "error":"'dear' is no price such as 15.00 or 15.00 USD"},
            {"line":4, "id":"3", "field":"availability",
             "error":"'sold' is none of in_stock, out_of_stock, preorder, backorder, true or false"},
        ]})
    );
    assert_eq!(caller.get("/v1/items/1").json()["price"], 2.5);
    let full = caller.send("POST", "/v1/feeds?full=true", Some(b"id\tname\n7\tMug\n")).json();
    assert_eq!((&full["format"], &full["removed"]), (&json!("tsv"), &json!(1)));
    assert_eq!((caller.get("/v1/items/1").status, caller.get("/v1/items/7").status), (404, 200));
    let cut = caller.send("POST", "/v1/feeds?full=true", Some(b"<rss><item><g:id>9</g:id>")).json();
    assert!(cut["problem"].as_str().unwrap().contains("line 1"), "{cut}");
    assert_eq!(caller.get("/v1/items/7").status, 200);
    for (query, field) in [("?full=maybe", "full"), ("?ful=true", "ful")] {
        let problem = caller.send("POST", &format!("/v1/feeds{query}"), Some(b"id\n1\n")).problem();
        assert_eq!((&problem["status"], &problem["field"]), (&json!(400), &json!(field)));
    }
}

#[test]
fn a_watched_file_is_imported_when_it_changes_and_errors_are_counted() {
    let config = "[[feeds]]\nname = \"shop\"\nfrom = \"feed.csv\"\nevery_s = 1\nfull = true\n";
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
