//! Changes of the list of watches.

use std::task::Poll;

use super::*;

fn spec(to: &Path, name: &str, switch: Switch) -> WatchSpec {
    WatchSpec {
        name: name.parse().expect("valid"),
        hub: None,
        to: to.to_owned(),
        keep: 2,
        switch,
        hook: None,
        capability: None,
        publisher: None,
    }
}

struct World {
    directory: tempfile::TempDir,
    node: Arc<Node>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Arc::new(Node::open(&directory.path().join("state")).expect("opens"));
        Self { directory, node }
    }

    fn to(&self) -> PathBuf {
        self.directory.path().join("to")
    }

    fn watches(&self) -> Arc<Watches> {
        Watches::open(Arc::clone(&self.node)).expect("opens")
    }
}

#[tokio::test]
async fn a_change_that_fails_leaves_the_watch_that_was() {
    let world = World::new();
    let watches = world.watches();
    let to = world.to();
    watches.add(spec(&to, "team/site", Switch::Link)).await.expect("added");
    // A file where `current` belongs: no watch made it.
    std::fs::create_dir(to.join("current")).expect("made");
    let refused = watches.add(spec(&to, "team/site", Switch::Exchange)).await;
    assert!(matches!(refused, Err(WatchError::Releases(_))), "{refused:?}");
    assert_eq!(watches.status().len(), 1, "it is still followed");
    watches.hold(&to, Some(1)).expect("it takes orders");
    assert!(watches.lock()[&to].task.as_ref().is_some_and(|task| !task.is_finished()));
    assert_eq!(watches.lock()[&to].spec.switch, Switch::Link);
    watches.stop().await;
    assert_eq!(world.watches().status().len(), 1, "and the next node follows it");
}

#[tokio::test]
async fn a_list_that_cannot_be_kept_leaves_the_watch_that_was() {
    let world = World::new();
    let (watches, to) = (world.watches(), world.to());
    watches.add(spec(&to, "team/site", Switch::Link)).await.expect("added");
    let path = world.node.directory().join("watches.json");
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir_all(path.join("in the way")).expect("made");
    let mut other = spec(&to, "team/site", Switch::Link);
    other.keep = 7;
    let refused = watches.add(other).await;
    assert!(matches!(refused, Err(WatchError::State(_))), "{refused:?}");
    let refused = watches.remove(&to).await;
    assert!(matches!(refused, Err(WatchError::State(_))), "{refused:?}");
    assert_eq!(watches.lock()[&to].spec.keep, 2);
    assert!(watches.lock()[&to].task.is_some());
}

#[tokio::test]
async fn a_command_that_goes_away_does_not_cut_a_change() {
    let world = World::new();
    let (watches, to) = (world.watches(), world.to());
    watches.add(spec(&to, "team/site", Switch::Link)).await.expect("added");
    let mut other = spec(&to, "team/site", Switch::Link);
    other.keep = 7;
    // Polled once, then dropped: that is what a command that goes away does.
    {
        let mut adding = std::pin::pin!(watches.add(other));
        let polled = std::future::poll_fn(|context| Poll::Ready(adding.as_mut().poll(context)));
        assert!(polled.await.is_pending(), "it takes more than one step");
    }
    drop(watches.changing.acquire().await.expect("open"));
    let since = std::time::Instant::now();
    while watches.lock()[&to].spec.keep != 7 {
        assert!(since.elapsed().as_secs() < 60, "the change was cut");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    watches.stop().await;
    assert_eq!(world.watches().lock()[&to].spec.keep, 7);
}

#[tokio::test]
async fn a_node_that_ends_forgets_no_watch() {
    let world = World::new();
    let (watches, to) = (world.watches(), world.to());
    watches.add(spec(&to, "team/site", Switch::Link)).await.expect("added");
    watches.stop().await;
    let late = watches.add(spec(&to.join("other"), "team/other", Switch::Link)).await;
    assert!(matches!(late, Err(WatchError::Ending)), "{late:?}");
    watches.save().expect("saved");
    assert_eq!(world.watches().status().len(), 1);
}

#[tokio::test]
async fn orders_wait_until_the_watch_is_resumed() {
    let world = World::new();
    let (watches, to) = (world.watches(), world.to());
    watches.add(spec(&to, "team/site", Switch::Link)).await.expect("added");
    watches.stop().await;
    // The next node waits for the store: nothing is followed yet.
    let watches = world.watches();
    watches.hold(&to, Some(3)).expect("the order waits");
    watches.resume().await;
    let since = std::time::Instant::now();
    while watches.status()[0].hold != Some(3) {
        assert!(since.elapsed().as_secs() < 60, "the order was lost");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    watches.stop().await;
}
