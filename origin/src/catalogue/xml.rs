//! Google Merchant's XML: RSS 2.0 `<item>` or Atom `<entry>`, its fields with the prefix `g:` or without.

use crate::catalogue::Wrong;
use crate::catalogue::tables::{Draft, Row, field_name};
use anyhow::{Context, Result};
use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

/// The longest text of a field, in bytes; what comes after is left out.
const MAX_TEXT: usize = 64 << 10;

/// An item while it is read.
struct Open {
    line: u64,
    draft: Draft,
    outcome: Result<(), Wrong>,
    /// The field that is open, and its text so far.
    field: String,
    text: String,
    /// Elements open inside the item.
    depth: usize,
}

/// Reads a feed.
///
/// # Errors
/// It is no well-formed XML, or the input ends with an error; what was read before was handed out.
pub(super) fn read(input: impl Read, mut each: impl FnMut(Row) -> Result<()>) -> Result<()> {
    let line = Rc::new(Cell::new(1));
    let lines = Lines { inner: BufReader::with_capacity(64 << 10, input), line: Rc::clone(&line) };
    let mut reader = Reader::from_reader(lines);
    let (mut buffer, mut item): (Vec<u8>, Option<Open>) = (Vec::new(), None);
    loop {
        buffer.clear();
        let began = line.get();
        let event = reader.read_event_into(&mut buffer).with_context(|| format!("line {began}"))?;
        match (&event, &mut item) {
            (Event::Start(tag), None) if is_item(tag) => item = Some(Open::new(began)),
            (Event::Start(tag), Some(item)) => item.open(tag),
            (Event::Empty(tag), Some(item)) if item.depth == 0 => item.link(tag),
            (Event::Text(text), Some(item)) => item.push(&text.xml10_content()),
            (Event::CData(text), Some(item)) => item.push(&text.xml10_content()),
            (Event::GeneralRef(name), Some(item)) => {
                let sign = name.resolve_char_ref().ok().flatten();
                match sign {
                    Some(sign) => item.push(sign.encode_utf8(&mut [0; 4])),
                    // An entity of the feed's own is left out: a definition can be a bomb.
                    None => item.push(resolve_predefined_entity(name).unwrap_or("")),
                }
            }
            (Event::End(_), Some(open)) if open.depth > 0 => open.close(),
            (Event::End(_), open @ Some(_)) => {
                if let Some(open) = open.take() {
                    each(open.finish())?;
                }
            }
            (Event::Eof, None) => return Ok(()),
            (Event::Eof, Some(open)) => anyhow::bail!("the feed ends inside the item of line {}", open.line),
            _ => {}
        }
    }
}

fn is_item(tag: &BytesStart<'_>) -> bool {
    matches!(tag.local_name().into_inner(), "item" | "entry")
}

impl Open {
    fn new(line: u64) -> Self {
        Self {
            line,
            draft: Draft::default(),
            outcome: Ok(()),
            field: String::new(),
            text: String::new(),
            depth: 0,
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) {
        if self.depth == 0 {
            self.field = field_name(tag.local_name().into_inner());
            self.text.clear();
        }
        self.depth += 1;
    }

    /// Atom's `<link href="…"/>`.
    fn link(&mut self, tag: &BytesStart<'_>) {
        if let ("link", Ok(Some(address))) = (tag.local_name().into_inner(), tag.try_get_attribute("href"))
            && let Ok(address) = address.normalized_value(XmlVersion::Implicit1_0)
        {
            self.set("link", &address);
        }
    }

    fn push(&mut self, text: &str) {
        // Fields inside fields, such as those of `shipping`, say nothing about the item.
        if self.depth == 1 && self.text.len() + text.len() <= MAX_TEXT {
            self.text.push_str(text);
        }
    }

    fn close(&mut self) {
        self.depth -= 1;
        if self.depth == 0 {
            let (field, text) = (std::mem::take(&mut self.field), std::mem::take(&mut self.text));
            self.set(&field, &text);
        }
    }

    fn set(&mut self, field: &str, text: &str) {
        let set = self.draft.set(field, text);
        if self.outcome.is_ok() {
            self.outcome = set;
        }
    }

    fn finish(self) -> Row {
        let id = self.draft.id().to_owned();
        (self.line, id, self.outcome.and_then(|()| self.draft.finish()))
    }
}

/// Counts the lines that were taken from it.
struct Lines<R> {
    inner: R,
    line: Rc<Cell<u64>>,
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Lines<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is to be consumed is in the buffer: this reads nothing.
        if let Ok(buffer) = self.inner.fill_buf() {
            let ends = buffer.iter().take(amount).filter(|byte| **byte == b'\n').count();
            self.line.set(self.line.get() + ends as u64);
        }
        self.inner.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use origin_data::Item;
    use proptest::prelude::*;

    fn rows(text: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        read(text.as_bytes(), |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn rss_and_atom_read_alike() {
        let rss = "<?xml version=\"1.0\"?>\n<rss xmlns:g=\"http://base.google.com/ns/1.0\"><channel><title>Shop</title>\n\
            <item>\n<g:id>1</g:id><title>Cup &amp; <![CDATA[<saucer>]]> &#233;</title>\n\
            <link>https://shop.example/1</link><g:price>2.50 GBP</g:price>\n\
            <g:availability>out_of_stock</g:availability><g:shipping><g:price>9 GBP</g:price></g:shipping>\n\
            </item><item><g:id>2</g:id><g:price>dear</g:price></item></channel></rss>";
        let found = rows(rss).unwrap();
        let expected = Item {
            id: "1".to_owned(),
            name: Some("Cup & <saucer> é".to_owned()),
            price: Some(2.5),
            currency: Some("GBP".to_owned()),
            url: Some("https://shop.example/1".to_owned()),
            in_stock: Some(false),
            ..Item::default()
        };
        assert_eq!(found[0], (3, "1".to_owned(), Ok(expected)));
        let (line, id, wrong) = &found[1];
        assert_eq!((*line, &**id, &*wrong.as_ref().unwrap_err().field), (7, "2", "price"));
        let atom = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><id>7</id><title>Jug</title>\
            <link href=\"https://shop.example/?a=1&amp;b=2\"/></entry></feed>";
        let entry = rows(atom).unwrap().remove(0).2.unwrap();
        assert_eq!(entry.url.as_deref(), Some("https://shop.example/?a=1&b=2"));
    }

    #[test]
    fn a_broken_feed_says_on_which_line_and_hands_out_what_came_before() {
        let text = "<rss>\n<item><id>1</id></item>\n<item><id>2</oops></item></rss>";
        let mut seen = 0;
        let error = read(text.as_bytes(), |_| {
            seen += 1;
            Ok(())
        });
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.starts_with("line 3") && seen == 1, "{error} after {seen}");
        let cut = format!("{:#}", rows("<rss>\n<item><id>1</id>").unwrap_err());
        assert!(cut.contains("line 2"), "{cut}");
    }

    #[test]
    fn entities_are_not_expanded() {
        let bomb = "<!DOCTYPE r [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><r><item><id>1</id><title>x&b;y</title></item></r>";
        assert_eq!(rows(bomb).unwrap()[0].2.as_ref().unwrap().name.as_deref(), Some("xy"));
    }

    proptest! {
        #[test]
        fn any_text_reads_or_is_refused(text in "(<item>|<g:id>|</g:id>|</item>|<price>|&#[0-9x]{1,3};|<!\\[CDATA\\[|\\PC){0,30}") {
            if let Ok(rows) = rows(&text) {
                for (_, _, row) in rows {
                    if let Ok(item) = row {
                        prop_assert_eq!(super::super::check(item.clone()), Ok(item));
                    }
                }
            }
        }
    }
}
