//! The visitor of a request: country, recents, and consent to an id.

use crate::config::{Config, Consent};
use crate::head::Head;
use crate::id;
use snapshots::recents::{self, Recents};

/// The name of the cookie with the browser's random id.
pub const VISITOR_COOKIE: &str = "verge_visitor";
/// Lifetime of the cookies, in seconds.
const MAX_AGE_S: u32 = recents::MAX_AGE_S;

/// A request's visitor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Visit {
    /// Lower-case ISO 3166 code of the country, if known.
    pub country: Option<String>,
    /// The latest items.
    pub recents: Recents,
    /// The browser's id, if it has the right form. Use it only with consent.
    pub visitor: Option<String>,
    /// Whether there is a cookie for the id, valid or not.
    pub has_visitor_cookie: bool,
    /// Whether the visitor opts out of tracking (`Sec-GPC: 1`).
    pub opted_out: bool,
    /// Whether the visitor consents and has not opted out.
    pub consents: bool,
}

impl Visit {
    /// Reads the visitor from the request's head.
    pub fn read(config: &Config, head: &Head<'_>) -> Self {
        let cookies = head.cookie;
        let opted_out = head.sec_gpc.trim() == "1";
        let agreed = match &config.consent {
            Consent::Always => true,
            Consent::Never => false,
            Consent::Cookie(name, value) => values(cookies, name).any(|found| found == value),
        };
        Self {
            country: country_code(head.country),
            recents: Recents::from_cookies(cookies),
            visitor: values(cookies, VISITOR_COOKIE).find(|id| id::is_visitor(id)).map(str::to_owned),
            has_visitor_cookie: values(cookies, VISITOR_COOKIE).next().is_some(),
            opted_out,
            consents: agreed && !opted_out,
        }
    }
}

/// The country's code; `None` for Cloudflare's `XX` (unknown) and `T1` (Tor).
fn country_code(code: &str) -> Option<String> {
    let legal = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    (legal && !code.eq_ignore_ascii_case("xx")).then(|| code.to_ascii_lowercase())
}

/// The values of all cookies `name` in a `Cookie` header.
fn values<'a>(header: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let value = move |pair: &'a str| pair.trim_start().strip_prefix(name)?.trim_start().strip_prefix('=');
    header.split(';').filter_map(value).map(str::trim)
}

/// A `Set-Cookie` header that stores `value` for 30 days.
pub fn set_cookie(name: &str, value: &str) -> String {
    format!("{name}={value}; Max-Age={MAX_AGE_S}; Path=/; Secure; SameSite=Lax")
}

/// A `Set-Cookie` header that removes the cookie.
pub fn remove_cookie(name: &str) -> String {
    format!("{name}=; Max-Age=0; Path=/; Secure; SameSite=Lax")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn visit(consent: &str, cookie: &str, sec_gpc: &str) -> Visit {
        let (config, _) = Config::read(|name| (name == "CONSENT").then(|| consent.to_owned()));
        Visit::read(&config, &Head { country: "GB", cookie, sec_gpc, ..Head::default() })
    }

    #[test]
    fn cookies_are_found_by_their_exact_name() {
        let found = visit("never", "xverge_recents=1|x:v:1; verge_recents=1|a:v:1;verge_recents=1|b:v:1", "");
        assert_eq!(found.recents.entries().len(), 1);
        assert_eq!(found.recents.entries()[0].item, "a");
        assert_eq!(found.country.as_deref(), Some("gb"));
        assert_eq!(country_code("XX"), None);
        assert_eq!(country_code("T1"), None);
    }

    #[test]
    fn several_cookies_of_one_name_and_added_blanks_are_read_as_meant() {
        let ours = id::visitor();
        let found = visit(
            "cookie:ok=yes",
            &format!(
                "verge_visitor=x; verge_visitor = {ours}; verge_recents=; ok = yes; verge_recents=\"1%7Ca%3Av%3A1\""
            ),
            "",
        );
        assert_eq!((found.recents.entries().len(), &*found.recents.entries()[0].item), (1, "a"));
        assert_eq!((found.visitor, found.consents), (Some(ours), true));
    }

    #[test]
    fn opting_out_overrides_consent() {
        assert!(visit("always", "", "").consents);
        assert!(!visit("always", "", "1").consents);
        assert!(!visit("never", "", "").consents);
        assert!(visit("cookie:ok=yes", "a=b; ok=yes", "").consents);
        assert!(!visit("cookie:ok=yes", "ok=yesno", "").consents);
        assert!(!visit("cookie:ok=yes", "ok=yes", "1").consents);
    }

    #[test]
    fn a_malformed_id_is_ignored() {
        assert_eq!(visit("always", "verge_visitor=me@example.org", "").visitor, None);
        let ours = id::visitor();
        assert_eq!(visit("always", &format!("verge_visitor={ours}"), "").visitor, Some(ours));
    }

    proptest! {
        #[test]
        fn any_header_is_read(cookies in "(verge_recents=)?\\PC{0,100}") {
            visit("cookie:a=b", &cookies, "é");
        }
    }
}
