//! The merchandiser's rules and experiments: `rules.json` in the data directory. Publishing puts the document into the
//! snapshots of the serving model.
//!
//! May import: `pack`, `store` and the crates below.

use crate::{
    pack::{SnapshotSet, refresh::Refresher},
    store::snapshots_dir,
};
use anyhow::{Context, Result, anyhow};
use base64ct::{Base64UrlUnpadded, Encoding};
use origin_data::files::replace_file;
use origin_learn::{choose::Hyperparameters, config as recipe};
use ring::hmac;
use snapshots::{
    Snapshot,
    category::{Wanted, WantedName},
    manifest::WORLD,
    rules::Rules,
};
use std::{io::ErrorKind, path::Path, time::SystemTime};

/// Name of the document in the data directory.
pub const FILE: &str = "rules.json";

/// A signed token that shows a variant to a tester: `EXPERIMENT.VARIANT.EXPIRES.SIGNATURE`. `expires` is in seconds since
/// 1970; the signature is the HMAC-SHA-256 of the text before it, without the dot, in base64url.
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

/// The names of the serving model's strategies; those of the default strategies before the first build.
///
/// # Errors
/// The snapshots cannot be read or are damaged.
pub fn strategy_names(data_dir: &Path) -> Result<Vec<String>> {
    let strategies = match serving_snapshot(data_dir)? {
        Some(snapshot) => snapshot.strategies,
        None => recipe::strategies(&Hyperparameters::default()),
    };
    Ok(strategies.into_iter().map(|strategy| strategy.name).collect())
}

/// The serving model's snapshot of the world; `None` before the first build.
fn serving_snapshot(data_dir: &Path) -> Result<Option<Snapshot>> {
    let built = SnapshotSet::load_if_built(&snapshots_dir(data_dir))?;
    built.map(|built| built.open(WORLD)).transpose()
}

/// Parses and validates a document. `strategies` are the names that its rules and variants may refer to.
///
/// # Errors
/// The document is invalid; the text names the rule and the field.
pub fn parse(bytes: &[u8], strategies: &[String]) -> Result<Rules> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let rules: Rules = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let name = name_at(bytes, &path).map_or(String::new(), |name| format!(" ('{name}')"));
        anyhow!("{path}{name}: {}", error.inner())
    })?;
    json.end().context("after the document")?;
    let strategies: Vec<&str> = strategies.iter().map(|name| &**name).collect();
    rules.check(&strategies)?;
    Ok(rules)
}

/// The name of the rule or experiment that contains `path`, such as `rules[2].boost.by`.
fn name_at(bytes: &[u8], path: &str) -> Option<String> {
    let (list, rest) = path.split_once('[')?;
    let index: usize = rest.split_once(']')?.0.parse().ok()?;
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let element = document.get(list)?.get(index)?;
    Some(element.get("name").or_else(|| element.get("id"))?.as_str()?.to_owned())
}

/// Reads and validates a document in a file; see [`parse`].
///
/// # Errors
/// The file cannot be read, or the document is invalid; the text names the file.
pub fn read(path: &Path, strategies: &[String]) -> Result<Rules> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes, strategies).with_context(|| format!("in {}", path.display()))
}

/// When the document was last written; `None` if it does not exist.
///
/// # Errors
/// The file's metadata cannot be read.
pub fn version(data_dir: &Path) -> Result<Option<SystemTime>> {
    let path = data_dir.join(FILE);
    match std::fs::metadata(&path).and_then(|file| file.modified()) {
        Ok(modified) => Ok(Some(modified)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The document of a data directory; an empty one if it does not exist.
///
/// # Errors
/// The document cannot be read or is invalid, or the snapshots, whose strategies it may name, are damaged.
pub fn load(data_dir: &Path) -> Result<Rules> {
    match version(data_dir)? {
        Some(_) => read(&data_dir.join(FILE), &strategy_names(data_dir)?),
        None => Ok(Rules::default()),
    }
}

/// Replaces the document of a data directory.
///
/// # Errors
/// The data directory cannot be written.
pub fn save(rules: &Rules, data_dir: &Path) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(rules)?;
    json.push(b'\n');
    replace_file(&data_dir.join(FILE), &json)?;
    Ok(())
}

/// Puts the document of a data directory into a snapshot set.
///
/// # Errors
/// As for [`load`], or a blob is damaged.
pub fn apply(built: SnapshotSet, data_dir: &Path) -> Result<SnapshotSet> {
    let mut refresher = Refresher::new(built)?;
    refresher.rules(&load(data_dir)?)?;
    Ok(refresher.into_built())
}

/// Warnings about items, categories and brands that the serving model does not have. They are not errors, because the
/// catalogue may get them later. There are none before the first build.
///
/// # Errors
/// The snapshots cannot be read or are damaged.
pub fn unknown_names(rules: &Rules, data_dir: &Path) -> Result<Vec<String>> {
    let Some(snapshot) = serving_snapshot(data_dir)? else { return Ok(Vec::new()) };
    let categories: Vec<&str> = snapshot.attributes.categories().collect();
    let brands: Vec<&str> = snapshot.attributes.brands().collect();
    let mut warnings = Vec::new();
    for rule in &rules.rules {
        let boosted = rule.boost.as_ref().map(|boost| &boost.items);
        let pinned = rule.pin.iter().map(|pin| &pin.item);
        let matches: Vec<_> = rule.exclude.iter().chain(&rule.only).chain(boosted).collect();
        let mut check = |what: &str, name: &str, known: bool| {
            if !known {
                warnings.push(format!(
                    "rule '{}' names the {what} '{name}', which the serving model does not have",
                    rule.name
                ));
            }
        };
        for id in matches.iter().flat_map(|wanted| &wanted.items).chain(pinned) {
            check("item", id, snapshot.ids.index(id).is_some());
        }
        for name in matches.iter().flat_map(|wanted| &wanted.categories) {
            let wanted = Wanted::new(name);
            check("category", name, categories.iter().any(|path| wanted.includes(path)));
        }
        for name in matches.iter().flat_map(|wanted| &wanted.brands) {
            let wanted = WantedName::new(name);
            check("brand", name, brands.iter().any(|brand| wanted.is(brand)));
        }
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_snapshot_is_an_error_and_not_a_model_with_the_default_strategies() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!strategy_names(dir.path()).unwrap().is_empty());
        assert!(unknown_names(&Rules::default(), dir.path()).unwrap().is_empty());
        std::fs::write(dir.path().join(FILE), "{}").unwrap();
        assert_eq!(load(dir.path()).unwrap(), Rules::default());
        let manifests = snapshots_dir(dir.path()).join("manifest");
        std::fs::create_dir_all(&manifests).unwrap();
        std::fs::write(manifests.join(WORLD), "{").unwrap();
        for error in [
            strategy_names(dir.path()).unwrap_err(),
            unknown_names(&Rules::default(), dir.path()).unwrap_err(),
            load(dir.path()).unwrap_err(),
        ] {
            assert!(format!("{error:#}").contains(WORLD), "{error:#}");
        }
    }

    #[test]
    fn the_schema_is_the_one_in_the_repository() {
        let kept = include_str!("../rules.schema.json");
        assert_eq!(
            schema().trim(),
            kept.trim(),
            "update it with `verge rules schema > origin/rules.schema.json`"
        );
    }

    #[test]
    fn a_missing_document_is_empty_and_an_unreadable_one_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(version(dir.path()).unwrap().is_none() && load(dir.path()).unwrap() == Rules::default());
        // A file in the place of the data directory: the error is not "not found".
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = format!("{:#}", version(&file).unwrap_err());
        assert!(error.contains(FILE) && load(&file).is_err(), "{error}");
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
    fn errors_name_the_rule_and_the_field() {
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
    fn signatures_match_a_reference_implementation() {
        // Python's hmac module, of "home.b.1800000000" with the key "sixteen bytes key".
        let expected = "home.b.1800000000.5ryoWjhADABJsLm9QsQkkYWVfp_XhqhLl8w4Vf0TtNc";
        assert_eq!(sign("home", "b", 1_800_000_000, "sixteen bytes key"), expected);
    }
}
