//! Good sources of different kinds, and destinations that are slow or full.

use std::sync::Arc;
use std::time::Duration;

use fetch::{FetchConfig, FetchError, FetchProgress, Fetcher, Source, Want};
use testkit::{Honest, Library, Watching};
use tokio::sync::mpsc;
use tokio::time::Instant;

const MIB: u64 = 1 << 20;

fn all(wants: Vec<Want>) -> mpsc::Receiver<Want> {
    let (sender, receiver) = mpsc::channel(wants.len().max(1));
    for want in wants {
        sender.try_send(want).expect("the channel holds them all");
    }
    receiver
}

fn dynamic(sources: &[Arc<Honest>]) -> Vec<Arc<dyn Source>> {
    sources.iter().map(|source| Arc::clone(source) as Arc<dyn Source>).collect()
}

/// Fetches everything; what it took and what the report says.
async fn run(library: &Library, sources: &[Arc<Honest>]) -> (Duration, fetch::FetchReport) {
    let destination = Arc::new(Watching::default());
    let fetcher = Fetcher::new(dynamic(sources), FetchConfig::default());
    let start = Instant::now();
    let target = Arc::clone(&destination);
    let report = fetcher.fetch(all(library.wants()), target, Arc::default()).await;
    let report = report.expect("the sources are honest");
    assert!(destination.holds(library), "{report:?}");
    (start.elapsed(), report)
}

#[tokio::test(start_paused = true)]
async fn three_sources_of_different_speed_add_up_and_no_byte_comes_twice() {
    let library = Arc::new(Library::new(2, 1400, 64 << 10));
    let rates = [("fast", 12), ("middle", 6), ("slow", 3)];
    let source = |(name, rate)| Arc::new(Honest::new(name, &library).with_rate(rate * MIB));
    let sources = rates.map(source);
    let (time, report) = run(&library, &sources).await;
    let given: u64 = sources.iter().map(|source| source.given()).sum();
    assert!(given <= library.bytes() * 102 / 100, "{given} of {}", library.bytes());
    assert!(report.wasted_bytes <= library.bytes() / 50, "{report:?}");
    let ideal = library.bytes() as f64 / (21 * MIB) as f64;
    assert!(time.as_secs_f64() < ideal * 1.1, "{time:?} of {ideal} s");
    assert_eq!(report.bytes, library.bytes());
    assert!(report.culprits.is_empty(), "{report:?}");
    for (share, (name, rate)) in report.sources.iter().zip(rates) {
        assert_eq!(share.source, name);
        let fair = library.bytes() as f64 * rate as f64 / 21.0;
        let part = share.bytes as f64 / fair;
        assert!((0.7..1.3).contains(&part), "{name} brought {part} of its share");
    }
}

#[tokio::test(start_paused = true)]
async fn when_one_of_two_stops_in_the_middle_the_other_takes_over() {
    let library = Arc::new(Library::new(3, 640, 64 << 10));
    let rate = 10 * MIB;
    let stopping = Honest::new("stopping", &library).with_rate(rate).dying_after(10 * MIB);
    let lasting = Honest::new("lasting", &library).with_rate(rate);
    let sources = [Arc::new(stopping), Arc::new(lasting)];
    let (time, report) = run(&library, &sources).await;
    assert_eq!(report.culprits[0].source, "stopping");
    assert_eq!(report.culprits[0].reason, "went away");
    // One second of both, then one alone.
    let ideal = 1.0 + (library.bytes() - 20 * MIB) as f64 / rate as f64;
    assert!(time.as_secs_f64() < ideal * 1.1, "{time:?} of {ideal} s");
    assert!(report.wasted_bytes < MIB, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_very_slow_source_alone_is_waited_for() {
    let library = Arc::new(Library::new(4, 64, 32 << 10));
    let source = [Arc::new(Honest::new("modem", &library).with_rate(20 << 10))];
    let (time, report) = run(&library, &source).await;
    let ideal = library.bytes() as f64 / f64::from(20 << 10);
    assert!(time.as_secs_f64() < ideal * 3.0, "{time:?} of {ideal} s, {report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_does_not_hold_up_a_fast_one() {
    let library = Arc::new(Library::new(5, 640, 64 << 10));
    let sources = [
        Arc::new(Honest::new("slow", &library).with_rate(100 << 10)),
        Arc::new(Honest::new("fast", &library).with_rate(20 * MIB)),
    ];
    let (time, report) = run(&library, &sources).await;
    let alone = library.bytes() as f64 / (20 * MIB) as f64;
    assert!(time.as_secs_f64() < alone + 5.0, "{time:?} where fast alone takes {alone} s");
    assert!(report.wasted_bytes < 2 * MIB, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_distant_source_is_kept_busy() {
    let library = Arc::new(Library::new(6, 640, 64 << 10));
    let distant = Honest::new("distant", &library).with_rate(8 * MIB);
    let sources = [Arc::new(distant.with_delay(Duration::from_millis(300)))];
    let (time, _) = run(&library, &sources).await;
    let ideal = library.bytes() as f64 / (8 * MIB) as f64 + 0.3;
    assert!(time.as_secs_f64() < ideal * 1.1, "{time:?} of {ideal} s");
}

#[tokio::test(start_paused = true)]
async fn sources_that_have_different_parts_complete_each_other() {
    let library = Arc::new(Library::new(7, 300, 16 << 10));
    let odd = Honest::new("odd", &library).without(|id| id.as_bytes()[0] % 2 == 0);
    let even = Honest::new("even", &library).without(|id| id.as_bytes()[0] % 2 == 1);
    let (_, report) = run(&library, &[Arc::new(odd), Arc::new(even)]).await;
    assert_eq!(report.wasted_bytes, 0);
    assert!(report.culprits.is_empty(), "to lack something is no crime: {report:?}");
    assert!(report.sources.iter().all(|share| share.bytes > 0 && share.lacked > 0));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_is_reported_with_every_source() {
    let library = Arc::new(Library::new(8, 30, 16 << 10));
    let other = Arc::new(Library::new(9, 1, 100));
    let sources = ["one", "two"].map(|name| Arc::new(Honest::new(name, &library)));
    let fetcher = Fetcher::new(dynamic(&sources), FetchConfig::default());
    let error = fetcher.fetch_all(other.wants()).await.expect_err("nobody has it");
    let text = error.to_string();
    assert!(text.ends_with("one does not have it; two does not have it"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn memory_stays_flat_however_fast_the_source() {
    let library = Arc::new(Library::new(10, 640, 64 << 10));
    let source = Arc::new(Honest::new("fast", &library));
    let destination = Arc::new(Watching::source(&source));
    let mut config = FetchConfig { unwritten_bytes_max: 2 << 20, ..FetchConfig::default() };
    config.plan.wanted_bytes_max = 4 * MIB;
    let fetcher = Fetcher::new(dynamic(&[Arc::clone(&source)]), config);
    let (sender, receiver) = mpsc::channel(1);
    let progress = Arc::new(FetchProgress::default());
    let (wants, watched) = (library.wants(), Arc::clone(&progress));
    let feeder = tokio::spawn(async move {
        let (mut sent, mut ahead_max) = (0, 0);
        for want in wants {
            sender.send(want).await.expect("the fetch goes on");
            sent += u64::from(want.length);
            ahead_max = ahead_max.max(sent - watched.retrieved_bytes());
        }
        ahead_max
    });
    let target = Arc::clone(&destination);
    fetcher.fetch(receiver, target, Arc::clone(&progress)).await.expect("honest");
    assert!(destination.holds(&library));
    // What has room, and per request two frames on their way.
    let given_ahead = destination.ahead_max();
    assert!(given_ahead <= 2 * MIB + 4 * 3 * 400_000, "{given_ahead} bytes received, not written");
    let wanted_ahead = feeder.await.expect("it ended");
    assert!(wanted_ahead <= 4 * MIB + 260 * 100_000, "{wanted_ahead} bytes wanted, not there");
    assert_eq!(progress.retrieved_bytes(), library.bytes());
    assert_eq!(progress.wanted_chunks(), 640);
    assert_eq!(progress.waits_for(), None);
}

#[tokio::test(start_paused = true)]
async fn a_full_destination_ends_the_fetch_and_is_finished() {
    let library = Arc::new(Library::new(11, 100, 64 << 10));
    let sources = [Arc::new(Honest::new("good", &library))];
    let destination = Arc::new(Watching::full_after(MIB));
    let fetcher = Fetcher::new(dynamic(&sources), FetchConfig::default());
    let target = Arc::clone(&destination);
    let result = fetcher.fetch(all(library.wants()), target, Arc::default()).await;
    assert!(matches!(result, Err(FetchError::Destination(_))), "{result:?}");
    assert!(destination.bytes() >= MIB);
    assert_eq!(destination.finished(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_wanted_twice_is_written_once() {
    let library = Arc::new(Library::new(12, 50, 8 << 10));
    let source = Arc::new(Honest::new("good", &library).with_rate(MIB));
    let destination = Arc::new(Watching::default());
    let fetcher = Fetcher::new(dynamic(&[Arc::clone(&source)]), FetchConfig::default());
    let wants = [library.wants(), library.wants()].concat();
    let target = Arc::clone(&destination);
    fetcher.fetch(all(wants), target, Arc::default()).await.expect("honest");
    assert!(destination.holds(&library));
    assert_eq!(source.given(), library.bytes());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_fetch_stops_its_requests() {
    let library = Arc::new(Library::new(13, 640, 64 << 10));
    let source = Arc::new(Honest::new("good", &library).with_rate(MIB));
    let fetcher = Fetcher::new(dynamic(&[Arc::clone(&source)]), FetchConfig::default());
    let fetching =
        fetcher.fetch(all(library.wants()), Arc::new(Watching::default()), Arc::default());
    tokio::time::timeout(Duration::from_secs(3), fetching).await.expect_err("it takes longer");
    let given = source.given();
    assert!(given > 0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(source.given(), given);
}
