use super::*;
use origin_data::Item;
use snapshots::{
    event::{Event, Kind},
    time::Timestamp,
};

fn event(id: &str, item: &str, at: i64) -> Event {
    Event {
        id: id.to_owned(),
        visitor: Some("anna".to_owned()),
        session: Some("s1".to_owned()),
        price: Some(2.55),
        currency: Some("GBP".to_owned()),
        region: Some("GB".to_owned()),
        ..Event::new(Kind::View, item.to_owned(), Timestamp(at))
    }
}

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

#[test]
fn events_are_stored_once_and_survive_reopening() {
    let (dir, mut store) = open();
    let events = [event("a", "kettle", 5), event("b", "cup", 3), event("a", "kettle", 5)];
    assert_eq!(store.append(&events).unwrap(), AppendSummary { new: 2, duplicates: 1 });
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.append(&events).unwrap(), AppendSummary { new: 0, duplicates: 3 });
    let log = store.log().unwrap();
    assert_eq!(log.items.iter().map(|item| &*item.id).collect::<Vec<_>>(), ["cup", "kettle"]);
    assert_eq!(log.areas, ["", "gb"]);
    let seen: Vec<_> = log.events.iter().map(|event| (event.at.0, event.item, event.area)).collect();
    assert_eq!(seen, [(3, 0, 1), (5, 1, 1)]);
    assert_eq!((log.events[0].quantity, log.events[0].kind), (1, Kind::View));
    assert_eq!(store.totals().unwrap(), Totals { events: 2, items: 2 });
}

#[test]
fn simultaneous_events_stay_in_order_of_arrival() {
    let (_dir, mut store) = open();
    store.append(&[event("z", "b", 7), event("m", "c", 7)]).unwrap();
    store.append(&[event("a", "a", 7), event("b", "d", 1)]).unwrap();
    let order: Vec<_> = store.log().unwrap().events.iter().map(|event| event.item).collect();
    assert_eq!(order, [3, 1, 2, 0]);
}

#[test]
fn indices_do_not_depend_on_the_order_of_import() {
    let one = event("1", "b", 1);
    let two = Event { region: Some("fr".to_owned()), ..event("2", "a", 2) };
    let read = |events: &[Event]| {
        let (_dir, mut store) = open();
        for event in events {
            store.append(std::slice::from_ref(event)).unwrap();
        }
        let mut log = store.log().unwrap();
        for event in &mut log.events {
            (event.visitor, event.session) = (0, 0); // Each store hashes with its own key.
        }
        log
    };
    let log = read(&[one.clone(), two.clone()]);
    assert_eq!(log.areas, ["", "fr", "gb"]);
    assert_eq!(read(&[two, one]), log);
}

#[test]
fn visitors_and_sessions_are_hashed_and_sessions_are_scoped_to_the_visitor() {
    let (dir, mut store) = open();
    let other = Event { visitor: Some("bert".to_owned()), ..event("b", "x", 2) };
    let anonymous = Event { visitor: None, session: None, ..event("c", "x", 3) };
    store.append(&[event("a", "x", 1), other, anonymous, event("d", "x", 4)]).unwrap();
    let events = store.log().unwrap().events;
    assert_eq!((events[2].visitor, events[2].session), (0, 0));
    assert!(events[0].visitor != 0 && events[0].visitor != events[1].visitor);
    assert!(events[0].session != 0 && events[0].session != events[1].session);
    assert_eq!((events[0].visitor, events[0].session), (events[3].visitor, events[3].session));
    drop(store);
    let files = [dir.path().to_owned(), dir.path().join("log")].map(|dir| std::fs::read_dir(dir).unwrap());
    for file in files.into_iter().flatten().map(|file| file.unwrap().path()).filter(|file| file.is_file()) {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"anna"));
    }
}

#[test]
fn upserts_keep_known_fields_and_replace_given_ones() {
    let (_dir, mut store) = open();
    let item = |name: Option<&str>, price| Item {
        id: "cup".to_owned(),
        name: name.map(str::to_owned),
        price,
        ..Item::default()
    };
    assert_eq!(store.upsert_items(&[item(Some("Cup"), None)]).unwrap(), 1);
    assert_eq!(store.upsert_items(&[item(None, Some(2.0))]).unwrap(), 1);
    assert_eq!(store.upsert_items(&[item(Some("Cup"), Some(2.0)), item(None, None)]).unwrap(), 0);
    assert_eq!(store.items().unwrap(), [item(Some("Cup"), Some(2.0))]);
}

#[test]
fn a_second_store_may_read_but_not_write() {
    let (dir, mut one) = open();
    one.append(&[event("a", "x", 1)]).unwrap();
    let mut two = Store::open(dir.path()).unwrap();
    assert_eq!(two.log().unwrap(), one.log().unwrap());
    let error = two.append(&[event("b", "y", 2)]).unwrap_err().to_string();
    assert!(error.contains("writes the log"), "{error}");
    assert_eq!(two.totals().unwrap().events, 1);
    drop(one);
    two.append(&[event("b", "y", 2), event("a", "x", 1)]).unwrap();
    assert_eq!(two.totals().unwrap(), Totals { events: 2, items: 2 });
}

#[test]
fn areas_above_the_limit_count_as_unknown() {
    let (_dir, mut store) = open();
    let events: Vec<_> = (0..10_050)
        .map(|n| Event { region: Some(format!("r{n}")), ..event(&n.to_string(), "x", n) })
        .chain([Event { region: Some("GB".to_owned()), ..event("last", "x", 10_050) }])
        .collect();
    store.append(&events).unwrap();
    let log = store.log().unwrap();
    assert_eq!(log.areas.len(), 10_001);
    assert_eq!(
        log.areas[usize::from(log.events[10_050].area)],
        "gb",
        "made-up areas take the place of a country"
    );
    assert_eq!(log.events[10_040].area, 0);
    assert_eq!(log.areas[usize::from(log.events[9_000].area)], "r9000");
}

#[test]
fn other_files_and_other_versions_are_rejected() {
    let (dir, store) = open();
    drop(store);
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    let newer = format!("{:#}", Store::open(dir.path()).err().unwrap());
    assert!(newer.contains(FILE) && newer.contains("schema version 99"), "{newer}");

    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.execute_batch("CREATE TABLE diary (line TEXT)").unwrap();
    let foreign = format!("{:#}", Store::open(dir.path()).err().unwrap());
    assert!(foreign.contains("another program"), "{foreign}");

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), "not a database at all, but long enough to have a header").unwrap();
    assert!(Store::open(dir.path()).is_err());
}

#[test]
fn a_store_of_version_3_is_migrated_once_with_all_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.execute_batch(&format!(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
         INSERT INTO meta VALUES ('catalogue', 5), ('items', 3), ('visitor_key', zeroblob(32));
         CREATE TABLE sources (
             name TEXT PRIMARY KEY, format TEXT NOT NULL, length INTEGER NOT NULL, hash BLOB NOT NULL
         ) STRICT, WITHOUT ROWID;
         CREATE TABLE items (
             n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT, category TEXT, brand TEXT, price REAL,
             currency TEXT, image TEXT, url TEXT, in_stock INTEGER, added_at INTEGER,
             removed INTEGER NOT NULL DEFAULT 0
         ) STRICT;
         CREATE TABLE keys (
             hash BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, created_at INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID;
         INSERT INTO items (id, name, category, price) VALUES
             ('a', 'Saw', 'tools.hand_tools.saw', 9.5), ('b', 'Boots', 'Dr. Martens', 99), ('c', 'Cup', 'home > st. ives', 1);
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 3;"
    ))
    .unwrap();
    drop(db);
    for _ in 0..2 {
        let mut store = Store::open(dir.path()).unwrap();
        let items = store.items().unwrap();
        let categories: Vec<_> = items.iter().map(|item| item.category.as_deref().unwrap()).collect();
        assert_eq!(categories, ["tools > hand_tools > saw", "Dr. Martens", "home > st. ives"]);
        assert_eq!((store.catalogue_version().unwrap() >= 5, store.count_items().unwrap()), (true, 3));
        let sale = Item { sale_price: Some(8.0), group: Some("saws".to_owned()), ..items[0].clone() };
        store.upsert_items(std::slice::from_ref(&sale)).unwrap();
        assert_eq!(store.item("a").unwrap(), Some(sale));
    }
}

#[test]
fn a_log_without_its_store_or_with_another_is_refused() {
    let (dir, mut store) = open();
    store.append(&[event("a", "kettle", 5)]).unwrap();
    drop(store);
    let (path, aside) = (dir.path().join(FILE), dir.path().join("aside"));
    std::fs::rename(&path, &aside).unwrap();
    for _ in 0..2 {
        let error = Store::open(dir.path()).map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }
    let (other, _) = open();
    std::fs::copy(other.path().join(FILE), &path).unwrap();
    let error = Store::open(dir.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Log(origin_log::LogError::OtherKey { .. })), "{error}");
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().totals().unwrap().events, 1);
}

#[test]
fn only_the_owner_may_read_the_data_directory() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut store = Store::open(&data).unwrap();
    store.append(&[event("a", "kettle", 5)]).unwrap();
    let mut folders = vec![data];
    while let Some(folder) = folders.pop() {
        assert_eq!(
            std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
            0o700,
            "{}",
            folder.display()
        );
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => assert_eq!(mode, 0o600, "{}", entry.path().display()),
            }
        }
    }
}
