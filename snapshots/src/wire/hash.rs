//! Content hashes: the names of blobs, and event ids derived from content.

use xxhash_rust::xxh3::xxh3_128;

/// The name of a blob: xxh3-128 of its bytes, 32 hexadecimal digits. It finds accidents, not attackers: who can
/// write blobs can write manifests too.
pub fn content_hash(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// Whether `hash` is written as a [`content_hash`] is.
pub fn is_hash(hash: &str) -> bool {
    hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}
