//! Who sends events: the shop's server with its key, or anyone.
//!
//! Everything here is told by the platform or proven, so that a body cannot claim it.

use crate::config::Config;
use crate::cors;
use crate::head::Head;
use crate::reply::Problem;
use snapshots::event::BUCKETS;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The number of lines.
const LINES: usize = 5;

/// Names in the `User-Agent` of crawlers, previews of links, monitors and automated browsers, in lower case. Besides these, a
/// word that ends in `bot` is one.
const BOTS: [&str; 16] = [
    "spider",
    "crawl",
    "slurp",
    "headless",
    "phantomjs",
    "lighthouse",
    "externalhit",
    "externalagent",
    "mediapartners-google",
    "googleother",
    "google-inspectiontool",
    "bingpreview",
    "prerender",
    "pingdom",
    "chatgpt-user",
    "perplexity-user",
];
/// Phones whose name ends like that of a bot.
const NO_BOT: &str = "cubot";

/// What a request says of its sender. Missing fields are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender<'a> {
    /// `Authorization`.
    pub authorization: &'a str,
    /// `Sec-Fetch-Site`, which browsers set and pages cannot.
    pub fetch_site: &'a str,
    /// The client's network: its address, for IPv6 the first 64 bits.
    pub network: &'a str,
    /// Whether Cloudflare's bot management takes the client for a bot.
    pub is_judged_bot: bool,
    /// `User-Agent`.
    pub user_agent: &'a str,
}

impl<'a> Sender<'a> {
    /// Reads the lines of `js/glue.js`. Missing ones are empty.
    pub fn read(lines: &'a str) -> Self {
        let mut lines = lines.splitn(LINES, '\n');
        let mut next = || lines.next().unwrap_or_default();
        Self {
            authorization: next(),
            fetch_site: next(),
            network: next(),
            is_judged_bot: next() == "bot",
            user_agent: next(),
        }
    }

    /// Whether the sender has the secret `EVENTS_KEY`. Other schemes than `Bearer` are no claim to have it: a browser sends
    /// the password of a protected site by itself.
    ///
    /// # Errors
    /// A [`Problem`] if the sender sends another key. To count it as public would surprise a shop whose key is wrong.
    pub fn is_keyed(&self, key: Option<&str>) -> Result<bool, Problem> {
        let (scheme, given) = self.authorization.split_once(' ').unwrap_or((self.authorization, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(false);
        }
        if key.is_some_and(|key| is_same_secret(key, given.trim())) {
            return Ok(true);
        }
        let detail = "Send the Worker's secret EVENTS_KEY as a bearer token, or no Authorization header.";
        Err(Problem::new(401, "Not allowed", detail).with("www-authenticate", "Bearer"))
    }

    /// Rejects pages of other sites. A page is of this site if it has the Worker's own origin or one of `CORS_ORIGINS`.
    ///
    /// # Errors
    /// A [`Problem`] if the request comes from another page.
    pub fn check_page(&self, config: &Config, head: &Head<'_>) -> Result<(), Problem> {
        // Browsers hide the origin of a beacon from a page with `Referrer-Policy: no-referrer`.
        let is_hidden = matches!(head.origin, "" | "null");
        let is_ours = match self.fetch_site {
            // No page can set the header. With another `Origin`, a proxy of the storefront, such as a rewrite of Next.js, is
            // between.
            "same-origin" => true,
            "none" if is_hidden => true,
            fetch_site => (!is_hidden || fetch_site.is_empty()) && cors::is_ours(config, head),
        };
        if is_ours {
            return Ok(());
        }
        let detail = "Pages of this origin may not send events. CORS_ORIGINS lists those that may.";
        Err(Problem { field: Some("origin".to_owned()), ..Problem::new(403, "Forbidden", detail) })
    }

    /// Whether the events are those of a bot. A server with a key passes on the `User-Agent` of its visitor; what Cloudflare
    /// judges then is the server.
    pub fn is_bot(&self, is_keyed: bool) -> bool {
        (self.is_judged_bot && !is_keyed) || is_bot_name(self.user_agent)
    }

    /// The bucket of the sender's address by a secret `seed`; `None` if the address is unknown.
    pub fn bucket(&self, seed: Option<u64>) -> Option<u16> {
        let hash = xxh3_64_with_seed(self.network.as_bytes(), seed?);
        (!self.network.is_empty()).then_some((hash % u64::from(BUCKETS)) as u16)
    }
}

fn is_bot_name(user_agent: &str) -> bool {
    let name = user_agent.to_ascii_lowercase();
    let is_end = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphabetic());
    let mut words = name.match_indices("bot").map(|(at, word)| name.split_at(at + word.len()));
    BOTS.iter().any(|bot| name.contains(bot))
        || words.any(|(before, rest)| is_end(rest) && !before.ends_with(NO_BOT))
}

/// Whether two secrets are the same, in a time that does not reveal how much of `given` is right.
pub fn is_same_secret(key: &str, given: &str) -> bool {
    let differ = key.bytes().zip(given.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    key.len() == given.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "a key of sixteen";

    #[test]
    fn lines_are_read_in_the_order_of_the_glue() {
        let sender = Sender::read("Bearer k\nsame-origin\n203.0.113.7\nbot\nMozilla/5.0");
        assert_eq!((sender.is_judged_bot, sender.user_agent), (true, "Mozilla/5.0"));
        assert_eq!(
            (sender.authorization, sender.fetch_site, sender.network),
            ("Bearer k", "same-origin", "203.0.113.7")
        );
        assert_eq!(Sender::read(""), Sender::default());
    }

    #[test]
    fn only_the_exact_key_is_believed_and_a_wrong_one_is_an_error() {
        let keyed = |authorization: &str, key: Option<&str>| {
            Sender { authorization, ..Sender::default() }.is_keyed(key)
        };
        assert_eq!(keyed(&format!("Bearer {KEY}"), Some(KEY)), Ok(true));
        assert_eq!(keyed(&format!("bearer  {KEY}"), Some(KEY)), Ok(true));
        for none in ["", KEY, "Basic c2hvcDprZXk="] {
            assert_eq!(keyed(none, Some(KEY)), Ok(false), "{none}");
        }
        for (wrong, key) in [
            ("Bearer ", Some(KEY)),
            ("Bearer", Some(KEY)), // An empty variable of the shop's server; blanks at the end are lost on the way.
            ("Bearer a key of sixteex", Some(KEY)),
            ("Bearer a key of sixteen, Bearer a key of sixteen", Some(KEY)),
            ("Bearer a key of sixteen", None),
            ("Bearer ", Some("")),
        ] {
            let outcome = keyed(wrong, key.filter(|key| !key.is_empty()));
            assert_eq!(outcome.unwrap_err().status, 401, "{wrong}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_rejected() {
        let (config, _) =
            Config::read(|name| (name == "CORS_ORIGINS").then(|| "https://m.shop.example".to_owned()));
        for (origin, fetch_site, allowed) in [
            ("https://shop.example", "same-origin", true),
            ("https://shop.example", "", true),
            ("https://m.shop.example", "same-site", true),
            ("https://m.shop.example", "cross-site", true),
            ("", "", true), // A server.
            ("", "none", true),
            ("", "same-origin", true),
            ("null", "same-origin", true), // A beacon of a page with `no-referrer`.
            ("null", "", false),
            ("null", "cross-site", false),
            ("", "cross-site", false),
            ("", "same-site", false),
            ("https://blog.shop.example", "same-site", false),
            ("http://shop.example", "cross-site", false),
            ("https://shop.example.evil.example", "cross-site", false),
            ("http://127.0.0.1:3000", "same-origin", true), // Behind a proxy of the storefront.
            ("https://evil.example", "none", false),
            ("https://evil.example", "", false),
        ] {
            let head = Head { url: "https://shop.example/v1/events", origin, ..Head::default() };
            let outcome = Sender { fetch_site, ..Sender::default() }.check_page(&config, &head);
            assert_eq!(outcome.is_ok(), allowed, "{origin} {fetch_site}");
            assert!(outcome.err().is_none_or(|problem| problem.status == 403));
        }
    }

    #[test]
    fn bots_are_known_by_name_or_by_cloudflare() {
        for bot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0) Chrome/116.0.0.0 Safari/537.36",
            "AdsBot-Google (+http://www.google.com/adsbot.html)",
            "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
            "Mozilla/5.0 (compatible; Baiduspider/2.0)",
            "facebookexternalhit/1.1",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
            "Twitterbot/1.0",
            "GPTBot",
        ] {
            assert!(Sender { user_agent: bot, ..Sender::default() }.is_bot(true), "{bot}");
        }
        for other in [
            "",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0",
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X19_S) AppleWebKit/537.36",
            "curl/8.9.1",
            "shop-backend (botany department)",
        ] {
            assert!(!Sender { user_agent: other, ..Sender::default() }.is_bot(false), "{other}");
        }
        let judged = Sender { is_judged_bot: true, ..Sender::default() };
        assert!(judged.is_bot(false) && !judged.is_bot(true));
    }

    #[test]
    fn a_bucket_depends_on_the_address_and_the_secret() {
        let bucket = |network: &str, seed: Option<u64>| Sender { network, ..Sender::default() }.bucket(seed);
        assert_eq!(bucket("203.0.113.7", None), None);
        assert_eq!(bucket("", Some(7)), None);
        let buckets =
            |seed| (0..99).map(|last| bucket(&format!("203.0.113.{last}"), Some(seed))).collect::<Vec<_>>();
        assert_eq!(buckets(7), buckets(7));
        assert_ne!(buckets(7), buckets(8));
    }

    proptest! {
        #[test]
        fn any_lines_are_read(lines in "(\\PC|\n){0,100}", seed in any::<u64>()) {
            let sender = Sender::read(&lines);
            let _ = (sender.is_keyed(Some(KEY)), sender.is_bot(true));
            prop_assert!(sender.bucket(Some(seed)).is_none_or(|bucket| bucket < BUCKETS));
        }
    }
}
