use super::*;
use snapshots::manifest::{BlobRef, WORLD};
use std::{cell::RefCell, collections::BTreeMap};

/// A destination in memory that can be told to fail from the n-th write on, as if the publisher were killed.
#[derive(Default)]
struct Memory {
    keys: RefCell<BTreeMap<String, Vec<u8>>>,
    writes_left: RefCell<Option<usize>>,
    garble: bool,
}

impl Destination for Memory {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.keys.borrow().get(key).cloned())
    }
    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        if let Some(left) = &mut *self.writes_left.borrow_mut() {
            *left = left.checked_sub(1).ok_or_else(|| PublishError::Missing("killed".to_owned()))?;
        }
        let mut value = value.to_vec();
        if self.garble && key.starts_with("blob/") {
            value.push(0);
        }
        self.keys.borrow_mut().insert(key.to_owned(), value);
        Ok(())
    }
    fn delete(&self, key: &str) -> Result<()> {
        self.keys.borrow_mut().remove(key);
        Ok(())
    }
    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.keys.borrow().keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
    fn name(&self) -> String {
        "memory".to_owned()
    }
}

fn built(regions: &[(&str, &str)]) -> SnapshotSet {
    let mut built = SnapshotSet::default();
    for (region, content) in regions {
        let blobs = ["shared", content].map(|content| {
            let blob = BlobRef::new("x", content.as_bytes());
            built.blobs.insert(blob.hash.clone(), content.as_bytes().to_vec());
            blob
        });
        built.manifests.push(Manifest::new(region, Timestamp(0), blobs.into(), BTreeMap::new()));
    }
    built
}

fn send(built: &SnapshotSet, to: &Memory, now: i64) -> Result<Outcome> {
    publish(built, to, Timestamp(now), 2, false, &mut BTreeSet::new(), |_| {})
}

fn served(to: &Memory, region: &str) -> String {
    present(to, region).unwrap().map_or(String::new(), |manifest| {
        let hash = &manifest.blobs[1].hash;
        String::from_utf8(to.get(&blob_key(hash)).unwrap().expect("a blob the manifest names")).unwrap()
    })
}

#[test]
fn the_second_time_writes_nothing() {
    let to = Memory::default();
    let first = send(&built(&[("gb", "a"), (WORLD, "b")]), &to, 0).unwrap();
    assert_eq!(first.wrote, 3 + 2 * 2, "three blobs, and history and manifest of two regions");
    assert_eq!(send(&built(&[("gb", "a"), (WORLD, "b")]), &to, 1).unwrap(), Outcome::default());
    let second = send(&built(&[("gb", "a"), (WORLD, "c")]), &to, 2).unwrap();
    assert_eq!(second.wrote, 1 + 2, "only what changed");
}

#[test]
fn dying_at_any_write_leaves_the_old_or_the_new_and_the_next_try_completes() {
    for writes in 0..8 {
        let to = Memory::default();
        send(&built(&[("gb", "old"), (WORLD, "old")]), &to, 0).unwrap();
        *to.writes_left.borrow_mut() = Some(writes);
        let new = built(&[("gb", "new-gb"), (WORLD, "new")]);
        let finished = send(&new, &to, 1).is_ok();
        assert_eq!(finished, writes >= 6);
        assert!(
            ["old", "new-gb"].contains(&&*served(&to, "gb"))
                && ["old", "new"].contains(&&*served(&to, WORLD))
        );
        *to.writes_left.borrow_mut() = None;
        send(&new, &to, 2).unwrap();
        assert_eq!((served(&to, "gb"), served(&to, WORLD)), ("new-gb".to_owned(), "new".to_owned()));
    }
}

#[test]
fn what_reads_back_damaged_is_never_switched_to() {
    let to = Memory { garble: true, ..Memory::default() };
    let error = send(&built(&[(WORLD, "a")]), &to, 0).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert!(present(&to, WORLD).unwrap().is_none());
}

#[test]
fn rolling_back_goes_back_one_by_one_and_publishing_forward() {
    let to = Memory::default();
    for (now, content) in (0..).zip(["a", "b", "c"]) {
        send(&built(&[(WORLD, content)]), &to, now).unwrap();
    }
    roll_back(&to, None).unwrap();
    assert_eq!(served(&to, WORLD), "b");
    roll_back(&to, Some(WORLD)).unwrap();
    assert_eq!(served(&to, WORLD), "a");
    assert!(roll_back(&to, None).unwrap_err().to_string().contains("no earlier"));
    assert!(roll_back(&to, Some("gb")).unwrap_err().to_string().contains("never published"));
    send(&built(&[(WORLD, "c")]), &to, 9).unwrap();
    assert_eq!(served(&to, WORLD), "c");
    roll_back(&to, None).unwrap();
    assert_eq!(served(&to, WORLD), "b");
}

#[test]
fn old_blobs_go_when_no_reader_can_hold_them() {
    let to = Memory::default();
    for (hour, content) in (0..).zip(["a", "b", "c", "d"]) {
        send(&built(&[(WORLD, content)]), &to, hour * GRACE_MS).unwrap();
    }
    let blobs = to.list("blob/").unwrap();
    assert!(!blobs.contains(&blob_key(&content_hash(b"a"))), "two are kept, and one in its hour of grace");
    assert!(
        blobs.contains(&blob_key(&content_hash(b"c"))) && blobs.contains(&blob_key(&content_hash(b"shared")))
    );
    for content in ["e", "f", "g"] {
        send(&built(&[(WORLD, content)]), &to, 3 * GRACE_MS + 1).unwrap();
    }
    assert!(to.list("blob/").unwrap().contains(&blob_key(&content_hash(b"d"))), "a reader may hold it still");
}

#[test]
fn a_region_no_longer_built_is_named_and_pruned_on_demand() {
    let to = Memory::default();
    send(&built(&[("gb", "a"), (WORLD, "b")]), &to, 0).unwrap();
    let without = built(&[(WORLD, "b")]);
    assert_eq!(send(&without, &to, 1).unwrap().unbuilt_regions, ["gb"]);
    let outcome = publish(&without, &to, Timestamp(2), 2, true, &mut BTreeSet::new(), |_| {}).unwrap();
    assert_eq!((outcome.removed, to.list("manifest/").unwrap()), (1, vec![manifest_key(WORLD)]));
}

#[test]
fn a_directory_holds_keys_as_kv_does() {
    let folder = tempfile::tempdir().unwrap();
    let to = Directory::new(folder.path());
    assert_eq!((to.get("manifest/gb").unwrap(), to.list("manifest/").unwrap().len()), (None, 0));
    to.put("manifest/gb", b"x").unwrap();
    assert_eq!(to.get("manifest/gb").unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(to.list("manifest/").unwrap(), ["manifest/gb"]);
    to.delete("manifest/gb").unwrap();
    to.delete("manifest/gb").unwrap();
    assert_eq!(to.list("manifest/").unwrap().len(), 0);
}

/// A destination where `gb` still names a blob that the world names no more, with one value damaged.
fn with_history(damage: &str) -> (Memory, Outcome) {
    let to = Memory::default();
    send(&built(&[("gb", "kept-by-gb"), (WORLD, "kept-by-gb")]), &to, 0).unwrap();
    for (hour, content) in (1..).zip(["a", "b", "c"]) {
        send(&built(&[(WORLD, content)]), &to, hour * GRACE_MS).unwrap();
    }
    to.put(damage, b"{ damaged").unwrap();
    let outcome = send(&built(&[(WORLD, "d")]), &to, 9 * GRACE_MS).unwrap();
    (to, outcome)
}

#[test]
fn no_blob_is_removed_while_a_history_or_a_manifest_is_damaged() {
    for key in [history_key("gb"), manifest_key("gb"), history_key(WORLD)] {
        let (to, outcome) = with_history(&key);
        assert_eq!(outcome.removed, 0, "{key}");
        assert!(to.get(&blob_key(&content_hash(b"kept-by-gb"))).unwrap().is_some(), "{key}");
        assert_eq!(served(&to, WORLD), "d", "publishing goes on");
    }
    let (to, outcome) = with_history("other");
    assert!(outcome.removed > 0, "without damage, old blobs are removed");
    assert!(to.get(&blob_key(&content_hash(b"kept-by-gb"))).unwrap().is_some(), "gb names it");
}

#[test]
fn a_present_manifest_keeps_its_blobs_whatever_the_history_says() {
    let (to, _) = with_history("other");
    to.delete(&history_key("gb")).unwrap();
    for (hour, content) in (20..).zip(["e", "f", "g"]) {
        send(&built(&[(WORLD, content)]), &to, hour * GRACE_MS).unwrap();
    }
    assert!(to.get(&blob_key(&content_hash(b"kept-by-gb"))).unwrap().is_some());
}

#[test]
fn rolling_back_over_a_damaged_value_says_so() {
    for key in [history_key(WORLD), manifest_key(WORLD)] {
        let to = Memory::default();
        send(&built(&[(WORLD, "a")]), &to, 0).unwrap();
        send(&built(&[(WORLD, "b")]), &to, 1).unwrap();
        to.put(&key, b"{").unwrap();
        let error = roll_back(&to, None).unwrap_err().to_string();
        assert!(error.contains(&key) && error.contains("damaged"), "{error}");
    }
}

#[test]
fn after_a_damaged_history_the_snapshot_that_served_is_the_way_back() {
    let to = Memory::default();
    send(&built(&[(WORLD, "a")]), &to, 0).unwrap();
    to.put(&history_key(WORLD), b"[{}]").unwrap();
    send(&built(&[(WORLD, "b")]), &to, 1).unwrap();
    roll_back(&to, None).unwrap();
    assert_eq!(served(&to, WORLD), "a");
}

#[test]
fn a_directory_that_cannot_be_read_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("manifest"), b"a file").unwrap();
    assert!(Directory::new(folder.path()).list("manifest/").is_err());
}
