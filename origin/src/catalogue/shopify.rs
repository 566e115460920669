//! Shopify's product export. The rows with one `Handle` are a product; its first row has the fields that all variants
//! share. Each variant is an item. Rows with only an image and products that are not active are skipped.

use crate::catalogue::{
    Wrong,
    draft::{Draft, Field},
    header::{Header, Shaped},
};
use origin_data::{price, records::Fields};

/// Columns, by Shopify's older and newer names.
pub(super) struct Shopify {
    handle: Option<usize>,
    title: Option<usize>,
    vendor: Option<usize>,
    category: Option<usize>,
    kind: Option<usize>,
    published: Option<usize>,
    status: Option<usize>,
    image: Option<usize>,
    variant_image: Option<usize>,
    options: [Option<usize>; 3],
    sku: Option<usize>,
    price: Option<usize>,
    compare_at: Option<usize>,
    quantity: Option<usize>,
    policy: Option<usize>,
    tracker: Option<usize>,
    /// The fields of the product's first row.
    product: Product,
}

#[derive(Default)]
struct Product {
    handle: String,
    title: String,
    vendor: String,
    category: String,
    image: String,
    hidden: bool,
}

impl Shopify {
    /// Finds the columns.
    pub(super) fn new(header: &mut Header) -> Self {
        Self {
            handle: header.find(&["handle", "url handle"]),
            title: header.find(&["title"]),
            vendor: header.find(&["vendor"]),
            category: header.find(&["product category"]),
            kind: header.find(&["type"]),
            published: header.find(&["published", "published on online store"]),
            status: header.find(&["status"]),
            image: header.find(&["image src", "product image url"]),
            variant_image: header.find(&["variant image", "variant image url"]),
            options: ["option1 value", "option2 value", "option3 value"].map(|name| header.find(&[name])),
            sku: header.find(&["variant sku", "sku"]),
            price: header.find(&["variant price", "price"]),
            compare_at: header.find(&["variant compare at price", "compare-at price"]),
            quantity: header.find(&["variant inventory qty", "inventory quantity"]),
            policy: header.find(&["variant inventory policy", "continue selling when out of stock"]),
            tracker: header.find(&["variant inventory tracker", "inventory tracker"]),
            product: Product::default(),
        }
    }

    /// Reads a row.
    pub(super) fn shape(&mut self, fields: &Fields<'_>) -> Result<Shaped, Wrong> {
        let text = |place: Option<usize>| place.map_or("", |place| fields.get(place).trim());
        let handle = text(self.handle);
        if handle.is_empty() {
            return Err(Wrong::new("Handle", "missing"));
        }
        if handle != self.product.handle {
            let status = text(self.status).to_lowercase();
            let is_no = |text: &str| ["false", "no", "0"].contains(&&*text.to_lowercase());
            self.product = Product {
                handle: handle.to_owned(),
                title: text(self.title).to_owned(),
                vendor: text(self.vendor).to_owned(),
                category: [text(self.category), text(self.kind)]
                    .into_iter()
                    .find(|text| !text.is_empty())
                    .unwrap_or("")
                    .to_owned(),
                image: text(self.image).to_owned(),
                hidden: (!status.is_empty() && status != "active") || is_no(text(self.published)),
            };
        }
        let product = &self.product;
        let options: Vec<&str> =
            self.options.iter().map(|place| text(*place)).filter(|text| !text.is_empty()).collect();
        let (sku, price) = (text(self.sku).trim_start_matches('\''), text(self.price));
        if product.hidden || (sku.is_empty() && price.is_empty() && options.is_empty()) {
            return Ok(Shaped::Nothing);
        }
        let mut draft = Draft::default();
        let id = match &options[..] {
            _ if !sku.is_empty() => sku.to_owned(),
            [] | ["Default Title"] => handle.to_owned(),
            options => format!("{handle}/{}", options.join("/")),
        };
        draft.set(Field::Id, 0, &id);
        draft.set(Field::Group, 0, handle);
        draft.set(Field::Name, 0, &product.title);
        draft.set(Field::Brand, 0, &product.vendor);
        draft.set(Field::Category, 0, &product.category);
        let variant_image = text(self.variant_image);
        draft.set(Field::Image, 0, if variant_image.is_empty() { &product.image } else { variant_image });
        // A higher compare-at price is the regular price, which Shopify shows struck through.
        match text(self.compare_at) {
            regular if amount(regular).zip(amount(price)).is_some_and(|(regular, price)| regular > price) => {
                draft.set(Field::Price, 0, regular);
                draft.set(Field::SalePrice, 0, price);
            }
            _ => draft.set(Field::Price, 0, price),
        }
        draft.set(Field::Stock, 0, self.stock(fields).unwrap_or(""));
        Ok(Shaped::Item(Box::new(draft)))
    }

    fn stock(&self, fields: &Fields<'_>) -> Option<&'static str> {
        let text = |place: Option<usize>| place.map(|place| fields.get(place).trim().to_lowercase());
        // Stock that is not tracked does not run out.
        if text(self.tracker).is_some_and(|tracker| tracker.is_empty()) {
            return Some("in_stock");
        }
        let goes_on = text(self.policy).is_some_and(|policy| ["continue", "true", "yes"].contains(&&*policy));
        let quantity: f64 = text(self.quantity)?.replace(',', ".").parse().ok()?;
        Some(if quantity > 0.0 || goes_on { "in_stock" } else { "out_of_stock" })
    }
}

/// A price with one reading. Shopify writes plain numbers, but spreadsheets rewrite them.
fn amount(text: &str) -> Option<f64> {
    price::read(text, None).ok()?.number.resolve(None).ok()
}
