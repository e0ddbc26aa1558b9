//! Seeing that a file changed.

use std::fs;

use super::World;

#[test]
fn a_fingerprint_changes_exactly_when_a_file_does() {
    let world = World::hatchery("{}");
    let now = || world.with(|sources| sources.fingerprint());
    let first = now();
    assert_eq!(first, now());
    world.write("gateway.json", "{}");
    let second = now();
    assert_ne!(first, second);
    // The same bytes and the same times, but another file.
    let times = fs::metadata(world.path("hatchery.json")).unwrap().modified().unwrap();
    world.write("new", "{}");
    fs::File::options().write(true).open(world.path("new")).unwrap().set_modified(times).unwrap();
    fs::rename(world.path("new"), world.path("hatchery.json")).unwrap();
    assert_ne!(second, now());
}
