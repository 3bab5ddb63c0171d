//! Any tree gives one id, whatever the number of threads and with or without an index.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Made {
    File { size: usize, seed: u64 },
    Zeros(usize),
    Symlink,
    Directory,
}

fn made() -> impl Strategy<Value = Made> {
    prop_oneof![
        4 => (0usize..3_000, 0u64..50).prop_map(|(size, seed)| Made::File { size, seed }),
        2 => (0usize..120_000, 0u64..50).prop_map(|(size, seed)| Made::File { size, seed }),
        1 => (0usize..100_000).prop_map(Made::Zeros),
        1 => Just(Made::Symlink),
        1 => Just(Made::Directory),
    ]
}

fn make(bench: &Bench, path: &str, made: &Made) {
    let at = bench.at(path);
    // A file where the path wants a directory: that name is taken.
    if fs::create_dir_all(at.parent().expect("below the root")).is_err() || at.is_dir() {
        return;
    }
    match made {
        Made::File { size, seed } => drop(fs::write(at, noise(*size, *seed))),
        Made::Zeros(size) => drop(fs::write(at, vec![0; *size])),
        Made::Symlink => drop(std::os::unix::fs::symlink("anywhere", at)),
        Made::Directory => drop(fs::create_dir(at)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn one_tree_one_id(
        entries in prop::collection::vec(("[a-c.]{1,2}x(/[a-c]{1,2}){0,3}", made()), 0..120),
        edits in prop::collection::vec(("[a-c.]{1,2}x(/[a-c]{1,2}){0,3}", made()), 0..4),
    ) {
        let mut bench = Bench::new();
        for (path, made) in &entries {
            make(&bench, path, made);
        }
        bench.let_settle();
        bench.options.threads = 1;
        let (one, sink) = bench.fresh();
        bench.options.threads = 5;
        let (five, _) = bench.fresh();
        prop_assert_eq!(one.tree, five.tree);
        prop_assert_eq!(&one.closure_head, &five.closure_head);
        let again = bench.again(&sink);
        prop_assert_eq!((again.tree, again.files_read), (one.tree, 0));
        prop_assert_eq!(&one.closure_head, &again.closure_head);
        prop_assert_eq!(sink.restore(&one), sink.restore(&again));

        for (path, made) in &edits {
            make(&bench, path, made);
        }
        let edited = bench.again(&sink);
        let (fresh, _) = bench.fresh();
        prop_assert_eq!(edited.tree, fresh.tree);
        prop_assert_eq!(&edited.closure_head, &fresh.closure_head);
        prop_assert!(edited.files_read <= fresh.files_read);
    }
}
