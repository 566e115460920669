//! The names of kinds in Verge, GA4, Universal Analytics, Segment, RudderStack and Snowplow.

use super::Kind;
use crate::wire::json::{Json, Object};

/// Longest name of a kind without separators, in bytes.
const MAX_NAME: usize = 24;

/// A name in lower case without blanks, `_` and `-`: `add_to_cart`, `addToCart` and `Add To Cart` are one name.
struct Plain([u8; MAX_NAME], usize);

impl Plain {
    fn new(name: &str) -> Option<Self> {
        let mut plain = Self([0; MAX_NAME], 0);
        for byte in name.bytes().filter(|byte| !b" _-".contains(byte)) {
            *plain.0.get_mut(plain.1)? = byte.to_ascii_lowercase();
            plain.1 += 1;
        }
        Some(plain)
    }

    fn as_str(&self) -> &str {
        self.0.get(..self.1).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or_default()
    }
}

impl Kind {
    /// The kind with this name. Case, blanks, `_` and `-` do not matter.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match Plain::new(name)?.as_str() {
            "impression" | "viewitemlist" | "productlistviewed" | "viewedproductlist"
            | "productimpression" | "productimpressions" | "listview" => Self::Impression,
            "view" | "viewitem" | "productviewed" | "viewedproduct" | "productview" | "productdetail" => {
                Self::View
            }
            "click" | "selectitem" | "productclicked" | "clickedproduct" | "productclick" | "listclick" => {
                Self::Click
            }
            "cart" | "addtocart" | "productadded" | "addedproduct" => Self::Cart,
            "purchase" | "ordercompleted" | "completedorder" | "ecommercepurchase" | "transaction" => {
                Self::Purchase
            }
            _ => return None,
        })
    }
}

/// Whether this is one of Segment's older names (`Viewed Product`), whose products are named by `id` before `sku`.
pub(super) fn is_old(name: &str) -> bool {
    Plain::new(name).is_some_and(|name| {
        matches!(name.as_str(), "viewedproduct" | "addedproduct" | "clickedproduct" | "completedorder")
    })
}

/// What an action of Universal Analytics' `ecommerce` says.
pub(super) struct Action<'b, 'a> {
    pub(super) kind: Kind,
    /// The products.
    pub(super) list: &'b Json<'a>,
    /// `actionField`, with the order's id.
    pub(super) about: Option<&'b Object<'a>>,
}

/// The action of `ecommerce` in the form of Universal Analytics: that of a kind, or else the strongest.
pub(super) fn action<'b, 'a>(commerce: &'b Object<'a>, kind: Option<Kind>) -> Option<Action<'b, 'a>> {
    const ACTIONS: [(&str, Kind); 5] = [
        ("purchase", Kind::Purchase),
        ("add", Kind::Cart),
        ("click", Kind::Click),
        ("detail", Kind::View),
        ("impressions", Kind::Impression),
    ];
    let mut wanted = ACTIONS.iter().filter(|(_, found)| kind.is_none_or(|kind| kind == *found));
    wanted.find_map(|(name, kind)| {
        let found = commerce.get(name)?;
        let about = found.as_object();
        let list = match about {
            Some(action) => action.get("products")?,
            None => found.as_array().map(|_| found)?,
        };
        let about = about.and_then(|action| action.get("actionField")?.as_object());
        Some(Action { kind: *kind, list, about })
    })
}

/// Whether an unknown event may be named by its action: it is none that takes something back or comes before the order.
pub(super) fn may_have_any_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !["remove", "refund", "checkout", "wish", "cancel"].iter().any(|other| name.contains(other))
}
