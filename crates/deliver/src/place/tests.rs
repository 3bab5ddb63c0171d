use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use content::Mtime;
use delivery::SEGMENT_BYTES;

use super::*;

fn item(path: &str, kind: ItemKind) -> Item {
    let mtime = Mtime { seconds: 1_500_000_000, nanos: 7 };
    Item { path: path.into(), mode: 0o4750, mtime, kind }
}

fn file(path: &str, size: u64) -> Item {
    item(path, ItemKind::File { size })
}

fn header() -> Header {
    let link = ItemKind::Symlink { target: b"/etc/passwd".to_vec() };
    let items = vec![
        item("folder", ItemKind::Directory),
        file("folder/large", 2_500_000),
        file("folder/empty", 0),
        item("folder/link", link),
        file("last", 5),
    ];
    Header { subject: String::new(), message: String::new(), sent: 0, items }
}

/// The stream as its sender would read it.
fn stream(header: &Header) -> Vec<u8> {
    let encoded = header.encode();
    let mut stream = (encoded.len() as u64).to_le_bytes().to_vec();
    stream.extend_from_slice(&encoded);
    stream.extend((0..2_500_000u32).map(|at| at as u8));
    stream.extend_from_slice(b"12345");
    stream
}

fn place(to: &Path) -> Place {
    let header = header();
    let layout = Layout::new(&header, header.encode().len()).expect("fits");
    Place::open(to, DeliveryId::from_bytes([1; 16]), header, layout, 0).expect("opens")
}

fn write_all(place: &Place) {
    for (number, plain) in (0..).zip(stream(&header()).chunks(SEGMENT_BYTES)) {
        place.write(number, plain).expect("writes");
    }
}

fn assert_complete(to: &Path) {
    let large = fs::read(to.join("folder/large")).expect("there");
    assert!(large.len() == 2_500_000 && large.iter().zip(0u32..).all(|(a, b)| *a == b as u8));
    assert_eq!(fs::read(to.join("folder/empty")).expect("there"), b"");
    assert_eq!(fs::read(to.join("last")).expect("there"), b"12345");
    let target = fs::read_link(to.join("folder/link")).expect("a link");
    assert_eq!(target, Path::new("/etc/passwd"), "kept and not followed");
    for name in ["folder", "folder/large", "last"] {
        let facts = fs::metadata(to.join(name)).expect("there");
        assert_eq!(facts.permissions().mode() & 0o7777, 0o750, "{name}: nobody's rights but these");
        let moved = facts.modified().expect("a time").duration_since(std::time::UNIX_EPOCH);
        assert_eq!(moved.expect("after 1970").as_nanos(), 1_500_000_000_000_000_007, "{name}");
    }
}

#[test]
fn a_delivery_has_its_names_when_all_of_it_is_there() {
    let to = tempfile::tempdir().expect("a directory");
    let place = place(to.path());
    write_all(&place);
    let names = |to: &Path| fs::read_dir(to).expect("listed").count();
    assert!(!to.path().join("folder").exists() && !to.path().join("last").exists());
    let placed = place.finish().expect("finishes");
    assert_eq!(placed.len(), 2);
    place.clear().expect("clears");
    assert_complete(to.path());
    assert_eq!(names(to.path()), 2);
}

#[test]
fn finishing_may_be_cut_off_anywhere_and_repeated() {
    let to = tempfile::tempdir().expect("a directory");
    write_all(&place(to.path()));
    // Everything was described, and the process died before the first name was given.
    place(to.path()).complete().expect("completes");
    // One name was given, and it died again.
    let second = place(to.path());
    second.complete().expect("completes again");
    second.whole.top().and_then(|top| top.create_file(FINISHING)).expect("marked");
    second.give_name(&second.items[0]).expect("named");
    let third = place(to.path());
    assert_eq!(third.finish().expect("finishes").len(), 1, "the other one was named before");
    assert!(third.finish().expect("finishes once more").is_empty());
    third.clear().expect("clears");
    assert_complete(to.path());
}

#[test]
fn what_is_read_back_is_what_was_written() {
    let to = tempfile::tempdir().expect("a directory");
    let place = place(to.path());
    write_all(&place);
    let stream = stream(&header());
    for (number, plain) in (0..).zip(stream.chunks(SEGMENT_BYTES)) {
        assert!(place.read(number, &stream).expect("reads") == plain);
    }
}

#[test]
fn more_than_there_is_room_for_is_refused_before_anything_is_written() {
    let to = tempfile::tempdir().expect("a directory");
    let mut header = header();
    header.items.push(file("vast", 1 << 60));
    let layout = Layout::new(&header, 100).expect("fits");
    let refused = Place::open(to.path(), DeliveryId::from_bytes([1; 16]), header, layout, 0);
    assert!(matches!(refused, Err(PlaceError::NoRoom { .. })), "{refused:?}");
    assert_eq!(fs::read_dir(to.path()).expect("listed").count(), 0);
}

#[test]
fn a_taken_name_gets_a_number_before_its_extension() {
    assert_eq!(numbered(b"photo.jpg", 1), b"photo.jpg");
    assert_eq!(numbered(b"photo.jpg", 2), b"photo (2).jpg");
    assert_eq!(numbered(b".profile", 3), b".profile (3)");
    assert_eq!(numbered(b"folder", 2), b"folder (2)");
    assert_eq!(numbered(&[b'x'; 255], 2).len(), 255);
}

fn discarded(to: &Path) -> Result<Leftover, PlaceError> {
    Place::discard(to, DeliveryId::from_bytes([1; 16]), &header())
}

fn is_empty(to: &Path) -> bool {
    fs::read_dir(to).expect("listed").next().is_none()
}

#[test]
fn what_ended_is_removed_wherever_it_was_and_what_is_complete_is_not() {
    let to = tempfile::tempdir().expect("a directory");
    assert_eq!(discarded(to.path()).expect("nothing to do"), Leftover::None);
    assert_eq!(discarded(&to.path().join("gone")).expect("nothing to do"), Leftover::None);

    fs::write(to.path().join("last"), "mine").expect("written");
    let half = place(to.path());
    half.write(0, &stream(&header())[..SEGMENT_BYTES]).expect("writes");
    drop(half);
    assert_eq!(discarded(to.path()).expect("removed"), Leftover::Removed);
    assert_eq!(fs::read(to.path().join("last")).expect("there"), b"mine");
    fs::remove_file(to.path().join("last")).expect("removed");
    assert!(is_empty(to.path()));

    // Everything has its mode already, and one forbids to write.
    let whole = place(to.path());
    write_all(&whole);
    whole.complete().expect("completes");
    whole.stage.set_mode(b"folder", 0o500).expect("set");
    assert_eq!(discarded(to.path()).expect("removed"), Leftover::Removed);
    assert!(is_empty(to.path()));

    let whole = place(to.path());
    write_all(&whole);
    whole.finish().expect("finishes");
    assert_eq!(discarded(to.path()).expect("left alone"), Leftover::Complete);
    assert_complete(to.path());
}

#[test]
fn nothing_is_removed_that_the_delivery_did_not_bring() {
    let to = tempfile::tempdir().expect("a directory");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let stage = to
        .path()
        .join(String::from_utf8(stage_name(DeliveryId::from_bytes([1; 16]))).expect("text"));
    let mine = elsewhere.path().join("items/folder/large");
    fs::create_dir_all(elsewhere.path().join("items/folder")).expect("made");
    fs::write(&mine, "mine").expect("written");

    // The hidden directory is a link to somewhere else.
    std::os::unix::fs::symlink(elsewhere.path(), &stage).expect("linked");
    assert!(matches!(discarded(to.path()), Err(PlaceError::Access { .. })));
    assert_eq!(fs::read(&mine).expect("there"), b"mine");
    fs::remove_file(&stage).expect("removed");

    // A directory in it is one.
    drop(place(to.path()));
    fs::remove_dir(stage.join("items/folder")).expect("removed");
    let link = stage.join("items/folder");
    std::os::unix::fs::symlink(elsewhere.path().join("items/folder"), &link).expect("linked");
    assert!(matches!(discarded(to.path()), Err(PlaceError::Access { .. })));
    assert_eq!(fs::read(&mine).expect("there"), b"mine");
    fs::remove_file(&link).expect("removed");

    // Somebody keeps something in it.
    fs::create_dir(&link).expect("made");
    fs::write(link.join("note"), "mine").expect("written");
    assert!(matches!(discarded(to.path()), Err(PlaceError::Access { .. })));
    assert_eq!(fs::read(link.join("note")).expect("there"), b"mine");
    fs::remove_file(link.join("note")).expect("removed");
    assert_eq!(discarded(to.path()).expect("removed"), Leftover::Removed);
    assert!(is_empty(to.path()));
}
