//! Random histories of a store against a map: appends, flushes, collections, restarts, crashes,
//! damage in the packs, a lost index, and repair.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Chunks of a history.
const SEEDS: std::ops::Range<u64> = 1..40;

/// How many histories are tried; `CONSIGN_MODEL_CASES` asks for more.
fn cases() -> u32 {
    let more = std::env::var("CONSIGN_MODEL_CASES").ok();
    more.map_or(200, |more| more.parse().expect("CONSIGN_MODEL_CASES is a number"))
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u64>),
    Flush,
    Reopen,
    Crash,
    LoseIndex,
    Collect(Vec<u64>),
    /// Changes bytes of a pack; `at` is where, in parts of a thousand of all packs.
    Damage {
        at: usize,
        how: Damaged,
        while_open: bool,
    },
    /// Looks for damage.
    Verify,
    /// Looks for damage and sends again what it cost.
    Repair,
}

#[derive(Debug, Clone, Copy)]
enum Damaged {
    Bit(u8),
    Zeros,
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    let seeds = || prop::collection::vec(SEEDS, 1..8);
    let how = prop_oneof![
        4 => (0..8u8).prop_map(Damaged::Bit),
        2 => Just(Damaged::Zeros),
        1 => Just(Damaged::Cut),
    ];
    let damage = (0..1000usize, how, any::<bool>());
    prop_oneof![
        8 => seeds().prop_map(Step::Append),
        4 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        1 => Just(Step::LoseIndex),
        2 => seeds().prop_map(Step::Collect),
        2 => damage.prop_map(|(at, how, while_open)| Step::Damage { at, how, while_open }),
        1 => Just(Step::Verify),
        1 => Just(Step::Repair),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn it_behaves_as_a_map_of_chunks(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut history = History::new();
            for step in steps {
                history.apply(step).await;
                history.check().await;
            }
        });
    }
}

/// In memory where that is possible: what a real disk does with a sync is tested elsewhere.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).expect("a directory") } else { directory() }
}

/// A store and what it must hold.
struct History {
    directory: TempDir,
    store: Option<DiskStore>,
    /// Acknowledged by a flush.
    must: BTreeMap<u64, Vec<u8>>,
    /// Appended since.
    fresh: BTreeMap<u64, Vec<u8>>,
    /// Removed, damaged, or lost before a flush: gone or whole, never wrong.
    may: BTreeMap<u64, Vec<u8>>,
    was_damaged: bool,
}

impl History {
    fn new() -> Self {
        let directory = scratch();
        let store = Some(open(directory.path()));
        let [must, fresh, may] = [(); 3].map(|()| BTreeMap::new());
        Self { directory, store, must, fresh, may, was_damaged: false }
    }

    fn store(&self) -> &DiskStore {
        self.store.as_ref().expect("open")
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Append(seeds) => self.append(&seeds).await,
            Step::Flush => self.flush().await,
            Step::Reopen => self.reopen(|_| ()).await,
            Step::LoseIndex => {
                let lose = |path: &Path| std::fs::remove_file(path.join("index.redb"));
                self.reopen(|path| lose(path).expect("removed")).await;
            }
            Step::Crash => {
                let crashed = scratch();
                copy_into(self.directory.path(), crashed.path());
                self.store = None;
                self.directory = crashed;
                self.may.append(&mut self.fresh);
                self.store = Some(open(self.directory.path()));
            }
            Step::Collect(seeds) => self.collect(seeds.into_iter().collect()).await,
            Step::Damage { at, how, while_open } => self.damage(at, how, while_open).await,
            Step::Verify => drop(self.damaged().await),
            Step::Repair => self.repair().await,
        }
    }

    async fn append(&mut self, seeds: &[u64]) {
        // A chunk that is damaged, and not known to be, counts as here and is not stored again.
        let known = self.store().has(&ids(seeds.iter().copied())).await.expect("has");
        self.store().append(vec![frame(seeds.iter().copied())]).await.expect("room");
        for (seed, known) in seeds.iter().zip(known) {
            if self.may.contains_key(seed) && known || self.must.contains_key(seed) {
                continue;
            }
            self.may.remove(seed);
            self.fresh.insert(*seed, chunk(*seed));
        }
    }

    async fn flush(&mut self) {
        self.store().flush().await.expect("flush");
        self.must.append(&mut self.fresh);
    }

    async fn reopen(&mut self, meanwhile: impl FnOnce(&Path)) {
        self.flush().await;
        self.store = None;
        meanwhile(self.directory.path());
        self.store = Some(open(self.directory.path()));
    }

    /// Keeps `seeds` and what the store has of them, nothing else.
    async fn collect(&mut self, seeds: std::collections::BTreeSet<u64>) {
        // A closure that was damaged is no reason to remove anything: it is sent again first.
        self.damaged().await;
        let (list, head) = closure(seeds.iter().copied());
        self.store().append(vec![list]).await.expect("room");
        self.store().gc(&Kept(vec![head]), Duration::ZERO, later()).await.expect("gc");
        self.must.append(&mut self.fresh);
        let unwanted: BTreeMap<u64, Vec<u8>> =
            self.must.extract_if(.., |seed, _| !seeds.contains(seed)).collect();
        let gone: Vec<u64> = unwanted.keys().copied().collect();
        self.may.extend(unwanted);
        let there = self.store().has(&ids(gone.iter().copied())).await.expect("has");
        // What is in a damaged frame may be left where it is, and found again behind it.
        assert!(self.was_damaged || !there.contains(&true), "{gone:?} were removed: {there:?}");
    }

    /// Damages a pack; what stood where it is damaged may be lost, nothing else.
    async fn damage(&mut self, at: usize, how: Damaged, while_open: bool) {
        self.flush().await;
        self.was_damaged = true;
        let packs = DiskStore::pack_files(self.directory.path()).expect("listed");
        let lengths = packs.values().map(|path| std::fs::metadata(path).expect("there").len());
        let lengths: Vec<u64> = lengths.collect();
        let mut at = lengths.iter().sum::<u64>() * at as u64 / 1000;
        for (path, length) in packs.values().zip(lengths) {
            if at >= length {
                at -= length;
                continue;
            }
            // Nothing reads a pack's header; a store without it is another one.
            at = at.max(pack::PACK_HEADER_BYTES);
            if at >= length {
                return;
            }
            let end = match how {
                Damaged::Bit(_) => at + 1,
                Damaged::Zeros => (at + 500).min(length),
                Damaged::Cut => length,
            };
            let lost = named_in(path, at..end);
            self.may.extend(self.must.extract_if(.., |seed, _| lost.contains(&id(*seed))));
            // A file that is cut while it is open belongs to a broken machine, not to a bad disk.
            let while_open = while_open && !matches!(how, Damaged::Cut);
            if !while_open {
                self.store = None;
            }
            match how {
                Damaged::Bit(bit) => alter(path, at, end, |byte| byte ^ 1 << bit),
                Damaged::Zeros => alter(path, at, end, |_| 0),
                Damaged::Cut => {
                    let file = File::options().write(true).open(path).expect("opens");
                    file.set_len(at).expect("cut");
                }
            }
            if !while_open {
                self.store = Some(open(self.directory.path()));
            }
            return;
        }
    }

    /// What the store finds damaged; none of it is anything it has to have.
    async fn damaged(&self) -> HashSet<ChunkId> {
        let report = self.store().verify(Scope::All).await.expect("verify");
        let damaged: HashSet<ChunkId> =
            report.damaged.into_iter().flat_map(|damage| damage.ids).collect();
        for seed in self.must.keys().chain(self.fresh.keys()) {
            assert!(!damaged.contains(&id(*seed)), "{seed} was not touched");
        }
        damaged
    }

    /// Sends again what the store knows to be lost; what it still has after a look is there to stay.
    async fn repair(&mut self) {
        self.damaged().await;
        let may: Vec<u64> = self.may.keys().copied().collect();
        let known = self.store().has(&ids(may.iter().copied())).await.expect("has");
        let known: HashSet<u64> =
            may.into_iter().zip(known).filter_map(|(seed, known)| known.then_some(seed)).collect();
        self.must.extend(self.may.extract_if(.., |seed, _| known.contains(seed)));
        let lost: Vec<u64> = self.may.keys().copied().collect();
        if !lost.is_empty() {
            self.append(&lost).await;
        }
        self.flush().await;
    }

    async fn check(&self) {
        let store = self.store();
        for seed in SEEDS {
            let read = store.read(&id(seed)).await;
            let right = self.must.get(&seed).or_else(|| self.fresh.get(&seed));
            if let Some(right) = right {
                let read = read.unwrap_or_else(|error| panic!("chunk {seed}: {error}"));
                assert_eq!(read.as_deref(), Some(&right[..]), "chunk {seed}");
            } else if let Some(right) = self.may.get(&seed) {
                match read {
                    Ok(None) | Err(StoreError::Damaged { .. }) => {}
                    Ok(Some(bytes)) => assert_eq!(bytes, right[..], "chunk {seed}, once lost"),
                    Err(error) => panic!("chunk {seed}: {error}"),
                }
            } else {
                assert_eq!(read.expect("no damage"), None, "chunk {seed} was never there");
            }
        }
    }
}

pub(super) fn copy_into(from: &Path, to: &Path) {
    std::fs::create_dir(to.join("packs")).expect("new");
    for part in ["", "packs"] {
        for entry in std::fs::read_dir(from.join(part)).expect("listed") {
            let entry = entry.expect("listed");
            if entry.file_type().expect("known").is_file() {
                std::fs::copy(entry.path(), to.join(part).join(entry.file_name())).expect("copied");
            }
        }
    }
}

fn alter(path: &Path, at: u64, end: u64, change: impl Fn(u8) -> u8) {
    let file = File::options().read(true).write(true).open(path).expect("opens");
    let mut bytes = vec![0; usize::try_from(end - at).expect("few")];
    file.read_exact_at(&mut bytes, at).expect("there");
    bytes.iter_mut().for_each(|byte| *byte = change(*byte));
    file.write_all_at(&bytes, at).expect("written");
}

/// The chunks of all frames of a pack that lie in `range`, whole or in part.
fn named_in(path: &Path, range: std::ops::Range<u64>) -> HashSet<ChunkId> {
    let file = File::open(path).expect("opens");
    let length = file.metadata().expect("known").len();
    let (mut at, mut found) = (pack::PACK_HEADER_BYTES, HashSet::new());
    while at < length {
        // Behind an earlier damage the next frame is where one is found.
        let Ok((entries, frame)) = pack::read_entries(&file, at) else {
            let next = pack::resync(&file, at + 1, length).expect("readable");
            let Some(next) = next else { break };
            at = next;
            continue;
        };
        if at < range.end && range.start < at + frame {
            found.extend(entries.iter().map(|entry| entry.id));
        }
        at += frame;
    }
    found
}
