//! Targets are woken, fetch, carry out and answer; the publisher verifies what they answered.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use community::{
    Address, Charter, CommunityId, Envelope, ExchangeKey, Roster, SignedReceipt, Task,
    accept_release,
};
use content::frame::FrameCodec;
use content::{ChunkRef, seal};
use documents::{NodeKey, PublicKey, ReleaseName, Seen};
use hub_api::CommunityNews;
use hub_client::{CommunityEvents, HubClient, Pin};
use random::Random;
use serde::{Deserialize, Serialize};
use tokio::sync::{Barrier, Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;

use super::plant::{Plant, Publisher, Sealed, message_seed, now, target_key};

/// Releases that are sent; the first warms everything up and is not counted.
const ROUNDS: usize = 4;
/// Streams that are opened at once.
const OPENING: usize = 32;
/// Programs that run at once: a target has a machine of its own, and here all have one.
const PROGRAMS: usize = 8;
/// The body of a receipt of a program that said nothing has about this length.
const BODY: &[u8] = &[b'r'; 320];
/// Longest wait for one round.
const PATIENCE: Duration = Duration::from_secs(120);

/// How far targets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// They hear that something waits for them, and leave it there.
    Wake,
    /// They go on to the receipt, each as soon as it can.
    Whole,
    /// The same, but they hand in their receipts together when all have one: the clock of receipts
    /// starts then.
    Receipts,
}

/// What was measured, over all rounds but the first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answering {
    /// From when the publisher began to address the release.
    pub(crate) wake_p50_ms: f64,
    pub(crate) wake_p99_ms: f64,
    pub(crate) wake_max_ms: f64,
    /// Receipts a second, durable at the hub and verified by the publisher.
    pub(crate) receipts_per_s: Option<f64>,
}

/// A target that has a stream.
struct Listening {
    key: NodeKey,
    exchange: ExchangeKey,
    client: HubClient,
    events: CommunityEvents,
    random: Random,
    answered: Option<Seen>,
}

/// What all targets share.
struct Shared {
    community: CommunityId,
    charter: Charter,
    feed: ReleaseName,
    stage: Stage,
    programs: Semaphore,
    /// Everybody and the one who keeps time.
    together: Barrier,
}

/// What is told at the beginning of a round.
#[derive(Debug, Clone, Copy)]
struct Round {
    started: Instant,
    sequence: u64,
}

/// Sends some releases, and keeps time.
pub(crate) async fn measure(mut plant: Plant, stage: Stage) -> Result<Answering> {
    let targets = plant.targets.len();
    let shared = Arc::new(Shared {
        community: plant.id,
        charter: plant.charter.clone(),
        feed: plant.publisher.feed.clone(),
        stage,
        programs: Semaphore::new(PROGRAMS),
        together: Barrier::new(targets + 1),
    });
    let mut receipts = plant.publisher.client.community_events(&plant.id).await?;
    let (begin, _) = broadcast::channel::<Round>(ROUNDS);
    let (woken, mut wakes) = mpsc::unbounded_channel();
    let mut running = JoinSet::new();
    for listening in listen(&plant).await? {
        let (shared, begin, woken) = (Arc::clone(&shared), begin.subscribe(), woken.clone());
        running.spawn(target(listening, shared, begin, woken));
    }
    drop(woken);
    let (mut waits, mut spent) = (Vec::new(), Duration::ZERO);
    for round in 0..ROUNDS {
        let release = plant.publish().await?;
        let started = Instant::now();
        begin.send(Round { started, sequence: release.sequence })?;
        let publisher = &plant.publisher;
        let sending =
            publisher.client.address_release(&publisher.feed, release.sequence, &release.envelopes);
        let answering = async {
            let mut heard = Vec::with_capacity(targets);
            while heard.len() < targets {
                heard.push(wakes.recv().await.context("a target gave up")?);
            }
            anyhow::Ok(heard)
        };
        let collecting = async {
            if stage == Stage::Wake {
                return anyhow::Ok(Duration::ZERO);
            }
            let mut from = started;
            if stage == Stage::Receipts {
                shared.together.wait().await;
                from = Instant::now();
            }
            collect(&plant, &release, &mut receipts).await?;
            Ok(from.elapsed())
        };
        let whole = async {
            let (sent, heard, took) = tokio::join!(sending, answering, collecting);
            ensure!(sent? == targets as u64, "not all were queued");
            anyhow::Ok((heard?, took?))
        };
        let ended = tokio::select! {
            ended = tokio::time::timeout(PATIENCE, whole) => ended.context("a round took too long")??,
            // None ends before the last round is announced as such.
            Some(ended) = running.join_next() => match ended? {
                Ok(()) => bail!("a target ended early"),
                Err(error) => return Err(error),
            },
        };
        if round > 0 {
            waits.extend(ended.0);
            spent += ended.1;
        }
    }
    drop(begin);
    running.abort_all();
    waits.sort_unstable();
    let counted = (targets * (ROUNDS - 1)) as f64;
    Ok(Answering {
        wake_p50_ms: millis(percentile(&waits, 50)),
        wake_p99_ms: millis(percentile(&waits, 99)),
        wake_max_ms: millis(percentile(&waits, 100)),
        receipts_per_s: (stage != Stage::Wake).then(|| counted / spent.as_secs_f64()),
    })
}

/// The least value that so many of a hundred do not exceed; the values are in order.
fn percentile(values: &[Duration], percent: usize) -> Duration {
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn listen(plant: &Plant) -> Result<Vec<Listening>> {
    let turns = Arc::new(Semaphore::new(OPENING));
    let mut opening = JoinSet::new();
    for target in &plant.targets {
        let (turns, community, number) = (Arc::clone(&turns), plant.id, target.number);
        let key = target_key(number);
        let exchange = ExchangeKey::derive(&key);
        let pin = Pin::Fingerprint(plant.fingerprint);
        let client = HubClient::new(&plant.url, pin, Some(target_key(number)))?;
        opening.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            let events = client.community_events(&community).await?;
            let random = Random::new(now() ^ ((number as u64 + 1) << 40));
            anyhow::Ok(Listening { key, exchange, client, events, random, answered: None })
        });
    }
    let mut open = Vec::with_capacity(plant.targets.len());
    while let Some(opened) = opening.join_next().await {
        open.push(opened??);
    }
    Ok(open)
}

async fn target(
    mut target: Listening,
    shared: Arc<Shared>,
    mut begin: broadcast::Receiver<Round>,
    woken: mpsc::UnboundedSender<Duration>,
) -> Result<()> {
    while let Ok(round) = begin.recv().await {
        loop {
            let event = target.events.next().await?.context("the hub ended a stream")?;
            if event.news == CommunityNews::Queue {
                break;
            }
        }
        woken.send(round.started.elapsed())?;
        if shared.stage == Stage::Wake {
            continue;
        }
        let signed = target.carry_out(&shared, round.sequence).await?;
        if shared.stage == Stage::Receipts {
            shared.together.wait().await;
        }
        let key = target.key.public();
        target.client.put_receipt(&shared.feed, round.sequence, &key, signed).await?;
    }
    Ok(())
}

impl Listening {
    /// Does what waits for it; returns the signed receipt.
    async fn carry_out(&mut self, shared: &Shared, sequence: u64) -> Result<Vec<u8>> {
        let standing = self.client.standing(&shared.community, 1).await?;
        let current = Roster::accept(&standing.roster.0, None, &shared.charter, None, now())?;
        let queue = self.client.queue(&shared.community, None).await?;
        let entry = queue.entries.iter().find(|entry| entry.sequence == sequence);
        let entry = entry.context("nothing waits for a target that was woken")?;
        let envelope = Envelope::from_slice(&entry.envelope.0).context("no envelope")?;
        let keys = (&self.key.public(), &self.exchange);
        let last = |_: &PublicKey| self.answered;
        let addressed =
            accept_release(&entry.manifest.0, &envelope, &current.roster, keys, last, now())?;
        let Task::CarryOut(tree) = addressed.task else { bail!("{:?}", addressed.task) };
        self.fetch(&tree.0).await?;
        let turn = shared.programs.acquire().await?;
        let done = tokio::task::spawn_blocking(|| Command::new("true").status()).await??;
        drop(turn);
        ensure!(done.success(), "`true` failed");
        let (publisher, manifest) = (addressed.manifest.publisher, addressed.hash);
        let address =
            Address { community: shared.community, manifest, publisher, target: self.key.public() };
        let publisher = current.roster.publishers.get(&publisher).context("no publisher")?;
        let seed = message_seed(&mut self.random)?;
        let receipt =
            SignedReceipt::new(address, sequence, now(), BODY, &publisher.exchange, seed)?;
        self.answered = Some(Seen { sequence, manifest });
        Ok(receipt.sign(&self.key))
    }

    /// Fetches, verifies and opens one chunk.
    async fn fetch(&self, chunk: &ChunkRef) -> Result<()> {
        let (sender, mut frames) = mpsc::channel(1);
        let open = async {
            let (mut codec, mut found) = (FrameCodec::default(), None);
            while let Some(frame) = frames.recv().await {
                codec.open(
                    &frame,
                    |_| true,
                    |id, bytes| {
                        if id == chunk.id {
                            found = Some(bytes.to_vec());
                        }
                    },
                )?;
            }
            anyhow::Ok(found)
        };
        let ids = [chunk.id];
        let (lacking, found) = tokio::join!(self.client.fetch_frames(&ids, sender), open);
        ensure!(lacking?.is_empty(), "the hub lacks the chunk");
        seal::open(chunk, &found?.context("the chunk did not come")?)?;
        Ok(())
    }
}

/// Reads and verifies the receipts of a release as they come, until there is one of every target: by
/// pages, as `consign node` does.
async fn collect(plant: &Plant, release: &Sealed, events: &mut CommunityEvents) -> Result<()> {
    let Publisher { client, feed, exchange, .. } = &plant.publisher;
    let mut left = plant.targets.len();
    while left > 0 {
        let event = events.next().await?.context("the hub ended the publisher's stream")?;
        if event.news != CommunityNews::Receipts {
            continue;
        }
        let mut after = None;
        loop {
            let (listed, next) = client.receipts(feed, after).await?;
            let mut taken = Vec::with_capacity(listed.len());
            for info in &listed {
                let target = PublicKey::from_bytes(info.target.0);
                let signed = match &info.signed {
                    Some(signed) => signed.0.clone(),
                    None => client.receipt(feed, info.sequence, &target).await?,
                };
                let address = plant.address(release.manifest, target);
                let receipt = SignedReceipt::open(&signed, &address, release.sequence)?;
                ensure!(receipt.body(exchange)? == BODY, "a receipt says something else");
                taken.push(info.id);
            }
            client.receipts_taken(feed, &taken).await?;
            left -= taken.len();
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_values_the_last_but_one_is_the_99th_percentile() {
        let values: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let at = |percent| percentile(&values, percent).as_millis();
        assert_eq!((at(1), at(50), at(99), at(100)), (1, 50, 99, 100));
        assert_eq!(percentile(&values[..1], 99).as_millis(), 1);
        assert_eq!(percentile(&[], 99), Duration::ZERO);
        assert_eq!(millis(percentile(&values, 99)), 99.0);
    }
}
