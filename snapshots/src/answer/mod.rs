//! Answers: a page of items for a request, from a snapshot.
//!
//! A `Plan` holds what is decided before scoring: the strategy, the rules and variants that apply, and the seeds. `page`
//! takes the scorer's best candidates in order, and `filter` decides which may be shown and with which factor. So the
//! cost of rules grows with the candidates examined, a few more than the page holds, and not with all that were found.
//!
//! May import all other modules of the crate.

mod filter;
mod page;
mod view;

use crate::{
    format::{
        rows::RowKey,
        strategy::{DEFAULT, SIMILAR, Seen, Strategy},
    },
    rules::{Decision, RequestContext, Surface, VisitorContext},
    score::{MAX_SEEDS, Scratch, Seed},
    snapshot::Snapshot,
    wire::{
        event::Kind,
        query::{MAX_IDS, Placement, Query, QueryError},
        recents::Recents,
        time::Timestamp,
    },
};
use filter::ItemFilter;
pub use view::{Answer, Degraded, ItemView, Recommended, item};

/// Minutes of inactivity that end a session. A visitor with older recents is returning.
const SESSION: u32 = 30;

/// The parts of a request that its answer depends on.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The query.
    pub query: &'a Query,
    /// The visitor's latest items.
    pub recents: &'a Recents,
    /// What else is known of the visitor: device, clock, experiments.
    pub context: VisitorContext<'a>,
    /// The current time.
    pub now: Timestamp,
}

impl<'a> Request<'a> {
    /// The request of a visitor of whom only the recents are known.
    pub fn new(query: &'a Query, recents: &'a Recents, now: Timestamp) -> Self {
        Self { query, recents, context: VisitorContext::default(), now }
    }

    fn returning(&self) -> bool {
        let age = |minutes| self.now.minutes().saturating_sub(minutes);
        self.recents.entries().iter().any(|recent| age(recent.minutes) > SESSION)
    }
}

/// The kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// Personal recommendations. `query.items` (on screen, or in the cart) are the first seeds and never in the answer.
    Recommend,
    /// The most popular items of the region.
    Popular,
    /// Items similar to the one with this id.
    Similar(&'a str),
}

/// The decisions that precede scoring.
struct Plan<'s, 'a> {
    snapshot: &'s Snapshot,
    request: Request<'a>,
    call: Call<'a>,
    strategy: &'s Strategy,
    decision: Decision<'s>,
    seeds: Vec<Seed>,
}

/// Answers a request. Popular items fill up what the personal candidates leave of the page.
///
/// `scratch` keeps its memory between calls; see [`crate::score`] for the formula.
///
/// # Errors
/// [`QueryError`] if the query names an unknown strategy.
///
/// # Examples
/// ```
/// use snapshots::answer::{Call, Request, answer};
/// use snapshots::{query::Query, recents::Recents, score::Scratch, time::Timestamp};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use snapshots::{Bytes, Snapshot, attributes, envelope::{Envelope, Section}, ids, popularity};
/// # use snapshots::strategy::{self, Strategy};
/// # let item = || attributes::Item { in_stock: true, ..attributes::Item::default() };
/// # let ids = Section::new(ids::NAME, ids::VERSION, ids::write(&["lamp", "bell"]));
/// # let attributes = attributes::write("EUR", &["lamp", "bell"], &[item(), item()]);
/// # let popularity = popularity::write(&[(0.5, 1.0), (1.0, 0.2)]);
/// # let envelope = Envelope {
/// #     region: "gb".to_owned(),
/// #     built_at: Timestamp(0),
/// #     catalogue: ids.checksum,
/// #     sections: vec![
/// #         ids,
/// #         Section::new(attributes::NAME, attributes::VERSION, attributes),
/// #         Section::new(popularity::NAME, popularity::VERSION, popularity),
/// #         Section::new(strategy::NAME, strategy::VERSION, strategy::write(&[Strategy::default()])?),
/// #     ],
/// # };
/// # let snapshot = Snapshot::open(&[Bytes::from(envelope.write()?)])?;
/// let query = Query::parse("placement=home&limit=2")?;
/// let recents = Recents::parse("1|lamp:v:ht7ui");
/// let request = Request::new(&query, &recents, Timestamp(1_795_000_000_000));
/// let answer = answer(&snapshot, Call::Recommend, &request, &mut Scratch::default())?;
/// // The visitor has just seen the lamp, so the answer is the bell.
/// assert_eq!(answer.items.len(), 1);
/// assert_eq!(&*answer.items[0].item.id, "bell");
/// # Ok(())
/// # }
/// ```
pub fn answer<'s>(
    snapshot: &'s Snapshot,
    call: Call<'_>,
    request: &Request<'_>,
    scratch: &mut Scratch,
) -> Result<Answer<'s>, QueryError> {
    Ok(Plan::new(snapshot, call, *request)?.answer(scratch))
}

/// The table rows that an answer needs: the shards that hold them have to be loaded before [`answer`].
pub fn required_rows(snapshot: &Snapshot, call: Call<'_>, request: &Request<'_>) -> Vec<RowKey> {
    Plan::new(snapshot, call, *request).map_or(Vec::new(), |plan| plan.required_rows())
}

/// The rules that apply to a request, one bit each. Public answers of one snapshot to equal queries differ only if this
/// differs.
pub fn rules_in_force(snapshot: &Snapshot, call: Call<'_>, request: &Request<'_>) -> u128 {
    if snapshot.rules.document().is_none() {
        return 0;
    }
    Plan::new(snapshot, call, *request).map_or(0, |plan| plan.decision.mask)
}

impl<'s, 'a> Plan<'s, 'a> {
    fn new(snapshot: &'s Snapshot, call: Call<'a>, request: Request<'a>) -> Result<Self, QueryError> {
        let Request { query, recents, context, now } = &request;
        let (surface, usual) = match call {
            Call::Recommend => (Surface::from(query.placement), query.placement.name()),
            Call::Popular => (Surface::Popular, DEFAULT),
            Call::Similar(_) => (Surface::Similar, SIMILAR),
        };
        let situation = RequestContext {
            surface,
            region: &snapshot.region,
            segments: &query.segments,
            returning: request.returning(),
            now: *now,
            context,
        };
        let visitor = context.visitor.or_else(|| recents.entries().last().map(|oldest| &*oldest.item));
        let named = query.strategy.is_some();
        let decision = snapshot.rules.decide(&situation, visitor, named, |name| snapshot.strategy(name));
        let strategy = choose(snapshot, query, decision.strategy, usual)?;
        let seeds = match call {
            Call::Recommend => seeds(snapshot, &request),
            Call::Popular => Vec::new(),
            Call::Similar(id) => {
                let item = snapshot.ids.index(id);
                item.map(|item| Seed { item, kind: Kind::View, count: 1, age: 0 }).into_iter().collect()
            }
        };
        Ok(Self { snapshot, request, call, strategy, decision, seeds })
    }

    fn required_rows(&self) -> Vec<RowKey> {
        // Whether the snapshot has a table is unknown while none of its shards is loaded, so both cases count.
        let mut tables: Vec<&str> = Vec::new();
        let of_strategy = [true, false].into_iter().flat_map(|orders| self.strategy.tables(orders));
        for (signal, _) in of_strategy.filter(|(_, weight)| *weight > 0.0) {
            let table = signal.table();
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        let seeds = self.seeds.iter().take(self.strategy.recents.into());
        seeds.flat_map(|seed| tables.iter().map(|table| (*table, seed.item))).collect()
    }

    fn answer(self, scratch: &mut Scratch) -> Answer<'s> {
        let Request { query, recents, now, .. } = self.request;
        // All seeds, including those beyond `strategy.recents`.
        let on_screen = matches!(self.call, Call::Similar(_));
        let seen = self.seeds.iter().filter(|_| on_screen || self.strategy.seen == Seen::Exclude);
        let bought = recents.entries().iter().filter(|recent| recent.kind == Kind::Purchase);
        let bought = bought.filter(|_| self.decision.exclude_bought);
        let bought = bought.filter_map(|recent| self.snapshot.ids.index(&recent.item));
        let left_out = seen.map(|seed| seed.item).chain(bought);
        let mut filter = ItemFilter::new(self.snapshot, query, &self.decision, now, left_out);
        if !self.snapshot.attributes.groups().is_empty() {
            let similar_to = self.seeds.iter().filter(|_| on_screen).map(|seed| seed.item);
            filter.exclude_groups(known_items(self.snapshot, &query.items).chain(similar_to));
            filter.prefer(self.seeds.iter().take(self.strategy.recents.into()).map(|seed| seed.item));
        }
        let mut found = page::page(&self, &filter, scratch);
        if found.is_empty() && query.cursor.is_empty() && filter.allow_groups() {
            found = page::page(&self, &filter, scratch);
        }
        let items = view::shown(self.snapshot, found.get(..query.limit).unwrap_or(&found), now);
        let more = found.len() > query.limit;
        let groups = found.iter().take(query.limit).filter_map(|shown| filter.group_once(shown.item));
        let next =
            more.then(|| query.cursor.after(items.iter().map(|shown| &*shown.item.id), groups)).flatten();
        let degraded = self.seeds.is_empty() && self.has_requested_seeds();
        Answer {
            items,
            next,
            strategy: &self.strategy.name,
            degraded: degraded.then_some(Degraded::PopularOnly),
            experiments: self.decision.experiments,
        }
    }

    /// Whether the request comes with items that could be seeds.
    fn has_requested_seeds(&self) -> bool {
        let Request { query, recents, .. } = self.request;
        match self.call {
            Call::Popular => false,
            Call::Similar(_) => true,
            Call::Recommend => {
                let given = query.recents.as_ref().map(|given| !given.is_empty());
                given.unwrap_or(!recents.entries().is_empty()) || !query.items.is_empty()
            }
        }
    }
}

fn choose<'s>(
    snapshot: &'s Snapshot,
    query: &Query,
    decided: Option<&'s Strategy>,
    usual: &str,
) -> Result<&'s Strategy, QueryError> {
    if let Some(name) = &query.strategy {
        return snapshot.strategy(name).ok_or_else(|| {
            let own = snapshot.rules.document().map_or(&[][..], |rules| &rules.strategies);
            let names: Vec<&str> = own.iter().chain(&snapshot.strategies).map(|known| &*known.name).collect();
            QueryError { field: "strategy".into(), detail: format!("unknown; one of {}", names.join(", ")) }
        });
    }
    let chosen = decided.or_else(|| snapshot.strategy(usual)).or_else(|| snapshot.strategy(DEFAULT));
    chosen.or(snapshot.strategies.first()).ok_or_else(|| QueryError {
        field: "strategy".into(),
        detail: "the snapshot holds no strategy".to_owned(),
    })
}

fn seeds(snapshot: &Snapshot, request: &Request<'_>) -> Vec<Seed> {
    let Request { query, recents, now, .. } = request;
    let mut seeds: Vec<Seed> = Vec::new();
    let mut add = |item, kind, count, age| {
        if seeds.len() < MAX_SEEDS && !seeds.iter().any(|seed| seed.item == item) {
            seeds.push(Seed { item, kind, count, age });
        }
    };
    for item in known_items(snapshot, &query.items) {
        let kind = if query.placement == Placement::Cart { Kind::Cart } else { Kind::View };
        add(item, kind, 1, 0);
    }
    for item in known_items(snapshot, query.recents.as_deref().unwrap_or_default()) {
        add(item, Kind::View, 1, 0);
    }
    if query.recents.is_none() {
        for recent in recents.entries() {
            let Some(item) = snapshot.ids.index(&recent.item) else { continue };
            add(item, recent.kind, recent.count, now.minutes().saturating_sub(recent.minutes));
        }
    }
    seeds
}

/// The indices of listed ids. An unknown id with commas is a list whose commas were percent-encoded, as URLSearchParams
/// does to a joined list.
fn known_items<'a>(snapshot: &'a Snapshot, ids: &'a [String]) -> impl Iterator<Item = u32> + 'a {
    let items = ids.iter().flat_map(|id| {
        let known = snapshot.ids.index(id);
        let parts = if known.is_none() && id.contains(',') { id } else { "" };
        known.into_iter().chain(parts.split(',').filter_map(|part| snapshot.ids.index(part)))
    });
    items.take(MAX_IDS)
}

#[cfg(test)]
mod tests;
