//! `verge build`: from the store to one snapshot a region, laid out as it is published.

use crate::{
    config::Config,
    evaluate::{
        protocol::{self, Test},
        split::Split,
    },
    learn::{
        Table, als, blend, bought,
        choose::{Held, Numbers},
        coview, embedding, item2vec, nearest, order,
        orders::{self, Again},
        popularity::Counts,
        sessions::Sessions,
        trend, walk,
    },
    models::{self, Model, Registry},
    recipe::{self, Recipe, Source},
    regions::{self, Regions},
    store::{Log, Store},
};
use anyhow::{Context, Result, bail};
use snapshots::{
    attributes,
    envelope::{Envelope, Section},
    ids,
    manifest::{BlobRef, Manifest, RowRange, WORLD},
    rows::{self, Rows},
    strategy,
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

mod built;
mod catalogue;
pub(crate) mod lite;
mod neighbours;

pub(crate) use built::write_if_new;
pub use built::{Built, ITEMS, REGION};
pub(crate) use catalogue::Catalogue;

/// Learn the tables from the store and build one snapshot a region.
///
/// What is built is kept as a model (`verge models`) and judged on held-out sessions. It serves, and `verge publish`
/// sends it, if it is not worse than the model that serves now beyond noise.
///
/// The same log gives the same bytes. Regions come from [regions] in verge.toml (`dach = ["de", "at", "ch"]`);
/// without it, every area with enough events is one. The region `world` is always built.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// Put the snapshots here, in place of keeping them as a model [default: snapshots in the data directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Serve the new model without judging it, which takes about as long as building again
    #[arg(long)]
    no_judge: bool,
    /// Learn the tables alone, by the numbers and neighbours that the last whole build found, and serve them unjudged
    /// in the place of the model that serves, without keeping them as one
    #[arg(long, conflicts_with_all = ["out", "no_judge"])]
    tables: bool,
    /// Models kept to go back to, besides the one that serves and the one before it
    #[arg(long, value_name = "N", default_value_t = 5)]
    keep_models: usize,
    /// Neighbours kept a row, 1 to 255 [default: the recipe's]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    k: Option<u8>,
    /// The numbers to learn with [default: recipe.toml in the data directory, if there is one]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Events that make an area a region of its own, where none are configured
    #[arg(long, default_value_t = regions::MIN_EVENTS)]
    min_events: usize,
    /// Bytes that the catalogue and its tables may have in all; above, the tables are cut into shards, of which the
    /// edge reads those that a visitor's recents need
    #[arg(long, value_name = "BYTES", default_value_t = Packing::default().whole)]
    whole: usize,
    /// Bytes of a shard
    #[arg(long, value_name = "BYTES", default_value_t = Packing::default().shard)]
    shard: usize,
}

/// How tables are packed.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// Whether items are ordered by neighbourhood, which takes time and packs better.
    pub clustered: bool,
    /// Bytes that the catalogue and its tables may have in all before the tables are cut into shards.
    pub whole: usize,
    /// The most bytes of a shard.
    pub shard: usize,
}

impl Default for Packing {
    /// 25 MiB in all, one value of KV: an isolate holds it twice while it changes, with room to spare. 1 MiB a shard:
    /// the smaller, the more of what a cache holds is wanted (`cargo xtask bench cache`), but every shard is three
    /// of the 1,200 calls in five minutes that Cloudflare's API lets a publisher make.
    fn default() -> Self {
        Self { clustered: true, whole: KV_VALUE, shard: 1 << 20 }
    }
}

impl Packing {
    /// For a snapshot that nobody keeps: unordered and whole, which spares looking how large it will be.
    pub fn quick() -> Self {
        Self { clustered: false, whole: usize::MAX, ..Self::default() }
    }
}

/// The most bytes of a value in Workers KV.
const KV_VALUE: usize = 25 << 20;
/// More bytes than the envelope of a shard adds to its section.
const ENVELOPE: usize = 256;
/// What a neighbour takes, before it is known: packed tables took 10 to 16.
const NEIGHBOUR_BITS: usize = 12;

/// A log made ready for learning: items in index order and sessions of their indices.
pub struct Prepared {
    /// Time of the newest event.
    pub built_at: Timestamp,
    /// Index → item of the log.
    pub order: Vec<u32>,
    /// Item of the log → index.
    pub index: Vec<u32>,
    /// Sessions of item indices.
    pub sessions: Sessions,
    /// Every item's events, by the log's numbers.
    pub counts: Counts,
}

impl Prepared {
    /// Orders the items and cuts the sessions.
    ///
    /// # Errors
    /// The log holds no event or too many items.
    pub fn new(log: &Log) -> Result<Self> {
        let Some(built_at) = log.events.iter().map(|event| event.at).max() else {
            bail!("the store holds no events; run `verge import` or `verge generate --into-store` first");
        };
        let count = log.items.len();
        if count > ids::MAX_ITEMS {
            bail!("{count} items; a snapshot holds at most {}", ids::MAX_ITEMS);
        }
        let counts = Counts::of(&log.events);
        let order = counts.rank(count, built_at);
        let mut index = vec![0u32; count];
        for (place, item) in (0u32..).zip(&order) {
            index[*item as usize] = place;
        }
        let sessions = Sessions::cut(&log.events, &index);
        Ok(Self { built_at, order, index, sessions, counts })
    }

    /// Sessions and orders to judge on, by index, and how often training met each item.
    pub fn test(&self, split: &Split) -> Test {
        let indexed = |session: &Vec<u32>| session.iter().map(|item| self.index[*item as usize]).collect();
        Test {
            sessions: split.test.iter().map(indexed).collect(),
            baskets: protocol::baskets(
                &orders::cut(&split.train.events, &self.index),
                &orders::cut(&split.later, &self.index),
            ),
            events: self.sessions.events(self.order.len()),
        }
    }
}

/// Leaves the least wanted items, with their events, out of the log until their ids and attributes take at most
/// `bytes`. Returns how many items and events went.
pub fn prune(log: &mut Log, bytes: usize) -> (usize, usize) {
    let (items, events) = (log.items.len(), log.events.len());
    let newest = log.events.iter().map(|event| event.at).max().unwrap_or_default();
    let mut order = Counts::of(&log.events).rank(items, newest);
    loop {
        let takes = Catalogue::new(&log.items, &order).bytes();
        if takes <= bytes || order.is_empty() {
            break;
        }
        // A little less than the average allows, as items differ.
        order.truncate((order.len() as f64 * bytes as f64 / takes as f64 * 0.99) as usize);
    }
    if order.len() < items {
        order.sort_unstable();
        log.keep(&order);
    }
    (items - log.items.len(), events - log.events.len())
}

/// The tables of a snapshot.
pub struct Learnt {
    /// What visitors meet together, with what was learnt from it folded in.
    pub coview: Table,
    /// What is alike.
    pub knn: Table,
    /// What is bought together; all rows empty where the log holds no orders.
    pub bought: Table,
}

/// The co-view table of sessions by a recipe, walked.
fn walked_coview(sessions: &Sessions, items: usize, coview: &coview::Recipe, recipe: &Recipe) -> Table {
    let table = coview::learn(sessions, items, coview, walk::KEPT.max(usize::from(recipe.k)));
    walk::walk(table, &sessions.events(items), recipe.walk, recipe.few)
}

/// The co-view table by a recipe, with learnt neighbours folded in, what is wanted lately first.
pub fn fold_coview(prepared: &Prepared, learnt: &Table, recipe: &Recipe) -> Table {
    let (sessions, items, k) = (&prepared.sessions, learnt.len(), usize::from(recipe.k));
    let coview = walked_coview(sessions, items, &recipe.coview, recipe);
    let folded = blend::fold(&coview, learnt, recipe.fold, walk::KEPT.max(k));
    trend::follow(folded, &trend::factors(sessions, items), k)
}

/// The recipe with strategies. Where it names none the log makes them: it tells the boosts of what was seen and, if the
/// recipe leaves co-view at its defaults, chooses the numbers of [`Numbers`].
pub fn settle(prepared: &Prepared, recipe: &Recipe, report: &mut impl FnMut(&str)) -> Recipe {
    if !recipe.strategies.is_empty() {
        return recipe.clone();
    }
    let learn = |sessions: &Sessions, coview: &coview::Recipe| {
        let mut table = walked_coview(sessions, prepared.order.len(), coview, recipe);
        table.iter_mut().for_each(|row| row.truncate(recipe.k.into()));
        table
    };
    let held = Held::of(&prepared.sessions);
    let start = Numbers { coview: recipe.coview, ..Numbers::default() };
    let numbers = if recipe.coview == coview::Recipe::default() {
        let (numbers, told) = held.choose(start, learn);
        report(&format!("chosen by the log's end: {}", if told.is_empty() { "the defaults" } else { &told }));
        numbers
    } else {
        held.estimate(start, learn)
    };
    Recipe { coview: numbers.coview, strategies: recipe::strategies(&numbers), ..recipe.clone() }
}

/// Learns vectors and finds the neighbours of every item that training met.
pub fn learn_neighbours(prepared: &Prepared, recipe: &Recipe, report: &mut impl FnMut(&str)) -> Table {
    let (count, passes, sessions) = (prepared.order.len(), recipe.embedding.epochs, &prepared.sessions);
    let model = match recipe.knn {
        Source::NextItem if passes > 0 => embedding::learn(sessions, count, &recipe.embedding, |pass| {
            report(&format!("embedding: {pass} of {passes} passes"));
        }),
        Source::Item2vec => item2vec::learn(sessions, count, &recipe.item2vec),
        Source::Als => als::learn(sessions, count, &recipe.als),
        Source::NextItem | Source::Content => return vec![Vec::new(); count],
    };
    let taught: Vec<bool> = sessions.events(count).into_iter().map(|events| events > 0).collect();
    let learnt = nearest::find(&model, recipe.embedding.scale, nearest::KEPT, &taught);
    report("nearest found");
    learnt
}

/// Learns what is bought together, and again.
fn learn_bought(log: &Log, prepared: &Prepared, k: usize, report: &mut impl FnMut(&str)) -> (Table, Again) {
    let orders = orders::cut(&log.events, &prepared.index);
    let again = Again::count(&orders, prepared.order.len());
    let table = bought::learn(&orders, prepared.order.len(), &again, k);
    report(&format!(
        "bought together: {} neighbours from {} orders and carts; {:.0} % of later orders bought before{}",
        table.iter().map(Vec::len).sum::<usize>(),
        orders.len(),
        again.share * 100.0,
        again.days.map_or(String::new(), |days| format!(", typically {days:.0} days before")),
    ));
    (table, again)
}

/// Learns and packs everything; `report` is told each step when it is done.
///
/// # Errors
/// The log holds no event or too many items.
pub fn build(
    log: &Log,
    regions: &Regions,
    recipe: &Recipe,
    packing: Packing,
    mut report: impl FnMut(&str),
) -> Result<Built> {
    build_with(log, regions, packing, &mut report, |prepared, report| {
        let recipe = settle(prepared, recipe, report);
        let learnt = learn_neighbours(prepared, &recipe, report);
        Ok((recipe, learnt))
    })
}

/// As [`build`], with the recipe and the neighbours that `learnt` finds.
fn build_with<R: FnMut(&str)>(
    log: &Log,
    regions: &Regions,
    packing: Packing,
    mut report: &mut R,
    learnt: impl FnOnce(&Prepared, &mut R) -> Result<(Recipe, Table)>,
) -> Result<Built> {
    let prepared = Prepared::new(log)?;
    report(&format!("{} sessions of {} clicks", prepared.sessions.len(), prepared.sessions.clicks()));
    let (recipe, learnt) = learnt(&prepared, report)?;
    let coview = fold_coview(&prepared, &learnt, &recipe);
    report(&format!("co-view: {} neighbours", coview.iter().map(Vec::len).sum::<usize>()));
    let k = usize::from(recipe.k);
    let content = Catalogue::new(&log.items, &prepared.order).content_table(k);
    let events = prepared.sessions.events(prepared.order.len());
    let knn = blend::by_evidence(&learnt, &content, &events, recipe.few, k);
    report(&format!("knn: {} neighbours", knn.iter().map(Vec::len).sum::<usize>()));
    let (bought, again) = learn_bought(log, &prepared, k, &mut report);
    let recipe = &recipe.for_buying(&again);
    let built = pack(log, &prepared, regions, recipe, Learnt { coview, knn, bought }, packing)?;
    report(&format!("packed for {}", regions.names().join(", ")));
    Ok(built)
}

/// Packs the tables for every region.
///
/// # Errors
/// A strategy cannot be read again.
pub fn pack(
    log: &Log,
    prepared: &Prepared,
    regions: &Regions,
    recipe: &Recipe,
    Learnt { mut coview, mut knn, mut bought }: Learnt,
    packing: Packing,
) -> Result<Built> {
    let Prepared { built_at, order, index, counts, .. } = prepared;
    let (mut order, mut index) = (order.clone(), index.clone());
    let in_shards = packing.whole < usize::MAX && {
        let neighbours = [&coview, &knn, &bought].into_iter().flatten().map(Vec::len).sum::<usize>();
        let catalogue = Catalogue::new(&log.items, &order);
        catalogue.bytes() + neighbours * NEIGHBOUR_BITS / 8 > packing.whole
    };
    if packing.clustered {
        let mut by_place = order::cluster(&[&coview, &knn, &bought], order.len());
        if in_shards {
            order::tiers(&mut by_place);
        }
        let place = order::places(&by_place);
        [coview, knn, bought] = [coview, knn, bought].map(|table| order::rename(table, &place));
        index.iter_mut().for_each(|index| *index = place[*index as usize]);
        order = by_place.iter().map(|index| order[*index as usize]).collect();
    }
    let catalogue = Catalogue::new(&log.items, &order);
    let mut built = Built::default();
    let item_ids = Section::new(ids::NAME, ids::VERSION, catalogue.ids());
    let fingerprint = item_ids.checksum;
    let envelope = |region: &str, built_at, sections| Envelope {
        region: region.to_owned(),
        built_at,
        catalogue: fingerprint,
        sections,
    };
    // Shared blobs carry no time: unchanged tables keep their hash when only popularity moved on.
    let timeless = Timestamp(0);
    let columns = Section::new(attributes::NAME, attributes::VERSION, catalogue.attributes());
    let mut shared = vec![built.add(ITEMS, &envelope("", timeless, vec![item_ids, columns]))?];
    // The envelope around a shard takes its bytes too.
    let limit = if in_shards { packing.shard.saturating_sub(ENVELOPE) } else { usize::MAX };
    let has_orders = bought.iter().any(|row| !row.is_empty());
    let orders = has_orders.then_some((rows::BOUGHT, &bought));
    for (name, table) in [(rows::COVIEW, &coview), (rows::KNN, &knn)].into_iter().chain(orders) {
        for part in rows::write_shards(table, limit) {
            let section = Section::new(name, rows::VERSION, part);
            let rows = Rows::open(name, &section.bytes)?;
            let range = RowRange { first: rows.first(), end: rows.end() };
            let blob = built.add(name, &envelope("", timeless, vec![section]))?;
            shared.push(BlobRef { rows: in_shards.then_some(range), ..blob });
        }
    }
    let strategies = strategy::write(&recipe.strategies)?;
    let index: Vec<_> = index.into_iter().map(Some).collect();
    for region in regions.names() {
        let members = regions.members(region, &log.areas);
        let wanted = counts.learn(&index, *built_at, |area| members[usize::from(area)]);
        let wanted = snapshots::popularity::write(&wanted);
        let sections = vec![
            Section::new(snapshots::popularity::NAME, snapshots::popularity::VERSION, wanted),
            Section::new(strategy::NAME, strategy::VERSION, strategies.clone()),
        ];
        let mut blobs = shared.clone();
        blobs.push(built.add(REGION, &envelope(region, *built_at, sections))?);
        let map = if region == WORLD { regions.of_area().clone() } else { BTreeMap::new() };
        built.manifests.push(Manifest::new(region, *built_at, blobs, map));
    }
    Ok(built)
}

/// Runs the command.
///
/// # Errors
/// The store is empty or the directory cannot be written.
pub fn run(args: &BuildArgs, config: &Config) -> Result<()> {
    let start = Instant::now();
    let step = |text: &str| eprintln!("{:>7.2} s  {text}", start.elapsed().as_secs_f64());
    let store = Store::open(&config.data_dir)?;
    // One at a time: a build that outlived its service may still write models.
    let _alone = args.out.is_none().then(|| config.lock("build.lock")).transpose()?;
    let mut log = store.log()?;
    step(&format!("{} events, {} items read", log.events.len(), log.items.len()));
    let (items, events) = prune(&mut log, KV_VALUE - ENVELOPE);
    if items > 0 {
        step(&format!(
            "left out the {items} least wanted items and their {events} events: the ids and attributes of a \
             snapshot are one value of KV"
        ));
    }
    let regions = match &config.regions {
        Some(regions) => Regions::configured(regions)?,
        None => Regions::automatic(&log.events, &log.areas, args.min_events),
    };
    let recipe = Recipe::chosen(args.recipe.as_deref(), &config.data_dir, args.k)?;
    if !(1_024..=KV_VALUE).contains(&args.shard) {
        bail!("--shard {}: expected 1024 to {KV_VALUE} bytes", args.shard);
    }
    let packing = Packing { whole: args.whole, shard: args.shard, ..Packing::default() };
    let mut said = |text: &str| step(text);
    let mut built = build_with(&log, &regions, packing, &mut said, |prepared, report| {
        if args.tables {
            return neighbours::kept(prepared, &log, &recipe, &config.data_dir);
        }
        let recipe = settle(prepared, &recipe, report);
        let learnt = learn_neighbours(prepared, &recipe, report);
        if args.out.is_none() {
            neighbours::keep(&learnt, prepared, &log, &recipe, &config.data_dir)?;
        }
        Ok((recipe, learnt))
    })?;
    // It opens every region, so that what cannot be read back is never served.
    built.add_lite().context("what was built cannot be read back")?;
    let total: usize = built.blobs.values().map(Vec::len).sum();
    let saved = |wrote, dir: &Path| {
        step(&format!(
            "{total} bytes in {} blobs, {wrote} of them new, in {}",
            built.blobs.len(),
            dir.display()
        ));
    };
    if let Some(out) = &args.out {
        saved(built.save(out)?, out);
        return Ok(());
    }
    if args.tables {
        saved(built.save(&config.snapshots_dir())?, &config.snapshots_dir());
        return Ok(());
    }
    let registry = Registry::new(config);
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    let mut model = Model::of(&built, &log, &recipe, now)?;
    let (judged, promoted, decision) = match registry.serving()?.filter(|serving| serving.id == model.id) {
        Some(serving) => (serving.judged, true, "is the one that serves".to_owned()),
        None if args.no_judge => (None, true, "promoted unjudged, as asked".to_owned()),
        None => models::decide(&registry, log, &recipe)?,
    };
    step(&format!("model {} {decision}", model.id));
    (model.judged, model.decision) = (judged, decision);
    registry.add(&model, &built)?;
    if promoted {
        saved(registry.promote(&model.id)?, &config.snapshots_dir());
    } else {
        step(&format!("`verge models promote {}` serves it all the same", model.id));
    }
    for id in registry.prune(args.keep_models)? {
        step(&format!("model {id} removed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
