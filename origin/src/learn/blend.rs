//! Putting tables together: what visitors do, what vectors learnt from it, and what the items are.

use super::{Table, prune, rows};

/// Row by row `behaviour · n/(n + few) + content · few/(n + few)`, each scaled to a sum of 1, `n` the training events of
/// the item: content leads while little is known. Where one of them has no row, the other is all there is.
pub fn by_evidence(behaviour: &Table, content: &Table, events: &[u32], few: f32, k: usize) -> Table {
    let sum = |row: &[(u32, f32)]| row.iter().map(|entry| entry.1).sum::<f32>();
    rows(events.len(), |item, sums| {
        let item = item as usize;
        let (learnt, alike) = (&behaviour[item], &content[item]);
        let trust = match (learnt.is_empty(), alike.is_empty()) {
            (true, _) => 0.0,
            (_, true) => 1.0,
            _ => events[item] as f32 / (events[item] as f32 + few),
        };
        for (row, share) in [(learnt, trust), (alike, 1.0 - trust)] {
            let scale = share / sum(row).max(f32::MIN_POSITIVE);
            row.iter().for_each(|(neighbour, weight)| sums.add(*neighbour, scale * weight));
        }
        prune(sums.drain(|_, weight| weight), k)
    })
}

/// `table + share · (mean row sum of table) · knn`, the best `k` of each row kept.
pub fn fold(table: &Table, knn: &Table, share: f32, k: usize) -> Table {
    let sum = |row: &[(u32, f32)]| row.iter().map(|entry| f64::from(entry.1)).sum::<f64>();
    let filled = table.iter().filter(|row| !row.is_empty()).count();
    let mean = table.iter().map(|row| sum(row)).sum::<f64>() / filled.max(1) as f64;
    // Without any co-view, similarity is all there is.
    let scale = share * if mean > 0.0 { mean as f32 } else { 1.0 };
    rows(table.len(), |item, sums| {
        let item = item as usize;
        table[item].iter().for_each(|(neighbour, weight)| sums.add(*neighbour, *weight));
        knn[item].iter().for_each(|(neighbour, weight)| sums.add(*neighbour, scale * weight));
        prune(sums.drain(|_, sum| sum), k)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_leads_where_there_are_few_events() {
        let behaviour = vec![vec![(1, 2.0)], vec![(2, 3.0)], vec![]];
        let content = vec![vec![(2, 0.5)], vec![(0, 0.5)], vec![(0, 0.2)]];
        let blended = by_evidence(&behaviour, &content, &[1, 15, 0], 5.0, 9);
        assert_eq!(blended[1], [(2, 0.75), (0, 0.25)]);
        assert_eq!(blended[0][0].0, 2);
        assert_eq!(blended[2], [(0, 1.0)]);
    }

    #[test]
    fn folding_weighs_by_the_mean_row() {
        let (table, knn) = (vec![vec![(1, 3.0)], vec![(0, 1.0)], vec![]], vec![vec![(2, 1.0)]; 3]);
        // The mean of the two rows there are is 2.
        assert_eq!(fold(&table, &knn, 0.5, 1), [vec![(1, 3.0)], vec![(0, 1.0)], vec![(2, 1.0)]]);
        assert_eq!(fold(&table, &knn, 0.75, 2)[1], [(2, 1.5), (0, 1.0)]);
    }
}
