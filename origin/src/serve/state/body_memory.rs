//! Memory for request bodies: bounded in all, and for one sender, so that no sender's slow requests starve the others.

use crate::serve::state::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Memory for the bodies of all senders, in bytes.
const TOTAL: usize = 256 << 20;
/// Memory for the bodies of one sender, in bytes.
const PER_SENDER: usize = TOTAL / 4;

/// The memory in use.
#[derive(Debug, Default)]
pub(crate) struct BodyMemory(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    total: usize,
    by_sender: HashMap<String, usize>,
}

/// The memory that one body takes; released when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: Arc<BodyMemory>,
    sender: String,
    bytes: usize,
}

/// There is no memory for a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Bodies of this sender take too much.
    Sender,
    /// Bodies of all senders take too much.
    Total,
}

impl BodyMemory {
    /// A reservation of nothing for a body of `sender`, which is the id of a key or an address.
    pub(crate) fn reserve(self: &Arc<Self>, sender: &str) -> Reservation {
        Reservation { memory: Arc::clone(self), sender: sender.to_owned(), bytes: 0 }
    }
}

impl Reservation {
    /// Reserves more bytes.
    ///
    /// # Errors
    /// A bound is reached; what was reserved before stays reserved.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let mut used = lock(&self.memory.0);
        if used.total + bytes > TOTAL {
            return Err(Full::Total);
        }
        let own = used.by_sender.get(&self.sender).copied().unwrap_or_default() + bytes;
        if own > PER_SENDER {
            return Err(Full::Sender);
        }
        used.total += bytes;
        used.by_sender.insert(self.sender.clone(), own);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut used = lock(&self.memory.0);
        used.total -= self.bytes;
        if let Some(own) = used.by_sender.get_mut(&self.sender) {
            *own -= self.bytes;
            if *own == 0 {
                used.by_sender.remove(&self.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_cannot_take_the_memory_of_others() {
        let memory = Arc::new(BodyMemory::default());
        let reserve = |sender: &str, bytes| {
            let mut body = memory.reserve(sender);
            body.grow(bytes).map(|()| body)
        };
        let own: Vec<_> = (0..4).map(|_| reserve("a", PER_SENDER / 4).unwrap()).collect();
        assert_eq!(reserve("a", 1).map(|_| ()), Err(Full::Sender));
        let others: Vec<_> =
            ["b", "c", "d"].iter().map(|sender| reserve(sender, PER_SENDER).unwrap()).collect();
        assert_eq!(reserve("e", 1).map(|_| ()), Err(Full::Total));
        drop(own);
        assert!(reserve("e", 1).is_ok() && reserve("a", PER_SENDER).is_ok());
        drop(others);
        let used = lock(&memory.0);
        assert_eq!((used.total, used.by_sender.len()), (0, 0));
    }
}
