//! What the pages look like.

use crate::serve::page::{
    plot::{line, short, span},
    session::Operator,
};
use crate::{
    models::Model,
    serve::{
        admin::Status,
        history::{EVERY, Point},
    },
};
use maud::{DOCTYPE, Markup, html};
use origin_data::clock::now;
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

/// Neighbours of a table that are shown.
const NEIGHBOURS: usize = 12;

/// What is around every page.
pub struct Frame<'a> {
    /// Who looks.
    pub operator: &'a Operator,
    /// How what was last done went.
    pub said: Option<String>,
    /// The page's address.
    pub at: &'static str,
}

impl Frame<'_> {
    /// A page.
    pub fn around(&self, title: &str, body: &Markup) -> Markup {
        let pages = [("/admin", "Overview"), ("/admin/items", "Items"), ("/admin/models", "Models")];
        document(
            title,
            &html! {
                header {
                    a.brand href="/admin" { "Verge" }
                    nav {
                        @for (address, name) in pages {
                            a href=(address) aria-current=[(address == self.at).then_some("page")] { (name) }
                        }
                    }
                    (self.button("/admin/logout", "Log out", "plain"))
                }
                main {
                    @if let Some(said) = &self.said { p.said role="status" { (said) } }
                    (body)
                }
            },
        )
    }

    /// A form of one button.
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

/// Asks for an admin's key.
pub fn login(problem: Option<&str>) -> Markup {
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
                p.hint { "An operator makes one by " code { "verge keys add NAME --role admin" } "." }
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

fn since(at: Timestamp) -> String {
    span(u64::try_from((now().0 - at.0) / 1000).unwrap_or(0))
}

fn ago(at: Timestamp) -> String {
    format!("{} ago", since(at))
}

fn bytes(count: u64) -> String {
    match count {
        0..10_240 => format!("{count} B"),
        10_240..10_485_760 => format!("{} KiB", count >> 10),
        _ => format!("{} MiB", count >> 20),
    }
}

/// How the service does.
pub fn overview(frame: &Frame<'_>, status: &Status, history: &[Point], publishes: Option<&str>) -> Markup {
    let last = history.last().copied().unwrap_or_default();
    let publishing = &status.publishing;
    let oldest = status.regions.iter().map(|region| region.built_at).min();
    let series = |of: fn(&Point) -> f64| history.iter().map(of).collect::<Vec<f64>>();
    let body = html! {
        @for (part, why) in &status.unready {
            p.bad role="alert" { strong { (part) } ": " (why) }
        }
        @if let Some(why) = &publishing.failing {
            p.bad role="alert" { strong { "Publishing fails" } ": " (why) }
        }
        @for feed in &status.feeds {
            @if let Some(why) = &feed.problem {
                p.bad role="alert" { strong { "The feed '" (feed.name) "' failed" } " " (ago(feed.at)) ": " (why) }
            }
        }
        section.tiles {
            (tile("Events", &format!("{}/s", short(last.events)), "durable, last 5 s", false))
            (tile("Lag", &short(last.lag as f64), "events not in the tables yet", last.lag > 10_000))
            (tile("Recommendations", &format!("{}/s", short(last.requests)), "as the edge reports", false))
            (tile("Items", &short(status.items as f64), "in the catalogue", false))
            (tile("Newest event", &oldest.map_or("–".to_owned(), since), "ago, in the oldest snapshot", false))
            (tile(
                "Published",
                &publishing.published_at.map_or("–".to_owned(), ago),
                publishes.unwrap_or("nowhere: set publish_to"),
                publishing.failing.is_some(),
            ))
        }
        section.plots {
            figure { figcaption { "Events a second" } (line("Events a second", &series(|point| point.events), EVERY.as_secs())) }
            figure { figcaption { "Lag, in events" } (line("Lag, in events", &series(|point| point.lag as f64), EVERY.as_secs())) }
        }
        section {
            div.head {
                h2 { "Snapshots" }
                div.actions {
                    (frame.button("/admin/publish", "Publish now", "strong"))
                    (frame.button("/admin/rollback", "Roll back the model", "danger"))
                }
            }
            @if status.regions.is_empty() { (nothing_built()) } @else {
                div.wide { table {
                    thead { tr { th { "Region" } th { "Version" } th { "Newest event" } th.number { "In an isolate" } th.number { "In shards" } th { "Takes in" } } }
                    tbody { @for region in &status.regions { tr {
                        td { a href=(format!("/admin/items?region={}", region.region)) { (region.region) } }
                        td { code { (region.version.chars().take(12).collect::<String>()) } }
                        td title=(region.built_at.to_string()) { (ago(region.built_at)) }
                        td.number { (bytes(region.bytes)) }
                        td.number { @if region.shard_bytes > 0 { (bytes(region.shard_bytes)) } @else { "–" } }
                        td { @if region.areas.is_empty() { "everything" } @else { (region.areas.join(", ")) } }
                    } } }
                } }
            }
        }
        p.hint { "Verge " (status.version) ", started " (ago(status.started_at)) ". Model: "
            @match &status.model { Some(id) => code { (id) }, None => "none" } ". "
            a href="/admin" { "Look again" } }
    };
    frame.around("Overview", &body)
}

/// Before the first build.
pub fn nothing_built() -> Markup {
    html! { p.hint { "Nothing was built yet: " code { "verge build" } ", or the service itself once there are events." } }
}

fn price(item: &answer::ItemView<'_>) -> String {
    item.price.map_or(String::new(), |price| format!("{price:.2} {}", item.currency.unwrap_or("")))
}

fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Coview => "seen together",
        Signal::Bought => "bought together",
        Signal::Knn => "alike",
        Signal::Popularity => "popular",
        Signal::Recency => "wanted lately",
        Signal::Pinned => "pinned",
        Signal::Exploration => "tried out",
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

/// What a region wants, and an item with its neighbours.
pub fn items(snapshot: &Snapshot, regions: &[&str], region: &str, item: &str) -> Markup {
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

/// A list that is the same for everybody.
fn list<'s>(snapshot: &'s Snapshot, call: Call<'_>, limit: usize) -> Option<Answer<'s>> {
    let (query, nobody) = (Query { limit, ..Query::default() }, Recents::default());
    let request = Request::new(&query, &nobody, now());
    answer::answer(snapshot, call, &request, &mut Scratch::default()).ok()
}

fn neighbours(snapshot: &Snapshot, region: &str, id: &str) -> Markup {
    let (Some(index), Some(view)) = (snapshot.ids.index(id), answer::item(snapshot, id)) else {
        return html! { section { p.bad role="alert" { "The snapshot knows no item " code { (id) } "." } } };
    };
    let similar = list(snapshot, Call::Similar(id), 12);
    let tables = [
        ("Seen together", &snapshot.coview),
        ("Alike", &snapshot.knn),
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
                h3 { "Recommended beside it" }
                (recommended(region, similar))
            }
            div.columns { @for (name, table) in tables { @if let Some(table) = table {
                div { h3 { (name) } (row(snapshot, region, table, index)) }
            } } }
        }
    }
}

/// A row of a table, the strongest first.
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
                    @match answer::item(snapshot, &id) {
                        Some(view) if !view.name.is_empty() => (view.name),
                        _ => (*id),
                    }
                }
                span.number { (format!("{score:.2}")) }
            }
        } }
    }
}

/// The models and how they did.
pub fn models(frame: &Frame<'_>, models: &[Model], serving: Option<&str>) -> Markup {
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
                    thead { tr { th { "Model" } th { "SnapshotSet" } th { "Events" } th.number { "Items" } th.number { "HR@20" } th.number { "MRR@20" } th { "Decision" } th {} } }
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
                            td { @if serves { strong.good { "serves" } } @else {
                                (frame.button(&format!("/admin/models/{}/promote", model.id), "Promote", "plain"))
                            } }
                        }
                    } }
                } }
            }
        }
        p.hint { "Measured on sessions held out of the log: HR@20 is the share of next items among the first twenty, MRR@20 the mean of one over their place." }
    };
    frame.around("Models", &body)
}
