//! `consign package send --watch`: a package is sent again whenever what it is made of has changed.
//!
//! Changes are found by looking: mode, length and times of every file, as `stat` tells them, on any file system. What
//! was looked at is no promise. Before anything is signed, the tree itself is compared with the one that was sent.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use super::opened::{Opened, specification_at};
use super::send::send;
use crate::args::SendArgs;
use crate::commands::Session;
use crate::exit::{Ended, judgement};
use crate::progress::{Look, duration, watch_silence};

/// Pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The same, as a multiple of the time that a look takes: watching costs a twentieth of a processor at most.
const LOOK_SHARE: u32 = 20;
/// When it is tried again what was not sent, and for which nothing has changed.
const AGAIN_TIME: Duration = Duration::from_mins(1);

/// Sends it, and again after each change. What is wrong the first time ends it; later it is told.
pub(super) async fn run(session: &Session, args: &SendArgs) -> anyhow::Result<Ended> {
    let path = session.path(&args.path);
    let settle = Duration::from_secs(args.settle.0);
    let mut settling = Settling::new(settle);
    let waits_for = Mutex::new(None);
    let pausing = async |pause| {
        let look = || {
            let waits_for = waits_for.lock().expect("nothing panics while it is held").clone();
            Look { waits_for, ..Look::default() }
        };
        watch_silence(session.output, tokio::time::sleep(pause), look).await;
    };
    let mut is_first = true;
    loop {
        let begun = Instant::now();
        let looked = path.clone();
        // Before it is read for sending: what changes meanwhile is found by the next look.
        let print = tokio::task::spawn_blocking(move || Print::of(&looked)).await?;
        let pause = LOOK_INTERVAL.max(begun.elapsed() * LOOK_SHARE);
        if settling.handle_look(print, Instant::now()) {
            match send(session, args).await {
                Ok(()) => settling.handle_sent(print),
                Err(error) if is_first => return Err(error),
                Err(error) => {
                    not_sent(session, &error)?;
                    settling.handle_failure(Instant::now());
                }
            }
            if std::mem::take(&mut is_first) {
                let after = duration(settle);
                session.output.remark(format!(
                    "watching: what changes is sent {after} after the last change, until this is interrupted"
                ));
            }
        }
        *waits_for.lock().expect("nothing panics while it is held") =
            settling.waits_for(Instant::now());
        pausing(pause).await;
    }
}

fn not_sent(session: &Session, error: &anyhow::Error) -> anyhow::Result<()> {
    let failure = judgement(error);
    let again = AGAIN_TIME.as_secs();
    let help = failure.hint.as_ref().map(|hint| format!("\n  help: {hint}")).unwrap_or_default();
    session.output.warn(
        format!(
            "not sent: {}{help}\n  it is tried again in {again} s, or after the next change",
            failure.causes.join("\n  because: ")
        ),
        &json!({
            "event": "not_sent", "message": failure.causes.join(": "), "hint": failure.hint,
            "again_s": again,
        }),
    )
}

/// What a look at all sources came to: equal when nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print([u8; 32]);

impl Print {
    /// Of the specification and everything that it names. What cannot be read is a state as any other: the sending
    /// says what is wrong with it.
    fn of(path: &Path) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut rest = vec![specification_at(path)];
        if let Ok(opened) = Opened::open(path) {
            // A link that a specification names stands for what it leads to.
            let follow = |path: PathBuf| fs::canonicalize(&path).unwrap_or(path);
            rest.extend(opened.sources().into_iter().map(follow));
        }
        while let Some(path) = rest.pop() {
            let name = path.as_os_str().as_encoded_bytes();
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name);
            let Ok(facts) = fs::symlink_metadata(&path) else {
                hasher.update(b"away");
                continue;
            };
            let times = [facts.mtime(), facts.mtime_nsec(), facts.ctime(), facts.ctime_nsec()];
            for number in [u64::from(facts.mode()), facts.ino(), facts.len()] {
                hasher.update(&number.to_le_bytes());
            }
            for time in times {
                hasher.update(&time.to_le_bytes());
            }
            if facts.is_dir() {
                let Ok(entries) = fs::read_dir(&path) else { continue };
                let mut below: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                below.sort_unstable();
                rest.append(&mut below);
            }
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// When to send: at once, and then when something has changed and has been quiet since. Pure.
#[derive(Debug)]
struct Settling {
    settle: Duration,
    /// What was looked at before it was last sent.
    sent: Option<Print>,
    /// The last look, and since when it is the same.
    seen: Option<(Print, Instant)>,
    /// Since when it changes again and again.
    restless: Option<Instant>,
    /// After a failure: when to try what has not changed since.
    again: Option<Instant>,
}

impl Settling {
    fn new(settle: Duration) -> Self {
        Self { settle, sent: None, seen: None, restless: None, again: None }
    }

    /// Takes in a look; whether it is to be sent now.
    fn handle_look(&mut self, print: Print, now: Instant) -> bool {
        let since = match self.seen {
            Some((seen, since)) if seen == print => since,
            Some(_) | None => {
                self.seen = Some((print, now));
                self.again = None;
                now
            }
        };
        if self.sent == Some(print) {
            self.restless = None;
            return false;
        }
        self.restless.get_or_insert(now);
        let is_quiet = self.sent.is_none() || now.saturating_duration_since(since) >= self.settle;
        is_quiet && self.again.is_none_or(|again| again <= now)
    }

    /// It was sent as it was at this look.
    fn handle_sent(&mut self, print: Print) {
        (self.sent, self.restless, self.again) = (Some(print), None, None);
    }

    /// It was not sent.
    fn handle_failure(&mut self, now: Instant) {
        self.again = Some(now + AGAIN_TIME);
    }

    /// What stands in the way of sending a change, when that is worth a word.
    fn waits_for(&self, now: Instant) -> Option<String> {
        let since = self.restless?;
        if self.again.is_some() {
            return Some("the next try, or a change".to_owned());
        }
        let still = now.saturating_duration_since(since) > 2 * self.settle.max(LOOK_INTERVAL);
        let quiet = duration(self.settle);
        still.then(|| format!("{quiet} in which nothing changes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(number: u8) -> Print {
        Print([number; 32])
    }

    #[test]
    fn a_change_is_sent_once_it_is_quiet_and_a_failure_is_tried_again() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut settling = Settling::new(Duration::from_secs(10));
        assert!(settling.handle_look(print(1), at(0)), "at once");
        settling.handle_sent(print(1));
        assert!(!settling.handle_look(print(1), at(60)));
        // It is being written to.
        for second in 61..70 {
            assert!(!settling.handle_look(print(second), at(second.into())));
        }
        assert!(!settling.handle_look(print(69), at(78)));
        assert_eq!(settling.waits_for(at(78)), None);
        assert!(settling.handle_look(print(69), at(79)));
        settling.handle_failure(at(79));
        assert!(!settling.handle_look(print(69), at(138)));
        assert_eq!(settling.waits_for(at(138)), Some("the next try, or a change".to_owned()));
        assert!(settling.handle_look(print(69), at(139)));
        settling.handle_failure(at(139));
        // What mends it is a change.
        assert!(!settling.handle_look(print(70), at(140)));
        assert!(settling.handle_look(print(70), at(150)));
        settling.handle_sent(print(70));
        assert!(!settling.handle_look(print(70), at(999)));
    }

    #[test]
    fn what_goes_back_to_what_was_sent_is_not_sent_and_what_never_rests_is_told() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut settling = Settling::new(Duration::from_secs(5));
        settling.handle_sent(print(1));
        assert!(!settling.handle_look(print(2), at(1)));
        assert!(!settling.handle_look(print(1), at(2)));
        assert!(!settling.handle_look(print(1), at(20)));
        assert_eq!(settling.waits_for(at(20)), None);
        for second in 21..60 {
            assert!(!settling.handle_look(print(second), at(second.into())));
        }
        let told = settling.waits_for(at(60)).expect("for long");
        assert_eq!(told, "5 s in which nothing changes");
    }

    #[test]
    fn every_change_of_a_source_is_seen_and_nothing_else_is_one() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let folder = directory.path();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("written");
        fs::create_dir_all(folder.join("site/sub")).expect("made");
        write("site/sub/page", "one");
        let text = "[package]\nname = \"site\"\nversion = \"1\"\n\n[[step]]\nfiles = \"site\"\n\
                    target = \"/srv/site\"\n";
        write(package::specification::FILE_NAME, text);
        let mut last = Print::of(folder);
        assert_eq!(Print::of(folder), last);
        assert_eq!(Print::of(&folder.join(package::specification::FILE_NAME)), last);
        write("beside", "not in the package");
        assert_eq!(Print::of(folder), last);
        let rename = |from: &str, to: &str| fs::rename(folder.join(from), folder.join(to));
        let second = text.replace("\"1\"", "\"2\"");
        let changes: [(&str, &dyn Fn()); 6] = [
            ("the same length", &|| write("site/sub/page", "two")),
            ("a new file", &|| write("site/other", "x")),
            ("renamed", &|| rename("site/other", "site/o").expect("renamed")),
            ("removed", &|| fs::remove_file(folder.join("site/o")).expect("removed")),
            ("the specification", &|| write(package::specification::FILE_NAME, &second)),
            ("gone", &|| fs::remove_dir_all(folder.join("site")).expect("removed")),
        ];
        for (what, change) in changes {
            change();
            let now = Print::of(folder);
            assert_ne!(now, last, "{what}");
            last = now;
        }
    }
}
