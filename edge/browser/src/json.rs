//! Encodes answers as JSON for the page, which takes less code than any other interface. serde_json would add a table of
//! 10 KB to print numbers; all numbers here are multiples of 1/100 or 1/10000.

use snapshots::answer::{Answer, Degraded, ItemView, Recommended};
use snapshots::query::QueryError;
use snapshots::signal::Signal;

/// JSON under construction, and the character before the next member: `{` or `,`.
struct Writer(String, char);

/// An answer, without the fields that the Worker adds.
pub(crate) fn answer(answer: &Answer<'_>) -> String {
    let mut out = Writer(String::new(), '{');
    out.list("items", &answer.items, recommended);
    out.optional("next", answer.next.as_deref());
    out.text("strategy", answer.strategy);
    out.list("experiments", &answer.experiments, |out, experiment| {
        out.text("id", experiment.id);
        out.text("variant", experiment.variant);
    });
    let degraded = answer.degraded.map(|degraded| match degraded {
        Degraded::Stale => "stale",
        Degraded::PopularOnly => "popular_only",
        Degraded::Static => "static",
    });
    out.optional("degraded", degraded);
    out.0 + "}"
}

/// One item.
pub(crate) fn item(item: &ItemView<'_>) -> String {
    let mut out = Writer(String::new(), '{');
    view(&mut out, item);
    out.0 + "}"
}

/// The error of a request.
pub(crate) fn problem(error: &QueryError) -> String {
    let mut out = Writer(String::new(), '{');
    out.text("field", &error.field);
    out.text("detail", &error.detail);
    out.0 + "}"
}

fn recommended(out: &mut Writer, found: &Recommended<'_>) {
    out.number("score", found.score * 1e4, "e-4");
    let signal = match found.signal {
        Signal::Coview => "coview",
        Signal::Bought => "bought",
        Signal::Knn => "knn",
        Signal::Popularity => "popularity",
        Signal::Recency => "recency",
        Signal::Pinned => "pinned",
        Signal::Exploration => "exploration",
    };
    out.text("signal", signal);
    out.optional("because", found.because.as_deref());
    view(out, &found.item);
}

fn view(out: &mut Writer, item: &ItemView<'_>) {
    out.text("id", &item.id);
    for (name, text) in [
        ("name", &*item.name),
        ("category", item.category),
        ("brand", item.brand),
        ("image", &item.image),
        ("url", &item.url),
        ("currency", item.currency.unwrap_or_default()),
    ] {
        if !text.is_empty() {
            out.text(name, text);
        }
    }
    if let Some(price) = item.price {
        out.number("price", price * 1e2, "e-2");
    }
    if let Some(price) = item.regular_price {
        out.number("regular_price", price * 1e2, "e-2");
    }
    out.name("in_stock");
    out.0.push_str(if item.in_stock { "true" } else { "false" });
}

impl Writer {
    fn name(&mut self, name: &str) {
        self.0.push(self.1);
        self.1 = ',';
        self.string(name);
        self.0.push(':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.string(text);
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        self.name(name);
        match text {
            Some(text) => self.string(text),
            None => self.0.push_str("null"),
        }
    }

    /// Writes a number as an integer with an exponent, which parses to exactly the same number.
    fn number(&mut self, name: &str, whole: f64, exponent: &str) {
        self.name(name);
        self.digits((whole + 0.5) as u64);
        self.0.push_str(exponent);
    }

    fn digits(&mut self, number: u64) {
        if number > 9 {
            self.digits(number / 10);
        }
        self.0.push(char::from(b'0' + (number % 10) as u8));
    }

    fn list<T>(&mut self, name: &str, list: &[T], members: impl Fn(&mut Self, &T)) {
        self.name(name);
        self.1 = '[';
        for one in list {
            self.0.push(self.1);
            self.1 = '{';
            members(self, one);
            self.0.push('}');
        }
        self.0.push_str(if list.is_empty() { "[]" } else { "]" });
        self.1 = ',';
    }

    fn string(&mut self, text: &str) {
        self.0.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.0.push('\\'),
                '\0'..' ' => {
                    let digit = |digit| char::from_digit(digit, 16).unwrap_or('0');
                    self.0.push_str("\\u00");
                    self.0.push(digit(character as u32 >> 4));
                    self.0.push(digit(character as u32 & 15));
                    continue;
                }
                _ => {}
            }
            self.0.push(character);
        }
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    proptest! {
        #[test]
        fn any_text_and_number_round_trips(text in "\\PC{0,9}|[\"\\\\\u{0}-\u{1f}\u{7f}é]{0,9}", whole in 0u64..1 << 50) {
            let (score, price) = (whole as f64 / 1e4, (whole >> 20) as f64 / 1e2);
            let mut out = Writer(String::new(), '{');
            out.text(&text, &text);
            out.list("list", &[score, price], |out, number| out.number("score", number * 1e4, "e-4"));
            out.list("none", &[0; 0], |_, _| ());
            out.number("price", price * 1e2, "e-2");
            out.optional("nothing", None);
            let expected = json!({
                text.clone(): text, "list": [{"score": score}, {"score": price}], "none": [], "price": price,
                "nothing": null,
            });
            prop_assert_eq!(serde_json::from_str::<Value>(&(out.0 + "}")).unwrap(), expected);
        }
    }
}
