//! A column of texts, such as names, as Huffman-coded words of a dictionary.
//!
//! The common prefix and suffix of all texts are stored once. If most texts contain the item's id, as URLs do, a byte that
//! UTF-8 does not use replaces it. The rest is split at a separator (the most frequent of space, `-`, `/`, `_`). Words
//! that occur at least twice are symbols of one code. Other words follow an escape symbol, spelt in a second code of
//! bytes. One symbol ends a text, and another stands for an empty text. Joining the words with the separator restores the
//! exact bytes. Text without spaces is spelt throughout. (Word-based Huffman coding: A. Moffat, "Word-based text
//! compression", Software: Practice and Experience 19(2), 1989; *Managing Gigabytes* §2.7.)
//!
//! Texts are in blocks of four, with the first bit of each block in an index: 0.25·⌈log2 of all bits⌉ bits per text.
//! Random names of 30 bytes take 7.6 bytes in all. Reading a text decodes at most three others. A text has at most
//! [`MAX_TEXT`] bytes, which bounds the work on damaged input.

use super::{
    bits::{BitReader, BitWriter},
    huffman::{Code, Encoder},
    layout::{Packed, Strings, U32s, join, split},
};
use bytes::Bytes;
use core::cmp::Reverse;
use std::{borrow::Cow, collections::HashMap};

/// Longest text, in bytes. A longer one is stored as empty.
pub(crate) const MAX_TEXT: usize = 8192;
/// Texts per block.
const BLOCK: usize = 4;
/// Stands for the item's id. UTF-8 does not use this byte.
const ID: u8 = 0xff;
/// Most words of a dictionary.
const MAX_WORDS: usize = 1 << 20;

/// A decoder and the texts of its symbols.
#[derive(Clone, Debug)]
struct Dictionary {
    code: Code,
    texts: Strings,
    /// The symbol that ends a text or word; the size of the alphabet if there is none.
    end: u32,
}

impl Dictionary {
    fn open(counts: Bytes, texts: &Bytes, end: u32) -> Option<Self> {
        let texts = Strings::open(texts)?;
        Some(Self { code: Code::open(counts, texts.len())?, texts, end })
    }
}

/// The column, read in place.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    count: usize,
    separator: u8,
    prefix: Bytes,
    suffix: Bytes,
    words: Dictionary,
    /// The symbol of an empty text, as opposed to one of prefix and suffix only.
    none: u32,
    /// The escape symbol before a spelt word.
    spell: u32,
    letters: Dictionary,
    blocks: Packed,
    bits: Bytes,
}

impl Texts {
    /// Opens a column of `count` texts; `None` if its parts are inconsistent.
    pub(crate) fn open(bytes: &Bytes, count: usize) -> Option<Self> {
        let [head, prefix, suffix, word_counts, words, letter_counts, letters, blocks, bits] = split(bytes)?;
        let head = U32s::new(head)?;
        let opened = Self {
            count,
            separator: u8::try_from(head.get(0)?).ok()?,
            prefix,
            suffix,
            words: Dictionary::open(word_counts, &words, head.get(1)?)?,
            none: head.get(2)?,
            spell: head.get(3)?,
            letters: Dictionary::open(letter_counts, &letters, head.get(4)?)?,
            blocks: Packed::open(blocks)?,
            bits,
        };
        (opened.blocks.len() == count.div_ceil(BLOCK)).then_some(opened)
    }

    /// The text of the item at `index`, whose id is `id`; empty past the end or if damaged.
    pub(crate) fn get(&self, index: usize, id: &str) -> String {
        self.read(index, id).and_then(|text| String::from_utf8(text).ok()).unwrap_or_default()
    }

    fn read(&self, index: usize, id: &str) -> Option<Vec<u8>> {
        if index >= self.count {
            return None;
        }
        let mut reader = BitReader::new(&self.bits, self.blocks.get(index / BLOCK)?);
        for _ in 0..index % BLOCK {
            self.walk(&mut reader, |_| Some(()))?;
        }
        let mut text = Vec::new();
        let mut push = |part: &[u8]| {
            for (place, piece) in part.split(|byte| *byte == ID).enumerate() {
                if place > 0 {
                    text.extend_from_slice(id.as_bytes());
                }
                text.extend_from_slice(piece);
                // Damaged input may repeat a long word.
                if text.len() > MAX_TEXT {
                    return None;
                }
            }
            Some(())
        };
        push(&self.prefix)?;
        let mut words = 0;
        let filled = self.walk(&mut reader, |part| {
            if let Part::Word(_) | Part::Spelt = part {
                if words > 0 {
                    push(core::slice::from_ref(&self.separator))?;
                }
                words += 1;
            }
            match part {
                Part::Word(word) => push(self.words.texts.bytes(word as usize)?),
                Part::Letter(letter) => push(self.letters.texts.bytes(letter as usize)?),
                Part::Spelt => Some(()),
            }
        })?;
        push(&self.suffix)?;
        filled.then_some(text)
    }

    /// Calls `each` with the parts of the next text and advances past it. Returns whether the text is not empty.
    #[inline]
    fn walk(&self, reader: &mut BitReader<'_>, mut each: impl FnMut(Part) -> Option<()>) -> Option<bool> {
        for _ in 0..=MAX_TEXT {
            let symbol = self.words.code.read(reader)?;
            if symbol == self.words.end || symbol == self.none {
                return Some(symbol != self.none);
            }
            if symbol != self.spell {
                each(Part::Word(symbol))?;
                continue;
            }
            each(Part::Spelt)?;
            for _ in 0..=MAX_TEXT {
                let letter = self.letters.code.read(reader)?;
                if letter == self.letters.end {
                    break;
                }
                each(Part::Letter(letter))?;
            }
        }
        None
    }
}

/// A part of a text.
enum Part {
    /// A word of the dictionary, by its symbol.
    Word(u32),
    /// The start of a spelt word.
    Spelt,
    /// A letter of a spelt word, by its symbol.
    Letter(u32),
}

/// Symbols of a code. The order breaks ties between equal counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Symbol<'a> {
    End,
    None,
    Spell,
    Text(&'a [u8]),
}

/// An encoder with the numbers of its symbols.
struct Codebook<'a> {
    symbols: Vec<Symbol<'a>>,
    places: HashMap<Symbol<'a>, usize>,
    encoder: Encoder,
}

impl<'a> Codebook<'a> {
    fn new(mut counted: Vec<(Symbol<'a>, u64)>) -> Self {
        counted.retain(|(_, count)| *count > 0);
        counted.sort_unstable_by_key(|(symbol, count)| (Reverse(*count), *symbol));
        let symbols: Vec<Symbol<'a>> = counted.iter().map(|(symbol, _)| *symbol).collect();
        let places = symbols.iter().enumerate().map(|(place, symbol)| (*symbol, place)).collect();
        Self {
            encoder: Encoder::new(&counted.iter().map(|(_, count)| *count).collect::<Vec<_>>()),
            symbols,
            places,
        }
    }

    /// Writes the symbol if the code has it. Returns whether it does.
    fn put(&self, symbol: Symbol<'_>, to: &mut BitWriter) -> bool {
        let place = self.places.get(&symbol);
        if let Some(place) = place {
            self.encoder.put(*place, to);
        }
        place.is_some()
    }

    fn place(&self, symbol: Symbol<'_>) -> u32 {
        self.places.get(&symbol).map_or(self.symbols.len(), |place| *place) as u32
    }

    fn texts(&self) -> Vec<u8> {
        Strings::write(self.symbols.iter().map(|symbol| match symbol {
            // Any byte will do: with it there are never more texts than bytes.
            Symbol::End | Symbol::None | Symbol::Spell => &[ID][..],
            Symbol::Text(text) => text,
        }))
    }
}

/// The texts with the byte [`ID`] for the last occurrence of the item's id, if most of them hold it.
fn patterns<'a>(texts: &[&'a str], ids: &[&str]) -> Vec<Cow<'a, [u8]>> {
    let with_ids = || texts.iter().map(|text| if text.len() > MAX_TEXT { "" } else { text }).zip(ids);
    let found = with_ids().filter(|(text, id)| !id.is_empty() && text.contains(**id)).count();
    let filled = with_ids().filter(|(text, _)| !text.is_empty()).count();
    let pattern = |(text, id): (&'a str, &&str)| {
        let place = text.rfind(*id).filter(|_| found * 2 > filled && !id.is_empty());
        match place.and_then(|place| Some((text.get(..place)?, text.get(place + id.len()..)?))) {
            Some((before, after)) => [before.as_bytes(), &[ID], after.as_bytes()].concat().into(),
            None => text.as_bytes().into(),
        }
    };
    with_ids().map(pattern).collect()
}

/// The length of the common prefix.
fn common<'a>(a: impl Iterator<Item = &'a u8>, b: impl Iterator<Item = &'a u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

fn words_of(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    Some(text)
        .filter(|text| !text.is_empty())
        .into_iter()
        .flat_map(move |text| text.split(move |byte| *byte == separator))
}

/// Encodes the texts of the items with these ids.
pub(crate) fn write(texts: &[&str], ids: &[&str]) -> Vec<u8> {
    let patterns = patterns(texts, ids);
    let mut filled = patterns.iter().filter(|text| !text.is_empty());
    let first: &[u8] = filled.next().map_or(&[], |text| text);
    let ends = filled.fold((first.len(), first.len()), |(start, end), text| {
        (start.min(common(first.iter(), text.iter())), end.min(common(first.iter().rev(), text.iter().rev())))
    });
    let shortest = patterns.iter().map(|text| text.len()).filter(|length| *length > 0).min().unwrap_or(0);
    let (start, end) = (ends.0, ends.1.min(shortest - ends.0));
    // An empty text has neither prefix nor suffix.
    let has_ends = |text: &&Cow<'_, [u8]>| start + end == 0 || !text.is_empty();
    let middle = |text| Some(text).filter(has_ends).and_then(|text| text.get(start..text.len() - end));
    let middles: Vec<Option<&[u8]>> = patterns.iter().map(middle).collect();

    let mut bytes = [0u64; 256];
    for byte in middles.iter().flatten().flat_map(|text| text.iter()) {
        if let Some(count) = bytes.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let occurs = |byte: &u8| bytes.get(usize::from(*byte)).copied();
    let separator = b"_/- ".iter().copied().max_by_key(occurs).unwrap_or(b' ');

    let mut counts: HashMap<&[u8], u64> = HashMap::new();
    for word in middles.iter().flatten().flat_map(|text| words_of(text, separator)) {
        *counts.entry(word).or_default() += 1;
    }
    let mut kept: Vec<(&[u8], u64)> = counts.iter().map(|(word, count)| (*word, *count)).collect();
    kept.retain(|(_, count)| *count > 1);
    kept.sort_unstable_by_key(|(word, count)| (Reverse(*count), *word));
    kept.truncate(MAX_WORDS);
    for (word, _) in &kept {
        counts.remove(word);
    }
    let spelt: u64 = counts.values().sum();
    let mut bytes = [0u64; 256];
    for (word, count) in &counts {
        for byte in *word {
            if let Some(sum) = bytes.get_mut(usize::from(*byte)) {
                *sum += count;
            }
        }
    }
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let letters = all.chunks(1).map(Symbol::Text).zip(bytes).chain([(Symbol::End, spelt)]);
    let letters = Codebook::new(letters.collect());
    let words = kept.iter().map(|(word, count)| (Symbol::Text(word), *count));
    let ended = middles.iter().flatten().count() as u64;
    let own = [(Symbol::End, ended), (Symbol::None, middles.len() as u64 - ended), (Symbol::Spell, spelt)];
    let words = Codebook::new(words.chain(own).collect());

    let (mut out, mut blocks) = (BitWriter::default(), Vec::new());
    for (index, text) in middles.iter().enumerate() {
        if index % BLOCK == 0 {
            blocks.push(out.at());
        }
        for word in text.iter().flat_map(|text| words_of(text, separator)) {
            if !words.put(Symbol::Text(word), &mut out) {
                words.put(Symbol::Spell, &mut out);
                for letter in word.chunks(1) {
                    letters.put(Symbol::Text(letter), &mut out);
                }
                letters.put(Symbol::End, &mut out);
            }
        }
        words.put(text.map_or(Symbol::None, |_| Symbol::End), &mut out);
    }
    let [end_text, none, spell] = [Symbol::End, Symbol::None, Symbol::Spell].map(|own| words.place(own));
    let head = [u32::from(separator), end_text, none, spell, letters.place(Symbol::End)];
    join(&[
        &U32s::write(head),
        first.get(..start).unwrap_or_default(),
        first.get(first.len() - end..).unwrap_or_default(),
        &words.encoder.counts(),
        &words.texts(),
        &letters.encoder.counts(),
        &letters.texts(),
        &Packed::write(&blocks),
        &out.finish(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(texts: &[&str], ids: &[&str]) -> usize {
        let bytes = write(texts, ids);
        let length = bytes.len();
        let opened = Texts::open(&bytes.into(), texts.len()).unwrap();
        for (index, (text, id)) in texts.iter().zip(ids).enumerate() {
            assert_eq!(opened.get(index, id), *text);
        }
        assert_eq!(opened.get(texts.len(), ""), "");
        length
    }

    #[test]
    fn texts_read_as_they_were_written() {
        round_trip(&[], &[]);
        round_trip(&[""], &["1"]);
        round_trip(&["", "", " ", "  ", "a", " a", "a ", "a  b"], &["1"; 8]);
        round_trip(&["Röd lampa", "röd Lampa", "赤いランプ", "赤いランプ 2", "-_/"], &["1"; 5]);
        round_trip(&["same", "same", "same"], &["", "", ""]);
        // A prefix and a suffix that would overlap.
        round_trip(&["aba", "aa", "ababa"], &["", "", ""]);
        let long = "x".repeat(MAX_TEXT);
        round_trip(&[&long, "short"], &["1", "2"]);
    }

    #[test]
    fn a_too_long_text_is_stored_as_empty() {
        let long = "x".repeat(MAX_TEXT + 1);
        let opened = Texts::open(&write(&[&long, "short"], &["1", "2"]).into(), 2).unwrap();
        assert_eq!((opened.get(0, "1"), opened.get(1, "2")), (String::new(), "short".to_owned()));
    }

    #[test]
    fn urls_that_contain_ids_compress_to_almost_nothing() {
        let ids: Vec<String> = (0..5000).map(|number| format!("{}", number * 7919)).collect();
        let urls: Vec<String> = ids.iter().map(|id| format!("https://shop.example/p/{id}.html")).collect();
        let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
        let length = round_trip(&urls.iter().map(|url| &**url).collect::<Vec<_>>(), &ids);
        assert!(length < 500, "{length} bytes");
    }

    proptest! {
        #[test]
        fn any_text_reads_as_it_was_written(
            texts in proptest::collection::vec("([ab ]{0,6}|\\PC{0,9}|[a-c]{1,2}( [a-c]{1,2}){3})", 0..40),
            ids in proptest::collection::vec("[a-c]{0,2}", 40),
        ) {
            let ids: Vec<&str> = ids.iter().take(texts.len()).map(|id| &**id).collect();
            round_trip(&texts.iter().map(|text| &**text).collect::<Vec<_>>(), &ids);
        }

        #[test]
        fn any_flip_is_bounded(at in any::<prop::sample::Index>(), to in any::<u8>(), and in any::<prop::sample::Index>()) {
            let mut bytes = write(&["red lamp", "red bell", "blue bell", "", "red lamp 7"], &["1", "2", "3", "4", "7"]);
            let (at, and) = (at.index(bytes.len()), and.index(bytes.len()));
            bytes[at] = to;
            bytes[and] = bytes[and].wrapping_add(1);
            if let Some(opened) = Texts::open(&bytes.into(), 5) {
                for index in 0..6 {
                    prop_assert!(opened.get(index, "1").len() <= MAX_TEXT);
                }
            }
        }
    }
}
