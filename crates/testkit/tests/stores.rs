//! Stores as source and as destination.

use std::sync::Arc;

use fetch::{FetchConfig, FetchError, Fetcher, Source, StoreDestination, StoreSource};
use store::{ChunkStore, MemoryStore};
use testkit::{Honest, Hostile, Library, Manner, frame_of, noise, words};
use tokio::sync::mpsc;

fn wants(library: &Library) -> mpsc::Receiver<fetch::Want> {
    let (sender, receiver) = mpsc::channel(library.ids().len());
    for want in library.wants() {
        sender.try_send(want).expect("the channel holds them all");
    }
    receiver
}

async fn assert_holds(store: &dyn ChunkStore, library: &Library) {
    for id in library.ids() {
        assert_eq!(store.read(id).await.expect("reads").as_ref(), library.chunk(id));
    }
}

#[tokio::test]
async fn what_a_bad_source_did_not_spoil_is_in_the_store() {
    let mut library = Library::new(20, 200, 32 << 10);
    library.push(words(1, 100_000));
    library.push(noise(1, 1));
    let library = Arc::new(library);
    let sources: Vec<Arc<dyn Source>> = vec![
        Arc::new(Hostile::new(Manner::WrongBytes, &library)),
        Arc::new(Honest::new("good", &library)),
    ];
    let store: Arc<dyn ChunkStore> = Arc::new(MemoryStore::default());
    let fetcher = Fetcher::new(sources, FetchConfig::default());
    let destination = Arc::new(StoreDestination::new(Arc::clone(&store)));
    let report = fetcher.fetch(wants(&library), destination, Arc::default()).await;
    assert_eq!(report.expect("one source is good").bytes, library.bytes());
    assert_holds(&*store, &library).await;
}

#[tokio::test]
async fn one_store_is_fetched_into_another() {
    let library = Library::new(21, 500, 16 << 10);
    let first = MemoryStore::default();
    let chunk = |id: &content::ChunkId| (*id, library.chunk(id).expect("its own").clone());
    for ids in library.ids().chunks(16) {
        let frame = frame_of(&ids.iter().map(chunk).collect::<Vec<_>>());
        first.append(vec![frame]).await.expect("stores");
    }
    first.flush().await.expect("flushes");
    let source = Arc::new(StoreSource::new("first", Arc::new(first)));
    let fetcher = Fetcher::new(vec![source], FetchConfig::default());
    let second: Arc<dyn ChunkStore> = Arc::new(MemoryStore::default());
    let destination = Arc::new(StoreDestination::new(Arc::clone(&second)));
    let report = fetcher.fetch(wants(&library), destination, Arc::default()).await;
    assert_eq!(report.expect("it has everything").bytes_from("first"), library.bytes());
    assert_holds(&*second, &library).await;

    let other = Library::new(22, 1, 100);
    let error = fetcher.fetch_all(other.wants()).await.expect_err("it is not there");
    assert!(matches!(error, FetchError::Unavailable { id, .. } if id == other.ids()[0]));
}
