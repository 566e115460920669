//! The KNN table from content: items similar in category, brand, price band and words of the name.
//!
//! Each item is a bag of tokens, weighted by inverse document frequency (Spärck Jones, 1972) times a weight per field;
//! neighbours are the nearest by cosine. The posting list of a token is limited to the thousand most popular items, so that
//! frequent tokens do not cost the square of the catalogue.

use crate::{DenseRow, Table, prune, rows};
use std::collections::{BTreeMap, BTreeSet};

/// The content of an item.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// Display name.
    pub name: &'a str,
    /// Category path, widest first, separated by ` > `.
    pub category: &'a str,
    /// Brand.
    pub brand: &'a str,
    /// Price in hundredths.
    pub price: Option<u32>,
}

/// Length limit of a posting list.
const MAX_POSTING: usize = 1_000;
/// Words without information about the item.
const STOP_WORDS: [&str; 12] = ["a", "an", "and", "the", "of", "in", "with", "for", "to", "set", "by", "on"];

fn tokens(item: &Content<'_>) -> BTreeMap<String, f32> {
    let mut tokens = BTreeMap::new();
    let words = item.name.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    for word in words.filter(|word| !word.is_empty() && !STOP_WORDS.contains(&&**word)) {
        tokens.insert(format!("word {word}"), 1.0);
    }
    for (end, _) in item.category.match_indices(" > ").chain([(item.category.len(), "")]) {
        let path = &item.category[..end];
        if !path.is_empty() {
            tokens.insert(format!("category {path}"), 1.0);
        }
    }
    if !item.brand.is_empty() {
        tokens.insert(format!("brand {}", item.brand.to_lowercase()), 0.7);
    }
    if let Some(price) = item.price.filter(|price| *price > 0) {
        // Bands of half an octave, two per item, so that no boundary separates similar prices.
        let band = (f64::from(price).log2() * 2.0).floor();
        tokens.insert(format!("price {band}"), 0.3);
        tokens.insert(format!("price {}", band + 1.0), 0.3);
    }
    tokens
}

/// Learns the table of items in index order (most popular first), `k` neighbours per row.
pub fn learn(items: &[Content<'_>], k: usize) -> Table {
    let bags: Vec<BTreeMap<String, f32>> = items.iter().map(tokens).collect();
    let names: BTreeSet<&str> = bags.iter().flat_map(|bag| bag.keys().map(String::as_str)).collect();
    let numbers: BTreeMap<&str, usize> = names.into_iter().zip(0..).collect();
    let mut counts = vec![0usize; numbers.len()];
    for token in bags.iter().flat_map(BTreeMap::keys) {
        counts[numbers[&**token]] += 1;
    }
    let idf = |token: usize| (items.len() as f32 / counts[token] as f32).ln();
    let vectors: Vec<Vec<(usize, f32)>> = bags
        .iter()
        .map(|bag| {
            let mut vector: Vec<(usize, f32)> = bag
                .iter()
                .map(|(token, weight)| (numbers[&**token], weight * idf(numbers[&**token])))
                .collect();
            let length = vector.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
            vector.iter_mut().for_each(|(_, weight)| *weight /= length.max(f32::MIN_POSITIVE));
            vector
        })
        .collect();
    let mut postings: Vec<Vec<(u32, f32)>> = vec![Vec::new(); numbers.len()];
    for (item, vector) in (0u32..).zip(&vectors) {
        for (token, weight) in vector {
            if postings[*token].len() < MAX_POSTING {
                postings[*token].push((item, *weight));
            }
        }
    }
    rows(items.len(), |item, row: &mut DenseRow| {
        for (token, weight) in &vectors[item as usize] {
            for (neighbour, other) in postings[*token].iter().filter(|entry| entry.0 != item) {
                row.add(*neighbour, weight * other);
            }
        }
        prune(row.drain(|_, cosine| cosine), k)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_similar_in_words_and_category_come_first() {
        let item = |name, category, brand, price| Content { name, category, brand, price: Some(price) };
        let items = [
            item("RED RETROSPOT MUG", "Kitchen > Mugs", "Acme", 495),
            item("BLUE RETROSPOT MUG", "Kitchen > Mugs", "Acme", 500),
            item("Garden spade", "Garden > Tools", "Spear", 2_500),
            item("Retrospot tea towel", "Kitchen > Towels", "Acme", 450),
            item("Garden fork", "Garden > Tools", "Spear", 2_600),
            Content::default(),
        ];
        let table = learn(&items, 3);
        let first = |item: usize| table[item].first().map(|entry| entry.0);
        assert_eq!((first(0), first(1), first(2), first(5)), (Some(1), Some(0), Some(4), None));
        assert_eq!(table[0][1].0, 3, "a towel of the same pattern before a spade");
        assert!(table[2].iter().all(|entry| entry.0 != 0), "a spade is not similar to a mug");
    }
}
