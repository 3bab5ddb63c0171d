//! A hub without room: it refuses what is new, serves what it has, and goes on by itself.

use std::fs;
use std::path::Path;

use testkit::SmallDisk;

use testkit::noise;

use crate::process::{last_line, start_hub, told};
use crate::world::Node;

fn publish(node: &Node, path: &Path, expected: i32) {
    let output = node.run(&["publish", path.to_str().expect("UTF-8"), "team/files", "--public"]);
    assert_eq!(output.status.code(), Some(expected), "{}", told(&output));
    if expected == 9 {
        let error = last_line(&output);
        assert_eq!(error["event"], "error");
        assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("hub is full")), "{error}");
    }
}

fn gets(node: &Node, to: &Path, wanted: &[u8]) {
    let _ = fs::remove_dir_all(to);
    node.ok(&["get", "team/files", "--to", to.to_str().expect("UTF-8")]);
    assert_eq!(fs::read(to.join("file")).expect("there"), wanted);
}

#[test]
fn a_hub_over_its_quota_refuses_what_is_new_and_serves_what_it_has() {
    let temp = tempfile::tempdir().expect("a directory");
    let (data, from, to) =
        (temp.path().join("hub"), temp.path().join("from"), temp.path().join("to"));
    fs::create_dir(&from).expect("fresh");
    let node = Node::new(temp.path().join("node"));
    let first = noise(1, 4 << 20);
    fs::write(from.join("file"), &first).expect("writes");
    let (mut hub, hello) = start_hub(&data, &["--listen", "127.0.0.1:0", "--quota", "12MB"]);
    node.join(&data, &[]);
    publish(&node, &from, 0);

    fs::write(from.join("file"), noise(2, 30 << 20)).expect("writes");
    publish(&node, &from, 9);
    gets(&node, &to, &first);

    // With a larger one the same command ends well, at the same address.
    assert!(hub.stop());
    let port = hello["url"].as_str().and_then(|url| url.rsplit(':').next()).expect("a port");
    let listen = format!("127.0.0.1:{port}");
    let (_hub, _) = start_hub(&data, &["--listen", &listen, "--quota", "1GB"]);
    publish(&node, &from, 0);
    gets(&node, &to, &noise(2, 30 << 20));
}

#[test]
fn a_hub_on_a_full_disk_goes_on_by_itself_when_there_is_room() {
    let temp = tempfile::tempdir().expect("a directory");
    let Some(disk) = SmallDisk::mount(temp.path().join("disk"), 96) else { return };
    let (data, from, to) =
        (disk.path().join("hub"), temp.path().join("from"), temp.path().join("to"));
    fs::create_dir(&from).expect("fresh");
    let node = Node::new(temp.path().join("node"));
    let first = noise(3, 4 << 20);
    fs::write(from.join("file"), &first).expect("writes");
    let (_hub, _) = start_hub(&data, &["--listen", "127.0.0.1:0", "--keep-free", "8MiB"]);
    node.join(&data, &[]);
    publish(&node, &from, 0);

    // Somebody else takes the room.
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![0; 70 << 20]).expect("fits");
    let second = noise(4, 24 << 20);
    fs::write(from.join("file"), &second).expect("writes");
    publish(&node, &from, 9);
    gets(&node, &to, &first);

    fs::remove_file(&filler).expect("removes");
    publish(&node, &from, 0);
    gets(&node, &to, &second);
}
