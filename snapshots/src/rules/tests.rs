use super::*;
use crate::fixture;
use conditions::RequestContext;
use proptest::prelude::*;

/// A document in which no field has its default, so that the round trip covers all.
const WHOLE: &str = include_str!("../../tests/rules.json");

fn document(json: &str) -> Rules {
    serde_json::from_str(json).unwrap()
}

fn rules(rules: &str) -> Rules {
    document(&format!("{{\"rules\":[{rules}]}}"))
}

#[test]
fn a_document_reads_as_it_was_written() {
    let whole = document(WHOLE);
    assert_eq!(whole.check(&[]), Ok(()));
    assert_eq!(Rules::open(&whole.write().unwrap()).unwrap(), whole);
    let empty = Rules::default();
    assert_eq!(Rules::open(&empty.write().unwrap()).unwrap(), empty);
    let sparse =
        rmp_serde::to_vec_named(&serde_json::json!({"new": 1, "rules": [{"new": [], "pin": {}}]})).unwrap();
    assert_eq!(Rules::open(&sparse).unwrap().rules[0].pin, Some(Pin { item: String::new(), at: 1 }));
    let unknown = serde_json::json!({"rules": [{"when": {"devices": ["watch"]}, "exclude_bought": true}]});
    assert!(
        Rules::open(&rmp_serde::to_vec_named(&unknown).unwrap()).is_err(),
        "or it would apply to every device"
    );
    for bad in [&b"\xc1"[..], b"", b"\x90", b"\x81\xa5rules\x01"] {
        assert!(Rules::open(bad).is_err());
    }
}

#[test]
fn invalid_documents_are_rejected_with_field_and_name() {
    for (rule, field) in [
        (r#"{"name": "", "exclude_bought": true}"#, "rules[0].name"),
        (r#"{"name": "x"}"#, "rules[0].name"),
        (r#"{"name": "x", "exclude": {}}"#, "rules[0].exclude"),
        (r#"{"name": "x", "only": {"items": [""]}}"#, "rules[0].only.items[0]"),
        (r#"{"name": "x", "only": {"price_min": -1}}"#, "rules[0].only.price_min"),
        (r#"{"name": "x", "only": {"price_min": 2, "price_max": 1}}"#, "rules[0].only.price_min"),
        (r#"{"name": "x", "boost": {"match": {"brands": ["a"]}, "by": 0}}"#, "rules[0].boost.by"),
        (r#"{"name": "x", "boost": {"match": {}, "by": 2}}"#, "rules[0].boost.match"),
        (r#"{"name": "x", "fresh": {"days": 0, "by": 2}}"#, "rules[0].fresh.days"),
        (r#"{"name": "x", "fresh": {"days": 1, "by": 0.5}}"#, "rules[0].fresh.by"),
        (r#"{"name": "x", "pin": {"item": "a"}}"#, "rules[0].pin.at"),
        (r#"{"name": "x", "diversify": {"at_most": 0}}"#, "rules[0].diversify.at_most"),
        (r#"{"name": "x", "diversify": {"decay": 0}}"#, "rules[0].diversify.decay"),
        (r#"{"name": "x", "explore": {"share": 2}}"#, "rules[0].explore.share"),
        (r#"{"name": "x", "strategy": "none"}"#, "rules[0].strategy"),
        (r#"{"name": "x", "exclude_bought": true, "when": {"regions": ["GB"]}}"#, "rules[0].when.regions[0]"),
        (
            r#"{"name": "x", "exclude_bought": true, "when": {"from": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}}"#,
            "rules[0].when.until",
        ),
        (
            r#"{"name": "x", "exclude_bought": true, "when": {"hours": {"timezone": "Mars Time"}}}"#,
            "rules[0].when.hours.timezone",
        ),
        (r#"{"name": "x", "exclude_bought": true}, {"name": "x", "exclude_bought": true}"#, "rules[1].name"),
    ] {
        let error = rules(rule).check(&["learnt"]).unwrap_err();
        assert_eq!(error.field, field, "{rule}: {error}");
        assert!(error.name.is_empty() || error.to_string().contains("'x'"), "{error}");
    }
    let experiment = |text: &str| document(&format!("{{\"experiments\":[{text}]}}")).check(&["learnt"]);
    let two = r#"{"id": "one", "traffic": [0, 0.5], "variants": [{"name": "a"}]},
                 {"id": "two", "traffic": [0.4, 1], "variants": [{"name": "a"}]}"#;
    for (text, field) in [
        (r#"{"id": "X", "variants": [{"name": "a"}]}"#, "experiments[0].id"),
        (r#"{"id": "x"}"#, "experiments[0].variants"),
        (r#"{"id": "x", "traffic": [0.5, 0.5], "variants": [{"name": "a"}]}"#, "experiments[0].traffic"),
        (r#"{"id": "x", "variants": [{"name": "a", "weight": 0}]}"#, "experiments[0].variants[0].weight"),
        (r#"{"id": "x", "variants": [{"name": "a"}, {"name": "a"}]}"#, "experiments[0].variants[1].name"),
        (
            r#"{"id": "x", "variants": [{"name": "a", "strategy": "z"}]}"#,
            "experiments[0].variants[0].strategy",
        ),
        (
            r#"{"id": "x", "variants": [{"name": "a", "rules_on": ["z"]}]}"#,
            "experiments[0].variants[0].rules_on, rules_off",
        ),
        (two, "experiments[1].traffic"),
    ] {
        assert_eq!(experiment(text).unwrap_err().field, field, "{text}");
    }
    assert_eq!(experiment(&two.replace("0.4", "0.5")), Ok(()));
    assert_eq!(experiment(r#"{"id": "x", "variants": [{"name": "a", "strategy": "learnt"}]}"#), Ok(()));
    let many = r#"{"name": "NAME", "boost": {"match": {"brands": ["a"]}, "by": 100}}"#;
    let many: Vec<String> = (0..5).map(|number| many.replace("NAME", &number.to_string())).collect();
    assert_eq!(rules(&many.join(",")).check(&[]).unwrap_err().field, "rules");
    let unknown = serde_json::from_str::<Rules>(r#"{"rules": [{"nam": "x"}]}"#).unwrap_err().to_string();
    assert!(unknown.contains("nam") && unknown.contains("name"), "{unknown}");
}

/// Calls `ask` with the request of an unknown visitor for the front page.
fn with_context<T>(context: VisitorContext<'_>, ask: impl FnOnce(&RequestContext<'_>) -> T) -> T {
    ask(&RequestContext {
        surface: Surface::Home,
        region: "gb",
        segments: &[],
        returning: false,
        now: fixture::NOW,
        context: &context,
    })
}

/// `Σ (seen − expected)² / expected`.
fn chi_square(seen: &[u32], expected: &[f64]) -> f64 {
    let all: f64 = seen.iter().map(|count| f64::from(*count)).sum();
    let part = |(seen, share): (&u32, &f64)| (f64::from(*seen) - share * all).powi(2) / (share * all);
    seen.iter().zip(expected).map(part).sum()
}

/// Visitor ids as the edge makes them, and as many consecutive numbers: a weak hash shows with the latter.
fn visitors() -> impl Iterator<Item = String> {
    let ours = |number: u64| {
        let bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{bits:016x}{:06x}", bits >> 40)
    };
    (0..VISITORS / 2).map(ours).chain((0..VISITORS / 2).map(|number| number.to_string()))
}

const VISITORS: u64 = 200_000;

#[test]
fn visitors_are_assigned_by_weight_and_independently_between_layers() {
    assignments_fit(visitors());
}

#[test]
#[ignore = "takes a while: a million visitors"]
fn a_million_visitors_are_assigned_by_weight_and_independently_between_layers() {
    assignments_fit((0..1_000_000).map(|number| format!("visitor-{number}")));
}

fn assignments_fit(visitors: impl Iterator<Item = String>) {
    let experiments = document(
        r#"{"experiments": [
            {"id": "one", "layer": "a", "traffic": [0, 0.5],
             "variants": [{"name": "x", "weight": 1}, {"name": "y", "weight": 2}, {"name": "z", "weight": 7}]},
            {"id": "two", "layer": "b", "variants": [{"name": "x", "weight": 2}, {"name": "y", "weight": 3}]},
            {"id": "three", "layer": "a", "traffic": [0.5, 0.9], "variants": [{"name": "x"}]}]}"#,
    );
    assert_eq!(experiments.check(&[]), Ok(()));
    let experiments = experiments.experiments;
    let place = |experiment: usize, visitor: &str| {
        let chosen = with_context(VisitorContext::default(), |asked| {
            experiments[experiment].variant(visitor, asked).map(|chosen| chosen.name.clone())
        })?;
        experiments[experiment].variants.iter().position(|variant| variant.name == chosen)
    };
    // By variant of `one` (or the place 3, outside), then of `two`.
    let mut both = [[0u32; 2]; 4];
    let mut three = [0u32; 2];
    for visitor in visitors {
        let first = place(0, &visitor);
        both[first.unwrap_or(3)][place(1, &visitor).unwrap()] += 1;
        let taken = place(2, &visitor).is_some();
        assert!(!(taken && first.is_some()), "two experiments of one layer");
        three[usize::from(taken)] += 1;
    }
    let ones = both.map(|row| row[0] + row[1]);
    let twos = [0, 1].map(|column| both.iter().map(|row| row[column]).sum());
    // The quantiles of the chi-square distribution at 0.999, by degrees of freedom.
    assert!(chi_square(&ones, &[0.05, 0.1, 0.35, 0.5]) < 16.27, "{ones:?}");
    assert!(chi_square(&twos, &[0.4, 0.6]) < 10.83, "{twos:?}");
    assert!(chi_square(&three, &[0.6, 0.4]) < 10.83, "{three:?}");
    let shares: Vec<f64> = [0.05, 0.1, 0.35, 0.5].iter().flat_map(|one| [one * 0.4, one * 0.6]).collect();
    assert!(chi_square(both.as_flattened(), &shares) < 24.32, "{both:?}");
}

#[test]
fn assignments_are_stable_and_depend_on_the_salt() {
    let of = |salt: &str| {
        let experiments = document(&format!(
            r#"{{"experiments": [{{"id": "one", "salt": "{salt}", "variants": [{{"name": "x"}}, {{"name": "y"}}]}}]}}"#
        ));
        let chosen = |visitor: u32| {
            with_context(VisitorContext::default(), |asked| {
                experiments.experiments[0].variant(&visitor.to_string(), asked).unwrap().name.clone()
            })
        };
        (0..1_000).map(chosen).collect::<Vec<_>>()
    };
    assert_eq!(of("one"), of(""), "the id is the salt where there is none");
    let moved = of("a").iter().zip(of("b")).filter(|(a, b)| *a != b).count();
    assert!((400..600).contains(&moved), "{moved} of 1000");
}

#[test]
fn variants_switch_rules_and_strategies_and_testers_see_forced_variants() {
    let shop = fixture::shop(&fixture::chain(3), &fixture::chain(1));
    let document = document(
        r#"{"rules": [{"name": "off", "enabled": false, "exclude_bought": true},
                      {"name": "on", "strategy": "next", "fresh": {"days": 3, "by": 2}}],
            "experiments": [{"id": "x", "traffic": [0, 0.000001], "variants": [
                {"name": "a"}, {"name": "b", "strategy": "similar", "rules_on": ["off"], "rules_off": ["on"]}]}]}"#,
    );
    assert_eq!(document.check(&["next", "similar"]), Ok(()));
    let rules = Ruleset::new(document, &shop.ids, &shop.attributes);
    let decide = |forced, visitor, named| {
        let known = |name: &str| shop.strategy(name);
        with_context(VisitorContext { forced, ..VisitorContext::default() }, |asked| {
            let decided = rules.decide(asked, visitor, named, known);
            let strategy = decided.strategy.map(|strategy| strategy.name.clone());
            (decided.mask, strategy, decided.experiments.len(), decided.exclude_bought, decided.most)
        })
    };
    let usual = (0b10, Some("next".to_owned()), 0, false, 2.0);
    assert_eq!(decide(None, Some("someone"), false), usual);
    let forced = (0b01, Some("similar".to_owned()), 1, true, 1.0);
    assert_eq!(decide(Some(("x", "b")), None, false), forced);
    assert_eq!(decide(Some(("x", "c")), None, false), usual, "there is no such variant");
    assert_eq!(
        decide(Some(("x", "b")), None, true),
        (0b10, None, 0, false, 2.0),
        "the request names a strategy"
    );
}

proptest! {
    #[test]
    fn any_flip_or_cut_opens_within_bounds_or_gives_an_error(
        at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut section = document(WHOLE).write().unwrap();
        let at = at.index(section.len());
        if cut { section.truncate(at) } else { section[at] = to }
        let Ok(read) = Rules::open(&section) else { return Ok(()) };
        prop_assert!(!cut);
        let shop = fixture::shop(&fixture::chain(3), &fixture::chain(1));
        let enabled = Rules { rules: read.rules.into_iter().map(|rule| Rule { enabled: true, ..rule }).collect(), ..read };
        let rules = Ruleset::new(enabled, &shop.ids, &shop.attributes);
        let most = with_context(VisitorContext::default(), |asked| {
            let decided = rules.decide(asked, Some("x"), false, |_| None);
            let factors = (0..40).map(|item| decided.factor(&shop.attributes, item, fixture::NOW));
            factors.map(|factor| factor / decided.most).fold(0.0, f32::max)
        });
        prop_assert!(most > 0.0 && most <= 1.0);
    }
}
