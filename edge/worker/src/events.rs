//! Handling of `POST /v1/events`: validation, the visitor's cookies, and the events for the origin.

use crate::id;
use crate::reply::{Problem, Reply};
use crate::visit::{VISITOR_COOKIE, Visit, remove_cookie, set_cookie};
use serde::Serialize;
use snapshots::event::{BodyError, EdgeSender, Event, Kind, Rejected, Warning, parse_edge};
use snapshots::recents;
use snapshots::time::Timestamp;

/// Most events of a body.
const MAX_EVENTS: usize = 500;
/// Most bytes of a body.
pub const MAX_BODY: usize = 256 << 10;

/// What is known of the sender of a body besides the visitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventOrigin {
    /// Whether it has the key.
    pub is_keyed: bool,
    /// The bucket of its address, if it is a visitor's.
    pub bucket: Option<u16>,
}

/// Reads a body of events. Returns the `202` reply and the events for the origin.
///
/// # Errors
/// A [`Problem`] if the body is not JSON, has too many events or no valid one.
pub fn take(
    body: &[u8],
    visit: &Visit,
    origin: EventOrigin,
    now: Timestamp,
) -> Result<(Reply, Vec<Event>), Problem> {
    let visitor = visit.consents.then(|| visit.visitor.clone().unwrap_or_else(id::visitor));
    let EventOrigin { is_keyed, bucket } = origin;
    let sender = EdgeSender {
        is_keyed,
        visitor: visitor.as_deref(),
        opted_out: visit.opted_out,
        region: visit.country.as_deref(),
        bucket: bucket.filter(|_| !is_keyed),
    };
    let batch = parse_edge(body, MAX_EVENTS, now, sender, || id::ulid(now)).map_err(|error| match error {
        BodyError::NotJson(_) => Problem::bad_request("body", error.to_string()),
        BodyError::TooMany(_) => too_large(error.to_string()),
    })?;
    if batch.events.is_empty() {
        let detail = "No event of the body is valid; `rejected` lists the errors.";
        let rejected = serde_json::to_value(&batch.rejected).ok();
        return Err(Problem { rejected, ..Problem::bad_request("body", detail) });
    }

    #[derive(Serialize)]
    struct Accepted<'a> {
        accepted: usize,
        rejected: &'a [Rejected],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        warnings: &'a [Warning],
    }
    let accepted =
        Accepted { accepted: batch.events.len(), rejected: &batch.rejected, warnings: &batch.warnings };
    let mut reply = Reply::json(202, &accepted).with("cache-control", "no-store");

    let mut recents = visit.recents.clone();
    for event in &batch.events {
        recents.touch(&event.item, event.kind, event.at);
    }
    if batch.events.iter().any(|event| event.kind != Kind::Impression) {
        reply = reply.with("set-cookie", set_cookie(recents::COOKIE, &recents.encode()));
    }
    if let Some(visitor) = &visitor {
        reply = reply.with("set-cookie", set_cookie(VISITOR_COOKIE, visitor));
    } else if visit.has_visitor_cookie {
        reply = reply.with("set-cookie", remove_cookie(VISITOR_COOKIE));
    }
    Ok((reply, batch.events))
}

/// The problem for a body beyond [`MAX_BODY`].
pub fn body_too_large() -> Problem {
    too_large(format!("The body has more than {MAX_BODY} bytes. Send the events in several requests."))
}

fn too_large(detail: String) -> Problem {
    Problem { field: Some("body".to_owned()), ..Problem::new(413, "Content too large", detail) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::head::Head;
    use snapshots::event::Trust;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);
    const PUBLIC: EventOrigin = EventOrigin { is_keyed: false, bucket: Some(7) };
    const KEYED: EventOrigin = EventOrigin { is_keyed: true, bucket: Some(7) };

    fn visit(consent: &str, cookies: &str, gpc: bool) -> Visit {
        let (config, _) = Config::read(|name| (name == "CONSENT").then(|| consent.to_owned()));
        let sec_gpc = if gpc { "1" } else { "" };
        Visit::read(&config, &Head { country: "GB", cookie: cookies, sec_gpc, ..Head::default() })
    }

    fn cookies(reply: &Reply) -> Vec<&str> {
        let set = reply.headers.iter().filter(|(name, _)| *name == "set-cookie");
        set.map(|(_, value)| value.split(';').next().unwrap()).collect()
    }

    #[test]
    fn events_update_the_recents_and_get_the_country() {
        let body = br#"[{"kind":"view","item":"b"},{"kind":"cart","item":"a"},{"kind":"veiw","item":"c"}]"#;
        let before = "verge_recents=1|a:v:ht7ui|z:v:ht7ui";
        let (reply, events) = take(body, &visit("never", before, false), PUBLIC, NOW).unwrap();
        assert_eq!(reply.status, 202);
        let body: serde_json::Value = serde_json::from_str(reply.body.text()).unwrap();
        assert_eq!((&body["accepted"], &body["rejected"][0]["index"]), (&2.into(), &2.into()));
        assert_eq!(cookies(&reply), ["verge_recents=1|a:a2:ht7ui|b:v:ht7ui|z:v:ht7ui"]);
        assert_eq!(events[0].region.as_deref(), Some("gb"));
        assert_eq!(events[0].visitor, None);
    }

    #[test]
    fn what_was_changed_or_left_out_is_reported() {
        let body = br#"[{"kind":"purchase","items":[{"id":"a","quantity":"2"},{"id":"undefined"}]},
            {"kind":"view","item":"b","price":"1.250","at":"2999-01-01T00:00:00Z"}]"#;
        let (reply, events) = take(body, &Visit::default(), PUBLIC, NOW).unwrap();
        let reply: serde_json::Value = serde_json::from_str(reply.body.text()).unwrap();
        assert_eq!(reply["accepted"], 2);
        assert_eq!((&reply["rejected"][0]["index"], &reply["rejected"][0]["line"]), (&0.into(), &1.into()));
        let fields: Vec<_> = (0..2).map(|warning| &reply["warnings"][warning]["field"]).collect();
        assert_eq!(fields, ["at", "price"]);
        assert_eq!((events[1].at, events[1].price), (NOW, None));
    }

    #[test]
    fn a_line_of_an_order_has_one_id_a_visitor() {
        let id = |cookies: &str, body: &str| {
            let (_, events) = take(body.as_bytes(), &visit("always", cookies, false), PUBLIC, NOW).unwrap();
            events[0].id.clone()
        };
        let (ann, bob) = ("verge_visitor=AAAAAAAAAAAAAAAAAAAAAA", "verge_visitor=BBBBBBBBBBBBBBBBBBBBBB");
        let first = id(ann, r#"{"id":"1","kind":"purchase","item":"a","order":77}"#);
        let again = r#"{"name":"purchase","params":{"transaction_id":"77","items":[{"item_id":"a"}]}}"#;
        assert_eq!(first, id(ann, again));
        assert_ne!(first, id(bob, again));
        assert_ne!(first, id(ann, &again.replace("77", "78")));
    }

    #[test]
    fn events_say_who_vouches_for_them() {
        let body = br#"{"kind":"purchase","item":"a","order":"7","region":"fr","trust":"keyed"}"#;
        let sent = |origin| take(body, &visit("never", "", false), origin, NOW).unwrap().1.remove(0);
        let (public, keyed) = (sent(PUBLIC), sent(KEYED));
        assert_eq!(
            (public.trust, public.bucket, public.region.as_deref()),
            (Some(Trust::Public), Some(7), Some("gb"))
        );
        assert_eq!(
            (keyed.trust, keyed.bucket, keyed.region.as_deref()),
            (Some(Trust::Keyed), None, Some("fr"))
        );
        assert_eq!(public.order.as_deref(), Some("7"));
    }

    #[test]
    fn impressions_do_not_change_cookies() {
        let body = br#"{"kind":"impression","item":"b"}"#;
        let (reply, events) = take(body, &visit("never", "", false), PUBLIC, NOW).unwrap();
        assert_eq!((cookies(&reply), events.len()), (vec![], 1));
    }

    #[test]
    fn the_visitor_cookie_is_set_with_consent_and_removed_without() {
        let body = br#"{"kind":"view","item":"b"}"#;
        let named = br#"{"kind":"view","item":"b","visitor":"shop-7"}"#;
        let (reply, events) = take(body, &visit("always", "", false), PUBLIC, NOW).unwrap();
        let id = events[0].visitor.clone().unwrap();
        assert_eq!(cookies(&reply)[1], format!("verge_visitor={id}"));
        let known = format!("verge_visitor={id}");
        let (reply, events) = take(body, &visit("always", &known, false), PUBLIC, NOW).unwrap();
        assert_eq!((cookies(&reply)[1], events[0].visitor.as_deref()), (&*known, Some(&*id)));
        for (consent, gpc) in [("never", false), ("always", true)] {
            let (reply, events) = take(body, &visit(consent, &known, gpc), PUBLIC, NOW).unwrap();
            assert_eq!(cookies(&reply)[1], "verge_visitor=");
            assert_eq!(events[0].visitor, None);
        }
        for (consent, gpc, origin, visitor) in [
            ("always", false, PUBLIC, Some(&*id)),
            ("never", false, PUBLIC, None),
            ("always", true, PUBLIC, None),
            ("always", false, KEYED, Some("shop-7")),
            ("never", false, KEYED, Some("shop-7")),
            ("always", true, KEYED, None),
        ] {
            let (_, events) = take(named, &visit(consent, &known, gpc), origin, NOW).unwrap();
            assert_eq!(events[0].visitor.as_deref(), visitor, "{consent} {gpc} {origin:?}");
        }
    }

    #[test]
    fn a_body_without_a_valid_event_is_rejected_with_the_errors() {
        let refuse = |body: &[u8]| take(body, &Visit::default(), PUBLIC, NOW).unwrap_err();
        let problem = refuse(br#"[{"kind":"view"}]"#);
        assert_eq!((problem.status, problem.field.as_deref()), (400, Some("body")));
        assert_eq!(problem.rejected.unwrap()[0]["field"], "item");
        assert_eq!(refuse(b"").status, 400);
        assert_eq!(refuse(b"[]").status, 400);
        let many = format!("[{}7]", r#"{"kind":"view","item":"a"},"#.repeat(MAX_EVENTS));
        assert_eq!(refuse(many.as_bytes()).status, 413);
    }
}
