//! Random fetches against a map: sources that fail, stall, lie, leave things out, fetches that are
//! given up and resumed. What is written is always right, everything is fetched that a reliable
//! source holds, and no fetch goes on for ever.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};
use fetch::{
    Destination, DestinationError, FetchConfig, FetchError, Fetcher, Source, SourceError, Want,
};
use proptest::prelude::*;
use testkit::{Library, frame_of, noise};
use tokio::sync::mpsc;

const CHUNKS: usize = 24;

/// How many histories are tried; `CONSIGN_MODEL_CASES` asks for more.
fn cases() -> u32 {
    let more = std::env::var("CONSIGN_MODEL_CASES").ok();
    more.map_or(400, |more| more.parse().expect("CONSIGN_MODEL_CASES is a number"))
}

/// What a source does with a request.
#[derive(Debug, Clone)]
enum Answer {
    Gives {
        delay_ms: u64,
    },
    /// Breaks off after so many chunks.
    Fails {
        after: usize,
    },
    /// Says nothing more after so many chunks.
    Stalls {
        after: usize,
    },
    /// Sends other bytes under the id of the chunk after so many.
    Lies {
        after: usize,
    },
    /// Ends as if it had nothing more.
    LeavesOut {
        after: usize,
    },
    /// Sends what nobody asked for.
    Strays,
}

/// A source: what it holds, and what it does with its first requests; later ones it answers.
#[derive(Debug, Clone)]
struct Plan {
    holds: Vec<bool>,
    answers: Vec<Answer>,
}

impl Plan {
    /// Whether all it holds can be had from it in the end.
    fn is_reliable(&self) -> bool {
        let faithful = |answer: &Answer| match answer {
            Answer::Gives { .. } | Answer::Fails { .. } | Answer::Stalls { .. } => true,
            Answer::Lies { .. } | Answer::LeavesOut { .. } | Answer::Strays => false,
        };
        self.answers.iter().all(faithful)
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let after = || 0..6usize;
    let reliable = prop_oneof![
        2 => (0..3_000u64).prop_map(|delay_ms| Answer::Gives { delay_ms }),
        1 => after().prop_map(|after| Answer::Fails { after }),
        1 => after().prop_map(|after| Answer::Stalls { after }),
    ];
    let bad = prop_oneof![
        2 => (0..3_000u64).prop_map(|delay_ms| Answer::Gives { delay_ms }),
        1 => after().prop_map(|after| Answer::Lies { after }),
        1 => after().prop_map(|after| Answer::LeavesOut { after }),
        1 => Just(Answer::Strays),
        1 => after().prop_map(|after| Answer::Fails { after }),
    ];
    let holds =
        || prop_oneof![Just(vec![true; CHUNKS]), prop::collection::vec(any::<bool>(), CHUNKS),];
    prop_oneof![
        3 => (holds(), prop::collection::vec(reliable, 0..4)),
        2 => (holds(), prop::collection::vec(bad, 1..6)),
    ]
    .prop_map(|(holds, answers)| Plan { holds, answers })
}

struct Planned {
    name: String,
    plan: Plan,
    library: Arc<Library>,
    asked: AtomicUsize,
}

impl Planned {
    fn chunk(&self, id: &ChunkId) -> Option<(ChunkId, Bytes)> {
        let number = self.library.ids().iter().position(|known| known == id)?;
        self.plan.holds[number].then(|| (*id, self.library.chunk(id).expect("known").clone()))
    }
}

#[async_trait]
impl Source for Planned {
    fn name(&self) -> &str {
        &self.name
    }

    async fn fetch(&self, ids: &[ChunkId], frames: mpsc::Sender<Frame>) -> Result<(), SourceError> {
        let answer = self.plan.answers.get(self.asked.fetch_add(1, SeqCst));
        let answer = answer.cloned().unwrap_or(Answer::Gives { delay_ms: 1 });
        let most = match answer {
            Answer::Gives { delay_ms } => {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                usize::MAX
            }
            Answer::Fails { after }
            | Answer::Stalls { after }
            | Answer::Lies { after }
            | Answer::LeavesOut { after } => after,
            Answer::Strays => 0,
        };
        let mut held = ids.iter().filter_map(|id| self.chunk(id));
        for chunk in held.by_ref().take(most) {
            if frames.send(frame_of(&[chunk])).await.is_err() {
                return Ok(());
            }
        }
        match answer {
            Answer::Gives { .. } | Answer::LeavesOut { .. } => {}
            Answer::Fails { .. } => return Err(SourceError::Failed("broke off".to_owned())),
            Answer::Stalls { .. } => std::future::pending().await,
            Answer::Lies { .. } => {
                if let Some((id, bytes)) = held.next() {
                    let _gone = frames.send(frame_of(&[(id, noise(7, bytes.len()))])).await;
                }
            }
            Answer::Strays => {
                let stray = noise(8, 500);
                let _gone = frames.send(frame_of(&[(ChunkId::of(&stray), stray)])).await;
            }
        }
        Ok(())
    }
}

/// What was written. Bytes that do not have their id never come here.
#[derive(Default)]
struct Written(Mutex<BTreeMap<ChunkId, Bytes>>);

impl Written {
    fn now(&self) -> BTreeMap<ChunkId, Bytes> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Destination for Written {
    fn write(&self, id: ChunkId, bytes: Bytes) -> Result<(), DestinationError> {
        assert_eq!(ChunkId::of(&bytes), id, "verified before it is written");
        self.0.lock().expect("no panic").insert(id, bytes);
        Ok(())
    }

    fn finish(&self) -> Result<(), DestinationError> {
        Ok(())
    }
}

/// Fetches what is not written yet; `None` when it was given up after `limit`.
async fn fetch(
    fetcher: &Fetcher,
    library: &Library,
    written: &Arc<Written>,
    limit: Duration,
) -> Option<Result<(), FetchError>> {
    let done = written.now();
    let wants: Vec<Want> =
        library.wants().into_iter().filter(|want| !done.contains_key(&want.id)).collect();
    let (sender, receiver) = mpsc::channel(wants.len().max(1));
    for want in wants {
        sender.try_send(want).expect("room for all");
    }
    drop(sender);
    let target = Arc::clone(written) as Arc<dyn Destination>;
    let fetched = fetcher.fetch(receiver, target, Arc::default());
    let fetched = tokio::time::timeout(limit, fetched).await.ok()?;
    Some(fetched.map(drop))
}

async fn follow(plans: Vec<Plan>, given_up_ms: Vec<u64>, restarts: bool) {
    let library = Arc::new(Library::new(1, CHUNKS, 2_000));
    let reliable =
        |number: usize| plans.iter().any(|plan| plan.is_reliable() && plan.holds[number]);
    let obtainable = (0..CHUNKS).all(reliable);
    let sources: Vec<Arc<dyn Source>> = plans
        .iter()
        .enumerate()
        .map(|(number, plan)| {
            let (name, plan, asked) = (format!("{number}"), plan.clone(), AtomicUsize::new(0));
            Arc::new(Planned { name, plan, library: Arc::clone(&library), asked })
                as Arc<dyn Source>
        })
        .collect();
    let new = || Fetcher::new(sources.clone(), FetchConfig::default());
    let (mut fetcher, written) = (new(), Arc::new(Written::default()));
    let expected: BTreeMap<ChunkId, Bytes> =
        library.ids().iter().map(|id| (*id, library.chunk(id).expect("known").clone())).collect();
    let is_part = |written: &BTreeMap<ChunkId, Bytes>| {
        written.iter().all(|(id, bytes)| expected.get(id) == Some(bytes))
    };
    for limit in given_up_ms {
        let _given_up = fetch(&fetcher, &library, &written, Duration::from_millis(limit)).await;
        assert!(is_part(&written.now()), "nothing that was not wanted");
        if restarts {
            fetcher = new();
        }
    }
    let day = Duration::from_secs(86_400);
    let done = fetch(&fetcher, &library, &written, day).await;
    match done.expect("no fetch goes on for ever") {
        Ok(()) => assert_eq!(written.now(), expected),
        Err(FetchError::Unavailable { .. }) if !obtainable => assert!(is_part(&written.now())),
        Err(error) => panic!("{error:?} with reliable sources: {obtainable}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn what_is_fetched_is_what_was_wanted(
        plans in prop::collection::vec(plan(), 1..5),
        given_up_ms in prop::collection::vec(0..8_000u64, 0..4),
        restarts in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(follow(plans, given_up_ms, restarts));
    }
}
