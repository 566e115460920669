//! The keys that sign order tokens: with one, a thank-you page confirms an order that anyone could make up otherwise.

use crate::config::Secret;
use anyhow::{Result, ensure};
use origin_data::hex;
use ring::hmac;
use snapshots::event::order_token_text;

/// Fewest characters of a key. Who has seen a token may try to guess the key without asking the service.
const MIN_KEY: usize = 32;

/// The keys; several while one is replaced.
pub(crate) struct OrderKeys(Vec<hmac::Key>);

impl OrderKeys {
    /// Reads the configured keys, separated by commas.
    ///
    /// # Errors
    /// A key is too short.
    pub(crate) fn new(configured: Option<&Secret>) -> Result<Self> {
        let texts = configured.map_or("", Secret::reveal).split(',').map(str::trim);
        let mut keys = Vec::new();
        for text in texts.filter(|_| configured.is_some()) {
            ensure!(
                text.len() >= MIN_KEY,
                "order_key under [serve], or VERGE_ORDER_KEY, has a key of {} characters; use {MIN_KEY} or more, such as \
                 those of `openssl rand -hex 32`",
                text.len()
            );
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()));
        }
        Ok(Self(keys))
    }

    /// Whether a token in hexadecimal digits was made by one of the keys for this line of the order.
    pub(crate) fn is_valid(&self, token: &str, order: &str, item: &str, quantity: u32) -> bool {
        let Some(token) = hex::decode::<32>(&token.to_ascii_lowercase()) else { return false };
        let text = order_token_text(order, item, quantity);
        self.0.iter().any(|key| hmac::verify(key, text.as_bytes(), &token).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    /// Python: hmac.new(KEY, b"T-2041\\n85123A\\n2", sha256).hexdigest()
    const TOKEN: &str = "f99bcd94261c3e17577929c3a7b3c20a6269cf7a18192ec87cf7e0c8f37b01c9";

    fn keys(text: &str) -> Result<OrderKeys> {
        OrderKeys::new(Some(&Secret::from(text.to_owned())))
    }

    #[test]
    fn tokens_match_a_reference_implementation() {
        let next = format!("another key of thirty-two characters, {KEY}");
        for keys in [keys(KEY).unwrap(), keys(&next).unwrap()] {
            assert!(keys.is_valid(TOKEN, "T-2041", "85123A", 2));
            assert!(keys.is_valid(&TOKEN.to_uppercase(), "T-2041", "85123A", 2));
            for (order, item, quantity) in
                [("T-2042", "85123A", 2), ("T-2041", "85123B", 2), ("T-2041", "85123A", 3)]
            {
                assert!(!keys.is_valid(TOKEN, order, item, quantity), "{order} {item} {quantity}");
            }
        }
        assert!(
            !keys("another key of thirty-two characters").unwrap().is_valid(TOKEN, "T-2041", "85123A", 2)
        );
        assert!(!OrderKeys::new(None).unwrap().is_valid(TOKEN, "T-2041", "85123A", 2));
    }

    #[test]
    fn a_key_that_can_be_guessed_is_an_error() {
        for short in ["", "secret", &format!("{KEY},"), &format!("{KEY},secret")] {
            let error = keys(short).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("VERGE_ORDER_KEY") && !error.contains("secret"), "{short}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_token_is_judged(token in "\\PC{0,70}|[0-9a-f]{64}", order in "\\PC{0,9}", item in "\\PC{0,9}", quantity: u32) {
            prop_assert!(!keys(KEY).unwrap().is_valid(&token, &order, &item, quantity));
        }
    }
}
