use super::*;
use origin_data::Standing;
use proptest::prelude::*;
use snapshots::event::{Event, Kind, Trust};
use snapshots::time::Timestamp;
use std::io::{Seek, SeekFrom, Write};
use std::iter::once;

fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        visitor: Some(format!("visitor-{}", id.len() % 3)),
        region: Some("GB".to_owned()),
        ..Event::new(Kind::View, format!("item-{}", id.len()), Timestamp(1_000 * id.len() as i64))
    }
}

/// Options for many small segments.
fn small_segments() -> LogOptions {
    LogOptions { segment: 400, ids: 1_000, fsync: Fsync::Os, ..LogOptions::default() }
}

fn open(dir: &Path, options: LogOptions) -> Writer {
    Writer::open(dir, [7; 32], options).unwrap()
}

/// Writes one group per range; each event's id is its number.
fn write(writer: &mut Writer, groups: impl IntoIterator<Item = std::ops::Range<u32>>) {
    for group in groups {
        group.for_each(|number| assert!(writer.add(&event(&number.to_string()))));
        writer.commit().unwrap();
    }
}

fn ids(dir: &Path, position: u64) -> Vec<String> {
    let (mut reader, mut ids) = (Reader::new(dir, position), Vec::new());
    reader.read(|record, _| ids.push(record.id.to_owned())).unwrap();
    ids
}

fn numbers(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[test]
fn reads_across_segments_from_any_position() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), small_segments());
    write(&mut writer, (0..30).map(|group| group * 4..group * 4 + 4));
    assert!(segments(dir.path()).unwrap().len() > 5);
    assert_eq!(ids(dir.path(), 0), numbers(0..120));
    for group in 0..30 {
        assert_eq!(ids(dir.path(), u64::from(group) * 4), numbers(group * 4..120));
    }
    drop(writer);
    let mut writer = open(dir.path(), small_segments());
    assert_eq!((writer.position(), writer.truncated_tail()), (120, None));
    assert!(!writer.add(&event("7")), "stored already");
    write(&mut writer, once(120..130));
    assert_eq!(ids(dir.path(), 0), numbers(0..130));
}

#[test]
fn a_reader_follows_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, mut reader) = (open(dir.path(), small_segments()), Reader::new(dir.path(), 0));
    let mut seen = Vec::new();
    for round in 0..20 {
        write(&mut writer, [round * 10..round * 10 + 7, round * 10 + 7..round * 10 + 10]);
        reader.read(|record, _| seen.push(record.id.to_owned())).unwrap();
        assert_eq!(seen, numbers(0..round * 10 + 10));
    }
    assert_eq!(reader.position(), 200);
}

#[test]
fn a_line_of_an_order_counts_once_and_is_confirmed_once() {
    let dir = tempfile::tempdir().unwrap();
    let key = Sender::of_key("602c94bf");
    let line = |trust| Event {
        kind: Kind::Purchase,
        order: Some("T-9".to_owned()),
        trust: Some(trust),
        bucket: (trust != Trust::Keyed).then_some(7),
        ..event("order-1")
    };
    let add = |writer: &mut Writer, event: &Event| {
        let standing = writer.add_from(&key, event);
        writer.commit().unwrap();
        standing
    };
    let mut writer = open(dir.path(), small_segments());
    assert_eq!(add(&mut writer, &line(Trust::Public)), Some(Standing::Unconfirmed));
    assert_eq!(add(&mut writer, &line(Trust::Public)), None);
    drop(writer);
    // What was said is known after a restart.
    let mut writer = open(dir.path(), small_segments());
    // An attempt that is rolled back leaves nothing behind.
    writer.failure = Some("a full disk".to_owned());
    assert_eq!(writer.add_from(&key, &line(Trust::Order)), Some(Standing::Confirming));
    writer.commit().unwrap_err();
    writer.failure = None;
    assert_eq!(add(&mut writer, &line(Trust::Order)), Some(Standing::Confirming));
    drop(writer);
    let mut writer = open(dir.path(), small_segments());
    for trust in [Trust::Public, Trust::Order, Trust::Keyed] {
        assert_eq!(add(&mut writer, &line(trust)), None, "{trust:?}");
    }
    assert!(!writer.add(&line(Trust::Keyed)), "an import of the same order");
    let replayed = Event { id: "other".to_owned(), visitor: None, ..line(Trust::Order) };
    assert_eq!(add(&mut writer, &replayed), None);
    let (mut reader, mut read) = (Reader::new(dir.path(), 0), Vec::new());
    reader
        .read(|record, _| {
            read.push((record.sender.to_owned(), record.standing, record.bucket, record.order != 0))
        })
        .unwrap();
    let found = |sender: &str, standing| (sender.to_owned(), standing, Some(7), true);
    assert_eq!(read, [found("e602c94bf", Standing::Unconfirmed), found("t602c94bf", Standing::Confirming)]);
}

#[test]
fn names_are_numbered_per_segment() {
    let dir = tempfile::tempdir().unwrap();
    write(&mut open(dir.path(), small_segments()), (0..60).map(|one| one..one + 1));
    let mut names = std::collections::HashMap::new();
    Reader::new(dir.path(), 0)
        .read(|record, LocalNames { segment, item, area }| {
            assert_eq!(*names.entry((segment, item)).or_insert(record.item.to_owned()), record.item);
            assert_eq!(*names.entry((segment, area)).or_insert(record.area.to_owned()), "gb");
        })
        .unwrap();
    assert!(names.len() > segments(dir.path()).unwrap().len());
}

#[test]
fn an_incomplete_group_is_truncated_reported_and_may_be_sent_again() {
    let whole = {
        let dir = tempfile::tempdir().unwrap();
        write(&mut open(dir.path(), LogOptions::default()), [0..5, 5..9]);
        fs::read(segment_path(dir.path(), 0)).unwrap()
    };
    let first = frame::Frame::read(&whole).unwrap().size();
    for length in first..=whole.len() + 3 {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        bytes.resize(length, 0);
        fs::write(segment_path(dir.path(), 0), &bytes).unwrap();
        let kept = if length < whole.len() { 5 } else { 9 };
        assert_eq!(ids(dir.path(), 0), numbers(0..kept), "before truncation, at {length}");
        let mut writer = open(dir.path(), LogOptions::default());
        let valid = if kept == 5 { first } else { whole.len() };
        assert_eq!(writer.truncated_tail().map_or(0, |tail| tail.bytes), (length - valid) as u64);
        assert_eq!(writer.position(), u64::from(kept));
        write(&mut writer, once(kept..12));
        assert_eq!(ids(dir.path(), 0), numbers(0..12));
    }
}

#[test]
fn damage_before_the_end_is_an_error_with_segment_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    write(&mut open(dir.path(), small_segments()), (0..30).map(|group| group * 4..group * 4 + 4));
    let all = segments(dir.path()).unwrap();
    for segment in [&all[1], all.last().unwrap()] {
        let whole = fs::read(&segment.path).unwrap();
        let first = frame::Frame::read(&whole).unwrap().size() as u64;
        if first as usize == whole.len() {
            continue;
        }
        let mut file = fs::OpenOptions::new().write(true).open(&segment.path).unwrap();
        file.seek(SeekFrom::Start(30)).unwrap();
        file.write_all(b"?").unwrap();
        let error = format!("{:#}", Reader::new(dir.path(), 0).read(|_, _| {}).unwrap_err());
        let name = segment.path.file_name().unwrap().to_str().unwrap();
        assert!(error.contains(name) && error.contains("byte 0"), "{error}");
        assert!(Writer::open(dir.path(), [7; 32], small_segments()).is_err());
        fs::write(&segment.path, &whole).unwrap();
    }
}

#[test]
fn a_second_writer_is_refused_with_the_process_id_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let writer = open(dir.path(), small_segments());
    let error = Writer::open(dir.path(), [7; 32], small_segments()).unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(writer);
    open(dir.path(), small_segments());
}

#[test]
fn rewriting_removes_events_and_keeps_positions() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), small_segments());
    write(&mut writer, (0..30).map(|group| group * 4..group * 4 + 4));
    let visitor = visitor_hash(&[7; 32], "visitor-2");
    let closed = writer.rotate().unwrap();
    let removed: u64 =
        closed.iter().map(|segment| rewrite(segment, |record| record.visitor != visitor).unwrap()).sum();
    // The visitor of an event follows from the length of its id: these are the ids 10 to 99.
    assert_eq!(removed, 90);
    let left = [numbers(0..10), numbers(100..120)].concat();
    assert_eq!(ids(dir.path(), 0), left);
    assert_eq!(ids(dir.path(), 50), left[10..]);
    write(&mut writer, once(120..125));
    assert_eq!(ids(dir.path(), 120), numbers(120..125));
    drop(writer);
    let mut writer = open(dir.path(), small_segments());
    assert_eq!(writer.position(), 125);
    for segment in writer.rotate().unwrap() {
        rewrite(&segment, |_| false).unwrap();
    }
    drop(writer);
    assert_eq!(open(dir.path(), small_segments()).position(), 125, "an emptied log does not reuse positions");
    assert_eq!(ids(dir.path(), 0), numbers(0..0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn arbitrary_bytes_read_as_an_incomplete_group(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(segment_path(dir.path(), 0), &bytes).unwrap();
        Reader::new(dir.path(), 0).read(|_, _| {}).unwrap();
        let mut writer = open(dir.path(), small_segments());
        write(&mut writer, once(0..3));
        prop_assert_eq!(ids(dir.path(), 0), numbers(0..3));
    }
}
