//! Reading snapshots from KV, and finding the one that a visitor is answered from.

use crate::config::Config;
use crate::platform::now;
use crate::store::{Freshness, Loaded, Look, Outcome, Ready, Store};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use snapshots::manifest::{BlobRef, Manifest, Place, RowRange, WORLD, blob_key, content_hash, manifest_key};
use snapshots::rows::RowKey;
use snapshots::{Bytes, Shard, Snapshot, shards};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use worker::wasm_bindgen::JsValue;
use worker::{Context, Delay, Env, KvStore, console_error, console_log};

/// The binding of the KV namespace with the snapshots.
const KV: &str = "SNAPSHOTS";
/// The shortest time KV lets a value be cached at the edge, in seconds.
const MIN_CACHE_S: u64 = 30;
/// How long blobs are cached at the edge, in seconds: they never change.
const BLOB_CACHE_S: u64 = 30 * 86_400;
/// How many blobs are read at once: Workers allow 6 connections that wait.
const AT_ONCE: usize = 6;
/// How often a request looks whether a snapshot has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

/// Lets `read` see what the isolate holds.
pub fn with_store<T>(read: impl FnOnce(&Store) -> T) -> T {
    STORE.with_borrow(read)
}

/// What a request needs to reach KV.
pub struct Loader<'a> {
    /// The Worker's bindings.
    pub env: &'a Env,
    /// The request's context, in which loading goes on behind the answer.
    pub context: &'a Context,
    /// The settings.
    pub config: &'a Config,
}

impl Loader<'_> {
    /// The snapshot for a visitor: of the region `asked` for, of the country's or a finer or coarser `place`'s region where
    /// none is asked for, of the world where there is no such region. `None` when nothing can be had within the
    /// deadline, counted from when the request `began` (ms).
    pub async fn find(
        &self,
        asked: Option<&str>,
        country: Option<&str>,
        place: &dyn Fn() -> Place,
        began: i64,
    ) -> Option<Ready> {
        let world = self.ready(WORLD, began).await?;
        let manifest = &world.loaded.manifest;
        let region = match asked {
            Some(asked) if manifest.regions.values().any(|region| region == asked) => asked,
            Some(_) => WORLD,
            None => manifest.region_at(country.unwrap_or_default(), place),
        };
        if region == WORLD {
            return Some(world);
        }
        let waited = world.waited;
        let mut found = self.ready(region, began).await.unwrap_or(world);
        found.waited |= waited;
        Some(found)
    }

    /// One region's snapshot. The first request of an isolate waits for it; later ones get what is there, and
    /// one of them now and then refreshes it behind its answer.
    async fn ready(&self, region: &str, began: i64) -> Option<Ready> {
        let freshness =
            Freshness { ttl_ms: self.config.manifest_ttl_ms, stale_after_ms: self.config.stale_after_ms };
        let deadline = began.saturating_add(self.config.load_deadline_ms);
        let (mut loading, mut at) = (false, began);
        loop {
            match STORE.with_borrow_mut(|store| store.look(region, at, freshness)) {
                Look::Ready(mut ready) => {
                    ready.waited = at > began;
                    if ready.refresh {
                        self.load_behind(region);
                    }
                    return Some(ready);
                }
                Look::Load if loading => {
                    // Ours has failed, and the time to the next attempt is over.
                    STORE.with_borrow_mut(|store| store.finish(region, Outcome::Failed, at));
                    return None;
                }
                Look::Load => {
                    self.load_behind(region);
                    loading = true;
                }
                Look::Wait => {}
                Look::Failed => return None,
            }
            if at >= deadline {
                console_error!("region '{region}': no snapshot within the deadline");
                return None;
            }
            Delay::from(LOOK_AGAIN).await;
            at = now();
        }
    }

    /// Has these rows at hand as far as the deadline allows, where tables are cut into shards. What is
    /// missing is read behind the answer.
    pub async fn add_rows(&self, ready: &mut Ready, rows: &[RowKey]) {
        let manifest = &ready.loaded.manifest;
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
                match STORE.with_borrow_mut(|store| store.look_for_shard(blob, now())) {
                    shards::Look::Held(shard) => shards.push(shard),
                    shards::Look::Read => {
                        to_read.push(blob.clone());
                        coming.push(blob);
                    }
                    shards::Look::Wait => coming.push(blob),
                    shards::Look::Failed => {}
                }
            }
            self.read_behind(&ready.loaded, to_read);
            missing = coming;
            ready.waited |= !missing.is_empty();
            if missing.is_empty() || now() >= deadline {
                break;
            }
            Delay::from(LOOK_AGAIN).await;
        }
        ready.shards = (shards.len(), all);
        let mut snapshot = ready.loaded.snapshot.clone();
        for shard in shards {
            if let Err(error) = snapshot.add(shard) {
                console_error!("a shard cannot be used: {error}");
            }
        }
        ready.with_rows = Some(Box::new(snapshot));
    }

    /// Reads shards in the background of this request, a few at a time.
    fn read_behind(&self, loaded: &Rc<Loaded>, blobs: Vec<BlobRef>) {
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
            stream::iter(reads).buffer_unordered(AT_ONCE).collect::<()>().await;
        });
    }

    /// Loads a region in the background of this request.
    fn load_behind(&self, region: &str) {
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
                Outcome::Failed
            });
            if let Outcome::Loaded(loaded) = &outcome {
                console_log!("region '{region}': version {}", loaded.manifest.version);
            }
            STORE.with_borrow_mut(|store| store.finish(&region, outcome, now()));
        });
    }
}

/// Reads a shard of the snapshot's tables.
async fn load_shard(kv: &KvStore, blob: &BlobRef, loaded: &Loaded) -> Result<Shard, String> {
    let bytes = read_blob(kv, &blob.hash, blob.bytes).await?;
    let shard = loaded.snapshot.open_shard(&bytes).map_err(|error| error.to_string())?;
    let rows = RowRange { first: shard.rows.first(), end: shard.rows.end() };
    if shard.table != blob.name || Some(rows) != blob.rows {
        return Err(format!("{} holds other rows than its manifest says", blob_key(&blob.hash)));
    }
    Ok(shard)
}

/// Reads a region's manifest and those of its blobs that the isolate does not hold.
async fn load(kv: &KvStore, region: &str, cache_s: u64) -> Result<Outcome, String> {
    let key = manifest_key(region);
    let Some(bytes) = read(kv, &key, cache_s).await? else {
        return Err(format!("the key {key} is not there; publish with `verge publish`"));
    };
    let manifest = Manifest::parse(&bytes).map_err(|error| format!("{key}: {error}"))?;
    let unchanged =
        with_store(|store| store.get(region).is_some_and(|held| held.manifest.version == manifest.version));
    if unchanged {
        return Ok(Outcome::Unchanged);
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
    let blobs: Vec<Bytes> = stream::iter(blobs).buffered(AT_ONCE).try_collect().await?;
    let snapshot = Snapshot::open(&blobs).map_err(|error| error.to_string())?;
    Ok(Outcome::Loaded(Box::new(Loaded { manifest, snapshot, blobs })))
}

fn total(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// Reads a blob and checks that it is the one that was named.
async fn read_blob(kv: &KvStore, hash: &str, length: u64) -> Result<Bytes, String> {
    let key = blob_key(hash);
    let bytes = match read(kv, &key, BLOB_CACHE_S).await? {
        Some(bytes) => bytes,
        // A manifest can arrive before its blobs. KV caches that a key is missing too, for as long as was asked
        // for; asking for less shortens it.
        None => read(kv, &key, MIN_CACHE_S).await?.ok_or_else(|| format!("{key} is not there (yet)"))?,
    };
    if u64::try_from(bytes.len()) != Ok(length) {
        return Err(format!("{key} has {} bytes, and its manifest says {length}", bytes.len()));
    }
    if content_hash(&bytes) != hash {
        return Err(format!("{key} holds other bytes than its name says; publish again"));
    }
    Ok(Bytes::from(bytes))
}

/// A blob's bytes as a `ReadableStream`; `None` where there is no blob of this hash. Nothing of it is held.
///
/// # Errors
/// KV cannot be read.
pub async fn blob(env: &Env, hash: &str) -> Result<Option<JsValue>, String> {
    let kv = env.kv(KV).map_err(|error| format!("the binding {KV} is missing in wrangler.toml ({error})"))?;
    let found = kv.get(&blob_key(hash)).cache_ttl(BLOB_CACHE_S).stream().await;
    found.map(|stream| stream.map(JsValue::from)).map_err(|error| format!("cannot read a blob: {error}"))
}

async fn read(kv: &KvStore, key: &str, cache_s: u64) -> Result<Option<Vec<u8>>, String> {
    kv.get(key).cache_ttl(cache_s).bytes().await.map_err(|error| format!("cannot read {key}: {error}"))
}
