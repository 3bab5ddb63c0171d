//! A running hub, people around it, and trees for them to publish.

use std::time::Duration;

use bytes::Bytes;
use content::closure::{ClosureBuilder, ClosureEntry};
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{ChunkId, Frame};
use documents::{
    Delegation, DocumentHash, Head, Manifest, NodeKey, PublicKey, ReleaseName, Tenure,
};
use hub::{Hub, HubConfig, Role, RunningHub, Tls};
use hub_api::ProblemCode;
use hub_client::{ClientError, HubClient, Pin};
use tokio::sync::mpsc;

pub(crate) struct Scene {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) hub: RunningHub,
}

impl Scene {
    pub(crate) async fn start(tls: Tls) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let hub = Hub::start(config(&dir, tls)).await.expect("starts");
        Self { dir, hub }
    }

    pub(crate) fn pin(&self) -> Pin {
        let fingerprint = self.hub.fingerprint;
        if fingerprint == [0; 32] { Pin::None } else { Pin::Fingerprint(fingerprint) }
    }

    /// Somebody with a key of their own and no account.
    pub(crate) fn stranger(&self, number: u8) -> Person {
        let key = || NodeKey::from_secret_bytes([number; 32]);
        let client = HubClient::new(&self.hub.url, self.pin(), Some(key())).expect("a client");
        Person { key: key(), client }
    }

    pub(crate) fn anonymous(&self) -> HubClient {
        HubClient::new(&self.hub.url, self.pin(), None).expect("a client")
    }

    pub(crate) async fn person(&self, number: u8, role: Role, grants: &[ReleaseName]) -> Person {
        let hour = Duration::from_secs(3600);
        let invitation = hub::invite(self.dir.path(), role, grants, hour).await.expect("invites");
        let person = self.stranger(number);
        person.client.register(&invitation).await.expect("registers");
        person
    }
}

pub(crate) fn config(dir: &tempfile::TempDir, tls: Tls) -> HubConfig {
    let local = "127.0.0.1:0".parse().expect("an address");
    HubConfig { tls, free_reserve_bytes: 0, ..HubConfig::new(dir.path(), local) }
}

pub(crate) struct Person {
    pub(crate) key: NodeKey,
    pub(crate) client: HubClient,
}

/// A release's chunks; what looks like a tree to the hub, which sees ids alone.
pub(crate) struct Tree {
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) root: ClosureEntry,
    closure: ClosureEntry,
    pub(crate) metadata: Vec<Bytes>,
}

fn entry(bytes: &Bytes) -> ClosureEntry {
    let stored_length = u32::try_from(bytes.len()).expect("small");
    ClosureEntry { id: ChunkId::of(bytes), stored_length }
}

impl Tree {
    /// The first chunk is the root.
    pub(crate) fn of(chunks: Vec<Bytes>) -> Self {
        let mut builder = ClosureBuilder::default();
        let mut metadata: Vec<Bytes> =
            chunks.iter().filter_map(|chunk| builder.push(entry(chunk))).map(Bytes::from).collect();
        let root = entry(&chunks[0]);
        let (last, head) = builder.finish(root.id);
        metadata.extend(last.map(Bytes::from));
        let head = Bytes::from(head.encode());
        let closure = entry(&head);
        metadata.push(head);
        Self { chunks, root, closure, metadata }
    }

    /// `count` chunks that differ from those of other seeds.
    pub(crate) fn new(seed: u32, count: u32) -> Self {
        Self::of((0..count).map(|number| chunk(seed, number)).collect())
    }

    pub(crate) fn ids(&self) -> Vec<ChunkId> {
        self.chunks.iter().map(|chunk| ChunkId::of(chunk)).collect()
    }

    pub(crate) fn frames(&self) -> Vec<Frame> {
        frames(&[&self.chunks[..], &self.metadata[..]].concat())
    }

    pub(crate) fn manifest(
        &self,
        person: &Person,
        name: &ReleaseName,
        previous: Option<(u64, DocumentHash)>,
    ) -> Manifest {
        Manifest {
            publisher: person.key.public(),
            name: name.clone(),
            sequence: previous.map_or(1, |(sequence, _)| sequence + 1),
            previous: previous.map(|(_, hash)| hash),
            issued: now(),
            expires: now() + 1000,
            tree: self.root,
            closure: self.closure,
            totals: None,
            parameters: 1,
            sealed_root: Some(vec![7; 40]),
        }
    }
}

pub(crate) fn chunk(seed: u32, number: u32) -> Bytes {
    let mut bytes = vec![0; 3000];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&number.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes.into()
}

pub(crate) fn frames(chunks: &[Bytes]) -> Vec<Frame> {
    let mut builder = FrameBuilder::default();
    let mut codec = FrameCodec::default();
    let mut frames = Vec::new();
    let mut close = |builder: &mut FrameBuilder| {
        if let Some((entries, plain)) = builder.take() {
            frames.push(codec.encode(entries, plain, Codec::Zstd));
        }
    };
    for chunk in chunks {
        if builder.is_full_for(chunk.len()) {
            close(&mut builder);
        }
        builder.push(ChunkId::of(chunk), chunk);
    }
    close(&mut builder);
    frames
}

pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

pub(crate) fn head(person: &Person, manifest: &Manifest, signed: &[u8]) -> Vec<u8> {
    Head {
        publisher: person.key.public(),
        name: manifest.name.clone(),
        sequence: manifest.sequence,
        manifest: DocumentHash::of(signed),
        issued: now(),
        expires: now() + 500,
    }
    .sign(&person.key)
}

impl Person {
    /// Signs who may publish under a name this person owns, beside the owner.
    pub(crate) async fn delegate(
        &self,
        name: &ReleaseName,
        number: u64,
        publishers: &[PublicKey],
    ) -> Result<(), ClientError> {
        let list = Delegation {
            owner: self.key.public(),
            name: name.clone(),
            number,
            issued: now(),
            expires: now() + 500,
            publishers: publishers.iter().map(|key| (*key, Tenure::Current)).collect(),
        };
        self.client.put_delegation(name, &list.sign(&self.key)).await
    }

    /// Posts a release of chunks that were uploaded.
    pub(crate) async fn post(
        &self,
        name: &ReleaseName,
        tree: &Tree,
        previous: Option<(u64, DocumentHash)>,
    ) -> Result<(u64, DocumentHash), ClientError> {
        let manifest = tree.manifest(self, name, previous);
        let signed = manifest.sign(&self.key);
        let head = head(self, &manifest, &signed);
        self.client.post_release(name, &signed, &head).await?;
        Ok((manifest.sequence, DocumentHash::of(&signed)))
    }

    /// Uploads and posts until it is taken, as publishers do: without any grace a collection in
    /// between may take what no release needed yet, and says so.
    pub(crate) async fn upload_and_post(
        &self,
        name: &ReleaseName,
        tree: &Tree,
        previous: Option<(u64, DocumentHash)>,
    ) -> (u64, DocumentHash) {
        for _ in 0..1000 {
            self.client.upload(tree.frames()).await.expect("uploads");
            match self.post(name, tree, previous).await {
                Ok(posted) => return posted,
                Err(ClientError::Problem { code: ProblemCode::ChunksMissing, .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("a collection came in between a thousand times");
    }

    pub(crate) async fn publish(
        &self,
        name: &ReleaseName,
        public: bool,
        tree: &Tree,
    ) -> (u64, DocumentHash) {
        self.client.put_name(name, public).await.expect("puts the name");
        self.client.upload(tree.frames()).await.expect("uploads");
        self.post(name, tree, None).await.expect("publishes")
    }
}

/// Fetches in one request; the chunks that came, each verified, and the ids said to be missing.
pub(crate) async fn fetch(client: &HubClient, ids: &[ChunkId]) -> (Vec<ChunkId>, Vec<ChunkId>) {
    let (sender, mut frames) = mpsc::channel(4);
    let opening = async {
        let mut came = Vec::new();
        let mut codec = FrameCodec::default();
        while let Some(frame) = frames.recv().await {
            codec.open(&frame, |_| true, |id, _| came.push(id)).expect("true bytes");
        }
        came
    };
    let (missing, came) = tokio::join!(client.fetch_frames(ids, sender), opening);
    (came, missing.expect("fetches"))
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, ClientError>) -> ProblemCode {
    let error = result.expect_err("is refused");
    let ClientError::Problem { code, .. } = error else { panic!("another error: {error}") };
    code
}

pub(crate) fn name(text: &str) -> ReleaseName {
    text.parse().expect("a name")
}
