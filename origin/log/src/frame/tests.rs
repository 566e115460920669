use super::*;
use proptest::prelude::*;

/// An event that owns its texts.
#[derive(Clone, Debug)]
struct OwnedRecord {
    texts: [String; 7],
    numbers: (i64, u64, u64),
    more: (u8, Option<u16>, u64),
    kind: u8,
    quantity: u32,
    price: Option<f64>,
}

impl OwnedRecord {
    fn record(&self) -> Record<'_> {
        let [sender, id, item, area, currency, placement, request] =
            self.texts.each_ref().map(String::as_str);
        let (at, visitor, session) = self.numbers;
        let kind = Kind::from_u8(self.kind).unwrap();
        let (quantity, price) = (self.quantity, self.price);
        let at = Timestamp(at);
        let (standing, bucket, order) = self.more;
        let standing = Standing::from_u8(standing).unwrap();
        Record {
            at,
            kind,
            sender,
            id,
            item,
            area,
            visitor,
            session,
            quantity,
            price,
            currency,
            placement,
            request,
            standing,
            bucket,
            order,
        }
    }
}

fn events() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let texts =
        ["|e|k[0-9]{8}", "[a-z]{0,3}", "[a-c]{1,2}", "[a-b]{0,1}", "[A-B]{0,1}", "[c-d]{0,2}", "\\PC{0,9}"];
    let more = (0u8..3, proptest::option::of(0..BUCKETS), prop_oneof![Just(0), any::<u64>()]);
    let one = (texts, any::<(i64, u64, u64)>(), 0u8..5, 1u32.., proptest::option::of(0.0..1e9), more)
        .prop_map(|(texts, numbers, kind, quantity, price, more)| OwnedRecord {
            texts,
            numbers,
            more,
            kind,
            quantity,
            price,
        });
    proptest::collection::vec(one, 1..20)
}

fn read(bytes: &[u8], names: &mut Vec<Box<str>>) -> Option<(u64, u64, Vec<String>)> {
    let frame = Frame::read(bytes)?;
    let mut found = Vec::new();
    let valid = frame.read_records(names, |record, _, _| found.push(format!("{record:?}")));
    valid.then_some((frame.first, frame.next, found))
}

fn write(events: &[OwnedRecord], first: u64, names: &mut Interner) -> Vec<u8> {
    let (mut builder, mut out) = (FrameBuilder::default(), Vec::new());
    events.iter().for_each(|event| builder.add(&event.record(), names));
    builder.finish(first, builder.span(), &mut out);
    out
}

/// A frame around these records.
fn framed(records: &[u8]) -> Vec<u8> {
    let sizes =
        [&(records.len() as u32).to_le_bytes()[..], &1u32.to_le_bytes(), &7u64.to_le_bytes()].concat();
    let body = [&sizes, records].concat();
    [&xxh3_64(&body).to_le_bytes()[..], &body].concat()
}

/// A purchase as versions wrote it that did not record standings: at 2, id `k1\u{1f}a`, item `x`, no area.
const OLD: [u8; 28] = [
    4, 4, 4, b'k', b'1', 0x1f, b'a', 0, 1, b'x', 1,
    0, // names are followed by their text where they are new
    9, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0,
];

#[test]
fn records_of_earlier_versions_are_confirmed() {
    let mut found = Vec::new();
    let bytes = framed(&OLD);
    let frame = Frame::read(&bytes).unwrap();
    assert!(frame.read_records(&mut Vec::new(), |record, _, _| {
        found.push((
            record.kind,
            record.sender.to_owned(),
            record.visitor,
            record.standing,
            record.bucket,
            record.order,
        ));
    }));
    assert_eq!(found, [(Kind::Purchase, "k1".to_owned(), 9, Standing::Confirmed, None, 0)]);
}

#[test]
fn records_of_later_versions_are_not_misread() {
    // A kind, a standing, a bucket and a bit that no version uses.
    for more in [&[5][..], &[1 | 3 << 3], &[1 | BUCKET, 0, 16], &[1 | RESERVED]] {
        let bytes = framed(&[&[MORE], more, &OLD[1..]].concat());
        assert!(!Frame::read(&bytes).unwrap().read_records(&mut Vec::new(), |_, _, _| {}), "{more:?}");
    }
}

proptest! {
    #[test]
    fn written_events_round_trip(one in events(), two in events(), first in 0..u64::MAX / 2) {
        let (mut written, mut names) = (Interner::default(), Vec::new());
        for events in [&one, &two] {
            let bytes = write(events, first, &mut written);
            let expected: Vec<_> = events.iter().map(|event| format!("{:?}", event.record())).collect();
            let next = first + events.len() as u64;
            prop_assert_eq!(read(&bytes, &mut names), Some((first, next, expected)));
        }
        prop_assert_eq!(names.len(), written.len());
    }

    #[test]
    fn flipped_bits_and_missing_ends_are_detected(events in events(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let bytes = write(&events, 7, &mut Interner::default());
        let at = at.index(bytes.len());
        prop_assert_eq!(Frame::read(&bytes[..at]), None);
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        prop_assert!(Frame::read(&flipped).is_none());
    }

    #[test]
    fn records_with_a_changed_byte_decode_or_are_rejected(events in events(), at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = write(&events, 7, &mut Interner::default());
        let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
        bytes[at] = to;
        let checksum = xxh3_64(&bytes[8..]);
        bytes[..8].copy_from_slice(&checksum.to_le_bytes());
        let mut names = Vec::new();
        if let Some((first, next, records)) = read(&bytes, &mut names) {
            prop_assert_eq!((first, next), (7, 7 + events.len() as u64));
            prop_assert!(names.len() <= 4 * records.len());
        }
    }

    #[test]
    fn arbitrary_records_decode_or_are_rejected(records in proptest::collection::vec(any::<u8>(), 1..300), span in 1u32..) {
        let mut builder = FrameBuilder { records, span, at: 0 };
        let mut bytes = Vec::new();
        builder.finish(0, span, &mut bytes);
        let _ = read(&bytes, &mut Vec::new());
        let _ = read(&bytes[8..], &mut Vec::new());
    }
}
