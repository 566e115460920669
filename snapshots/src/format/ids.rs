//! Section `ids`: the item dictionary, from id to index and back. An item's index is its row in the tables.
//!
//! The ids are sorted by their bytes and front-coded: an id is stored as the length of the prefix it shares with the one
//! before it, the length of the rest, and the rest (*Managing Gigabytes* §4.1; N. R. Brisaboa et al., "Compressed string
//! dictionaries", SEA 2011). Every 16th id is stored whole, and an index holds the bit at which it begins. Fields have a
//! fixed width. A byte is stored as its index among the bytes that occur, so that digits take 4 bits. A permutation maps
//! indices to ranks among the sorted ids, and back.
//!
//! 250,000 numeric ids of seven digits take 16 bits of text and 21.5 of permutation each. Finding an id takes a binary
//! search over the whole ids, which compares 14 digits at once, and a scan of up to 16. Finding the id of an index takes
//! the permutation and a scan.
//!
//! Five parts: the widths (whole length, kept prefix, rest, byte) as `u32`; the sorted alphabet; the blocks' first bits;
//! the text; the permutation. At most [`MAX_ITEMS`] ids of 1 to 128 bytes.

use super::{
    bits::{BitReader, BitWriter, WINDOW},
    error::Error,
    layout::{Packed, U32s, join, split},
    permutation::{self, Permutation},
};
use crate::wire::event::MAX_ITEM_ID;
use bytes::Bytes;
use core::{cmp::Ordering, ops::Deref};

/// Name of the section.
pub const NAME: &str = "ids";
/// Version of its layout.
pub const VERSION: u32 = 1;
/// Most items of a snapshot.
pub const MAX_ITEMS: usize = 1 << 24;
/// Ids per block.
const BLOCK: usize = 16;

/// An item's id. Ids up to the length of a UUID are stored inline, so that a lookup does not allocate.
#[derive(Clone)]
pub struct ItemId(Text);

/// Longest id that is stored inline, in bytes.
const SHORT: usize = 38;

#[derive(Clone)]
enum Text {
    Short([u8; SHORT], u8),
    Long(Box<str>),
}

impl ItemId {
    fn new(text: &str) -> Self {
        let (mut bytes, length) = ([0; SHORT], text.len());
        match (bytes.get_mut(..length), u8::try_from(length)) {
            (Some(short), Ok(length)) => {
                short.copy_from_slice(text.as_bytes());
                Self(Text::Short(bytes, length))
            }
            _ => Self(Text::Long(text.into())),
        }
    }
}

impl Deref for ItemId {
    type Target = str;
    fn deref(&self) -> &str {
        match &self.0 {
            Text::Short(bytes, length) => bytes
                .get(..usize::from(*length))
                .and_then(|bytes| core::str::from_utf8(bytes).ok())
                .unwrap_or(""),
            Text::Long(text) => text,
        }
    }
}

impl core::fmt::Debug for ItemId {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&**self, out)
    }
}

/// Widths of the fields, in bits.
#[derive(Clone, Copy, Debug, Default)]
struct Widths {
    whole: u32,
    kept: u32,
    following: u32,
    byte: u32,
}

/// The dictionary, read in place.
#[derive(Clone, Debug)]
pub struct Ids {
    widths: Widths,
    alphabet: Bytes,
    blocks: Packed,
    text: Bytes,
    ranks: Permutation,
}

/// Iterates over the ids of a block.
struct Walk<'a> {
    ids: &'a Ids,
    reader: BitReader<'a>,
    bytes: [u8; MAX_ITEM_ID],
    length: u8,
}

impl<'a> Walk<'a> {
    /// Starts at the first id of a block.
    fn new(ids: &'a Ids, block: usize) -> Option<Self> {
        let reader = BitReader::new(&ids.text, ids.blocks.get(block)?);
        let mut walk = Self { ids, reader, bytes: [0; MAX_ITEM_ID], length: 0 };
        walk.read(0, ids.widths.whole)?;
        Some(walk)
    }

    fn next(&mut self) -> Option<()> {
        let kept = self.reader.take(self.ids.widths.kept)?;
        self.read(kept as usize, self.ids.widths.following)
    }

    fn read(&mut self, kept: usize, width: u32) -> Option<()> {
        let length = kept.checked_add(self.reader.take(width)? as usize)?;
        for byte in self.bytes.get_mut(kept..length)? {
            let place = self.reader.take(self.ids.widths.byte)?;
            *byte = *self.ids.alphabet.get(place as usize)?;
        }
        self.length = u8::try_from(length).ok()?;
        Some(())
    }

    /// The current id.
    fn id(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl Ids {
    /// Opens the section.
    ///
    /// # Errors
    /// [`Error::Section`] when its parts do not fit each other.
    pub fn open(section: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section: NAME, detail };
        let [widths, alphabet, blocks, text, ranks] =
            split(section).ok_or(bad("it does not have its five parts"))?;
        let widths = U32s::new(widths).ok_or(bad("the widths are truncated"))?;
        let width =
            |place| widths.get(place).filter(|width| *width <= 8).ok_or(bad("a width is above 8 bits"));
        let widths = Widths { whole: width(0)?, kept: width(1)?, following: width(2)?, byte: width(3)? };
        let blocks = Packed::open(blocks).ok_or(bad("the blocks are truncated"))?;
        let ranks = Permutation::open(&ranks).ok_or(bad("the permutation is truncated"))?;
        if blocks.len() != ranks.len().div_ceil(BLOCK) || ranks.len() > MAX_ITEMS {
            return Err(bad("blocks and permutation have different lengths"));
        }
        Ok(Self { widths, alphabet, blocks, text, ranks })
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id at an index; `None` past the end.
    pub fn id(&self, index: u32) -> Option<ItemId> {
        let rank = self.ranks.image(index)? as usize;
        let mut walk = Walk::new(self, rank / BLOCK)?;
        for _ in 0..rank % BLOCK {
            walk.next()?;
        }
        core::str::from_utf8(walk.id()).ok().map(ItemId::new)
    }

    /// How many bytes of an id one load yields.
    fn bytes_per_load(&self) -> u32 {
        WINDOW.checked_div(self.widths.byte).unwrap_or(0)
    }

    /// The first bytes of an id as a number with the same order, a missing byte as 0; `None` if a byte occurs in no id.
    fn window(&self, id: &[u8]) -> Option<u64> {
        (0..self.bytes_per_load() as usize).try_fold(0, |window, place| {
            let byte = id.get(place).map_or(Some(0), |byte| self.alphabet.binary_search(byte).ok())?;
            Some(window << self.widths.byte | byte as u64)
        })
    }

    /// Whether the first id of a block comes after `id`, whose window is `window`.
    fn begins_after(&self, block: usize, id: &[u8], window: u64) -> Option<bool> {
        let mut reader = BitReader::new(&self.text, self.blocks.get(block)?);
        let absent = self.bytes_per_load().saturating_sub(reader.take(self.widths.whole)?) * self.widths.byte;
        let first =
            reader.window()? >> (WINDOW - self.bytes_per_load() * self.widths.byte) >> absent << absent;
        if first != window {
            return Some(first > window);
        }
        Some(Walk::new(self, block)?.id() > id)
    }

    /// The index of an id.
    pub fn index(&self, id: &str) -> Option<u32> {
        let window = self.window(id.as_bytes())?;
        // Find the first block that begins after the id; the id is in the one before.
        let (mut low, mut high) = (0, self.blocks.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.begins_after(middle, id.as_bytes(), window)? {
                false => low = middle + 1,
                true => high = middle,
            }
        }
        let block = low.checked_sub(1)?;
        let mut walk = Walk::new(self, block)?;
        for rank in block * BLOCK..self.len().min((block + 1) * BLOCK) {
            if rank % BLOCK > 0 {
                walk.next()?;
            }
            match walk.id().cmp(id.as_bytes()) {
                Ordering::Less => {}
                Ordering::Equal => return self.ranks.number(u32::try_from(rank).ok()?),
                Ordering::Greater => return None,
            }
        }
        None
    }
}

/// Encodes distinct ids of 1 to 128 bytes, in index order.
pub fn write(ids: &[&str]) -> Vec<u8> {
    let mut sorted: Vec<(&[u8], u32)> = ids.iter().map(|id| id.as_bytes()).zip(0..).collect();
    sorted.sort_unstable();
    let kept = |rank: usize, id: &[u8]| match rank.checked_sub(1).and_then(|before| sorted.get(before)) {
        Some((before, _)) if !rank.is_multiple_of(BLOCK) => {
            before.iter().zip(id).take_while(|(a, b)| a == b).count()
        }
        _ => 0,
    };
    let mut occurs = [false; 256];
    let mut most = [0usize; 3];
    for (rank, (id, _)) in sorted.iter().enumerate() {
        let kept = kept(rank, id);
        let [whole, most_kept, following] = &mut most;
        if rank % BLOCK == 0 {
            *whole = id.len().max(*whole);
        } else {
            *most_kept = kept.max(*most_kept);
            *following = (id.len() - kept).max(*following);
        }
        for byte in *id {
            if let Some(occurs) = occurs.get_mut(usize::from(*byte)) {
                *occurs = true;
            }
        }
    }
    let alphabet: Vec<u8> =
        (0..=u8::MAX).zip(occurs).filter(|(_, occurs)| *occurs).map(|(byte, _)| byte).collect();
    let width = |most: usize| most.checked_ilog2().map_or(0, |log| log + 1);
    let [whole, most_kept, following] = most;
    let byte_width = width(alphabet.len().saturating_sub(1));
    let widths = [width(whole), width(most_kept), width(following), byte_width];
    let [whole_width, kept_width, following_width, _] = widths;

    let (mut text, mut blocks) = (BitWriter::default(), Vec::new());
    let mut ranks = vec![0; ids.len()];
    for (rank, (id, index)) in sorted.iter().enumerate() {
        let kept = kept(rank, id);
        if rank % BLOCK == 0 {
            blocks.push(text.at());
            text.put(id.len() as u32, whole_width);
        } else {
            text.put(kept as u32, kept_width);
            text.put((id.len() - kept) as u32, following_width);
        }
        for byte in id.iter().skip(kept) {
            text.put(alphabet.binary_search(byte).unwrap_or(0) as u32, byte_width);
        }
        if let Some(place) = ranks.get_mut(*index as usize) {
            *place = rank as u32;
        }
    }
    let (blocks, ranks) = (Packed::write(&blocks), permutation::write(&ranks));
    join(&[&U32s::write(widths), &alphabet, &blocks, &text.finish(), &ranks])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both_ways(ids: &[&str]) -> Ids {
        let opened = Ids::open(&write(ids).into()).unwrap();
        assert_eq!(opened.len(), ids.len());
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(opened.index(id), Some(index as u32));
            assert_eq!(&*opened.id(index as u32).unwrap(), *id);
        }
        assert!(opened.id(ids.len() as u32).is_none());
        opened
    }

    #[test]
    fn few_long_and_many() {
        assert_eq!(both_ways(&[]).index("a"), None);
        let one = both_ways(&["a"]);
        assert_eq!((one.index(""), one.index("aa"), one.index("b")), (None, None, None));
        let longest = [&*"ö".repeat(64), &"x".repeat(128), &format!("{}y", "x".repeat(127)), "x"];
        assert_eq!(both_ways(&longest).index(&"x".repeat(129)), None);
        let many: Vec<String> =
            (0..70_000u64).map(|number| format!("SKU-{:06}", number * 7919 % 100_003)).collect();
        let many = both_ways(&many.iter().map(|id| &**id).collect::<Vec<_>>());
        assert_eq!((many.index("SKU-"), many.index("SKU-0000001"), many.index("T")), (None, None, None));
    }

    proptest! {
        #[test]
        fn every_id_is_found_both_ways(
            ids in proptest::collection::hash_set("\\PC{1,12}", 0..40), other in "[a-z]{1,4}",
        ) {
            let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
            let opened = both_ways(&ids);
            prop_assert_eq!(opened.index(&other).is_some(), ids.contains(&&*other));
        }

        #[test]
        fn any_bytes_open_or_give_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..120), id in "[a-z]{1,4}", index in 0u32..9,
        ) {
            if let Ok(ids) = Ids::open(&bytes.into()) {
                let _ = (ids.index(&id), ids.id(index).map(|id| id.len()));
            }
        }

        #[test]
        fn any_flip_is_bounded(at in any::<prop::sample::Index>(), to in any::<u8>(), index in 0u32..40) {
            let ids: Vec<String> = (0..40).map(|number| format!("item-{}", number * 37)).collect();
            let mut bytes = write(&ids.iter().map(|id| &**id).collect::<Vec<_>>());
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(opened) = Ids::open(&bytes.into()) {
                prop_assert!(opened.len() <= MAX_ITEMS);
                let _ = (opened.index("item-37"), opened.index("z"), opened.id(index));
            }
        }
    }
}
