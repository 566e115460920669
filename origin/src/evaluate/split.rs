//! Training and test data: a log split in time, or two files.

use anyhow::{Result, bail};
use origin_data::{
    Dataset, Item, LogEvent,
    encoding::text,
    input::{Input, Line},
};
use origin_learn::caps::{Arrival, Caps};
use snapshots::{
    event::Kind,
    time::{DAY_MS, Timestamp},
};
use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

/// Milliseconds between sessions of a file, which has no times.
const SESSION_INTERVAL_MS: i64 = 30_000;

/// A training log and later test sessions.
#[derive(Debug)]
pub struct Split {
    /// The training log.
    pub train: Dataset,
    /// Test sessions by item of `train`, oldest click first.
    pub test: Vec<Vec<u32>>,
    /// The test events; empty for files.
    pub later: Vec<LogEvent>,
    /// Test clicks left out because their item is not in `train`.
    pub dropped: usize,
}

/// Where a log is split: the test is …
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SplitAt {
    /// … this many last days, counted back from the newest event.
    Days(f64),
    /// … this share of the events, the last ones.
    Share(f64),
    /// … the events from this moment on.
    From(Timestamp),
}

impl Split {
    /// Splits a log in time: events before the split are for training, sessions after it for the test.
    ///
    /// # Errors
    /// The log or the training part is empty.
    pub fn by_time(mut log: Dataset, at: SplitAt) -> Result<Self> {
        let Some(newest) = log.events.last().map(|event| event.at) else {
            bail!("the log holds no events; run `verge import` or `verge generate --into-store` first");
        };
        let first = match at {
            SplitAt::Days(days) => Timestamp(newest.0 - (days * DAY_MS as f64) as i64 + 1),
            SplitAt::From(first) => first,
            SplitAt::Share(share) => {
                let place = log.events.len() as f64 * (1.0 - share.clamp(0.0, 1.0));
                log.events[(place as usize).min(log.events.len() - 1)].at
            }
        };
        let place = log.events.partition_point(|event| event.at < first);
        let mut later = log.events.split_off(place);
        // A test is of what visitors did, whatever may be learned from it.
        later.iter_mut().for_each(|event| event.held = false);
        if log.events.is_empty() {
            bail!("all {} events are in the test; choose a shorter test", later.len());
        }
        let identity: Vec<u32> = (0..log.items.len() as u32).collect();
        let sessions = origin_learn::sessions::Sessions::from_events(&later, &identity);
        let test = sessions.iter().map(|session| session.clicks.to_vec()).collect();
        Ok(Self { train: log, test, later, dropped: 0 })
    }

    /// Reads two files with one session per line, item ids separated by white space, oldest first.
    ///
    /// # Errors
    /// A file cannot be read or holds no session; the message names it.
    pub fn from_files(train: &Path, test: &Path) -> Result<Self> {
        let (train_lines, test_lines) = (lines(train)?, lines(test)?);
        let known: BTreeSet<&str> = train_lines.iter().flatten().map(String::as_str).collect();
        let items: Vec<Item> =
            known.iter().map(|id| Item { id: (*id).to_owned(), ..Item::default() }).collect();
        let numbers: HashMap<&str, u32> = known.into_iter().zip(0..).collect();
        let mut events = Vec::new();
        for (session, ids) in (0i64..).zip(&train_lines) {
            for (place, id) in (0i64..).zip(ids) {
                events.push(LogEvent {
                    session: session.cast_unsigned() + 1,
                    ..LogEvent::new(
                        Timestamp(session * SESSION_INTERVAL_MS + place),
                        Kind::View,
                        numbers[&**id],
                        0,
                    )
                });
            }
        }
        let mut caps = Caps::default();
        for event in &mut events {
            event.held = !caps.pass(&Arrival {
                at: event.at,
                kind: event.kind,
                standing: event.standing,
                is_public: false,
                bucket: None,
                visitor: event.visitor,
                session: event.session,
                item: &items[event.item as usize].id,
                area: "",
            });
        }
        events.sort_by_key(|event| event.at);
        let known_of = |ids: &Vec<String>| ids.iter().filter_map(|id| numbers.get(&**id).copied()).collect();
        let test: Vec<Vec<u32>> = test_lines.iter().map(known_of).collect();
        let dropped =
            test_lines.iter().map(Vec::len).sum::<usize>() - test.iter().map(Vec::len).sum::<usize>();
        Ok(Self {
            train: Dataset { events, items, areas: vec![String::new()] },
            test,
            later: Vec::new(),
            dropped,
        })
    }
}

fn lines(path: &Path) -> Result<Vec<Vec<String>>> {
    let mut input = Input::open(path)?;
    let (mut line, mut sessions, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        number += 1;
        match input.next_line(&mut line)? {
            Line::Full => {
                let ids: Vec<String> = text(&line).split_whitespace().map(str::to_owned).collect();
                if !ids.is_empty() {
                    sessions.push(ids);
                }
            }
            Line::TooLong => bail!("{}:{number}: the line is too long for a session", path.display()),
            Line::End => break,
        }
    }
    if sessions.is_empty() {
        bail!("{} holds no session", path.display());
    }
    Ok(sessions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(hours: &[i64]) -> Dataset {
        let event = |at: &i64| LogEvent::new(Timestamp(at * DAY_MS / 24), Kind::View, 0, 1);
        Dataset { events: hours.iter().map(event).collect(), items: vec![Item::default()], areas: vec![] }
    }

    #[test]
    fn training_ends_where_the_test_begins() {
        let split = Split::by_time(log(&[0, 10, 20, 30, 44, 44]), SplitAt::Days(1.0)).unwrap();
        assert_eq!((split.train.events.len(), split.test), (3, vec![vec![0], vec![0, 0]]));
        let split = Split::by_time(log(&[0, 10, 20, 30, 44, 44]), SplitAt::Share(0.2)).unwrap();
        assert_eq!((split.train.events.len(), split.test), (4, vec![vec![0, 0]]));
        assert!(Split::by_time(log(&[0, 1]), SplitAt::Days(1.0)).is_err());
        assert!(Split::by_time(log(&[]), SplitAt::Days(1.0)).is_err());
    }

    #[test]
    fn files_share_their_items_and_unknown_clicks_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (train, test) = (file("train", "b a\n\na c c\n"), file("test", "c x a\ny\n"));
        let split = Split::from_files(&train, &test).unwrap();
        assert_eq!((split.test, split.dropped), (vec![vec![2, 0], vec![]], 2));
        assert_eq!(split.train.events.iter().map(|event| event.item).collect::<Vec<_>>(), [1, 0, 0, 2, 2]);
        assert!(Split::from_files(&train, &file("empty", "\n")).is_err());
    }
}
