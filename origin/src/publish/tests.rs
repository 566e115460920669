use super::*;
use snapshots::manifest::{BlobRef, WORLD};
use std::{cell::RefCell, collections::BTreeMap};

/// A destination in memory with injected failures.
#[derive(Default)]
struct Memory {
    keys: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Later writes fail, as if the publisher were killed.
    writes_left: RefCell<Option<usize>>,
    /// Later reads of manifests fail.
    manifest_reads_left: RefCell<Option<usize>>,
    damage_blobs: bool,
}

fn count_down(left: &RefCell<Option<usize>>) -> Result<()> {
    if let Some(left) = &mut *left.borrow_mut() {
        let failed = || PublishError::Api { url: "memory".to_owned(), detail: "failed".to_owned() };
        *left = left.checked_sub(1).ok_or_else(failed)?;
    }
    Ok(())
}

impl Destination for Memory {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        if key.starts_with("manifest/") {
            count_down(&self.manifest_reads_left)?;
        }
        Ok(self.keys.borrow().get(key).cloned())
    }
    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        count_down(&self.writes_left)?;
        let mut value = value.to_vec();
        if self.damage_blobs && key.starts_with("blob/") {
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

fn send(built: &SnapshotSet, to: &Memory, now: i64) -> Result<PublishReport> {
    publish(built, to, Timestamp(now), 2, false, &mut BTreeSet::new(), |_| {})
}

/// The content that a reader of the region gets.
fn served(to: &Memory, region: &str) -> String {
    current_manifest(to, region).unwrap().map_or(String::new(), |manifest| {
        let hash = &manifest.blobs[1].hash;
        String::from_utf8(to.get(&blob_key(hash)).unwrap().expect("a blob the manifest names")).unwrap()
    })
}

#[test]
fn publishing_unchanged_snapshots_writes_nothing() {
    let to = Memory::default();
    let first = send(&built(&[("gb", "a"), (WORLD, "b")]), &to, 0).unwrap();
    assert_eq!(first.keys_written, 3 + 2 * 2, "three blobs, and history and manifest of two regions");
    assert_eq!(send(&built(&[("gb", "a"), (WORLD, "b")]), &to, 1).unwrap(), PublishReport::default());
    let second = send(&built(&[("gb", "a"), (WORLD, "c")]), &to, 2).unwrap();
    assert_eq!(second.keys_written, 1 + 2, "one blob, and history and manifest of one region");
}

#[test]
fn failing_at_any_write_leaves_the_old_or_the_new_snapshot_and_a_retry_completes() {
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
fn a_blob_that_reads_back_damaged_is_never_referenced() {
    let to = Memory { damage_blobs: true, ..Memory::default() };
    let error = send(&built(&[(WORLD, "a")]), &to, 0).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert!(current_manifest(&to, WORLD).unwrap().is_none());
}

#[test]
fn rollbacks_go_back_one_by_one_and_publishing_goes_forward() {
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
fn old_blobs_are_deleted_after_the_grace_period() {
    let to = Memory::default();
    for (hour, content) in (0..).zip(["a", "b", "c", "d"]) {
        send(&built(&[(WORLD, content)]), &to, hour * GRACE_PERIOD_MS).unwrap();
    }
    let blobs = to.list("blob/").unwrap();
    assert!(
        !blobs.contains(&blob_key(&content_hash(b"a"))),
        "two manifests are kept, and one is in its grace period"
    );
    assert!(
        blobs.contains(&blob_key(&content_hash(b"c"))) && blobs.contains(&blob_key(&content_hash(b"shared")))
    );
    for content in ["e", "f", "g"] {
        send(&built(&[(WORLD, content)]), &to, 3 * GRACE_PERIOD_MS + 1).unwrap();
    }
    assert!(to.list("blob/").unwrap().contains(&blob_key(&content_hash(b"d"))), "a reader may still use it");
}

#[test]
fn regions_that_are_no_longer_built_are_reported_and_pruned_on_request() {
    let to = Memory::default();
    send(&built(&[("gb", "a"), (WORLD, "b")]), &to, 0).unwrap();
    let without = built(&[(WORLD, "b")]);
    assert_eq!(send(&without, &to, 1).unwrap().unbuilt_regions, ["gb"]);
    let report = publish(&without, &to, Timestamp(2), 2, true, &mut BTreeSet::new(), |_| {}).unwrap();
    assert_eq!((report.blobs_removed, to.list("manifest/").unwrap()), (1, vec![manifest_key(WORLD)]));
}

#[test]
fn a_directory_behaves_like_kv() {
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

/// Publishes to a destination in which the value of `damaged_key` is damaged, and only `gb` names the blob `kept-by-gb`.
fn publish_over_damage(damaged_key: &str) -> (Memory, PublishReport) {
    let to = Memory::default();
    send(&built(&[("gb", "kept-by-gb"), (WORLD, "kept-by-gb")]), &to, 0).unwrap();
    for (hour, content) in (1..).zip(["a", "b", "c"]) {
        send(&built(&[(WORLD, content)]), &to, hour * GRACE_PERIOD_MS).unwrap();
    }
    to.put(damaged_key, b"{ damaged").unwrap();
    let report = send(&built(&[(WORLD, "d")]), &to, 9 * GRACE_PERIOD_MS).unwrap();
    (to, report)
}

#[test]
fn no_blob_is_deleted_while_a_history_or_a_manifest_is_damaged() {
    for key in [history_key("gb"), manifest_key("gb"), history_key(WORLD)] {
        let (to, report) = publish_over_damage(&key);
        assert_eq!(report.blobs_removed, 0, "{key}");
        assert!(to.get(&blob_key(&content_hash(b"kept-by-gb"))).unwrap().is_some(), "{key}");
        assert_eq!(served(&to, WORLD), "d", "the other region is published");
    }
    let (to, report) = publish_over_damage("other");
    assert!(report.blobs_removed > 0, "without damage, old blobs are deleted");
    assert!(to.get(&blob_key(&content_hash(b"kept-by-gb"))).unwrap().is_some(), "gb names it");
}

#[test]
fn blobs_of_the_current_manifest_are_kept_without_a_history() {
    let (to, _) = publish_over_damage("other");
    to.delete(&history_key("gb")).unwrap();
    for (hour, content) in (20..).zip(["e", "f", "g"]) {
        send(&built(&[(WORLD, content)]), &to, hour * GRACE_PERIOD_MS).unwrap();
    }
    assert!(to.get(&blob_key(&content_hash(b"kept-by-gb"))).unwrap().is_some());
}

#[test]
fn a_rollback_reports_damaged_values() {
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
fn after_a_damaged_history_the_last_snapshot_can_be_rolled_back_to() {
    let to = Memory::default();
    send(&built(&[(WORLD, "a")]), &to, 0).unwrap();
    to.put(&history_key(WORLD), b"[{}]").unwrap();
    send(&built(&[(WORLD, "b")]), &to, 1).unwrap();
    roll_back(&to, None).unwrap();
    assert_eq!(served(&to, WORLD), "a");
}

#[test]
fn an_unreadable_manifest_is_not_dropped_from_a_new_history() {
    let to = Memory::default();
    send(&built(&[(WORLD, "a")]), &to, 0).unwrap();
    to.put(&history_key(WORLD), b"[{}]").unwrap();
    // The first read finds what changed; the second one is for the new history.
    *to.manifest_reads_left.borrow_mut() = Some(1);
    assert!(matches!(send(&built(&[(WORLD, "b")]), &to, 1), Err(PublishError::Api { .. })));
    *to.manifest_reads_left.borrow_mut() = None;
    assert_eq!(served(&to, WORLD), "a");
}

#[test]
fn an_unreadable_directory_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("manifest"), b"a file").unwrap();
    assert!(Directory::new(folder.path()).list("manifest/").is_err());
}

#[test]
fn a_misspelt_destination_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("published");
    let path = path.to_str().unwrap();
    for name in ["s3", "KV", "kv ", "s3://bucket/shop", "dir:", "", "published", "r2:x"] {
        let error = super::open(name, &Kv::default()).map(|_| ()).unwrap_err();
        assert!(matches!(error, PublishError::UnknownDestination(_)), "{name}: {error}");
    }
    assert!(matches!(super::open("kv", &Kv::default()), Err(PublishError::Config(_))));
    for name in [path, &format!("dir:{path}"), "./published", "dir:published"] {
        super::open(name, &Kv::default()).unwrap();
    }
}
