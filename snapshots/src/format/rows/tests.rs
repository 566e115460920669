use super::*;
use proptest::prelude::*;

type Row = Vec<(u32, f32)>;

fn read(table: &Rows, item: u32) -> Row {
    let mut row = Vec::new();
    table.for_each(item, |neighbour, weight| row.push((neighbour, weight)));
    row
}

fn row(items: u32) -> impl Strategy<Value = Row> {
    // proptest's sampler of f32 ranges fails an assertion of its own now and then.
    let weight = (1u32..500_000).prop_map(|weight| weight as f32 / 1e4);
    proptest::collection::btree_map(0..items, weight, 0..60).prop_map(|row| row.into_iter().collect())
}

/// Whether a weight is within the error of the encoding: half a step of the row's scale, and one level.
fn is_near(read: f32, written: f32, most: f32, levels: usize) -> bool {
    let scale = 2f32.powf(0.5 / SCALE_STEPS) * 1.000_01;
    let root = |weight: f32| (weight / most).sqrt();
    (root(read / scale) - root(written)).min(root(written) - root(read * scale)) <= 1.0 / levels as f32
        && (root(read) - root(written)).abs() <= 1.1 / levels as f32 + 0.01
}

proptest! {
    #[test]
    fn ids_are_exact_and_weights_within_a_level(
        rows in proptest::collection::vec(row(1 << 24), 0..80), first in 0u32..1_000_000, levels in 1usize..=32,
    ) {
        let table = Rows::open(COVIEW, &write_shard(&rows, first, levels).into()).unwrap();
        prop_assert_eq!((table.len(), table.first()), (rows.len(), first));
        prop_assert_eq!(table.neighbours(), rows.iter().map(Vec::len).sum::<usize>());
        for (item, row) in (first..).zip(&rows) {
            let read = read(&table, item);
            prop_assert_eq!(read.iter().map(|entry| entry.0).collect::<Vec<_>>(), row.iter().map(|entry| entry.0).collect::<Vec<_>>());
            let most = row.iter().map(|entry| entry.1).fold(0.0, f32::max);
            for (read, written) in read.iter().zip(row) {
                prop_assert!(is_near(read.1, written.1, most, levels), "{read:?} {written:?} of {most}");
            }
        }
        prop_assert!(read(&table, first + rows.len() as u32).is_empty());
        prop_assert!(first == 0 || read(&table, first - 1).is_empty());
    }

    #[test]
    fn any_bytes_open_or_give_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200), item in 0u32..9) {
        if let Ok(rows) = Rows::open(KNN, &bytes.into()) {
            rows.for_each(item, |_, _| {});
        }
    }

    #[test]
    fn a_flipped_bit_gives_an_error_or_bounded_rows(
        rows in proptest::collection::vec(row(5_000), 1..40), at in any::<usize>(), bit in 0u8..8,
    ) {
        let mut bytes = write(&rows);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(table) = Rows::open(KNN, &bytes.into()) {
            for item in 0..rows.len() as u32 + 1 {
                let row = read(&table, item);
                prop_assert!(row.len() <= MAX_ROW);
                prop_assert!(row.iter().all(|entry| (0.0..=1e9).contains(&entry.1)));
                prop_assert!(row.is_sorted_by(|a, b| a.0 < b.0));
            }
        }
    }
}

#[test]
fn full_rows_of_the_largest_ids_keep_their_offsets() {
    let row: Row = (0..255).map(|place| (place * 65_793, 1.0 + place as f32)).collect();
    let rows = vec![row; 70];
    let table = Rows::open(COVIEW, &write(&rows).into()).unwrap();
    for item in 0..70 {
        assert_eq!(read(&table, item).len(), 255);
        assert_eq!(read(&table, item)[254].0, 254 * 65_793);
    }
}

#[test]
fn invalid_neighbours_are_dropped() {
    let odd =
        vec![(3, f32::NAN), (1, -1.0), (2, 0.0), (1 << 24, 1.0), (5, f32::INFINITY), (4, 2.0), (4, 1.0)];
    let table = Rows::open(COVIEW, &write(&[odd]).into()).unwrap();
    assert_eq!(read(&table, 0), [(4, 2.0)]);
    let long: Row = (0..300).map(|item| (item, item as f32 + 1.0)).collect();
    let table = Rows::open(COVIEW, &write(&[long]).into()).unwrap();
    assert_eq!(
        read(&table, 0).iter().map(|entry| entry.0).collect::<Vec<_>>(),
        (45..300).collect::<Vec<_>>()
    );
}

#[test]
fn codes_are_prefix_free_and_bounded() {
    // Fibonacci counts make the longest codes there are.
    let mut counts = vec![1u64, 1];
    while counts.len() < MAX_LEVELS {
        counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
    }
    let rows: Vec<Row> = vec![(0..255).map(|item| (item, (item as f32 / 16.0).exp2())).collect()];
    let table = Rows::open(COVIEW, &write_shard(&rows, 0, MAX_LEVELS).into()).unwrap();
    assert_eq!(read(&table, 0).len(), 255);
    assert_eq!(canonical(&[1, 1, 1]), None, "no three codes of one bit");
    assert_eq!(canonical(&[1, 2, 2]), Some(vec![0b0, 0b01, 0b11]));
    assert_eq!(canonical(&[9]), None);
}

#[test]
fn shards_equal_the_whole_table_and_rows_not_loaded_are_empty() {
    let rows: Vec<Row> = (0..500u32)
        .map(|item| (0..20).map(|step| ((item * 7 + step * 11) % 5_000, 1.0 + step as f32)).collect())
        .collect();
    let shards: Vec<Bytes> = write_shards(&rows, 1_500).into_iter().map(Bytes::from).collect();
    assert!(shards.len() > 5 && shards.iter().all(|shard| shard.len() <= 1_500), "{}", shards.len());
    let ids = |table: &Table, item| {
        let mut ids = Vec::new();
        table.for_each(item, |neighbour, _| ids.push(neighbour));
        ids
    };
    let whole = Table::open(COVIEW, [Bytes::from(write(&rows))].iter()).unwrap();
    let cut = Table::open(COVIEW, shards.iter().rev()).unwrap();
    assert_eq!((cut.neighbours(), cut.end()), (whole.neighbours(), 500));
    let partly = Table::open(COVIEW, shards.iter().skip(1)).unwrap();
    let missing = Rows::open(COVIEW, &shards[0]).unwrap().end();
    for item in 0..501 {
        assert_eq!(ids(&cut, item), ids(&whole, item));
        assert_eq!(ids(&partly, item), if item < missing { vec![] } else { ids(&whole, item) });
    }
    assert!(Table::open(COVIEW, shards.iter().chain(&shards)).is_err(), "twice the same rows");
}

#[test]
fn scales_are_powers_of_two() {
    for step in 0..1 << 12 {
        let expected = (-f64::from(step) / f64::from(SCALE_STEPS)).exp2();
        let error = (f64::from(row_scale(step)) - expected).abs() / expected;
        assert!(error <= f64::from(f32::EPSILON) / 2.0, "{step}: {error}");
    }
}
