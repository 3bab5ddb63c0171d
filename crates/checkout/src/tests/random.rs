//! Random versions of a tree over random edits of where it was checked out, given up in between and
//! resumed: what comes out is always the tree, whatever was skipped because it seemed unchanged.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use content::TreeRef;

use crate::CheckoutOptions;

use super::world::{World, describe, noise, write};

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64 (Marsaglia 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % sides
    }

    fn directory(&mut self, top: &Path) -> PathBuf {
        let mut path = top.to_path_buf();
        for _ in 0..self.roll(4) {
            path.push(format!("d{}", self.roll(3)));
        }
        path
    }

    fn file(&mut self, top: &Path, kinds_change: bool) -> PathBuf {
        // With the names of directories, files become directories and the other way round.
        let letter = if kinds_change && self.roll(5) == 0 { 'd' } else { 'f' };
        let number = self.roll(if letter == 'd' { 3 } else { 6 });
        self.directory(top).join(format!("{letter}{number}"))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = [0, 20, 600, 3_000, 60_000, 200_000][self.roll(6) as usize];
        noise(self.roll(1 << 20), length)
    }
}

fn clear(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path).expect("removes"),
        Ok(_) => fs::remove_file(path).expect("removes"),
        Err(_) => {}
    }
}

/// Makes room for something at `path`: nothing there, and directories above it.
fn make_room(top: &Path, path: &Path) {
    let above: Vec<&Path> = path.ancestors().skip(1).take_while(|above| *above != top).collect();
    for above in above.into_iter().rev() {
        if !fs::symlink_metadata(above).is_ok_and(|facts| facts.is_dir()) {
            clear(above);
            fs::create_dir(above).expect("makes");
        }
    }
    clear(path);
}

fn next_version(dice: &mut Dice, top: &Path, kinds_change: bool) {
    for _ in 0..1 + dice.roll(6) {
        let path = dice.file(top, kinds_change);
        match dice.roll(10) {
            0 => clear(&path),
            1 => clear(&dice.directory(top).join(format!("d{}", dice.roll(3)))),
            2 => {
                make_room(top, &path);
                symlink(format!("target {}", dice.roll(3)), &path).expect("makes");
            }
            3 => {
                let other = dice.file(top, false);
                make_room(top, &other);
                if path.is_file() && !path.is_symlink() && other.parent() != Some(&path) {
                    fs::hard_link(&path, &other).expect("links");
                }
            }
            4 if path.is_file() && !path.is_symlink() => {
                let mode = [0o600, 0o644, 0o755][dice.roll(3) as usize];
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("sets");
            }
            _ => {
                make_room(top, &path);
                write(&path, &dice.bytes());
            }
        }
    }
}

fn edits(dice: &mut Dice, top: &Path, strangers: bool) {
    for _ in 0..dice.roll(4) {
        let path = dice.file(top, false);
        let there = fs::symlink_metadata(&path).is_ok();
        match dice.roll(6) {
            0 if there => clear(&path),
            1 if there => {
                let mut bytes = fs::read(&path).unwrap_or_default();
                bytes.iter_mut().for_each(|byte| *byte ^= 1);
                clear(&path);
                fs::write(&path, bytes).expect("writes");
            }
            // In place, so that all names of the file have it.
            2 if path.is_file() && !path.is_symlink() => {
                fs::write(&path, dice.bytes()).expect("writes");
            }
            3 if path.is_file() && !path.is_symlink() => {
                let mode = fs::Permissions::from_mode(0o640);
                fs::set_permissions(&path, mode).expect("sets");
            }
            4 => {
                let directory = dice.directory(top);
                if directory != top && !strangers {
                    clear(&directory);
                }
            }
            5 if strangers => {
                let directory = dice.directory(top);
                if directory.is_dir() {
                    let name = format!("stranger {}", dice.roll(4));
                    fs::write(directory.join(name), b"mine").expect("writes");
                }
            }
            _ => {}
        }
    }
}

/// Everything of the tree is there as it should be, and nothing else but strangers and the
/// directories they are in.
fn assert_is_there(world: &World, seed: u64, round: u64) {
    let (from, to) = (describe(&world.from), describe(&world.to));
    for line in &from {
        assert!(to.contains(line), "seed {seed}, round {round}: {line} is not in\n{to:#?}");
    }
    let strangers: Vec<&String> = to.iter().filter(|line| line.contains("stranger")).collect();
    for line in &to {
        let name = line.split('"').nth(1).expect("a name in quotes");
        let above = format!("\"{name}/");
        let is_expected = from.contains(line)
            || line.contains("stranger")
            || strangers.iter().any(|stranger| stranger.starts_with(&above));
        assert!(is_expected, "seed {seed}, round {round}: {line} is left over");
    }
}

/// Versions that are checked out in a history.
const ROUNDS: u64 = 8;

/// How many histories are tried: `CONSIGN_MODEL_CASES` asks for so many versions in all.
fn histories() -> u64 {
    let versions = std::env::var("CONSIGN_MODEL_CASES").ok();
    let versions = versions.map(|it| it.parse::<u64>().expect("CONSIGN_MODEL_CASES is a number"));
    versions.map_or(40, |versions| versions.div_ceil(ROUNDS))
}

/// Begins a checkout whose source falls silent after some chunks, and gives it up then; what it
/// placed is in its journal for the next one.
async fn interrupted(world: &World, tree: TreeRef, options: CheckoutOptions, chunks: u64) {
    world.shelf.allowance.store(chunks, SeqCst);
    let is_silent = async {
        while world.shelf.silent.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        // With fewer chunks to fetch than were allowed it comes to its end.
        done = world.get_with(tree, options) => drop(done.expect("works")),
        () = is_silent => {}
    }
    world.shelf.silent.store(0, SeqCst);
    world.shelf.allowance.store(1 << 40, SeqCst);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_versions_over_random_edits_always_end_as_the_tree() {
    for seed in 1..=histories() {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let strangers = seed % 2 == 0;
        let world = World::new();
        for round in 0..ROUNDS {
            next_version(&mut dice, &world.from, !strangers);
            let options = CheckoutOptions { durable: false, ..CheckoutOptions::default() };
            let tree = world.publish();
            for _ in 0..dice.roll(3) {
                interrupted(&world, tree, options.clone(), dice.roll(6)).await;
            }
            let report = world.get_with(tree, options.clone()).await;
            let report = report.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            assert_is_there(&world, seed, round);
            if round == ROUNDS - 1 && report.unmanaged == 0 {
                let again = world.get_with(world.publish(), options).await.expect("works");
                assert_eq!(again.bytes_written, 0, "seed {seed}, round {round}");
            }
            edits(&mut dice, &world.to, strangers);
        }
    }
}
