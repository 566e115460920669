//! `verge rules`: what the merchandiser decides. The document is `rules.json` in the data directory; every publishing puts
//! it into the snapshots, whatever model serves.

use crate::{
    pack::{SnapshotSet, refresh::Refresher},
    store::snapshots_dir,
};
use anyhow::{Context, Result, anyhow};
use base64ct::{Base64UrlUnpadded, Encoding};
use origin_data::files::replace_file;
use origin_learn::{choose::Hyperparameters, config as recipe};
use ring::hmac;
use snapshots::{category::Wanted, manifest::WORLD, rules::Rules};
use std::{path::Path, time::SystemTime};

/// The document's name in the data directory.
pub const FILE: &str = "rules.json";
/// `EXPERIMENT.VARIANT.EXPIRES.SIGNATURE`: the third in seconds since 1970, the last the HMAC-SHA-256 of what stands before its
/// dot, as base64url.
pub fn sign(experiment: &str, variant: &str, expires: i64, key: &str) -> String {
    let claim = format!("{experiment}.{variant}.{expires}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), claim.as_bytes());
    format!("{claim}.{}", Base64UrlUnpadded::encode_string(tag.as_ref()))
}

/// The JSON schema of a document.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Rules);
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}

/// The names of the strategies that the serving model has; of the defaults before the first build.
pub fn strategy_names(data_dir: &Path) -> Vec<String> {
    let built = SnapshotSet::load(&snapshots_dir(data_dir)).and_then(|built| built.open(WORLD));
    let strategies =
        built.map_or_else(|_| recipe::strategies(&Hyperparameters::default()), |built| built.strategies);
    strategies.into_iter().map(|strategy| strategy.name).collect()
}

/// Reads a document.
///
/// # Errors
/// It makes no sense; the text names the rule and the field.
pub fn parse(bytes: &[u8], learnt: &[String]) -> Result<Rules> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let rules: Rules = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let name = name_at(bytes, &path).map_or(String::new(), |name| format!(" ('{name}')"));
        anyhow!("{path}{name}: {}", error.inner())
    })?;
    json.end().context("after the document")?;
    let learnt: Vec<&str> = learnt.iter().map(|name| &**name).collect();
    rules.check(&learnt)?;
    Ok(rules)
}

/// The name of the rule or experiment that `path` (`rules[2].boost.by`) is in.
fn name_at(bytes: &[u8], path: &str) -> Option<String> {
    let (list, rest) = path.split_once('[')?;
    let place: usize = rest.split_once(']')?.0.parse().ok()?;
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let element = document.get(list)?.get(place)?;
    Some(element.get("name").or_else(|| element.get("id"))?.as_str()?.to_owned())
}

pub fn read(path: &Path, learnt: &[String]) -> Result<Rules> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes, learnt).with_context(|| format!("in {}", path.display()))
}

/// When the document was last set; `None` where none is.
pub fn version(data_dir: &Path) -> Option<SystemTime> {
    std::fs::metadata(data_dir.join(FILE)).and_then(|file| file.modified()).ok()
}

/// The document that is set; an empty one where none is.
///
/// # Errors
/// It makes no sense any more, or cannot be read.
pub fn load(data_dir: &Path) -> Result<Rules> {
    match version(data_dir) {
        Some(_) => read(&data_dir.join(FILE), &strategy_names(data_dir)),
        None => Ok(Rules::default()),
    }
}

/// Sets the document.
///
/// # Errors
/// The data directory cannot be written.
pub fn save(rules: &Rules, data_dir: &Path) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(rules)?;
    json.push(b'\n');
    replace_file(&data_dir.join(FILE), &json)?;
    Ok(())
}

/// What was built, with the rules that are set.
///
/// # Errors
/// As for [`load`], or a blob is damaged.
pub fn applied(built: SnapshotSet, data_dir: &Path) -> Result<SnapshotSet> {
    let mut refresher = Refresher::new(built)?;
    refresher.rules(&load(data_dir)?)?;
    Ok(refresher.into_built())
}

/// Names in a document that the serving model does not know, which is no error: they may come with its next items.
pub fn unknown(rules: &Rules, data_dir: &Path) -> Vec<String> {
    let Ok(snapshot) = SnapshotSet::load(&snapshots_dir(data_dir)).and_then(|built| built.open(WORLD)) else {
        return Vec::new();
    };
    let categories: Vec<&str> = snapshot.attributes.categories().collect();
    let brands: Vec<&str> = snapshot.attributes.brands().collect();
    let mut unknown = Vec::new();
    for rule in &rules.rules {
        let boosted = rule.boost.as_ref().map(|boost| &boost.items);
        let pinned = rule.pin.iter().map(|pin| &pin.item);
        let matches: Vec<_> = rule.exclude.iter().chain(&rule.only).chain(boosted).collect();
        let mut tell = |what: &str, name: &str, known: bool| {
            if !known {
                unknown.push(format!(
                    "rule '{}' names the {what} '{name}', which the model does not know",
                    rule.name
                ));
            }
        };
        for id in matches.iter().flat_map(|wanted| &wanted.items).chain(pinned) {
            tell("item", id, snapshot.ids.index(id).is_some());
        }
        for name in matches.iter().flat_map(|wanted| &wanted.categories) {
            let wanted = Wanted::new(name);
            tell("category", name, categories.iter().any(|path| wanted.includes(path)));
        }
        for name in matches.iter().flat_map(|wanted| &wanted.brands) {
            tell("brand", name, brands.contains(&&**name));
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_the_one_in_the_repository() {
        let kept = include_str!("../rules.schema.json");
        assert_eq!(
            schema().trim(),
            kept.trim(),
            "write it anew with `verge rules schema > origin/rules.schema.json`"
        );
    }

    #[test]
    fn the_documented_example_is_valid() {
        let page = include_str!("../../docs/rules.md");
        let start = page.find("{\n  \"$schema\"").unwrap();
        let length = page[start..].find("```").unwrap();
        let rules = parse(&page.as_bytes()[start..start + length], &[]).unwrap();
        assert_eq!((rules.rules.len(), rules.experiments.len()), (7, 1));
    }

    #[test]
    fn an_error_names_the_rule_and_the_field() {
        let error = |text: &str| format!("{:#}", parse(text.as_bytes(), &[]).unwrap_err());
        let wrong = error(
            r#"{"rules": [{"name": "a", "exclude_bought": true}, {"name": "hero", "pin": {"item": "x", "at": "top"}}]}"#,
        );
        assert!(wrong.starts_with("rules[1].pin.at ('hero'): invalid type"), "{wrong}");
        let unknown = error(r#"{"experiments": [{"id": "x", "variant": []}]}"#);
        assert!(
            unknown.starts_with("experiments[0]")
                && unknown.contains("('x')")
                && unknown.contains("variants"),
            "{unknown}"
        );
        let out_of_bounds = error(r#"{"rules": [{"name": "hero", "pin": {"item": "x", "at": 0}}]}"#);
        assert_eq!(out_of_bounds, "rules[0].pin.at ('hero'): expected 1 to 100");
        assert!(error("{").contains("EOF") && error("{} x").contains("after the document"));
    }

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // HMAC-SHA-256 by Python's hmac module, of "home.b.1800000000" with the key "sixteen bytes key".
        let expected = "home.b.1800000000.5ryoWjhADABJsLm9QsQkkYWVfp_XhqhLl8w4Vf0TtNc";
        assert_eq!(sign("home", "b", 1_800_000_000, "sixteen bytes key"), expected);
    }
}
