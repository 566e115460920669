//! Reading one event: its kind, its items, and an [`Event`] for each.

use super::fields::{self, Places, identifier, item_id, member, shown};
use super::names::{self, Action};
use super::split::Entry;
use super::{Event, Kind, MAX_FIELD, ORDER_TOKEN, Outcome, Receiver, when};
use crate::wire::hash::content_hash;
use crate::wire::json::{Json, Object};
use std::collections::BTreeMap;

/// Snowplow's e-commerce plugin, as its enriched events name it.
const SNOWPLOW: &str = "snowplow_ecommerce_action";
const SNOWPLOW_ITEMS: &str = "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1";
const SNOWPLOW_ORDER: &str = "contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1";

/// Names of an item's id, best first.
const ITEM: [&str; 5] = ["product_id", "productId", "item_id", "sku", "id"];
const OLD_ITEM: [&str; 5] = ["product_id", "productId", "id", "sku", "item_id"];

type FieldError = (&'static str, String);

/// Why an event is not read.
pub(super) enum Failure {
    /// A field is invalid.
    Field(FieldError),
    /// It has more lines than there is room for.
    TooMany,
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

/// The reading of an entry of a body.
pub(super) struct Reading<'r> {
    pub(super) receiver: Receiver<'r>,
    /// Events and lines that may still be read.
    pub(super) room: usize,
    pub(super) out: &'r mut Outcome,
}

/// What the name of an event says.
struct Name<'b, 'a> {
    kind: Kind,
    /// Whether products are named as by Segment's older events.
    is_old: bool,
    /// The items, where the kind says where they are.
    list: Option<&'b Json<'a>>,
    /// The object with the order's id, where the kind says where it is.
    order: Option<&'b Object<'a>>,
}

fn read_name<'b, 'a>(places: &Places<'b, 'a>) -> Result<Name<'b, 'a>, FieldError> {
    let named = |kind, name: &str| Name { kind, is_old: names::is_old(name), list: None, order: None };
    let own = places.own(&["kind"]);
    let name = own
        // Snowplow's `event` says what its `event_name` is the name of.
        .or_else(|| {
            places.own(&["event"]).filter(|name| !matches!(name.as_str(), Some("unstruct" | "struct")))
        })
        .or_else(|| places.own(&["event_name", "name"]));
    let text = name.and_then(Json::as_str).map(str::trim);
    if text == Some(SNOWPLOW) {
        let action = places.inner.and_then(|action| action.get("type")?.as_str());
        if let Some(kind) = action.and_then(Kind::from_name) {
            let first = |list: &'b Json<'a>| list.as_array()?.first()?.as_object();
            let order = places.top.get(SNOWPLOW_ORDER).and_then(first);
            return Ok(Name { list: places.top.get(SNOWPLOW_ITEMS), order, ..named(kind, "") });
        }
    }
    let kind = text.and_then(Kind::from_name);
    let by_action = match (kind, text) {
        (None, Some(text)) => own.is_none() && names::may_have_any_name(text),
        _ => own.is_none(),
    };
    if by_action
        && let Some(Action { kind, list, about }) = places.commerce.and_then(|it| names::action(it, kind))
    {
        return Ok(Name { list: Some(list), order: about, ..named(kind, text.unwrap_or_default()) });
    }
    match (kind, name) {
        (Some(kind), _) => Ok(named(kind, text.unwrap_or_default())),
        (None, None) => Err(("kind", "missing; one of view, click, cart, purchase, impression".to_owned())),
        (None, Some(name)) => {
            let expected = "one of view, click, cart, purchase, impression, or GA4's or Segment's name";
            Err(("kind", format!("unknown kind {}; {expected}", shown(name))))
        }
    }
}

/// The values of a list: an array, an object by index, or one object by itself.
fn values<'b, 'a>(list: &'b Json<'a>) -> Option<Vec<&'b Json<'a>>> {
    match list {
        Json::Array(list) => Some(list.iter().collect()),
        Json::Object(object) if object.get("0").is_some() => {
            Some(object.iter().map(|(_, value)| value).collect())
        }
        Json::Object(_) => Some(vec![list]),
        _ => None,
    }
}

/// The item of an event without a list, or its list.
enum Items<'b, 'a> {
    One(&'b Json<'a>),
    List(Vec<&'b Json<'a>>),
}

fn find_items<'b, 'a>(places: &Places<'b, 'a>, name: &Name<'b, 'a>) -> Option<Items<'b, 'a>> {
    if let Some(item) = places.own(&["item"]) {
        return Some(Items::One(item));
    }
    let list = || {
        let list = name
            .list
            .or_else(|| places.find(&["items", "products", "transactionProducts"]))
            .and_then(values)?;
        (!list.is_empty()).then_some(Items::List(list))
    };
    let one = || {
        let names: &[&str] = &["item_id", "product_id", "productId", "sku"];
        let old = || member(places.inner?, &OLD_ITEM);
        let found = if name.is_old { old().or_else(|| places.find(names)) } else { places.find(names) };
        found.map(Items::One)
    };
    // A shop's own `id` is among its properties; at the top it is the event's.
    let id =
        || [places.inner, places.commerce].into_iter().flatten().find_map(|object| member(object, &["id"]));
    // An order has one line or several, and an item of its own says nothing of the others.
    let found = match name.kind {
        Kind::Purchase | Kind::Impression => list().or_else(one),
        _ => one().or_else(list),
    };
    found.or_else(|| id().map(Items::One))
}

impl Reading<'_> {
    /// Reads an entry into the batch.
    pub(super) fn event(
        &mut self,
        entry: Entry<'_>,
        make_id: &mut impl FnMut() -> String,
    ) -> Result<(), Failure> {
        let Json::Object(event) = &entry.value else {
            return Err(
                ("", "expected an object such as {\"kind\":\"view\",\"item\":\"A1\"}".to_owned()).into()
            );
        };
        let places = Places::new(event, entry.wrapper.as_deref());
        let name = read_name(&places)?;
        let items = find_items(&places, &name).ok_or_else(|| {
            ("item", "missing, or a placeholder such as 'undefined'; expected the item's id".to_owned())
        })?;
        let lines = if let Items::List(list) = &items { list.len() } else { 1 };
        if lines > self.room {
            return Err(Failure::TooMany);
        }
        self.out.lines += lines;
        let id = match places.own(&["id", "event_id", "messageId", "message_id"]) {
            Some(value) => Some(identifier(value, MAX_FIELD).ok_or_else(|| {
                ("id", format!("{} is not an id of 1 to {MAX_FIELD} printable bytes", shown(value)))
            })?),
            None => None,
        };
        let at = when::read(&places, self.receiver, self.out)?;
        let base = Event {
            id: String::new(),
            kind: name.kind,
            item: String::new(),
            visitor: self.visitor(&places),
            session: self.session(&places),
            at,
            quantity: None,
            price: None,
            currency: None,
            region: self.region(&places),
            placement: self.text("placement", places.own(&["placement"])),
            request: self.text("request", places.own(&["request"])),
            order: if name.kind == Kind::Purchase { self.order(&places, &name) } else { None },
            order_token: None,
            trust: self.trust(&places),
            bucket: self.bucket(&places),
        };
        match items {
            Items::One(value) => {
                let event = Event { item: item_id(value).map_err(|error| ("item", error))?, ..base };
                let mut event = self.amounts(event, None, &places, None, true);
                event.id = match &event.order {
                    Some(order) => order_id(order, &event),
                    None => id.unwrap_or_else(make_id),
                };
                self.out.batch.events.push(event);
            }
            Items::List(list) => {
                let id = if base.order.is_none() { id.unwrap_or_else(make_id) } else { String::new() };
                self.lines(&list, &places, &name, &base, &id);
            }
        }
        Ok(())
    }

    /// Reads the lines of an event. Lines of one order with the same item become one.
    fn lines(
        &mut self,
        list: &[&Json<'_>],
        places: &Places<'_, '_>,
        name: &Name<'_, '_>,
        base: &Event,
        id: &str,
    ) {
        let mut places_of_items: BTreeMap<String, usize> = BTreeMap::new();
        for (line, entry) in list.iter().enumerate() {
            let (object, value) = match entry {
                Json::Object(object) => {
                    let names = if name.is_old { &OLD_ITEM } else { &ITEM };
                    (Some(object), member(object, names).or_else(|| member(object, &["item"])))
                }
                Json::Text(text) if !fields::is_placeholder(text) => (None, Some(*entry)),
                Json::Number(_) => (None, Some(*entry)),
                _ => (None, None),
            };
            let item = match value.map(item_id) {
                Some(Ok(item)) => item,
                Some(Err(error)) => {
                    self.out.reject(Some(line), "item", error);
                    continue;
                }
                None => {
                    let error = "missing, or a placeholder such as 'undefined'; expected the item's id";
                    self.out.reject(Some(line), "item", error.to_owned());
                    continue;
                }
            };
            let event = Event { item, ..base.clone() };
            let mut event = self.amounts(event, Some(line), places, object, list.len() == 1);
            if let Some(order) = &base.order {
                let events = &mut self.out.batch.events;
                if let Some(first) = places_of_items.get(&event.item).and_then(|first| events.get_mut(*first))
                {
                    add_line(first, &event);
                    let detail = format!(
                        "{} is in this order before; the quantities were added",
                        shown(&Json::Text(event.item.into()))
                    );
                    self.out.warn(Some(line), "item", detail);
                    continue;
                }
                places_of_items.insert(event.item.clone(), events.len());
                event.id = order_id(order, &event);
            } else {
                event.id = line_id(id, line);
            }
            self.out.batch.events.push(event);
        }
    }

    fn order(&mut self, places: &Places<'_, '_>, name: &Name<'_, '_>) -> Option<String> {
        let value = places
            .own(&["order"])
            .or_else(|| places.find(&["order_id", "orderId", "transaction_id", "transactionId"]))
            .or_else(|| member(name.order?, &["id", "transaction_id"]));
        self.text("order", value)
    }

    /// An optional text; one that cannot be read is left out.
    pub(super) fn text(&mut self, field: &'static str, value: Option<&Json<'_>>) -> Option<String> {
        let value = value?;
        let text = identifier(value, MAX_FIELD);
        if text.is_none() {
            let expected = format!("expected 1 to {MAX_FIELD} printable bytes");
            self.out.warn(None, field, format!("left out: {}; {expected}", shown(value)));
        }
        text
    }

    /// Adds quantity, price and currency of an event or of its line `number`, whose object is `line`. What an event says of
    /// several lines together is not what it says of each, unless it is the currency.
    fn amounts(
        &mut self,
        mut event: Event,
        number: Option<usize>,
        places: &Places<'_, '_>,
        line: Option<&Object<'_>>,
        is_only: bool,
    ) -> Event {
        let find = |names: &[&str], is_shared: bool| {
            let of_line = line.and_then(|line| member(line, names));
            of_line.or_else(|| if is_shared || is_only { places.find(names) } else { None })
        };
        if let Some(value) = find(&["quantity"], false) {
            match fields::quantity(value) {
                Ok((quantity, rounded)) => {
                    event.quantity = Some(quantity);
                    if rounded {
                        let detail = format!("{} was rounded to {quantity}", shown(value));
                        self.out.warn(number, "quantity", detail);
                    }
                }
                Err(detail) => self.out.warn(number, "quantity", detail),
            }
        }
        if let Some(value) = find(&["order_token"], false).filter(|_| event.order.is_some()) {
            let is_token =
                |text: &str| text.len() == ORDER_TOKEN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            event.order_token = value.as_str().filter(|text| is_token(text)).map(str::to_owned);
            if event.order_token.is_none() {
                let detail = format!("left out: {} is not {ORDER_TOKEN} hexadecimal digits", shown(value));
                self.out.warn(number, "order_token", detail);
            }
        }
        let currency = find(&["currency", "currencyCode", "currency_code"], true);
        event.currency = currency.and_then(fields::currency);
        let price = find(&["price", "unit_price", "unitPrice"], false);
        if let (Some(value), None) = (currency, &event.currency) {
            let left_out = if price.is_some() { "left out with the price" } else { "left out" };
            let detail = format!("{left_out}: {} is not an ISO 4217 code such as GBP", shown(value));
            self.out.warn(number, "currency", detail);
            return event;
        }
        match price.map(|value| fields::price(value, event.currency.as_deref())) {
            Some(Ok((price, code))) => {
                event.price = Some(price);
                event.currency = event.currency.or(code);
            }
            Some(Err(detail)) => self.out.warn(number, "price", detail),
            None => {}
        }
        event
    }
}

/// The id of a line of an event without an order: derived from the whole event's, so that a retry gives the same ids.
fn line_id(id: &str, line: usize) -> String {
    match line {
        0 => id.to_owned(),
        _ if id.len() > MAX_FIELD - 8 => format!("{}.{line}", content_hash(id.as_bytes())),
        _ => format!("{id}.{line}"),
    }
}

/// The id of an order's line: the same each time that a visitor's browser or a shop's server sends it.
fn order_id(order: &str, event: &Event) -> String {
    let visitor = event.visitor.as_deref().unwrap_or_default();
    // No identifier has a control character.
    format!("order-{}", content_hash(format!("{order}\0{}\0{visitor}", event.item).as_bytes()))
}

/// Adds a second line with the same item to an event: the quantities, and the mean price.
fn add_line(event: &mut Event, line: &Event) {
    let (first, second) = (event.quantity.unwrap_or(1), line.quantity.unwrap_or(1));
    if event.currency == line.currency
        && let (Some(one), Some(other)) = (event.price, line.price)
        && one != other
    {
        let (first, second) = (f64::from(first), f64::from(second));
        event.price = Some((one * first + other * second) / (first + second));
    }
    event.quantity = Some(first.saturating_add(second));
    // Both lines have the token of the sum.
    event.order_token = event.order_token.take().or_else(|| line.order_token.clone());
}
