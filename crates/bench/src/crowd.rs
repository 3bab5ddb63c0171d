//! Many clients that fetch a release at once: the load of a benchmark, in a process of its own so
//! that its cost is told apart.
//!
//! What moves is what moves in a `consign get`: the head, then batches of frames. Nothing is
//! written to a disk; every chunk is verified, and the whole is compared with the source.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use content::frame::FrameCodec;
use content::{ChunkId, Closure, ClosureHead};
use documents::{Invitation, Manifest, ReleaseName};
use hub_client::{HubClient, Pin};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Frames that wait to be opened, per client.
const FRAMES_WAITING: usize = 2;

/// What came of it, as the closing line says.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Crowd {
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    pub(crate) bytes_received: u64,
}

/// `crowd NAME CLIENTS FILE`, with an invitation to the hub on standard input: fetches the name,
/// which holds FILE, by that many clients.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [name, clients, file] = arguments else { bail!("crowd needs NAME CLIENTS FILE") };
    let (name, clients) = (name.parse::<ReleaseName>()?, clients.parse::<usize>()?);
    let expected = fs::read(file).with_context(|| format!("cannot read {file}"))?;
    let mut invitation = String::new();
    std::io::stdin().read_to_string(&mut invitation)?;
    let invitation: Invitation = invitation.trim().parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let crowd = runtime.block_on(gather(&invitation, name, clients, expected))?;
    println!("{}", serde_json::to_string(&crowd)?);
    Ok(())
}

async fn gather(
    invitation: &Invitation,
    name: ReleaseName,
    clients: usize,
    expected: Vec<u8>,
) -> Result<Crowd> {
    let client =
        |_| HubClient::new(&invitation.url, Pin::Fingerprint(invitation.fingerprint), None);
    // Made before any of them asks, so that they come together.
    let clients = (0..clients).map(client).collect::<Result<Vec<_>, _>>()?;
    let (name, expected) = (Arc::new(name), Arc::new(expected));
    let mut tasks = JoinSet::new();
    for client in clients {
        let (name, expected) = (Arc::clone(&name), Arc::clone(&expected));
        tasks.spawn(async move {
            let fetched = fetch(&client, &name, &expected).await;
            (fetched, client.bytes_on_wire().received)
        });
    }
    let mut crowd = Crowd::default();
    while let Some(ended) = tasks.join_next().await {
        let (fetched, received) = ended?;
        crowd.bytes_received += received;
        if let Err(error) = fetched {
            crowd.failed += 1;
            crowd.first_failure.get_or_insert_with(|| format!("{error:#}"));
        }
    }
    Ok(crowd)
}

/// Fetches the newest release of `name`, whose first bytes are to be `expected`.
async fn fetch(client: &HubClient, name: &ReleaseName, expected: &[u8]) -> Result<()> {
    let head = client.head(name).await?;
    let publisher = Manifest::peek_publisher(&head.manifest)?;
    let (manifest, _) = Manifest::open(&head.manifest, &publisher)?;
    let closure = chunks(client, &[manifest.closure.id]).await?;
    let closure = ClosureHead::decode(&closure[0])?;
    ensure!(closure.tree == manifest.tree.id, "the list of chunks is of another tree");
    let segments: Vec<ChunkId> = closure.segments.iter().map(|segment| segment.id).collect();
    let mut ids = Vec::new();
    for segment in chunks(client, &segments).await? {
        ids.extend(Closure::decode(&segment)?.0.iter().map(|entry| entry.id));
    }
    // Files come before the directories that name them, and there is one file.
    let fetched = chunks(client, &ids).await?.concat();
    ensure!(fetched.starts_with(expected), "the chunks are not those of the source");
    Ok(())
}

/// The bytes of `ids`, in their order, each verified.
async fn chunks(client: &HubClient, ids: &[ChunkId]) -> Result<Vec<Vec<u8>>> {
    let (sender, mut frames) = mpsc::channel(FRAMES_WAITING);
    let open = async {
        let (mut codec, mut found) = (FrameCodec::default(), HashMap::new());
        while let Some(frame) = frames.recv().await {
            codec.open(&frame, |_| true, |id, bytes| drop(found.insert(id, bytes.to_vec())))?;
        }
        anyhow::Ok(found)
    };
    let (lacking, found) = tokio::join!(client.fetch_frames(ids, sender), open);
    let (lacking, mut found) = (lacking?, found?);
    ensure!(lacking.is_empty(), "the hub lacks {} chunks", lacking.len());
    let taken = ids.iter().map(|id| found.remove(id).context("a chunk came without its frame"));
    taken.collect()
}
