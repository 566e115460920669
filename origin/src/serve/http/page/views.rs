//! The markup of the pages.

use crate::audit::Entries;
use crate::models::Model;
use crate::serve::http::{
    admin::{Region, Status},
    page::{
        plot::{line, short, span},
        session::Operator,
    },
};
use crate::serve::state::history::{INTERVAL, Point};
use maud::{DOCTYPE, Markup, html};
use origin_data::clock::now;
use origin_learn::caps::Surge;
use snapshots::{
    Snapshot,
    answer::{self, Answer, Call, Recommended, Request},
    query::Query,
    recents::Recents,
    rows::Table,
    score::Scratch,
    signal::Signal,
    time::Timestamp,
};

/// The number of neighbours shown for each table.
const NEIGHBOURS: usize = 12;

/// The frame of every page: navigation and message.
pub(crate) struct Frame<'a> {
    /// The operator who is logged in.
    pub(crate) operator: &'a Operator,
    /// The outcome of the last form.
    pub(crate) message: Option<String>,
    /// The path of the page.
    pub(crate) path: &'static str,
}

impl Frame<'_> {
    /// A page with this body.
    pub(crate) fn around(&self, title: &str, body: &Markup) -> Markup {
        let pages = [
            ("/admin", "Overview"),
            ("/admin/items", "Items"),
            ("/admin/models", "Models"),
            ("/admin/audit", "Audit"),
        ];
        document(
            title,
            &html! {
                header {
                    a.brand href="/admin" { "Verge" }
                    nav {
                        @for (address, name) in pages {
                            a href=(address) aria-current=[(address == self.path).then_some("page")] { (name) }
                        }
                    }
                    (self.button("/admin/logout", "Log out", "plain"))
                }
                main {
                    @if let Some(message) = &self.message { p.message role="status" { (message) } }
                    (body)
                }
            },
        )
    }

    /// A form that consists of one button.
    fn button(&self, action: &str, label: &str, class: &str) -> Markup {
        html! {
            form method="post" action=(action) {
                input type="hidden" name="token" value=(self.operator.form_token());
                button class=(class) { (label) }
            }
        }
    }
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Verge" }
                link rel="stylesheet" href="/admin/style.css";
                link rel="icon" href="data:,";
            }
            body { (body) }
        }
    }
}

/// The login page.
pub(crate) fn login(problem: Option<&str>) -> Markup {
    document(
        "Log in",
        &html! {
            main.login {
                h1 { "Verge" }
                form method="post" action="/admin/login" {
                    label for="key" { "Admin key" }
                    input #key name="key" type="password" autocomplete="current-password" required autofocus;
                    button.strong { "Log in" }
                }
                @if let Some(problem) = problem { p.bad role="alert" { (problem) } }
                p.hint { "To create one, run " code { "verge keys add NAME --role admin" } "." }
            }
        },
    )
}

fn tile(label: &str, value: &str, note: &str, bad: bool) -> Markup {
    html! {
        div.tile.bad[bad] {
            span.label { (label) }
            strong { (value) }
            span.note { (note) }
        }
    }
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(16).collect::<String>().replace('T', " ")
}

fn ago(at: Timestamp) -> String {
    format!("{} ago", span(u64::try_from((now().0 - at.0) / 1000).unwrap_or(0)))
}

fn bytes(count: u64) -> String {
    match count {
        0..10_240 => format!("{count} B"),
        10_240..10_485_760 => format!("{} KiB", count >> 10),
        _ => format!("{} MiB", count >> 20),
    }
}

/// The content of the overview.
pub(crate) struct Overview<'a> {
    /// The status of the service.
    pub(crate) status: &'a Status,
    /// Why the snapshots cannot be read, if they cannot.
    pub(crate) damage: Option<&'a str>,
    /// The points of the plots.
    pub(crate) history: &'a [Point],
    /// The configured destination.
    pub(crate) destination: Option<&'a str>,
}

/// The overview: status, plots and snapshots.
pub(crate) fn overview(frame: &Frame<'_>, overview: &Overview<'_>) -> Markup {
    let Overview { status, damage, history, destination } = overview;
    let series = |value: fn(&Point) -> f64| history.iter().map(value).collect::<Vec<f64>>();
    let plot = |title: &str, values: &[f64]| {
        html! { figure { figcaption { (title) } (line(title, values, INTERVAL.as_secs())) } }
    };
    let body = html! {
        @for (part, reason) in &status.unready { (alert(part, reason)) }
        @if let Some(reason) = &status.publishing.failing { (alert("Publishing fails", reason)) }
        @if let Some(reason) = damage { (alert("The snapshots cannot be read", reason)) }
        @for feed in &status.feeds {
            @if let Some(problem) = &feed.problem { (alert(&format!("The feed '{}' failed", feed.name), problem)) }
        }
        @for surge in &status.surges { (held(frame, surge)) }
        (tiles(status, history, *destination))
        section.plots {
            (plot("Events per second", &series(|point| point.events)))
            (plot("Lag in events", &series(|point| point.lag as f64)))
        }
        section {
            div.head {
                h2 { "Snapshots" }
                div.actions {
                    (frame.button("/admin/publish", "Publish now", "strong"))
                    (frame.button("/admin/rollback", "Roll back the model", "danger"))
                }
            }
            @if !status.regions.is_empty() { (snapshots(&status.regions)) }
            @else if damage.is_none() { (nothing_built()) }
        }
        p.hint { "Verge " (status.version) ", started " (ago(status.started_at)) ". Model: "
            @match &status.model { Some(id) => code { (id) }, None => "none" } ". "
            a href="/admin" { "Refresh" } }
    };
    frame.around("Overview", &body)
}

fn tiles(status: &Status, history: &[Point], destination: Option<&str>) -> Markup {
    let last = history.last().copied().unwrap_or_default();
    let oldest = status.regions.iter().map(|region| region.built_at).min();
    let rate = |value: f64| format!("{}/s", short(value));
    let published = &status.publishing;
    html! {
        section.tiles {
            (tile("Events", &rate(last.events), "durable, last 5 s", false))
            (tile("Lag", &short(last.lag as f64), "events not in the tables yet", last.lag > 10_000))
            (tile("Recommendations", &rate(last.requests), "reported by the edge", false))
            (tile("Items", &short(status.items as f64), "in the catalogue", false))
            (tile("Newest event", &oldest.map_or("–".to_owned(), ago), "in the oldest snapshot", false))
            (tile(
                "Published",
                &published.published_at.map_or("–".to_owned(), ago),
                destination.unwrap_or("no destination: set publish_to"),
                published.failing.is_some(),
            ))
        }
    }
}

fn snapshots(regions: &[Region]) -> Markup {
    html! {
        div.wide { table {
            thead { tr {
                th { "Region" } th { "Version" } th { "Newest event" } th.number { "Resident size" }
                th.number { "In shards" } th { "Countries" }
            } }
            tbody { @for region in regions { tr {
                td { a href=(format!("/admin/items?region={}", region.region)) { (region.region) } }
                td { code { (region.version.chars().take(12).collect::<String>()) } }
                td title=(region.built_at.to_string()) { (ago(region.built_at)) }
                td.number { (bytes(region.bytes)) }
                td.number { @if region.shard_bytes > 0 { (bytes(region.shard_bytes)) } @else { "–" } }
                td { @if region.areas.is_empty() { "all" } @else { (region.areas.join(", ")) } }
            } } }
        } }
    }
}

/// An item that is held, with the way to release it.
fn held(frame: &Frame<'_>, surge: &Surge) -> Markup {
    let area = if surge.area.is_empty() { "an unknown region" } else { &surge.area };
    let reason = format!(
        "{} events from {area} do not count, the last {}; it may have {} an hour.",
        surge.held,
        ago(surge.to),
        surge.bound
    );
    let item = percent_encoding::utf8_percent_encode(&surge.item, percent_encoding::NON_ALPHANUMERIC);
    html! {
        (alert(&format!("'{}' has more events than its history makes likely", surge.item), &reason))
        (frame.button(&format!("/admin/surges/{item}/release"), "They are honest: release it", "plain"))
    }
}

/// An alert.
pub(crate) fn alert(title: &str, reason: &str) -> Markup {
    html! { p.bad role="alert" { strong { (title) } ": " (reason) } }
}

/// The hint before the first build.
pub(crate) fn nothing_built() -> Markup {
    html! {
        p.hint {
            "No model was built yet. Run " code { "verge build" } "; the service also builds one when it has events."
        }
    }
}

fn price(item: &answer::ItemView<'_>) -> String {
    item.price.map_or(String::new(), |price| format!("{price:.2} {}", item.currency.unwrap_or("")))
}

fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Coview => "viewed together",
        Signal::Bought => "bought together",
        Signal::Knn => "similar",
        Signal::Popularity => "popular",
        Signal::Recency => "recently popular",
        Signal::Pinned => "pinned",
        Signal::Exploration => "exploration",
    }
}

fn recommended(region: &str, answer: &Answer<'_>) -> Markup {
    let best = answer.items.first().map_or(1.0, |item| item.score).max(1e-9);
    html! {
        ol.items { @for Recommended { score, signal: why, item, .. } in &answer.items {
            li {
                a href=(link(region, &item.id)) { @if item.name.is_empty() { (*item.id) } @else { (item.name) } }
                span.note { (*item.id) " " (price(item)) }
                span.why { (signal(*why)) }
                meter min="0" max="1" value=(format!("{:.3}", score / best)) { (format!("{score:.3}")) }
                span.number { (format!("{score:.3}")) }
            }
        } }
    }
}

fn link(region: &str, id: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("region", region)
        .append_pair("item", id)
        .finish();
    format!("/admin/items?{query}")
}

/// The popular items of a region, and an item with its neighbours.
pub(crate) fn items(snapshot: &Snapshot, regions: &[&str], region: &str, item: &str) -> Markup {
    let popular = list(snapshot, Call::Popular, 20);
    html! {
        form.look method="get" action="/admin/items" {
            label { "Region " select name="region" {
                @for name in regions { option value=(name) selected[*name == region] { (name) } }
            } }
            label { "Item " input name="item" value=(item) placeholder="an item's id" size="24"; }
            button.strong { "Look up" }
        }
        @if !item.is_empty() { (neighbours(snapshot, region, item)) }
        section {
            h2 { "Popular in " (region) }
            @if let Some(popular) = &popular { (recommended(region, popular)) }
        }
    }
}

/// A list without personalisation.
fn list<'s>(snapshot: &'s Snapshot, call: Call<'_>, limit: usize) -> Option<Answer<'s>> {
    let (query, recents) = (Query { limit, ..Query::default() }, Recents::default());
    let request = Request::new(&query, &recents, now());
    answer::answer(snapshot, call, &request, &mut Scratch::default()).ok()
}

fn neighbours(snapshot: &Snapshot, region: &str, id: &str) -> Markup {
    let (Some(index), Some(view)) = (snapshot.ids.index(id), answer::item(snapshot, id, now())) else {
        return html! { section { p.bad role="alert" { "The snapshot contains no item " code { (id) } "." } } };
    };
    let similar = list(snapshot, Call::Similar(id), 12);
    let tables = [
        ("Viewed together", &snapshot.coview),
        ("Similar", &snapshot.knn),
        ("Bought together", &snapshot.bought),
    ];
    html! {
        section {
            h2 { @if view.name.is_empty() { (id) } @else { (view.name) } }
            p.hint {
                code { (id) } " · " (view.category) " · " (view.brand) " · " (price(&view)) " · "
                @if view.in_stock { "in stock" } @else { strong { "out of stock" } }
                " · popularity " (format!("{:.3}", snapshot.popularity.of(index)))
            }
            @if let Some(similar) = &similar {
                h3 { "Recommendations for this item" }
                (recommended(region, similar))
            }
            div.columns { @for (name, table) in tables { @if let Some(table) = table {
                div { h3 { (name) } (row(snapshot, region, table, index)) }
            } } }
        }
    }
}

/// A row of a table, the highest scores first.
fn row(snapshot: &Snapshot, region: &str, table: &Table, index: u32) -> Markup {
    let mut found = Vec::new();
    table.for_each(index, |neighbour, score| found.push((neighbour, score)));
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(NEIGHBOURS);
    let named = found.iter().filter_map(|(neighbour, score)| Some((snapshot.ids.id(*neighbour)?, score)));
    html! {
        @if found.is_empty() { p.hint { "none" } }
        ol.items.narrow { @for (id, score) in named {
            li {
                a href=(link(region, &id)) {
                    @match answer::item(snapshot, &id, now()) {
                        Some(view) if !view.name.is_empty() => (view.name),
                        _ => (*id),
                    }
                }
                span.number { (format!("{score:.2}")) }
            }
        } }
    }
}

/// The models and their evaluations.
pub(crate) fn models(frame: &Frame<'_>, models: &[Model], serving: Option<&str>) -> Markup {
    let measure = |model: &Model, name: &str| {
        let found = model.judged.as_ref().and_then(|judged| judged.measures.get(name));
        found.map_or("–".to_owned(), |measure| format!("{:.4}", measure.mean))
    };
    let body = html! {
        section {
            div.head {
                h2 { "Models" }
                div.actions {
                    (frame.button("/admin/learn", "Learn now", "strong"))
                    (frame.button("/admin/rollback", "Roll back", "danger"))
                }
            }
            @if models.is_empty() { (nothing_built()) } @else {
                div.wide { table {
                    thead { tr { th { "Model" } th { "Built" } th { "Events" } th.number { "Items" } th.number { "HR@20" } th.number { "MRR@20" } th { "Decision" } th {} } }
                    tbody { @for model in models.iter().rev() {
                        @let serves = serving == Some(&*model.id);
                        tr.serves[serves] {
                            td { code { (model.id) } }
                            td { (day(model.built_at)) }
                            td { (short(model.events as f64)) span.note { " to " (day(model.to)) } }
                            td.number { (short(model.items as f64)) }
                            td.number { (measure(model, "HR@20")) }
                            td.number { (measure(model, "MRR@20")) }
                            td.text { (model.decision) }
                            td { @if serves { strong.good { "serving" } } @else {
                                (frame.button(&format!("/admin/models/{}/promote", model.id), "Promote", "plain"))
                            } }
                        }
                    } }
                } }
            }
        }
        p.hint { "Measured on held-out sessions. HR@20: share of next items among the first 20. MRR@20: mean reciprocal rank of the next item among the first 20." }
    };
    frame.around("Models", &body)
}

/// The latest entries of the audit log, newest first.
pub(crate) fn audit(frame: &Frame<'_>, found: &Entries) -> Markup {
    let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "–".to_owned());
    let body = html! {
        section {
            div.head { h2 { "Audit log" } }
            @if found.entries.is_empty() { p.hint { "No changes yet." } } @else {
                div.wide { table {
                    thead { tr { th { "Time" } th { "Who" } th { "From" } th { "Action" } th { "Object" } th { "Outcome" } } }
                    tbody { @for entry in found.entries.iter().rev() {
                        tr {
                            td { (entry.at.to_string()) }
                            td { (entry.actor) }
                            td { (text(&entry.from)) }
                            td.text { (entry.action) }
                            td.text { (text(&entry.target)) }
                            td { (entry.outcome) }
                        }
                    } }
                } }
            }
        }
        p.hint { "Changes, exports and erasures by API keys, operators and commands. `verge audit` shows all of them." }
    };
    frame.around("Audit log", &body)
}
