//! What is read again, and what happens to files that change meanwhile.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use content::{ChunkRef, Contents, Kind};

use super::*;

/// Small files in several directories, a few large ones; the index trusts them all.
fn settled() -> (Bench, Snapshot, MemorySink) {
    let bench = Bench::new();
    for folder in 0..5 {
        for number in 0..100u64 {
            bench.write(&format!("{folder}/{number}"), noise(2_000, folder * 1_000 + number));
        }
        bench.write(&format!("{folder}/large"), noise(100_000, folder));
    }
    bench.let_settle();
    let (shot, sink) = bench.fresh();
    (bench, shot, sink)
}

#[test]
fn nothing_is_read_when_nothing_changed() {
    let (bench, shot, sink) = settled();
    assert_eq!((shot.files_read, shot.bytes_read), (505, 5 * 300_000));
    sink.begin();
    let again = bench.again(&sink);
    assert_eq!((again.files_read, again.bytes_read), (0, 0));
    assert_eq!((again.tree, again.closure), (shot.tree, shot.closure));
    assert!(sink.offered(ChunkKind::Content).is_empty());
    let metadata = sink.offered(ChunkKind::Metadata);
    assert!(metadata.contains(&shot.tree.id()), "metadata is offered every time");
}

#[test]
fn one_changed_small_file_costs_its_group() {
    let (bench, _, sink) = settled();
    bench.write("2/50", noise(2_000, 77_777));
    sink.begin();
    let changed = bench.again(&sink);
    assert!((1..60).contains(&changed.files_read), "{} files were read", changed.files_read);
    assert!(sink.offered(ChunkKind::Content).len() <= 4);
    assert_eq!(changed.tree, bench.fresh().0.tree);
}

#[test]
fn removed_added_and_moved_files_give_the_tree_of_a_fresh_read() {
    let (bench, _, sink) = settled();
    fs::remove_file(bench.at("0/5")).expect("removes");
    fs::remove_dir_all(bench.at("3")).expect("removes");
    fs::rename(bench.at("1"), bench.at("1moved")).expect("moves");
    bench.write("2/new", noise(3_000, 9));
    fs::remove_dir_all(bench.at("4")).expect("removes");
    bench.write("4", "a file where a directory was");
    let changed = bench.again(&sink);
    assert_eq!(changed.tree, bench.fresh().0.tree);
    assert!(changed.files_read < 250, "{} files were read", changed.files_read);
}

#[test]
fn chunks_that_were_lost_are_offered_again() {
    let (mut bench, shot, sink) = settled();
    let restored = sink.restore(&shot);
    let chunk = |path: &[u8]| match &restored[path].entry.kind {
        Kind::File { contents, .. } => contents.chunks().next().expect("has one").id,
        Kind::Directory { .. } | Kind::Symlink { .. } => panic!("a file"),
    };
    let lost = HashSet::from([chunk(b"1/large"), chunk(b"3/7")]);
    bench.options.resend = lost.clone();
    sink.begin();
    let again = bench.again(&sink);
    assert!(lost.is_subset(&sink.offered(ChunkKind::Content)));
    assert!((2..60).contains(&again.files_read), "{} files were read", again.files_read);
    assert_eq!(again.tree, shot.tree);
}

#[test]
fn rereading_reads_all_and_a_damaged_index_is_none() {
    let (mut bench, shot, sink) = settled();
    bench.options.reread = true;
    let again = bench.again(&sink);
    assert_eq!((again.tree, again.files_read), (shot.tree, 505));
    bench.options.reread = false;
    let mut index = fs::read(bench.index()).expect("readable");
    let middle = index.len() / 2;
    index[middle] ^= 1;
    fs::write(bench.index(), index).expect("writable");
    let again = bench.again(&sink);
    assert_eq!((again.tree, again.files_read), (shot.tree, 505));
}

#[test]
fn an_edit_within_the_resolution_of_time_stamps_is_noticed() {
    let bench = Bench::new();
    for round in 0..100u8 {
        bench.write("file", [round; 600]);
        let modified = fs::metadata(bench.at("file")).expect("there").modified().expect("known");
        let (before, sink) = bench.fresh();
        let file = fs::File::options().write(true).open(bench.at("file")).expect("opens");
        (&file).write_all(&[round ^ 0x80; 600]).expect("writes");
        file.set_modified(modified).expect("sets");
        assert_ne!(bench.again(&sink).tree, before.tree, "round {round}");
    }
}

#[test]
fn a_file_that_keeps_changing_is_left_out_and_the_rest_is_read() {
    let bench = Bench::new();
    bench.write("growing", noise(20_000_000, 1));
    bench.write("quiet", "x");
    let done = AtomicBool::new(false);
    let (shot, sink) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = fs::File::options().append(true).open(bench.at("growing")).expect("opens");
            while !done.load(Ordering::Relaxed) {
                (&file).write_all(b"more").expect("writes");
            }
        });
        std::thread::sleep(Duration::from_millis(5));
        let result = bench.fresh();
        done.store(true, Ordering::Relaxed);
        result
    });
    let expected = Skipped { path: b"growing".to_vec(), reason: SkipReason::Changing };
    assert_eq!(shot.skipped, [expected]);
    assert_eq!(sink.restore(&shot).len(), 1);
    // Once it is quiet it is read.
    assert_eq!(bench.again(&sink).totals.files, 2);
}

/// Does something the first time contents are offered, when the walk has looked at all files.
struct Meanwhile<'a, F: Fn() + Sync> {
    sink: &'a MemorySink,
    once: AtomicBool,
    act: F,
}

impl<F: Fn() + Sync + Send> ChunkSink for Meanwhile<'_, F> {
    fn offer(&self, reference: &ChunkRef, stored: Bytes, kind: ChunkKind) -> Result<(), SinkError> {
        if kind == ChunkKind::Content && !self.once.swap(true, Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(150));
            (self.act)();
        }
        self.sink.offer(reference, stored, kind)
    }
}

/// A neighbour in a group changes after it was found unchanged and before it is read for it.
#[test]
fn a_member_that_changes_before_its_group_is_read_is_noticed() {
    for change in 0..4u8 {
        let bench = Bench::new();
        bench.write("0large", noise(100_000, 1));
        for number in 0..60 {
            bench.write(&format!("f{number:02}"), noise(1_500, number));
        }
        fs::hard_link(bench.at("f20"), bench.at("linked")).expect("links");
        bench.let_settle();
        let (_, sink) = bench.fresh();
        // The large file is read, and with it waits all else; a neighbour breaks the group.
        bench.write("0large", noise(100_000, 2));
        for number in (0..60).filter(|number| *number != 20) {
            if number % 3 == 0 {
                bench.write(&format!("f{number:02}"), noise(1_500, 1_000 + number));
            }
        }
        let act = || match change {
            0 => bench.write("f20", noise(1_500, 5)),
            1 => bench.write("f20", noise(90_000, 5)),
            2 => bench.write("f20", "tiny"),
            _ => {
                fs::remove_file(bench.at("f20")).expect("removes");
                fs::remove_file(bench.at("linked")).expect("removes");
            }
        };
        let meanwhile = Meanwhile { sink: &sink, once: AtomicBool::new(false), act };
        let shot = bench.try_take(true, &meanwhile).expect("reads");
        sink.check_closure(&shot);
        assert_eq!(shot.skipped.len(), if change == 3 { 2 } else { 0 }, "{:?}", shot.skipped);
        assert_eq!(shot.tree, bench.fresh().0.tree, "change {change}");
        bench.let_settle();
        bench.again(&sink);
        assert_eq!(bench.again(&sink).tree, shot.tree);
    }
}

#[test]
fn small_files_share_chunks_across_small_directories() {
    let bench = Bench::new();
    for number in 0..200 {
        bench.write(&format!("{number}/one"), noise(700, number));
        bench.write(&format!("{number}/two"), noise(700, 1_000 + number));
    }
    let (shot, sink) = bench.fresh();
    let restored = sink.restore(&shot);
    let slices: HashSet<_> = restored
        .values()
        .filter_map(|found| match &found.entry.kind {
            Kind::File { contents: Contents::Slice { chunk, .. }, .. } => Some(chunk.id),
            Kind::File { .. } | Kind::Directory { .. } | Kind::Symlink { .. } => None,
        })
        .collect();
    assert!((5..=40).contains(&slices.len()), "{} chunks for 280 KB", slices.len());
}

/// More groups than wait at once: when they are settled must not depend on where bytes came from.
#[test]
fn many_groups_give_the_same_closure_with_and_without_an_index() {
    let bench = Bench::new();
    for index in 0..1_200u64 {
        bench.write(&format!("d{}/f{index}", index / 40), noise(6_000, index));
    }
    bench.let_settle();
    let (first, sink) = bench.fresh();
    let second = bench.again(&sink);
    assert_eq!(second.files_read, 0);
    assert_eq!(second.tree, first.tree);
    assert_eq!(second.closure, first.closure);
}
