//! Vectors in shards that cores update in parallel, with a result that does not depend on the number of cores.

use rayon::prelude::*;

/// Number of shards: more than cores, for even load.
const SHARDS: usize = 16;

/// Assigns vectors to shards round robin: popular items, which have the lowest indices and most updates, are spread evenly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sharding {
    /// Places per shard.
    size: usize,
}

impl Sharding {
    /// Assigns `vectors` vectors.
    pub(crate) fn new(vectors: usize) -> Self {
        Self { size: vectors.div_ceil(SHARDS).max(1) }
    }

    /// Number of places, some of which are empty.
    pub(crate) fn places(self) -> usize {
        self.size * SHARDS
    }

    /// The place of a vector.
    pub(crate) fn place(self, vector: u32) -> u32 {
        vector % SHARDS as u32 * self.size as u32 + vector / SHARDS as u32
    }

    /// Calls `update` in parallel with every shard of `vectors`, each of length `size`.
    pub(crate) fn update(self, vectors: &mut [f32], size: usize, update: impl Fn(&mut ShardMut<'_>) + Sync) {
        vectors.par_chunks_mut((self.size * size).max(1)).enumerate().for_each(|(at, vectors)| {
            update(&mut ShardMut { first: (at * self.size) as u32, size, vectors });
        });
    }
}

/// The vectors of one shard.
pub(crate) struct ShardMut<'a> {
    first: u32,
    size: usize,
    vectors: &'a mut [f32],
}

impl ShardMut<'_> {
    /// The vector at a place; `None` if it is in another shard.
    pub(crate) fn vector_mut(&mut self, place: u32) -> Option<&mut [f32]> {
        let start = place.checked_sub(self.first)? as usize * self.size;
        self.vectors.get_mut(start..start + self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_is_in_one_shard() {
        for count in [1u32, 15, 16, 17, 100] {
            let sharding = Sharding::new(count as usize);
            let mut vectors = vec![0.0; sharding.places() * 2];
            sharding.update(&mut vectors, 2, |shard| {
                (0..count).for_each(|vector| {
                    if let Some(own) = shard.vector_mut(sharding.place(vector)) {
                        own.iter_mut().for_each(|value| *value += (vector + 1) as f32);
                    }
                });
            });
            vectors.retain(|value| *value > 0.0);
            vectors.sort_by(f32::total_cmp);
            let each: Vec<f32> = (0..count).flat_map(|vector| [(vector + 1) as f32; 2]).collect();
            assert_eq!(vectors, each);
        }
    }
}
