//! The fingerprint of the key that a log's visitor hashes were made with: `log/visitor-key`.
//!
//! With another key, a visitor's events could be neither found nor erased, and a visitor would count as two.

use crate::error::{LogError, Result};
use origin_data::{
    files::{read_if_exists, replace_file},
    hex,
};
use std::path::Path;

/// Name of the file in the log's directory.
const FILE: &str = "visitor-key";
/// What the fingerprint is derived for (BLAKE3's context string).
const CONTEXT: &str = "Verge 2026-11-29 fingerprint of a visitor key";

/// 16 hexadecimal digits, from which the key cannot be computed.
fn fingerprint(key: &[u8; 32]) -> String {
    hex::encode(&blake3::derive_key(CONTEXT, key)).chars().take(16).collect()
}

/// Checks that a log was written with this key. A log of an earlier version, which has no fingerprint, passes.
///
/// # Errors
/// [`LogError::OtherKey`] if it was not, or the fingerprint cannot be read.
pub fn verify(dir: &Path, key: &[u8; 32]) -> Result<()> {
    match read_if_exists(&dir.join(FILE))? {
        Some(found) if found.trim_ascii() != fingerprint(key).as_bytes() => {
            Err(LogError::OtherKey { dir: dir.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Writes the fingerprint.
pub(crate) fn mark(dir: &Path, key: &[u8; 32]) -> Result<()> {
    replace_file(&dir.join(FILE), fingerprint(key).as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_used_with_its_own_key_only() {
        let dir = tempfile::tempdir().unwrap();
        verify(dir.path(), &[1; 32]).unwrap();
        mark(dir.path(), &[1; 32]).unwrap();
        verify(dir.path(), &[1; 32]).unwrap();
        assert!(matches!(verify(dir.path(), &[2; 32]), Err(LogError::OtherKey { .. })));
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(text.len() == 16 && !text.contains("0101"), "{text}");
        std::fs::write(dir.path().join(FILE), "").unwrap();
        assert!(verify(dir.path(), &[1; 32]).is_err(), "a truncated file is not a missing one");
    }
}
