//! The order of the dictionary: items of one neighbourhood next to each other, so that the indices of a row are close, pack
//! into few bits and keep the scorer's memory accesses local.
//!
//! Recursive graph bisection (Dhulipala, Kabiljo, Karrer, Ottaviano, Pupyrev and Shalita, "Compressing Graphs and
//! Indexes with Recursive Graph Bisection", KDD 2016): the items are bisected recursively, and at each bisection pairs of
//! items are swapped as long as that lowers `Σ deg·log2(n / (deg + 1))`, an estimate of the gaps' size in bits, summed over
//! the rows and both halves. Time is about `edges · log2 n · rounds`, memory 12 bytes per edge.

use crate::Table;

/// Size up to which a part is not bisected.
const LEAF: usize = 16;
/// Most rounds of swaps per bisection; most converge earlier.
const ROUNDS: usize = 12;

/// For each item, the rows that have it as a neighbour, and its own.
struct RowGraph {
    starts: Vec<usize>,
    rows: Vec<u32>,
}

impl RowGraph {
    fn new(tables: &[&Table], items: usize) -> Self {
        let edges = || {
            let named = |table: &&'_ Table| {
                (0u32..)
                    .zip(table.iter())
                    .flat_map(|(row, entries)| entries.iter().map(move |entry| (entry.0, row)))
                    .collect::<Vec<_>>()
            };
            (0..items as u32).map(|item| (item, item)).chain(tables.iter().flat_map(named))
        };
        let mut starts = vec![0usize; items + 1];
        for (item, _) in edges() {
            starts[item as usize + 1] += 1;
        }
        for item in 0..items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut rows = vec![0u32; starts[items]];
        for (item, row) in edges() {
            rows[next[item as usize]] = row;
            next[item as usize] += 1;
        }
        Self { starts, rows }
    }

    fn rows(&self, item: u32) -> &[u32] {
        &self.rows[self.starts[item as usize]..self.starts[item as usize + 1]]
    }
}

/// For each row, its numbers of neighbours in the left and the right half.
struct Degrees {
    sides: Vec<[u32; 2]>,
    /// log2 of small integers.
    logs: Vec<f32>,
}

impl Degrees {
    fn log(&self, number: u32) -> f32 {
        self.logs.get(number as usize).copied().unwrap_or_else(|| (number as f32).log2())
    }

    /// Estimated size of a row's gaps with `left` and `right` neighbours in halves of log2 size `size`.
    fn cost(&self, [left, right]: [u32; 2], size: [f32; 2]) -> f32 {
        left as f32 * (size[0] - self.log(left + 1)) + right as f32 * (size[1] - self.log(right + 1))
    }
}

/// Size of the first tier.
const FIRST_TIER: u32 = 1 << 14;

/// Moves the most popular items to the front, in tiers that each end at four times the rank of the previous one, and keeps the
/// order within a tier, so that most requests read the first shards of a table only. `order` holds popularity ranks.
pub fn tiers(order: &mut [u32]) {
    order.sort_by_key(|rank| (rank / FIRST_TIER).checked_ilog2().map_or(0, |log| log / 2 + 1));
}

/// The clustered order: place → item. All `tables` use the same index.
pub fn cluster(tables: &[&Table], items: usize) -> Vec<u32> {
    let graph = RowGraph::new(tables, items);
    let mut order = depth_first(tables, items);
    let logs = (0..4_096).map(|number| (number as f32).log2()).collect();
    let mut degrees = Degrees { sides: vec![[0; 2]; items], logs };
    let mut gains = vec![0f32; items];
    bisect(&graph, &mut order, &mut degrees, &mut gains);
    order
}

/// The initial order: depth first, each item soon after one that has it as a neighbour.
fn depth_first(tables: &[&Table], items: usize) -> Vec<u32> {
    let mut order = Vec::with_capacity(items);
    let mut seen = vec![false; items];
    let mut stack = Vec::new();
    for start in 0..items as u32 {
        stack.push(start);
        while let Some(item) = stack.pop() {
            if std::mem::replace(&mut seen[item as usize], true) {
                continue;
            }
            order.push(item);
            for table in tables {
                let row = table[item as usize].iter().take(LEAF).rev();
                stack.extend(row.map(|entry| entry.0).filter(|next| !seen[*next as usize]));
            }
        }
    }
    order
}

fn bisect(graph: &RowGraph, part: &mut [u32], degrees: &mut Degrees, gains: &mut [f32]) {
    if part.len() <= LEAF {
        return;
    }
    let half = part.len() / 2;
    for item in &*part {
        for row in graph.rows(*item) {
            degrees.sides[*row as usize] = [0; 2];
        }
    }
    for (place, item) in part.iter().enumerate() {
        for row in graph.rows(*item) {
            degrees.sides[*row as usize][usize::from(place >= half)] += 1;
        }
    }
    let (left, right) = part.split_at_mut(half);
    for _ in 0..ROUNDS {
        if swap_sides(graph, left, right, degrees, gains) == 0 {
            break;
        }
    }
    bisect(graph, left, degrees, gains);
    bisect(graph, right, degrees, gains);
}

/// One round; returns the number of pairs swapped.
fn swap_sides(
    graph: &RowGraph,
    left: &mut [u32],
    right: &mut [u32],
    degrees: &mut Degrees,
    gains: &mut [f32],
) -> usize {
    let size = [(left.len() as f32).log2(), (right.len() as f32).log2()];
    for (side, items) in [(0, &*left), (1, &*right)] {
        for item in items {
            let gain = |row: &u32| {
                let now = degrees.sides[*row as usize];
                let mut then = now;
                then[side] -= 1;
                then[1 - side] += 1;
                degrees.cost(now, size) - degrees.cost(then, size)
            };
            gains[*item as usize] = graph.rows(*item).iter().map(gain).sum();
        }
    }
    // Sorts places, not items, so that items that stay keep the order of earlier bisections.
    let by_gain = |items: &[u32]| {
        let mut places: Vec<u32> = (0..items.len() as u32).collect();
        let gain = |place: &u32| gains[items[*place as usize] as usize];
        places.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
        places
    };
    let mut swapped = 0;
    for (a, b) in by_gain(left).into_iter().zip(by_gain(right)) {
        let (a, b) = (&mut left[a as usize], &mut right[b as usize]);
        if gains[*a as usize] + gains[*b as usize] <= 0.0 {
            break;
        }
        for (item, from) in [(*a, 0), (*b, 1)] {
            for row in graph.rows(item) {
                degrees.sides[*row as usize][from] -= 1;
                degrees.sides[*row as usize][1 - from] += 1;
            }
        }
        std::mem::swap(a, b);
        swapped += 1;
    }
    swapped
}

/// The inverse of an order: item → place.
pub fn places(order: &[u32]) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    for (place, item) in (0u32..).zip(order) {
        places[*item as usize] = place;
    }
    places
}

/// Renumbers the rows and neighbours of a table: `place[old] = new`.
pub fn renumber(table: Table, place: &[u32]) -> Table {
    let mut renumbered = vec![Vec::new(); table.len()];
    for (row, mut entries) in table.into_iter().enumerate() {
        entries.iter_mut().for_each(|entry| entry.0 = place[entry.0 as usize]);
        renumbered[place[row] as usize] = entries;
    }
    renumbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbourhoods_are_contiguous() {
        // Eight groups of 32: item i is in group i mod 8 and has its whole group as neighbours.
        let table: Table =
            (0..256u32).map(|item| (1..32).map(|step| ((item + step * 8) % 256, 1.0)).collect()).collect();
        let order = cluster(&[&table], 256);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..256).collect::<Vec<_>>(), "every item once");
        let changes = order.windows(2).filter(|pair| pair[0] % 8 != pair[1] % 8).count();
        assert_eq!(changes, 7, "each group is contiguous");
    }

    #[test]
    fn renumbering_keeps_the_relation() {
        let table: Table = vec![vec![(1, 0.5)], vec![(2, 0.25)], vec![]];
        assert_eq!(renumber(table, &[2, 0, 1]), [vec![(1, 0.25)], vec![], vec![(0, 0.5)]]);
    }
}
