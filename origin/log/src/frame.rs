//! Frames: the format of a group of events in a segment.
//!
//! ```text
//! frame    checksum u64 | length u32 | span u32 | first u64 | records          little-endian
//! record   head u8 [more u8 [bucket u16] [order u64]] | at | id | item | area | visitor u64 | session u64
//!          [quantity] [price f64] [currency] [placement] [request]
//! ```
//! - `checksum` is xxh3-64 of everything after it, and `length` is the size of the records in bytes.
//! - `first` is the position of the first event and `first + span` that of the next frame. If events were erased, a frame
//!   has fewer records than its span.
//! - The low three bits of `head` are the kind; the others say which of the bracketed fields are present. If they are 7,
//!   `more` follows: its low three bits are the kind, the next two the standing, and the next two say whether bucket and
//!   order are present. Records without it are confirmed; those of versions that did not record standings are, too.
//! - `at` is the difference from the previous record in milliseconds (zigzag). Numbers are LEB128; a text is its length
//!   and its bytes.
//! - Items, areas, currencies and placements are *names*: each has a number in its segment, followed by its text where the
//!   number first occurs. A segment can therefore be decoded from its beginning without other data.
//! - `id` is the sender, a unit separator (U+001F) and the id as it was sent. Ids without a separator are of versions that
//!   did not record senders.

use origin_data::{Interner, Standing};
use snapshots::event::{BUCKETS, Kind};
use snapshots::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

/// Size of a frame's header in bytes.
pub const HEADER_BYTES: usize = 24;
/// Size of the records, in bytes, at which a frame is full.
pub const FULL_BYTES: usize = 1 << 20;
/// Largest size of the records in bytes: [`FULL_BYTES`] and the largest record.
pub const MAX_BYTES: usize = FULL_BYTES + (64 << 10);
/// Longest text of a record in bytes.
const MAX_TEXT_BYTES: usize = 1 << 10;

/// Separates the sender from the id. No identifier contains a control character.
pub(crate) const SEPARATOR: char = '\u{1f}';

const QUANTITY: u8 = 1 << 3;
const PRICE: u8 = 1 << 4;
const CURRENCY: u8 = 1 << 5;
const PLACEMENT: u8 = 1 << 6;
const REQUEST: u8 = 1 << 7;

/// In place of the kind: the byte `more` follows.
const MORE: u8 = 7;
const STANDING_SHIFT: u8 = 3;
const BUCKET: u8 = 1 << 5;
const ORDER: u8 = 1 << 6;
/// No version uses it.
const RESERVED: u8 = 1 << 7;

/// One event of the log. Absent texts are empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// Time of the event.
    pub at: Timestamp,
    /// Kind of the event.
    pub kind: Kind,
    /// Who sent the event, without control characters; empty if not recorded.
    pub sender: &'a str,
    /// The event's id, by which retries of this sender are deduplicated.
    pub id: &'a str,
    /// The item's id.
    pub item: &'a str,
    /// The area, in lower case.
    pub area: &'a str,
    /// Keyed hash of the visitor's id; 0 if unknown.
    pub visitor: u64,
    /// Keyed hash of the session's id; 0 if unknown.
    pub session: u64,
    /// Quantity, at least 1.
    pub quantity: u32,
    /// Unit price.
    pub price: Option<f64>,
    /// ISO 4217 code of the price.
    pub currency: &'a str,
    /// Placement in which the item was shown.
    pub placement: &'a str,
    /// Request id of the recommendation that led to the event.
    pub request: &'a str,
    /// What the event counts for in learning.
    pub standing: Standing,
    /// Bucket of the sender's address.
    pub bucket: Option<u16>,
    /// Keyed hash of the id of a purchase's order; 0 if unknown.
    pub order: u64,
}

/// Encodes events into a frame.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    records: Vec<u8>,
    span: u32,
    at: i64,
}

impl FrameBuilder {
    /// Adds an event. `names` are those of the segment; new ones are interned.
    pub fn add(&mut self, record: &Record<'_>, names: &mut Interner) {
        let out = &mut self.records;
        let has_more = record.standing != Standing::Confirmed || record.bucket.is_some() || record.order != 0;
        let kind = record.kind as u8;
        let head = if has_more { MORE } else { kind };
        let head = head
            | if record.quantity > 1 { QUANTITY } else { 0 }
            | if record.price.is_some() { PRICE } else { 0 }
            | if record.currency.is_empty() { 0 } else { CURRENCY }
            | if record.placement.is_empty() { 0 } else { PLACEMENT }
            | if record.request.is_empty() { 0 } else { REQUEST };
        out.push(head);
        if has_more {
            out.push(
                kind | (record.standing as u8) << STANDING_SHIFT
                    | if record.bucket.is_some() { BUCKET } else { 0 }
                    | if record.order == 0 { 0 } else { ORDER },
            );
            if let Some(bucket) = record.bucket {
                out.extend_from_slice(&bucket.to_le_bytes());
            }
            if record.order != 0 {
                out.extend_from_slice(&record.order.to_le_bytes());
            }
        }
        let elapsed = record.at.0.wrapping_sub(self.at);
        write_number(((elapsed << 1) ^ (elapsed >> 63)).cast_unsigned(), out);
        self.at = record.at.0;
        write_id(record.sender, record.id, out);
        write_name(record.item, names, out);
        write_name(record.area, names, out);
        out.extend_from_slice(&record.visitor.to_le_bytes());
        out.extend_from_slice(&record.session.to_le_bytes());
        if record.quantity > 1 {
            write_number(u64::from(record.quantity), out);
        }
        if let Some(price) = record.price {
            out.extend_from_slice(&price.to_le_bytes());
        }
        for name in [record.currency, record.placement].into_iter().filter(|name| !name.is_empty()) {
            write_name(name, names, out);
        }
        if !record.request.is_empty() {
            write_text(record.request, out);
        }
        self.span += 1;
    }

    /// Number of events added.
    pub fn span(&self) -> u32 {
        self.span
    }

    /// Whether the frame should be finished.
    pub fn is_full(&self) -> bool {
        self.records.len() >= FULL_BYTES
    }

    /// Appends the frame to `out`, unless it has no events, and starts the next one. `span` is the number of positions
    /// that the frame covers, at least [`Self::span`].
    pub fn finish(&mut self, first: u64, span: u32, out: &mut Vec<u8>) {
        if self.span > 0 {
            let start = out.len();
            out.extend_from_slice(&[0; 8]);
            out.extend_from_slice(&(self.records.len() as u32).to_le_bytes());
            out.extend_from_slice(&span.to_le_bytes());
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&self.records);
            let checksum = xxh3_64(&out[start + 8..]);
            out[start..start + 8].copy_from_slice(&checksum.to_le_bytes());
        }
        self.clear();
    }

    /// Drops the events that were added.
    pub fn clear(&mut self) {
        self.records.clear();
        (self.span, self.at) = (0, 0);
    }
}

/// A complete frame with a valid checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Position of its first event.
    pub first: u64,
    /// Position of the first event after it.
    pub next: u64,
    records: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of `bytes`; `None` if there is no complete and valid one.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let u64_at = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let (checksum, sizes, first) = (u64_at(0)?, u64_at(8)?, u64_at(16)?);
        let (length, span) = (sizes as u32 as usize, sizes >> 32);
        let next = first.checked_add(span)?;
        if length == 0 || length > MAX_BYTES || span == 0 {
            return None;
        }
        let body = bytes.get(8..HEADER_BYTES + length)?;
        (xxh3_64(body) == checksum).then(|| Self { first, next, records: &body[HEADER_BYTES - 8..] })
    }

    /// Number of positions that the frame covers.
    pub fn span(&self) -> u32 {
        // The header has 32 bits for it.
        (self.next - self.first) as u32
    }

    /// Size of the frame in bytes, with its header.
    pub fn size(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// Calls `visit` for each event with the numbers of its item and its area in `names`, the segment's names so far, to
    /// which the frame's new names are added.
    ///
    /// Returns `false` if the records cannot be decoded. As the checksum is valid, another version must have written them.
    pub fn read_records(
        &self,
        names: &mut Vec<Box<str>>,
        mut visit: impl FnMut(&Record<'_>, u32, u32),
    ) -> bool {
        let mut cursor = Cursor { rest: self.records, at: 0 };
        while !cursor.rest.is_empty() {
            if cursor.record(names, &mut visit).is_none() {
                return false;
            }
        }
        true
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
    at: i64,
}

impl<'a> Cursor<'a> {
    fn record(
        &mut self,
        names: &mut Vec<Box<str>>,
        visit: &mut impl FnMut(&Record<'_>, u32, u32),
    ) -> Option<()> {
        let head = self.bytes(1)?[0];
        let (kind, standing, bucket, order) = if head & 7 == MORE {
            self.more()?
        } else {
            (Kind::from_u8(head & 7)?, Standing::Confirmed, None, 0)
        };
        let elapsed = self.number()?;
        self.at = self.at.wrapping_add((elapsed >> 1).cast_signed() ^ -(elapsed & 1).cast_signed());
        let id = self.text()?;
        let (sender, id) = id.split_once(SEPARATOR).unwrap_or(("", id));
        let (item, area) = (self.name(names)?, self.name(names)?);
        let (visitor, session) = (self.u64()?, self.u64()?);
        let quantity = if head & QUANTITY > 0 { u32::try_from(self.number()?).ok()? } else { 1 };
        let price = if head & PRICE > 0 { Some(f64::from_bits(self.u64()?)) } else { None };
        let currency = if head & CURRENCY > 0 { Some(self.name(names)?) } else { None };
        let placement = if head & PLACEMENT > 0 { Some(self.name(names)?) } else { None };
        let request = if head & REQUEST > 0 { self.text()? } else { "" };
        let text = |number: Option<u32>| number.map_or("", |number| &names[number as usize]);
        let record = Record {
            at: Timestamp(self.at),
            kind,
            sender,
            id,
            item: text(Some(item)),
            area: text(Some(area)),
            visitor,
            session,
            quantity,
            price,
            currency: text(currency),
            placement: text(placement),
            request,
            standing,
            bucket,
            order,
        };
        visit(&record, item, area);
        Some(())
    }

    /// The kind and the fields of `more`.
    fn more(&mut self) -> Option<(Kind, Standing, Option<u16>, u64)> {
        let more = self.bytes(1)?[0];
        if more & RESERVED > 0 {
            return None;
        }
        let (kind, standing) = (Kind::from_u8(more & 7)?, Standing::from_u8(more >> STANDING_SHIFT & 3)?);
        let bucket = if more & BUCKET > 0 {
            let bucket = u16::from_le_bytes(self.bytes(2)?.try_into().ok()?);
            Some(Some(bucket).filter(|bucket| *bucket < BUCKETS)?)
        } else {
            None
        };
        let order = if more & ORDER > 0 { self.u64()? } else { 0 };
        Some((kind, standing, bucket, order))
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= MAX_TEXT_BYTES)?;
        str::from_utf8(self.bytes(length)?).ok()
    }

    /// The number of a name; a new name is added to `names`.
    fn name(&mut self, names: &mut Vec<Box<str>>) -> Option<u32> {
        let number = u32::try_from(self.number()?).ok()?;
        match (number as usize).cmp(&names.len()) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => names.push(self.text()?.into()),
            std::cmp::Ordering::Greater => return None,
        }
        Some(number)
    }
}

/// Writes the number of a name, followed by its text if it is new in the segment.
fn write_name(name: &str, names: &mut Interner, out: &mut Vec<u8>) {
    let known = names.len();
    let number = names.intern(name);
    write_number(u64::from(number), out);
    if number as usize == known {
        write_text(name, out);
    }
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn write_id(sender: &str, id: &str, out: &mut Vec<u8>) {
    let length = sender.len() + 1 + id.len();
    if sender.is_empty() || length > MAX_TEXT_BYTES {
        return write_text(id, out);
    }
    write_number(length as u64, out);
    out.extend_from_slice(sender.as_bytes());
    out.push(SEPARATOR as u8);
    out.extend_from_slice(id.as_bytes());
}

/// Texts longer than [`MAX_TEXT_BYTES`] are truncated. Validation rejects such events before they get here.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let fits = (0..=text.len().min(MAX_TEXT_BYTES)).rev().find(|at| text.is_char_boundary(*at));
    let text = &text[..fits.unwrap_or_default()];
    write_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
