//! Senders that send too much.

use crate::{EVENTS_KEY, Fixtures, Test, ensure_problem, events};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

pub(crate) const TESTS: &[Test] = &[
    ("events_of_an_address_are_limited_by_default", by_address),
    ("events_of_a_visitor_are_limited_by_default", by_visitor),
    ("cookies_that_change_do_not_help", by_many_visitors),
];

/// The events that an address and a visitor may send in a minute.
const PER_ADDRESS: usize = 3_000;
const PER_VISITOR: usize = 600;

fn views(count: usize) -> Value {
    Value::Array(vec![json!({"kind": "view", "item": "a"}); count])
}

fn by_address(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    // An IPv6 client may have a network of 64 bits.
    for (address, same, other) in [
        ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
        ("2001:db8:0:7::1", "2001:db8::7:1:2:3:4", "2001:db8:0:8::1"),
    ] {
        for sent in (500..=PER_ADDRESS).step_by(500) {
            let reply = events(edge, address, &views(500)).send()?;
            ensure!(reply.status == 202, "{address} is refused at {sent} events: {reply:?}");
        }
        let reply = events(edge, same, &views(500)).send()?;
        ensure_problem(&reply, 429)?;
        ensure!(
            reply.header("retry-after").parse::<u32>().is_ok() && reply.cookies().is_empty(),
            "{reply:?}"
        );
        ensure!(events(edge, other, &views(1)).send()?.status == 202, "{other} is refused too");
        let keyed = events(edge, same, &views(500)).header("authorization", format!("Bearer {EVENTS_KEY}"));
        ensure!(keyed.send()?.status == 202, "the shop's server is refused");
    }
    ensure!(
        !edge.log().contains("203.0.113") && !edge.log().contains("2001:db8"),
        "the log contains an address"
    );
    Ok(())
}

fn by_visitor(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    let send = |visitor: &str, address: &str, count| {
        let cookies = format!("ok=yes; verge_visitor={visitor}");
        events(edge, address, &views(count)).cookie(cookies).send()
    };
    let (one, other) = ("CCCCCCCCCCCCCCCCCCCCCA", "DDDDDDDDDDDDDDDDDDDDDA");
    ensure!(send(one, "203.0.113.20", PER_VISITOR - 200)?.status == 202, "refused too early");
    ensure!(send(one, "203.0.113.21", 200)?.status == 202, "refused too early");
    ensure_problem(&send(one, "203.0.113.22", 100)?, 429)?;
    ensure!(send(other, "203.0.113.22", 100)?.status == 202, "another visitor is refused too");
    Ok(())
}

fn by_many_visitors(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    let mut accepted = 0;
    for number in 0..40 {
        let cookies = format!("ok=yes; verge_visitor={number:0>21}A");
        let reply = events(edge, "203.0.113.30", &views(100)).cookie(cookies).send()?;
        accepted += usize::from(reply.status == 202) * 100;
    }
    ensure!(accepted <= PER_ADDRESS, "{accepted} events are accepted of one address");
    Ok(())
}
