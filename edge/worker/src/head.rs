//! The parts of a request that the Worker always reads, as lines of text made by `js/glue.js`.

/// The number of lines.
const LINES: usize = 8;

/// The head of a request. Missing fields are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// The URL.
    pub url: &'a str,
    /// The country according to Cloudflare.
    pub country: &'a str,
    /// `Cookie`.
    pub cookie: &'a str,
    /// `Origin`.
    pub origin: &'a str,
    /// `If-None-Match`.
    pub if_none_match: &'a str,
    /// `Sec-GPC`.
    pub sec_gpc: &'a str,
    /// `Content-Length`.
    pub content_length: &'a str,
}

impl<'a> Head<'a> {
    /// Reads the lines. Missing ones are empty.
    pub fn read(lines: &'a str) -> Self {
        let mut lines = lines.splitn(LINES, '\n');
        let mut next = || lines.next().unwrap_or_default();
        Self {
            method: next(),
            url: next(),
            country: next(),
            cookie: next(),
            origin: next(),
            if_none_match: next(),
            sec_gpc: next(),
            content_length: next(),
        }
    }

    /// The URL's path and query, still percent-encoded.
    pub fn path_and_query(&self) -> (&'a str, &'a str) {
        let rest = self.url.split_once("://").map_or(self.url, |(_, rest)| rest);
        let rest = rest.find(['/', '?', '#']).and_then(|start| rest.get(start..)).unwrap_or_default();
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        rest.split_once('?').unwrap_or((rest, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(url: &str) -> (&str, &str) {
        Head { url, ..Head::default() }.path_and_query()
    }

    #[test]
    fn a_url_is_split_into_path_and_query() {
        assert_eq!(
            parts("https://shop.example/v1/items/a%2Fb?limit=3&x=/?y#z"),
            ("/v1/items/a%2Fb", "limit=3&x=/?y")
        );
        assert_eq!(parts("https://shop.example"), ("", ""));
        assert_eq!(parts("https://shop.example?a=b"), ("", "a=b"));
        assert_eq!(parts("http://127.0.0.1:8787/#a?b"), ("/", ""));
    }

    #[test]
    fn lines_are_read_in_the_order_of_the_glue() {
        let head = Head::read("GET\nhttps://a/b\nGB\nc=d\nhttps://a\n\"tag\"\n1\n12");
        assert_eq!((head.method, head.url, head.country, head.cookie), ("GET", "https://a/b", "GB", "c=d"));
        assert_eq!((head.origin, head.if_none_match), ("https://a", "\"tag\""));
        assert_eq!((head.sec_gpc, head.content_length), ("1", "12"));
        assert_eq!(Head::read("GET"), Head { method: "GET", ..Head::default() });
    }

    proptest! {
        #[test]
        fn any_lines_are_read(lines in "(\\PC|\n){0,100}") {
            Head::read(&lines).path_and_query();
        }
    }
}
