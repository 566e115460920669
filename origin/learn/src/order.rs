//! The order of the dictionary: items of one neighbourhood beside each other, so that a row's indices lie close
//! and pack into few bits, and the scorer's memory accesses with them.
//!
//! Recursive graph bisection (Dhulipala, Kabiljo, Karrer, Ottaviano, Pupyrev and Shalita, "Compressing Graphs and
//! Indexes with Recursive Graph Bisection", KDD 2016): the items are halved again and again, and at each halving
//! pairs of items change sides as long as that lowers `Σ deg·log2(n / (deg + 1))`, an estimate of what the gaps
//! cost, summed over the rows and both sides. Time is about `edges · log2 n · rounds`, memory 12 bytes an edge.

use crate::Table;

/// Parts of so few items are left as they are.
const LEAF: usize = 16;
/// Rounds of changing sides at each halving; most settle earlier.
const ROUNDS: usize = 12;

/// The rows that name each item, and its own: what wants it near.
struct Graph {
    starts: Vec<usize>,
    rows: Vec<u32>,
}

impl Graph {
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

/// How many items of the left and the right half each row names.
struct Degrees {
    sides: Vec<[u32; 2]>,
    /// log2 of small numbers.
    logs: Vec<f32>,
}

impl Degrees {
    fn log(&self, number: u32) -> f32 {
        self.logs.get(number as usize).copied().unwrap_or_else(|| (number as f32).log2())
    }

    /// What one row's gaps cost with so many items in halves of `size` items.
    fn cost(&self, [left, right]: [u32; 2], size: [f32; 2]) -> f32 {
        left as f32 * (size[0] - self.log(left + 1)) + right as f32 * (size[1] - self.log(right + 1))
    }
}

/// Items of the first tier.
const FIRST_TIER: u32 = 1 << 14;

/// Brings the most wanted items to the front, in tiers of which each ends at four times the rank of the one before,
/// and keeps the order within a tier: most requests then read the first shards of a table. `order` holds items by
/// rank of popularity.
pub fn tiers(order: &mut [u32]) {
    order.sort_by_key(|rank| (rank / FIRST_TIER).checked_ilog2().map_or(0, |log| log / 2 + 1));
}

/// The items in the order that packs well: place → item. `tables` count items by the same index.
pub fn cluster(tables: &[&Table], items: usize) -> Vec<u32> {
    let graph = Graph::new(tables, items);
    let mut order = walk(tables, items);
    let logs = (0..4_096).map(|number| (number as f32).log2()).collect();
    let mut degrees = Degrees { sides: vec![[0; 2]; items], logs };
    let mut gains = vec![0f32; items];
    bisect(&graph, &mut order, &mut degrees, &mut gains);
    order
}

/// All items, each soon after one whose row names it: a start from which the halving finds its way.
fn walk(tables: &[&Table], items: usize) -> Vec<u32> {
    let mut order = Vec::with_capacity(items);
    let mut seen = vec![false; items];
    let mut ahead = Vec::new();
    for start in 0..items as u32 {
        ahead.push(start);
        while let Some(item) = ahead.pop() {
            if std::mem::replace(&mut seen[item as usize], true) {
                continue;
            }
            order.push(item);
            for table in tables {
                let row = table[item as usize].iter().take(LEAF).rev();
                ahead.extend(row.map(|entry| entry.0).filter(|next| !seen[*next as usize]));
            }
        }
    }
    order
}

fn bisect(graph: &Graph, part: &mut [u32], degrees: &mut Degrees, gains: &mut [f32]) {
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
        if change_sides(graph, left, right, degrees, gains) == 0 {
            break;
        }
    }
    bisect(graph, left, degrees, gains);
    bisect(graph, right, degrees, gains);
}

/// One round; returns how many pairs changed sides.
fn change_sides(
    graph: &Graph,
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
    // Places, not the items themselves: who stays keeps its place, and with it what earlier halvings arranged.
    let eager = |items: &[u32]| {
        let mut places: Vec<u32> = (0..items.len() as u32).collect();
        let gain = |place: &u32| gains[items[*place as usize] as usize];
        places.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
        places
    };
    let mut changed = 0;
    for (a, b) in eager(left).into_iter().zip(eager(right)) {
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
        changed += 1;
    }
    changed
}

/// The inverse of an order: item → place.
pub fn places(order: &[u32]) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    for (place, item) in (0u32..).zip(order) {
        places[*item as usize] = place;
    }
    places
}

/// Renames the rows and neighbours of a table: `place[old] = new`.
pub fn rename(table: Table, place: &[u32]) -> Table {
    let mut renamed = vec![Vec::new(); table.len()];
    for (row, mut entries) in table.into_iter().enumerate() {
        entries.iter_mut().for_each(|entry| entry.0 = place[entry.0 as usize]);
        renamed[place[row] as usize] = entries;
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbourhoods_end_up_side_by_side() {
        // Eight groups of 32, scattered: item i belongs to group i mod 8 and names its whole group.
        let table: Table =
            (0..256u32).map(|item| (1..32).map(|step| ((item + step * 8) % 256, 1.0)).collect()).collect();
        let order = cluster(&[&table], 256);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..256).collect::<Vec<_>>(), "every item once");
        let changes = order.windows(2).filter(|pair| pair[0] % 8 != pair[1] % 8).count();
        assert_eq!(changes, 7, "each group in one piece");
    }

    #[test]
    fn renaming_keeps_who_names_whom() {
        let table: Table = vec![vec![(1, 0.5)], vec![(2, 0.25)], vec![]];
        assert_eq!(rename(table, &[2, 0, 1]), [vec![(1, 0.25)], vec![], vec![(0, 0.5)]]);
    }
}
