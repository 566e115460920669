//! Reads snapshots from KV and finds the one for a visitor.

use crate::config::Config;
use crate::platform::now;
use crate::store::{Freshness, LoadOutcome, LoadedSnapshot, RegionLookup, ServedSnapshot, Store};
use crate::verify;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use snapshots::manifest::{BlobRef, Place, WORLD, blob_key, manifest_key};
use snapshots::rows::RowKey;
use snapshots::shards::ShardLookup;
use snapshots::{Bytes, Shard, Snapshot};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use worker::wasm_bindgen::JsValue;
use worker::{Context, Delay, Env, KvStore, console_error, console_log};

/// The binding of the KV namespace that holds the snapshots.
const KV: &str = "SNAPSHOTS";
/// The shortest edge cache time that KV accepts, in seconds.
const MIN_CACHE_S: u64 = 30;
/// Edge cache time of blobs, in seconds. Their content never changes.
const BLOB_CACHE_S: u64 = 30 * 86_400;
/// Blobs that are read at once: a Worker may have 6 open connections.
const MAX_CONNECTIONS: usize = 6;
/// How often a waiting request checks whether its snapshot has arrived.
const POLL_INTERVAL: Duration = Duration::from_millis(4);

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

/// Calls `read` with the isolate's store.
pub(crate) fn with_store<T>(read: impl FnOnce(&Store) -> T) -> T {
    STORE.with_borrow(read)
}

/// Loads snapshots on behalf of one request.
pub(crate) struct Loader<'a> {
    /// The Worker's bindings.
    pub(crate) env: &'a Env,
    /// The request's context, which keeps background loads alive.
    pub(crate) context: &'a Context,
    /// The settings.
    pub(crate) config: &'a Config,
}

impl Loader<'_> {
    /// The snapshot of the `requested` region, or else of the region that covers the visitor's `place` or `country`. An
    /// unknown region means the world; so does a region that cannot be loaded, which [`ServedSnapshot::fallback`] marks.
    /// `None` if the world cannot be loaded either before the deadline, counted from `began` (ms).
    pub(crate) async fn find(
        &self,
        requested: Option<&str>,
        country: Option<&str>,
        place: &dyn Fn() -> Place,
        began: i64,
    ) -> Option<ServedSnapshot> {
        let world = self.ready(WORLD, began).await?;
        let manifest = &world.loaded.manifest;
        let region = match requested {
            Some(name) if manifest.regions.values().any(|region| region == name) => name,
            Some(_) => WORLD,
            None => manifest.region_at(country.unwrap_or_default(), place),
        };
        if region == WORLD {
            return Some(world);
        }
        let waited = world.waited;
        let mut served = match self.ready(region, began).await {
            Some(served) => served,
            None => ServedSnapshot { fallback: true, ..world },
        };
        served.waited |= waited;
        Some(served)
    }

    /// One region's snapshot. An isolate's first request waits for it. Later ones get the snapshot in memory, and
    /// refresh it in the background when it is due.
    async fn ready(&self, region: &str, began: i64) -> Option<ServedSnapshot> {
        let freshness =
            Freshness { ttl_ms: self.config.manifest_ttl_ms, stale_after_ms: self.config.stale_after_ms };
        let deadline = began.saturating_add(self.config.load_deadline_ms);
        let (mut loading, mut at) = (false, began);
        loop {
            match STORE.with_borrow_mut(|store| store.look_up(region, at, freshness)) {
                RegionLookup::Found(mut served) => {
                    served.waited = at > began;
                    if served.refresh {
                        self.load_in_background(region);
                    }
                    return Some(served);
                }
                RegionLookup::StartLoad if loading => {
                    // This request's own load has failed, and the pause before the next is over.
                    STORE.with_borrow_mut(|store| store.finish(region, LoadOutcome::Failed, at));
                    return None;
                }
                RegionLookup::StartLoad => {
                    self.load_in_background(region);
                    loading = true;
                }
                RegionLookup::Loading => {}
                RegionLookup::Failed => return None,
            }
            if at >= deadline {
                console_error!("region '{region}': no snapshot within the deadline");
                return None;
            }
            Delay::from(POLL_INTERVAL).await;
            at = now();
        }
    }

    /// Adds the shards that hold these rows, as far as they arrive before the deadline. The rest is read in the
    /// background.
    pub(crate) async fn load_rows(&self, served: &mut ServedSnapshot, rows: &[RowKey]) {
        let manifest = &served.loaded.manifest;
        let mut needed: Vec<&BlobRef> = rows.iter().filter_map(|row| manifest.shard(*row)).collect();
        needed.sort_by(|a, b| a.hash.cmp(&b.hash));
        needed.dedup();
        if needed.is_empty() {
            return;
        }
        let deadline = now().saturating_add(self.config.shard_deadline_ms);
        let mut shards: Vec<Shard> = Vec::new();
        let all = needed.len();
        let mut missing = needed;
        loop {
            let (mut to_read, mut coming) = (Vec::new(), Vec::new());
            for blob in missing {
                match STORE.with_borrow_mut(|store| store.look_up_shard(blob, now())) {
                    ShardLookup::Held(shard) => shards.push(shard),
                    ShardLookup::StartRead => {
                        to_read.push(blob.clone());
                        coming.push(blob);
                    }
                    ShardLookup::Reading => coming.push(blob),
                    ShardLookup::Failed => {}
                }
            }
            self.read_in_background(&served.loaded, to_read);
            missing = coming;
            served.waited |= !missing.is_empty();
            if missing.is_empty() || now() >= deadline {
                break;
            }
            Delay::from(POLL_INTERVAL).await;
        }
        for error in served.add_shards(shards, all) {
            console_error!("cannot use a shard: {error}");
        }
    }

    /// Reads shards in the background.
    fn read_in_background(&self, loaded: &Rc<LoadedSnapshot>, blobs: Vec<BlobRef>) {
        if blobs.is_empty() {
            return;
        }
        let (kv, loaded) = (self.env.kv(KV), Rc::clone(loaded));
        self.context.wait_until(async move {
            let reads = blobs.iter().map(|blob| async {
                let shard = match &kv {
                    Ok(kv) => load_shard(kv, blob, &loaded).await,
                    Err(error) => Err(error.to_string()),
                };
                let shard = shard.map_err(|why| console_error!("cannot load a shard: {why}")).ok();
                STORE.with_borrow_mut(|store| store.finish_shard(&blob.hash, shard, now()));
            });
            stream::iter(reads).buffer_unordered(MAX_CONNECTIONS).collect::<()>().await;
        });
    }

    /// Loads a region in the background.
    fn load_in_background(&self, region: &str) {
        let kv = self.env.kv(KV);
        let region = region.to_owned();
        let manifest_cache_s = self.config.manifest_ttl_ms.unsigned_abs() / 1_000;
        self.context.wait_until(async move {
            let outcome = match kv {
                Ok(kv) => load(&kv, &region, manifest_cache_s.max(MIN_CACHE_S)).await,
                Err(error) => Err(format!("the binding {KV} is missing in wrangler.toml ({error})")),
            };
            let outcome = outcome.unwrap_or_else(|why| {
                console_error!("region '{region}': cannot load the snapshot: {why}");
                LoadOutcome::Failed
            });
            if let LoadOutcome::Loaded(loaded) = &outcome {
                console_log!("region '{region}': version {}", loaded.manifest.version);
            }
            STORE.with_borrow_mut(|store| store.finish(&region, outcome, now()));
        });
    }
}

/// Reads and checks a shard of the snapshot's tables.
async fn load_shard(kv: &KvStore, blob: &BlobRef, loaded: &LoadedSnapshot) -> Result<Shard, String> {
    let bytes = read_blob(kv, &blob.hash, blob.bytes).await?;
    verify::shard(loaded, blob, &bytes)
}

/// Reads a region's manifest, and the blobs that are not in memory.
async fn load(kv: &KvStore, region: &str, cache_s: u64) -> Result<LoadOutcome, String> {
    let key = manifest_key(region);
    let Some(bytes) = read(kv, &key, cache_s).await? else {
        return Err(format!("the key {key} does not exist; run `verge publish`"));
    };
    let manifest = verify::manifest(region, &bytes)?;
    let unchanged =
        with_store(|store| store.get(region).is_some_and(|held| held.manifest.version == manifest.version));
    if unchanged {
        return Ok(LoadOutcome::Unchanged);
    }

    let held: Vec<_> = with_store(|store| manifest.resident().map(|blob| store.blob(&blob.hash)).collect());
    let whole = total(manifest.resident().map(|blob| blob.bytes));
    let missing = manifest.resident().zip(&held).filter(|(_, held)| held.is_none());
    let missing = total(missing.map(|(blob, _)| blob.bytes));
    STORE.with_borrow_mut(|store| store.make_room(region, whole, missing))?;

    let blobs = manifest.resident().zip(held).map(|(blob, held)| async move {
        match held {
            Some(bytes) => Ok(bytes),
            None => read_blob(kv, &blob.hash, blob.bytes).await,
        }
    });
    let blobs: Vec<Bytes> = stream::iter(blobs).buffered(MAX_CONNECTIONS).try_collect().await?;
    let snapshot = Snapshot::open(&blobs).map_err(|error| error.to_string())?;
    Ok(LoadOutcome::Loaded(Box::new(LoadedSnapshot { manifest, snapshot, blobs })))
}

fn total(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// Reads a blob and checks its length and hash.
async fn read_blob(kv: &KvStore, hash: &str, length: u64) -> Result<Bytes, String> {
    let key = blob_key(hash);
    let bytes = match read(kv, &key, BLOB_CACHE_S).await? {
        Some(bytes) => bytes,
        // A manifest can arrive before its blobs, and KV also caches that a key is missing, for the time requested.
        // A read with a shorter time sees the blob sooner.
        None => read(kv, &key, MIN_CACHE_S).await?.ok_or_else(|| format!("{key} does not exist yet"))?,
    };
    verify::blob(hash, length, bytes)
}

/// A blob's bytes as a `ReadableStream`; `None` if there is no blob with this hash.
///
/// # Errors
/// A message if KV cannot be read.
pub(crate) async fn blob(env: &Env, hash: &str) -> Result<Option<JsValue>, String> {
    let kv = env.kv(KV).map_err(|error| format!("the binding {KV} is missing in wrangler.toml ({error})"))?;
    let found = kv.get(&blob_key(hash)).cache_ttl(BLOB_CACHE_S).stream().await;
    found.map(|stream| stream.map(JsValue::from)).map_err(|error| format!("cannot read a blob: {error}"))
}

async fn read(kv: &KvStore, key: &str, cache_s: u64) -> Result<Option<Vec<u8>>, String> {
    kv.get(key).cache_ttl(cache_s).bytes().await.map_err(|error| format!("cannot read {key}: {error}"))
}
