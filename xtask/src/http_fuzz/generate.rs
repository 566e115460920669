//! Generates requests from known and unknown paths, parameters and headers, and from random bytes.

/// The class of a request, which determines the answers that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Valid HTTP.
    Valid,
    /// An upgrade to a WebSocket.
    Upgrade,
    /// A body above the size limit of the Worker.
    Large,
    /// Possibly not HTTP: workerd may reject it or close the connection.
    Malformed,
}

/// A generated request.
pub(super) struct GeneratedRequest {
    /// Its class.
    pub(super) class: Class,
    /// Whether the method is HEAD, so that the answer has no body.
    pub(super) is_head: bool,
    /// The bytes to send.
    pub(super) bytes: Vec<u8>,
}

/// A seeded random number generator (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn bytes(&mut self, max_len: usize) -> Vec<u8> {
        (0..self.below(max_len + 1)).map(|_| self.next() as u8).collect()
    }
}

/// Methods that workerd passes to the Worker; it rejects others itself.
const METHODS: [&str; 11] =
    ["GET", "HEAD", "HEAD", "OPTIONS", "POST", "DELETE", "PUT", "PATCH", "TRACE", "PROPFIND", "PURGE"];
const PATHS: [&str; 24] = [
    "/v1/recommendations",
    "/v1/recommendations",
    "/v1/recommendations",
    "/v1/recommendations",
    "/v1/recommendations",
    "/v1/popular",
    "/v1/popular",
    "/v1/popular",
    "/v1/events",
    "/v1/events",
    "/v1/events",
    "/v1/events",
    "/v1/items/ITEM",
    "/v1/items/ITEM/similar",
    "/v1/items/ITEM/similar",
    "/v1/items/ITEM/similar",
    "/healthz",
    "/v1/live",
    "/v1/openapi.json",
    "/v1/snapshots/world",
    "/graphql",
    "/",
    "/v1//popular",
    "/v2/%2e%2e/v1/popular",
];
const NAMES: [&str; 19] = [
    "placement",
    "item",
    "limit",
    "cursor",
    "exclude",
    "category",
    "brand",
    "price_min",
    "price_max",
    "strategy",
    "region",
    "recents",
    "in_stock",
    "force",
    "query",
    "variables",
    "limit",
    "recents",
    "item",
];
const VALUES: [&str; 30] = [
    "home",
    "product",
    "cart",
    "search",
    "email",
    "1",
    "12",
    "100",
    "101",
    "0",
    "-1",
    "1e308",
    "NaN",
    "2.5",
    "world",
    "gb",
    "../world",
    "default",
    "ITEM",
    "ITEM,ITEM,ITEM",
    "%00",
    "%ff%fe",
    "%F0%9F%98%80",
    "a%2Cb",
    "",
    "+",
    "%",
    "18446744073709551616",
    "AAAA",
    "CURSOR",
];
const HEADERS: [&str; 14] = [
    "CF-IPCountry",
    "Cookie",
    "Cookie",
    "Cookie",
    "Origin",
    "If-None-Match",
    "Sec-GPC",
    "Content-Type",
    "User-Agent",
    "Accept-Language",
    "Sec-CH-UA-Mobile",
    "CF-Connecting-IP",
    "Accept-Encoding",
    "X-Forwarded-For",
];
const HEADER_VALUES: [&str; 22] = [
    "GB",
    "xx",
    "verge_recents=1|ITEM:v:ht7ui|ITEM:c3:ht7tk",
    "verge_recents=1|ITEM:a:zzzzzzzzzzz",
    "verge_recents=2|x",
    "verge_visitor=AAAAAAAAAAAAAAAAAAAAAA",
    "verge_recents=; verge_recents=1|ITEM:p:1",
    "https://shop.example",
    "null",
    "*",
    "W/\"x\"",
    "\"a\", \"b\"",
    "1",
    "application/json",
    "?1",
    "203.0.113.7",
    "2001:db8::1",
    "::::::::::",
    "gzip, br",
    "verge_recents=1|%ff:v:1|:::|ITEM:v999999999999:1",
    "1|1|1",
    "application/x-ndjson; charset=utf-16",
];
const EVENTS: [&str; 14] = [
    r#"{"kind":"view","item":"ITEM"}"#,
    r#"{"kind":"cart","item":"ITEM","quantity":2,"price":2.5,"currency":"GBP"}"#,
    r#"{"kind":"purchase","item":"ITEM","id":"same-id","at":"2026-11-20T10:15:30Z"}"#,
    r#"{"event":"purchase","params":{"items":[{"item_id":"ITEM"},{"item_id":7}]}}"#,
    r#"{"event":"Order Completed","properties":{"products":[{"product_id":"ITEM"}]}}"#,
    r#"{"client_id":"x","events":[{"name":"view_item","params":{"items":[{"item_id":"ITEM"}]}}]}"#,
    r#"{"kind":"impression","item":"ITEM","request":"01JD"}"#,
    r#"{"kind":"veiw","item":"ITEM"}"#,
    r#"{"kind":"view","item":"\u0000"}"#,
    r#"{"kind":"view","item":"\ud800"}"#,
    r#"{"kind":"view","item":"ITEM","price":1e999}"#,
    r#"{"kind":"view","item":"ITEM","at":"9999-99-99T99:99:99Z"}"#,
    r#"{"query":"{ popular(limit: 3) { items { id } } }"}"#,
    "[[[[[[[[",
];

/// Generates a request. `items` are ids of the shop.
pub(super) fn request(random: &mut Random, items: &[String]) -> GeneratedRequest {
    match random.below(1_000) {
        0..=2 => return large(random),
        3..=12 => return upgrade(random),
        _ => {}
    }
    let target = target(random, items);
    let method = match random.below(8) {
        0 => random.pick(&METHODS),
        _ if target.contains("events") || target.contains("graphql") => "POST",
        _ => "GET",
    };
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: shop.example\r\n").into_bytes();
    for _ in 0..random.below(5) {
        add_header(&mut head, random, items);
    }
    let body = if method == "GET" || method == "HEAD" { Vec::new() } else { body(random, items) };
    let mut bytes = framed(head, &body, random);
    let is_malformed = random.one_in(50);
    if is_malformed {
        corrupt(&mut bytes, random);
    }
    let class = if is_malformed { Class::Malformed } else { Class::Valid };
    GeneratedRequest { class, is_head: method == "HEAD", bytes }
}

fn large(random: &mut Random) -> GeneratedRequest {
    let body = [random.pick(&EVENTS).as_bytes(), &vec![b' '; (256 << 10) + random.below(2 << 20)]].concat();
    let head = b"POST /v1/events HTTP/1.1\r\nHost: shop.example\r\n".to_vec();
    GeneratedRequest { class: Class::Large, is_head: false, bytes: framed(head, &body, random) }
}

fn upgrade(random: &mut Random) -> GeneratedRequest {
    let path = if random.one_in(3) { random.pick(&PATHS) } else { "/v1/live" };
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    GeneratedRequest { class: Class::Upgrade, is_head: false, bytes: head.into_bytes() }
}

/// A path with a query that is valid in a request line.
fn target(random: &mut Random, items: &[String]) -> String {
    let mut target = fill_items(random.pick(&PATHS), random, items);
    for number in 0..random.below(5) {
        let value =
            if random.one_in(6) { escaped(&random.bytes(40)) } else { random.pick(&VALUES).to_owned() };
        let value = fill_items(&value, random, items);
        let value = if random.one_in(40) { value.repeat(1 + random.below(300)) } else { value };
        target.push_str(&format!("{}{}={value}", if number == 0 { '?' } else { '&' }, random.pick(&NAMES)));
    }
    if random.one_in(12) {
        // Random bytes, percent-encoded where a path requires it.
        let place = 1 + random.below(target.len());
        target.insert_str(place.min(target.len()), &escaped(&random.bytes(12)));
    }
    target.truncate(6_000);
    target
}

fn add_header(head: &mut Vec<u8>, random: &mut Random, items: &[String]) {
    let name = random.pick(&HEADERS);
    let value = match random.below(5) {
        0 => random.bytes(200),
        1 => {
            let max_len = if random.one_in(10) { 4_000 } else { 60 };
            [b"verge_recents=1|".to_vec(), random.bytes(max_len)].concat()
        }
        _ => fill_items(random.pick(&HEADER_VALUES), random, items).into_bytes(),
    };
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend(value.into_iter().map(|byte| if byte < 0x20 || byte == 0x7f { b'|' } else { byte }));
    head.extend_from_slice(b"\r\n");
}

fn body(random: &mut Random, items: &[String]) -> Vec<u8> {
    let event = |random: &mut Random| fill_items(random.pick(&EVENTS), random, items);
    let mut body = match random.below(8) {
        0 => random.bytes(300),
        1 => Vec::new(),
        2 => (0..random.below(600)).map(|_| event(random) + "\n").collect::<String>().into_bytes(),
        3 => format!("[{}]", (0..random.below(9)).map(|_| event(random)).collect::<Vec<_>>().join(","))
            .into_bytes(),
        4 => random.pick(&["[", "{\"a\":", "\"", "[["]).repeat(random.below(9_000)).into_bytes(),
        _ => event(random).into_bytes(),
    };
    let max_len = if random.one_in(4) { 5 } else { 1 };
    for _ in 0..random.below(max_len) {
        if let Some(byte) = body.len().checked_sub(1).map(|last| random.below(last + 1)) {
            body[byte] = random.next() as u8;
        }
    }
    body
}

/// Appends the body, either with a Content-Length or chunked.
fn framed(mut head: Vec<u8>, body: &[u8], random: &mut Random) -> Vec<u8> {
    if body.is_empty() && random.one_in(2) {
        head.extend_from_slice(b"\r\n");
    } else if random.one_in(4) {
        head.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(1 + random.below(body.len().max(64))) {
            head.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            head.extend_from_slice(chunk);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"0\r\n\r\n");
    } else {
        head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        head.extend_from_slice(body);
    }
    head
}

/// Changes, inserts or removes random bytes, or truncates the request.
fn corrupt(bytes: &mut Vec<u8>, random: &mut Random) {
    if random.one_in(4) {
        bytes.truncate(random.below(bytes.len()));
        return;
    }
    for _ in 0..=random.below(8) {
        let place = random.below(bytes.len());
        match random.below(3) {
            0 => bytes[place] = random.next() as u8,
            1 => bytes.insert(place, random.next() as u8),
            _ => drop(bytes.remove(place)),
        }
    }
}

fn fill_items(text: &str, random: &mut Random, items: &[String]) -> String {
    let mut filled = text.to_owned();
    while let Some(place) = filled.find("ITEM") {
        let item = if random.one_in(5) || items.is_empty() {
            "never-seen"
        } else {
            &items[random.below(items.len())]
        };
        filled.replace_range(place..place + 4, item);
    }
    filled
}

fn escaped(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~/:;=&|".contains(byte);
    bytes
        .iter()
        .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_generate_equal_requests_of_every_class() {
        let items = ["a".to_owned(), "b".to_owned()];
        let make = || {
            let mut random = Random(7);
            (0..5_000).map(|_| request(&mut random, &items)).collect::<Vec<_>>()
        };
        let (one, other) = (make(), make());
        assert!(one.iter().zip(&other).all(|(one, other)| one.bytes == other.bytes));
        for class in [Class::Valid, Class::Upgrade, Class::Large, Class::Malformed] {
            assert!(one.iter().any(|request| request.class == class), "{class:?}");
        }
        let valid = one.iter().filter(|request| request.class == Class::Valid);
        for request in valid {
            let end =
                request.bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("the head has no end");
            let head = &request.bytes[..end];
            assert!(
                head.split(|byte| *byte == b'\n').all(|line| line
                    .iter()
                    .filter(|byte| **byte == b'\r')
                    .count()
                    <= 1)
            );
        }
    }
}
