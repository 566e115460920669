//! Google Merchant's XML: RSS 2.0 `<item>` or Atom `<entry>`, with fields in Google's namespace or in none. Google's
//! fields have precedence. Fields of other namespaces and nested fields are ignored.

use crate::catalogue::{
    Wrong,
    draft::Field,
    row::{About, Row},
};
use anyhow::{Context, Result};
use origin_data::fields::shown;
use quick_xml::{
    NsReader, XmlVersion,
    escape::resolve_html5_entity,
    events::{BytesStart, Event},
    name::ResolveResult,
};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

/// The longest text of a field, in bytes.
const MAX_TEXT: usize = 64 << 10;
/// The most bytes of a tag or text.
const MAX_EVENT: u64 = 4 << 20;
const GOOGLE: &str = "base.google.com/ns/1.0";
const ATOM: &str = "www.w3.org/2005/Atom";

/// The namespace of an element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Google,
    /// Atom's, RSS's or none.
    Feed,
    Other,
}

/// An item while it is read.
#[derive(Default)]
struct Open {
    row: Row,
    /// The field that is open, its rank and its text so far.
    field: Option<(Field, u8)>,
    text: String,
    /// Elements open inside the item.
    depth: usize,
}

/// Reads a feed.
///
/// # Errors
/// It is not well-formed XML, or the input cannot be read to its end. Rows before that were passed on.
pub(super) fn read(
    input: impl Read,
    about: &mut About,
    mut each: impl FnMut(Row) -> Result<()>,
) -> Result<()> {
    about.format = "xml";
    let line = Rc::new(Cell::new(1));
    let budget = Rc::new(Cell::new(MAX_EVENT));
    let lines = Lines {
        inner: BufReader::with_capacity(64 << 10, input),
        line: Rc::clone(&line),
        budget: Rc::clone(&budget),
    };
    let mut reader = NsReader::from_reader(lines);
    let (mut buffer, mut item): (Vec<u8>, Option<Open>) = (Vec::new(), None);
    let mut elements = 0u64;
    loop {
        buffer.clear();
        budget.set(MAX_EVENT);
        let began = line.get();
        let (space, event) =
            reader.read_resolved_event_into(&mut buffer).with_context(|| format!("line {began}"))?;
        match &event {
            Event::Start(_) => elements += 1,
            Event::End(_) => elements = elements.saturating_sub(1),
            _ => {}
        }
        match (&event, &mut item) {
            (Event::Start(tag), None) if is_item(tag) => {
                item = Some(Open { row: Row { line: began, ..Row::default() }, ..Open::default() });
            }
            (Event::Empty(tag), None) if is_item(tag) => each(Row { line: began, ..Row::default() })?,
            (Event::Start(tag), Some(item)) => item.open(tag, space_of(&space, tag), about),
            (Event::Empty(tag), Some(item)) if item.depth == 0 => item.link(tag, space_of(&space, tag)),
            (Event::Text(text), Some(item)) => item.push(&text.xml10_content()),
            (Event::CData(text), Some(item)) => item.push(&text.xml10_content()),
            (Event::GeneralRef(name), Some(item)) => match name.resolve_char_ref().ok().flatten() {
                Some(sign) => item.push(sign.encode_utf8(&mut [0; 4])),
                // Entities that the feed defines are not expanded, since they can expand to any size.
                None => match resolve_html5_entity(name) {
                    Some(text) => item.push(text),
                    None => item.fault(format!("the entity '&{};' is not known", shown(name))),
                },
            },
            (Event::End(_), Some(open)) if open.depth > 0 => open.close(),
            (Event::End(_), open @ Some(_)) => {
                if let Some(open) = open.take() {
                    each(open.row)?;
                }
            }
            (Event::Eof, None) if elements == 0 => return Ok(()),
            (Event::Eof, None) => anyhow::bail!("line {began}: the feed ends before its elements do"),
            (Event::Eof, Some(open)) => {
                anyhow::bail!("the feed ends inside the item of line {}", open.row.line)
            }
            _ => {}
        }
    }
}

fn is_item(tag: &BytesStart<'_>) -> bool {
    matches!(tag.local_name().into_inner(), "item" | "entry")
}

fn space_of(space: &ResolveResult<'_>, tag: &BytesStart<'_>) -> Space {
    let bound = |name: &str, space: &str| name.trim_end_matches('/').ends_with(space);
    match space {
        ResolveResult::Unbound => Space::Feed,
        ResolveResult::Bound(name) if bound(name.as_ref(), GOOGLE) => Space::Google,
        // RSS has no namespace, or one of its versions.
        ResolveResult::Bound(name) if bound(name.as_ref(), ATOM) || tag.name().prefix().is_none() => {
            Space::Feed
        }
        // Some feeds do not declare the namespace.
        ResolveResult::Unknown(prefix) if prefix == "g" => Space::Google,
        _ => Space::Other,
    }
}

impl Open {
    fn open(&mut self, tag: &BytesStart<'_>, space: Space, about: &mut About) {
        self.depth += 1;
        if self.depth > 1 {
            return;
        }
        self.text.clear();
        let name = tag.local_name().into_inner();
        let field = Field::of(name);
        let rank = match space {
            Space::Google => 2,
            Space::Feed => 1,
            Space::Other => 0,
        };
        // Atom's `<link>` is empty in most feeds. If it has an `href`, that is the address.
        if name == "link" && href(tag).is_some() {
            self.field = None;
            self.link(tag, space);
        } else {
            self.field = field.filter(|_| rank > 0).map(|field| (field, rank));
            if self.field.is_none() {
                about.ignore(&String::from_utf8_lossy(tag.name().as_ref().as_bytes()));
            }
        }
    }

    /// Sets the URL to that of Atom's `<link href="…"/>`, if it is the item's page.
    fn link(&mut self, tag: &BytesStart<'_>, space: Space) {
        let is_page = || match attribute(tag, "rel") {
            None => true,
            Some(rel) => rel.eq_ignore_ascii_case("alternate"),
        };
        if tag.local_name().into_inner() == "link"
            && space == Space::Feed
            && let Some(address) = href(tag).filter(|_| is_page())
        {
            self.row.draft.set(Field::Url, 0, &address);
        }
    }

    fn push(&mut self, text: &str) {
        if self.depth != 1 || self.field.is_none() {
            return;
        }
        if self.text.len() + text.len() > MAX_TEXT {
            self.fault(format!("a text of more than {MAX_TEXT} bytes"));
        } else {
            self.text.push_str(text);
        }
    }

    /// Records an error in a field that is read.
    fn fault(&mut self, error: String) {
        if self.depth == 1 && self.field.is_some() {
            self.row.fault.get_or_insert_with(|| Wrong::new("", error));
        }
    }

    fn close(&mut self) {
        self.depth -= 1;
        if self.depth == 0
            && let Some((field, rank)) = self.field.take()
        {
            self.row.draft.set(field, rank, &self.text);
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.try_get_attribute(name).ok()??;
    Some(found.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

fn href(tag: &BytesStart<'_>) -> Option<String> {
    attribute(tag, "href")
}

/// Counts the lines that were taken from it, and ends where one event would not.
struct Lines<R> {
    inner: R,
    line: Rc<Cell<u64>>,
    budget: Rc<Cell<u64>>,
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
        if self.budget.get() == 0 {
            return Err(io::Error::other(format!("a tag or text of more than {MAX_EVENT} bytes")));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // The consumed bytes are in the buffer, so this does not read.
        if let Ok(buffer) = self.inner.fill_buf() {
            let ends = buffer.iter().take(amount).filter(|byte| **byte == b'\n').count();
            self.line.set(self.line.get() + ends as u64);
        }
        self.budget.set(self.budget.get().saturating_sub(amount as u64));
        self.inner.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::draft::Reading;
    use origin_data::Item;
    use proptest::prelude::*;

    fn rows(text: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        read(text.as_bytes(), &mut About::default(), |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    fn item(row: &Row) -> Result<Item, Wrong> {
        match &row.fault {
            Some(wrong) => Err(wrong.clone()),
            None => row.draft.finish(&Reading::default()).map(|(item, _)| item),
        }
    }

    #[test]
    fn rss_and_atom_read_alike() {
        let rss = "<?xml version=\"1.0\"?>\n<rss xmlns:g=\"http://base.google.com/ns/1.0\"><channel><title>Shop</title>\n\
            <item>\n<g:id>1</g:id><title>Cup &amp; <![CDATA[<saucer>]]> &#233;&eacute;&nbsp;&euro;</title>\n\
            <link>https://shop.example/1</link><g:price>2.50 GBP</g:price>\n\
            <g:availability>out_of_stock</g:availability><g:shipping><g:price>9 GBP</g:price></g:shipping>\n\
            </item><item><g:id>2</g:id><g:price>dear</g:price></item></channel></rss>";
        let found = rows(rss).unwrap();
        let expected = Item {
            id: "1".to_owned(),
            name: Some("Cup & <saucer> éé €".to_owned()),
            price: Some(2.5),
            currency: Some("GBP".to_owned()),
            url: Some("https://shop.example/1".to_owned()),
            in_stock: Some(false),
            ..Item::default()
        };
        assert_eq!((found[0].line, item(&found[0])), (3, Ok(expected)));
        let wrong = item(&found[1]).unwrap_err();
        assert_eq!((found[1].line, found[1].draft.id(), &*wrong.field), (7, "2", "price"));
        let atom = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><id>7</id><title>Jug</title>\
            <link rel='self' href='https://api.example/7'/><link href=\"https://shop.example/?a=1&amp;b=2\"/></entry></feed>";
        let entry = item(&rows(atom).unwrap()[0]).unwrap();
        assert_eq!(entry.url.as_deref(), Some("https://shop.example/?a=1&b=2"));
    }

    #[test]
    fn googles_names_count_whatever_their_prefix_and_others_do_not() {
        let text = "<feed xmlns='http://www.w3.org/2005/Atom' xmlns:shop='https://base.google.com/ns/1.0' xmlns:m='http://media.example/'>\
            <entry><id>https://shop.example/5</id><title>Plain</title><m:title>Media</m:title><shop:title>Mug</shop:title>\
            <shop:id>mug-5</shop:id><link>https://shop.example/wrong</link><shop:link>https://shop.example/mug</shop:link>\
            <m:price>9 EUR</m:price></entry></feed>";
        let item = item(&rows(text).unwrap()[0]).unwrap();
        assert_eq!((&*item.id, item.name.as_deref(), item.price), ("mug-5", Some("Mug"), None));
        assert_eq!(item.url.as_deref(), Some("https://shop.example/mug"));
    }

    #[test]
    fn a_broken_feed_says_on_which_line_and_hands_out_what_came_before() {
        let text = "<rss>\n<item><id>1</id></item>\n<item><id>2</oops></item></rss>";
        let mut seen = 0;
        let error = read(text.as_bytes(), &mut About::default(), |_| {
            seen += 1;
            Ok(())
        });
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.starts_with("line 3") && seen == 1, "{error} after {seen}");
        for cut in
            ["<rss>\n<item><id>1</id>", "<rss>\n<item><id>1</id></item>", "<rss>\n<item><id>1</id></item></r"]
        {
            let error = format!("{:#}", rows(cut).unwrap_err());
            assert!(error.contains("line 2"), "{error}");
        }
    }

    #[test]
    fn entities_of_the_feed_are_not_expanded_and_the_row_is_refused() {
        let bomb = "<!DOCTYPE r [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><r><item><id>1</id><title>x&b;y</title>\
            <description>&b;</description></item><item><id>2</id><description>&b;</description></item></r>";
        let rows = rows(bomb).unwrap();
        assert!(item(&rows[0]).unwrap_err().error.contains("'&b;'"));
        assert!(item(&rows[1]).is_ok(), "nothing is lost of what is read");
    }

    #[test]
    fn a_text_without_end_is_refused_in_bounded_memory() {
        let text = format!("<rss><item><id>1</id><title>{}", "x".repeat(MAX_EVENT as usize + 100_000));
        let error = format!("{:#}", rows(&text).unwrap_err());
        assert!(error.contains("more than"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_reads_or_is_refused(text in "(<item>|<g:id>|</g:id>|</item>|<price>|&#[0-9x]{1,3};|<!\\[CDATA\\[|\\PC){0,30}") {
            if let Ok(rows) = rows(&text) {
                for row in rows {
                    if let Ok(item) = item(&row) {
                        prop_assert_eq!(super::super::check(item.clone()), Ok(item));
                    }
                }
            }
        }
    }
}
