//! WooCommerce's product export: one row for each product or variation. A variable product is not an item; its
//! variations are, and inherit the fields that they do not have. Products that the shop does not show are skipped.

use crate::catalogue::{
    Wrong,
    draft::{Draft, Field},
    header::{Header, Shaped},
};
use anyhow::{Result, bail};
use origin_data::{fields::shown, records::Fields};
use std::collections::HashMap;

/// Columns.
pub(super) struct WooCommerce {
    item_id: usize,
    id: Option<usize>,
    kind: Option<usize>,
    sku: Option<usize>,
    name: Option<usize>,
    published: Option<usize>,
    visibility: Option<usize>,
    in_stock: Option<usize>,
    stock: Option<usize>,
    backorders: Option<usize>,
    sale_price: Option<usize>,
    sale_from: Option<usize>,
    sale_until: Option<usize>,
    regular_price: Option<usize>,
    categories: Option<usize>,
    brands: Option<usize>,
    images: Option<usize>,
    parent: Option<usize>,
    /// Variable products by their names in the column `Parent`.
    parents: HashMap<String, Parent>,
}

struct Parent {
    hidden: bool,
    category: String,
    image: String,
    brand: String,
}

impl WooCommerce {
    /// Finds the columns. The ids are in the column `id`, or by default in `ID` or `SKU`.
    ///
    /// # Errors
    /// There is no such column.
    pub(super) fn new(header: &mut Header, id: Option<&str>) -> Result<Self> {
        let item_id = match id {
            Some(name) => header.find(&[&name.to_lowercase()]),
            None => header.find(&["id", "sku"]),
        };
        let Some(item_id) = item_id else {
            bail!("line 1: there is no column '{}' to take ids from", shown(id.unwrap_or("ID")));
        };
        Ok(Self {
            item_id,
            id: header.find(&["id"]),
            kind: header.find(&["type"]),
            sku: header.find(&["sku"]),
            name: header.find(&["name"]),
            published: header.find(&["published"]),
            visibility: header.find(&["visibility in catalog"]),
            in_stock: header.find(&["in stock?"]),
            stock: header.find(&["stock"]),
            backorders: header.find(&["backorders allowed?"]),
            sale_price: header.find(&["sale price"]),
            sale_from: header.find(&["date sale price starts"]),
            sale_until: header.find(&["date sale price ends"]),
            regular_price: header.find(&["regular price"]),
            categories: header.find(&["categories"]),
            brands: header.find(&["brands"]),
            images: header.find(&["images"]),
            parent: header.find(&["parent"]),
            parents: HashMap::new(),
        })
    }

    /// Reads a row.
    pub(super) fn shape(&mut self, fields: &Fields<'_>) -> Result<Shaped, Wrong> {
        let text = |place: Option<usize>| place.map_or("", |place| unescaped(fields.get(place).trim()));
        let kind = text(self.kind).to_lowercase();
        // 0 is private, -1 a draft.
        let is_public = |text: &str| ["1", "1.0", "yes", "true", "publish", "published"].contains(&text);
        let hidden = self.published.is_some() && !is_public(&text(self.published).to_lowercase())
            || text(self.visibility).eq_ignore_ascii_case("hidden");
        let category = first_of(text(self.categories));
        let image = first_of(text(self.images));
        let brand = first_of(text(self.brands));
        if kind.split(',').any(|kind| kind.trim() == "variable") {
            for name in [format!("id:{}", text(self.id)), text(self.sku).to_owned()] {
                let (category, image, brand) = (category.clone(), image.clone(), brand.clone());
                self.parents.insert(name, Parent { hidden, category, image, brand });
            }
            return Ok(Shaped::Nothing);
        }
        let parent = self.parents.get(text(self.parent)).filter(|_| !text(self.parent).is_empty());
        if hidden || parent.is_some_and(|parent| parent.hidden) {
            return Ok(Shaped::Nothing);
        }
        let mut draft = Draft::default();
        draft.set(Field::Id, 0, text(Some(self.item_id)));
        draft.set(Field::Name, 0, text(self.name));
        draft.set(Field::Group, 0, text(self.parent).trim_start_matches("id:"));
        draft.set(Field::Category, 0, &category);
        draft.set(Field::Image, 0, &image);
        draft.set(Field::Brand, 0, &brand);
        if let Some(parent) = parent {
            draft.set(Field::Category, 0, &parent.category);
            draft.set(Field::Image, 0, &parent.image);
            draft.set(Field::Brand, 0, &parent.brand);
        }
        draft.set(Field::Price, 0, text(self.regular_price));
        draft.set(Field::SalePrice, 0, text(self.sale_price));
        draft.set(Field::SaleFrom, 0, text(self.sale_from));
        draft.set(Field::SaleUntil, 0, text(self.sale_until));
        let stock = match text(self.in_stock) {
            "" => text(self.stock),
            stock => stock,
        };
        let orders_taken = ["1", "yes", "notify"].contains(&&*text(self.backorders).to_lowercase());
        draft.set(Field::Stock, 0, if orders_taken { "backorder" } else { stock });
        Ok(Shaped::Item(Box::new(draft)))
    }
}

/// A text without the `'` that WooCommerce writes before a text that looks like a formula to a spreadsheet.
fn unescaped(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@'])).unwrap_or(text)
}

/// The first element of a list that commas separate. A comma in a name has a backslash before it.
fn first_of(list: &str) -> String {
    let mut first = String::new();
    let mut escaped = false;
    for sign in list.chars() {
        match sign {
            '\\' if !escaped => escaped = true,
            ',' if !escaped => break,
            sign => {
                first.push(sign);
                escaped = false;
            }
        }
    }
    first.trim().to_owned()
}
