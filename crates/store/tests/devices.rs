//! What becomes of the devices in whatever condition their file is.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hatchery_store::{DeviceChange, DeviceCondition, DeviceStore, KeptDevices};

fn open(directory: &Path) -> (DeviceStore, KeptDevices) {
    DeviceStore::open(directory, 77).unwrap()
}

fn put(id: &str, record: &str) -> DeviceChange {
    DeviceChange { id: id.to_owned(), record: Some(record.to_owned()) }
}

/// A directory with one device in it, and its installation's key.
fn with_a_device() -> (tempfile::TempDir, [u8; 32]) {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, kept) = open(directory.path());
    assert_eq!(*store.condition(), DeviceCondition::New);
    assert!(store.write(&[put("a", "first"), put("b", "second")]));
    assert!(store.write(&[put("a", "third"), DeviceChange { id: "b".into(), record: None }]));
    (directory, kept.install_key)
}

#[test]
fn what_was_written_is_there_in_the_next_life_in_a_private_file() {
    let (directory, key) = with_a_device();
    let (store, kept) = open(directory.path());
    assert_eq!(*store.condition(), DeviceCondition::Ok);
    assert_eq!(kept, KeptDevices { install_key: key, records: vec!["third".to_owned()] });
    let mode = fs::metadata(store.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_empty_file_is_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("devices.db"), "").unwrap();
    let (mut store, kept) = open(directory.path());
    assert_eq!(*store.condition(), DeviceCondition::New);
    assert!(kept.records.is_empty() && store.write(&[put("a", "x")]));
    let mode = fs::metadata(store.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_damaged_file_is_put_aside_whole_and_another_begun() {
    let path = |directory: &tempfile::TempDir| directory.path().join("devices.db");
    type Ruin<'a> = (&'a str, &'a dyn Fn(&Path));
    let ruin: [Ruin<'_>; 4] = [
        ("no database", &|file| fs::write(file, "some notes of somebody's, long enough").unwrap()),
        ("cut off", &|file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2 + 100]).unwrap();
        }),
        ("a table missing", &|file| {
            let database = rusqlite::Connection::open(file).unwrap();
            database.execute_batch("DROP TABLE devices").unwrap();
        }),
        ("no key", &|file| {
            let database = rusqlite::Connection::open(file).unwrap();
            database.execute_batch("UPDATE install SET key = x'00'").unwrap();
        }),
    ];
    for (name, ruin) in ruin {
        let (directory, key) = with_a_device();
        ruin(&path(&directory));
        let before = fs::read(path(&directory)).unwrap();
        let (mut store, kept) = open(directory.path());
        let moved_to = directory.path().join("devices.db.damaged-77");
        assert_eq!(fs::read(&moved_to).unwrap(), before, "{name}");
        assert_eq!(*store.condition(), DeviceCondition::Damaged { moved_to }, "{name}");
        assert!(kept.records.is_empty() && kept.install_key != key, "{name}");
        assert!(store.write(&[put("c", "new")]), "{name}");
        assert_eq!(open(directory.path()).1.records, ["new"], "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_reached_leaves_everything_else_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("devices.db")).unwrap();
    let (mut store, kept) = open(directory.path());
    assert!(matches!(store.condition(), DeviceCondition::Unavailable { .. }), "{store:?}");
    assert_ne!(kept.install_key, [0; 32]);
    assert!(!store.is_durable() && !store.write(&[put("a", "x")]));

    let (directory, _) = with_a_device();
    let file = directory.path().join("devices.db");
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 9).unwrap();
    let (store, _) = open(directory.path());
    assert!(matches!(store.condition(), DeviceCondition::Unavailable { .. }), "{store:?}");
    assert!(file.exists());
}

#[test]
fn a_file_that_goes_bad_later_is_noticed_at_the_next_writing() {
    let (directory, _) = with_a_device();
    let (mut store, _) = open(directory.path());
    let other = rusqlite::Connection::open(store.path()).unwrap();
    other.execute_batch("DROP TABLE devices").unwrap();
    assert!(store.is_durable() && !store.write(&[put("a", "x")]));
    assert!(matches!(store.condition(), DeviceCondition::Unavailable { .. }), "{store:?}");
    assert!(!store.is_durable());
}

#[test]
fn a_read_only_file_is_read_and_kept_as_it_is() {
    let (directory, key) = with_a_device();
    let file = directory.path().join("devices.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let (store, kept) = open(directory.path());
    assert_eq!((kept.install_key, kept.records.len()), (key, 1));
    // Nobody keeps root from writing, so for root it is a file like any other.
    let may_write = fs::OpenOptions::new().append(true).open(&file).is_ok();
    let expected = if may_write { DeviceCondition::Ok } else { DeviceCondition::ReadOnly };
    assert_eq!((store.condition(), store.is_durable()), (&expected, may_write));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o400);
}
