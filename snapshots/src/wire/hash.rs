//! Content hashes, which name blobs.

use xxhash_rust::xxh3::xxh3_128;

/// The name of a blob: xxh3-128 of its bytes as 32 hexadecimal digits. It detects accidental damage. It need not resist
/// attackers, since whoever can write blobs can write manifests too.
pub fn content_hash(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// Whether `hash` has the form of a [`content_hash`].
pub fn is_hash(hash: &str) -> bool {
    hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}
