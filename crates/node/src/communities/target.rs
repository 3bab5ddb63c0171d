//! What waits for this machine is fetched, carried out and answered.
//!
//! Exactly once, whatever stops the machine: before anything of a release is begun it is written down
//! as *under way*, and what `deploy` made of it stays there under the release's hash until the signed
//! receipt is kept. A release counts as answered when its receipt is on the disk; the receipt is handed
//! in until the hub has it, and kept for a while after, for a hub that was restored from a backup.
//!
//! Below `communities/ID/target`:
//!
//! ```text
//! answered.json        of each publisher the last release that was answered
//! under-way.json       the release that is being carried out
//! receipts/KEY/NUMBER  signed receipts; KEY/NUMBER.sent once the hub has it
//! trees/KEY/PACKAGE/   the last tree of each package, so that the next costs what changed
//! ```

mod fetching;
mod receipts;
mod telling;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use checkout::{CheckoutOptions, CheckoutProgress};
use community::{
    Address, Addressed, Charter, Envelope, Membership, MessageSeed, ReleaseError, Role, Roster,
    SignedReceipt, Task, accept_release,
};
use content::TreeRef;
use deploy::script::Launch;
use deploy::{Application, ApplyError, MachineFacts, State};
use documents::{DocumentHash, PublicKey, Seen};
use fetch::{FetchConfig, Fetcher, HubSource};
use hub_api::{Hex, QueueEntryInfo};
use package::label::Labels;
use package::{INSTRUCTIONS, Package, Receipt, Verdict};
use serde::{Deserialize, Serialize};

pub(crate) use self::fetching::Fetching;
use self::receipts::receipt_path;
use super::manager::fail;
use super::{CommunityError, Place, Standing};
use crate::causes::chain;
use crate::get::GetError;
use crate::hubs::HubLink;
use crate::publish::unix_now;
use crate::state::{
    Node, StateError, create_private_directory, io, random, read_json, replace, write_json,
};
use crate::tree::{FoundTree, TreeError};

/// Most that can wait for one target: a hundred releases of each of the most publishers.
const ENTRIES_MAX: usize = 100 * community::roster::PUBLISHERS_MAX;

/// What happened with a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetNews {
    /// It was carried out, or could not be, and was answered.
    Answered {
        /// Whose it is, as the roster calls it.
        publisher: String,
        /// Its number.
        sequence: u64,
        /// Name and version of the package; empty when it could not be opened.
        package: String,
        /// What became of it.
        verdict: Verdict,
    },
    /// It is not believed: why. Nothing of it was opened.
    Refused {
        /// The feed, by the hub's word.
        feed: String,
        /// Its number, by the hub's word.
        sequence: u64,
        /// Why.
        reason: String,
    },
}

/// Why what waits could not be worked through; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The community or its hub.
    #[error(transparent)]
    Community(#[from] CommunityError),
    /// The package could not be fetched.
    #[error("cannot fetch release {sequence} of {publisher}")]
    Fetch {
        /// Whose it is.
        publisher: String,
        /// Its number.
        sequence: u64,
        /// Why not.
        #[source]
        source: GetError,
    },
    /// It could not be carried to its end here.
    #[error("cannot carry out release {sequence} of {publisher}")]
    Apply {
        /// Whose it is.
        publisher: String,
        /// Its number.
        sequence: u64,
        /// Why not.
        #[source]
        source: ApplyError,
    },
    /// A hub lists more than can wait, or lists it in a circle. It is faulty or hostile: what of it could
    /// be carried out was; another hub or relay is asked.
    #[error("{url} lists without end what waits for this machine")]
    Endless {
        /// The hub.
        url: String,
    },
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRelease {
    sequence: u64,
    manifest: Hex<32>,
}

/// A release that is being carried out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnderWay {
    publisher: Hex<32>,
    sequence: u64,
    manifest: Hex<32>,
    /// Where its tree is, complete.
    tree: PathBuf,
}

/// What a target goes by.
struct Known {
    roster: Roster,
    labels: Labels,
}

impl Known {
    fn of(standing: Standing) -> Self {
        let labels = standing.membership.map_or_else(Labels::new, |own| own.labels);
        Self { roster: standing.current.roster, labels }
    }
}

/// A release, told apart from all others.
#[derive(Debug, Clone, Copy)]
struct Which {
    publisher: PublicKey,
    sequence: u64,
    manifest: DocumentHash,
}

impl Place {
    /// What comes in at the moment, if something does.
    pub(crate) fn fetching(&self) -> Option<node_api::status::Waiting> {
        self.fetching.waits_for()
    }

    fn target_directory(&self) -> PathBuf {
        self.directory().join("target")
    }

    /// Finishes what was begun before this process, whether there is a hub now or not.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub async fn go_on(&self, launch: &Launch) -> Result<Option<TargetNews>, TargetError> {
        match self.known()? {
            Some(known) => self.finish_under_way(&known, launch).await,
            None => Ok(None),
        }
    }

    /// What was believed last, however long ago: it was enough to begin what is to be finished.
    fn known(&self) -> Result<Option<Known>, CommunityError> {
        let stored = self.stored()?;
        let Some(signed) = &stored.roster else { return Ok(None) };
        let roster = Roster::open(&signed.0, &Charter::open(&stored.charter.0)?)?;
        let own = stored.membership.as_ref().map(|proof| Membership::decode(&proof.membership.0));
        let labels = own.transpose()?.map_or_else(Labels::new, |own| own.labels);
        Ok(Some(Known { roster, labels }))
    }

    /// Carries out and answers what waits for this machine, in order, until nothing more can be.
    ///
    /// # Errors
    /// See [`TargetError`]. What was answered stays so.
    pub async fn work_queue(&self, launch: &Launch) -> Result<Vec<TargetNews>, TargetError> {
        let mut news = Vec::new();
        news.extend(self.go_on(launch).await?);
        let standing = self.refresh().await?;
        let hub = self.hub()?;
        self.hand_in_receipts(&hub).await?;
        let is_target =
            standing.membership.as_ref().is_some_and(|own| own.roles.contains(&Role::Target));
        if is_target {
            self.work_queue_at(&hub, &Known::of(standing), launch, &mut news).await?;
        }
        Ok(news)
    }

    /// The same for what waits at the other hubs and relays of this machine: one that is cut off from
    /// where releases come from does not know of them. Those that cannot be asked are left out.
    ///
    /// # Errors
    /// See [`TargetError`]. What was answered stays so.
    pub async fn work_other_queues(&self, launch: &Launch) -> Result<Vec<TargetNews>, TargetError> {
        let mut news = Vec::new();
        let Some(standing) = self.standing(unix_now())? else { return Ok(news) };
        let is_target =
            standing.membership.as_ref().is_some_and(|own| own.roles.contains(&Role::Target));
        if !is_target {
            return Ok(news);
        }
        let known = Known::of(standing);
        for hub in self.links()?.iter().skip(1) {
            match self.work_queue_at(hub, &known, launch, &mut news).await {
                Err(
                    error @ (TargetError::Community(CommunityError::Hub { .. })
                    | TargetError::Endless { .. }),
                ) => tracing::debug!(community = %self.id(), error = chain(&error), "left out"),
                result => result?,
            }
        }
        Ok(news)
    }

    async fn work_queue_at(
        &self,
        hub: &HubLink,
        known: &Known,
        launch: &Launch,
        news: &mut Vec<TargetNews>,
    ) -> Result<(), TargetError> {
        let (mut after, mut listed) = (None, 0);
        loop {
            let page = hub.client.queue(&self.id(), after).await;
            let page =
                page.map_err(|source| fail(hub, "read what waits for this machine", source))?;
            for entry in &page.entries {
                news.extend(self.work_entry(known, entry, launch).await?);
                self.hand_in_receipts(hub).await?;
            }
            listed += page.entries.len();
            match page.next {
                None => return Ok(()),
                // Of an honest hub no page is empty but the last.
                Some(next)
                    if after.is_none_or(|after| next > after)
                        && !page.entries.is_empty()
                        && listed < ENTRIES_MAX =>
                {
                    after = Some(next);
                }
                Some(_) => return Err(TargetError::Endless { url: hub.url.clone() }),
            }
        }
    }

    async fn work_entry(
        &self,
        known: &Known,
        entry: &QueueEntryInfo,
        launch: &Launch,
    ) -> Result<Option<TargetNews>, TargetError> {
        let answered = self.answered()?;
        let last = |publisher: &PublicKey| {
            answered.get(&publisher.to_string()).map(|last| Seen {
                sequence: last.sequence,
                manifest: DocumentHash::from_bytes(last.manifest.0),
            })
        };
        let refused = |reason: String| TargetNews::Refused {
            feed: entry.name.clone(),
            sequence: entry.sequence,
            reason,
        };
        let Some(envelope) = Envelope::from_slice(&entry.envelope.0) else {
            return Ok(Some(refused("its envelope is malformed".to_owned())));
        };
        let keys = (&self.node().key().public(), &self.node().exchange());
        let accepted =
            accept_release(&entry.manifest.0, &envelope, &known.roster, keys, last, unix_now());
        let Addressed { manifest, hash, task } = match accepted {
            Ok(addressed) => addressed,
            // Asked for once more by a hub that forgot: the receipt is handed in again.
            Err(ReleaseError::Replayed { .. }) => {
                self.offer_again(entry)?;
                return Ok(None);
            }
            Err(error) => return Ok(Some(refused(error.to_string()))),
        };
        let which =
            Which { publisher: manifest.publisher, sequence: manifest.sequence, manifest: hash };
        let publisher = name_of(&known.roster, &which.publisher);
        let tree = match task {
            Task::CarryOut(tree) => tree,
            Task::AnswerOnly(why) => {
                return self.give_up(known, which, why.to_string()).map(Some);
            }
        };
        let fetching = self.fetch(self.links()?, &publisher, which, tree);
        match self.telling(&which, fetching).await {
            Ok(tree) => {
                let (publisher, manifest) =
                    (Hex(*which.publisher.as_bytes()), Hex(*hash.as_bytes()));
                let under_way = UnderWay { publisher, sequence: which.sequence, manifest, tree };
                write_json(&self.target_directory().join("under-way.json"), &under_way)?;
                self.finish_under_way(known, launch).await
            }
            Err(Unfetched::Broken(reason)) => self.give_up(known, which, reason).map(Some),
            Err(Unfetched::Later(source)) => {
                Err(TargetError::Fetch { publisher, sequence: which.sequence, source })
            }
            Err(Unfetched::State(error)) => Err(error.into()),
        }
    }

    /// Fetches a package's tree and verifies all of it, before anything of it is looked at but its name.
    async fn fetch(
        &self,
        links: Vec<HubLink>,
        publisher: &str,
        which: Which,
        tree: TreeRef,
    ) -> Result<PathBuf, Unfetched> {
        let progress = Arc::new(CheckoutProgress::default());
        let urls: Vec<&str> = links.iter().map(|link| &*link.url).collect();
        let what = format!("release {} of {publisher} from {}", which.sequence, urls.join(" and "));
        let _fetching = self.fetching.begin(what, &progress);
        let store =
            self.node().metadata_store().map_err(|error| Unfetched::of_tree(error.into()))?;
        // Whatever one of them lacks or is cut off in comes from another, within the transfer.
        let hub = links.first().cloned();
        let is_only = links.len() == 1;
        let sources = links.into_iter().map(|link| {
            let source = HubSource::new(link.url, link.client);
            let source = if is_only { source.with_promise() } else { source };
            Arc::new(source) as Arc<dyn fetch::Source>
        });
        let found = FoundTree {
            tree,
            release: None,
            owner: Some(which.publisher),
            fetcher: Arc::new(Fetcher::new(sources.collect(), FetchConfig::default())),
            store,
            hub,
        };
        let instructions = instructions_of(&found).await.map_err(Unfetched::of_tree)?;
        let name = Package::decode(&instructions)
            .map_err(|error| Unfetched::Broken(format!("its instructions are refused: {error}")))?
            .name;
        let place =
            self.target_directory().join("trees").join(which.publisher.to_string()).join(name);
        let (to, memory) = (place.join("tree"), place.join("memory"));
        create_private_directory(&to)?;
        create_private_directory(&memory)?;
        // A target runs unattended as whoever may change the system: what lay there is not believed.
        let options = CheckoutOptions { recheck: true, ..CheckoutOptions::default() };
        let checked = found.check_out(&to, &memory, options, &progress).await;
        for (source, reason) in found.fetcher.dropped() {
            tracing::warn!(community = %self.id(), source, reason, "a source sent wrong bytes");
        }
        checked.map_err(Unfetched::of_get)?;
        Ok(to)
    }

    /// Carries out what was begun, if anything was, and answers it.
    async fn finish_under_way(
        &self,
        known: &Known,
        launch: &Launch,
    ) -> Result<Option<TargetNews>, TargetError> {
        let path = self.target_directory().join("under-way.json");
        let Some(under_way) = read_json::<UnderWay>(&path)? else { return Ok(None) };
        let which = Which {
            publisher: PublicKey::from_bytes(under_way.publisher.0),
            sequence: under_way.sequence,
            manifest: DocumentHash::from_bytes(under_way.manifest.0),
        };
        let news = if self.is_answered(&which)? {
            None
        } else {
            Some(self.carry_out(known, which, under_way.tree, launch).await?)
        };
        fs::remove_file(&path).map_err(io("remove", &path))?;
        // Only now: until the release is answered, what was made of it is the only memory of it.
        let state = self.node().packages_directory();
        deploy::forget(&state, &which.manifest.to_string())
            .map_err(|source| self.apply_failed(known, &which, source))?;
        Ok(news)
    }

    async fn carry_out(
        &self,
        known: &Known,
        which: Which,
        tree: PathBuf,
        launch: &Launch,
    ) -> Result<TargetNews, TargetError> {
        let machine = MachineFacts::here(known.labels.clone());
        let (launch, state) = (launch.clone(), self.node().packages_directory());
        let id = which.manifest.to_string();
        let job = tokio::task::spawn_blocking(move || {
            let state = State::take(&state)?;
            let instructions = read_instructions(&tree)?;
            let application = Application {
                package: &instructions,
                tree: &tree,
                machine: &machine,
                state: &state,
                launch: &launch,
                delivery: Some(&id),
            };
            deploy::apply(&application, &mut |_| {})
        });
        let receipt = self.telling(&which, job).await.expect("applying does not panic");
        let receipt = receipt.map_err(|source| self.apply_failed(known, &which, source))?;
        self.answer(known, which, receipt)
    }

    fn apply_failed(&self, known: &Known, which: &Which, source: ApplyError) -> TargetError {
        let publisher = name_of(&known.roster, &which.publisher);
        TargetError::Apply { publisher, sequence: which.sequence, source }
    }

    /// Answers that nothing was carried out.
    fn give_up(
        &self,
        known: &Known,
        which: Which,
        mut reason: String,
    ) -> Result<TargetNews, TargetError> {
        reason.truncate(reason.floor_char_boundary(package::receipt::REASON_BYTES_MAX));
        let verdict = Verdict::Failed(reason);
        let (package, version) = (String::new(), String::new());
        self.answer(known, which, Receipt { package, version, verdict, steps: Vec::new() })
    }

    /// Makes the receipt durable, and with it the release answered.
    fn answer(
        &self,
        known: &Known,
        which: Which,
        receipt: Receipt,
    ) -> Result<TargetNews, TargetError> {
        let target = self.target_directory();
        let key = self.node().key();
        let publisher = name_of(&known.roster, &which.publisher);
        // Whoever is no publisher any more gets no answer; the release is over all the same.
        if let Some(publisher) = known.roster.publishers.get(&which.publisher) {
            let address = Address {
                community: self.id(),
                manifest: which.manifest,
                publisher: which.publisher,
                target: key.public(),
            };
            let body = receipt.encode().expect("a receipt of ours keeps its bounds");
            let random = MessageSeed::from_random(random()?);
            let sealed = SignedReceipt::new(
                address,
                which.sequence,
                unix_now(),
                &body,
                &publisher.exchange,
                random,
            );
            // A key that nothing can be sealed for is not in a roster: managers try it before.
            if let Ok(sealed) = sealed {
                let path = receipt_path(&target, &which.publisher.to_string(), which.sequence);
                replace(&path, &sealed.sign(key))?;
            }
        }
        let path = target.join("answered.json");
        let mut answered = self.answered()?;
        let manifest = Hex(*which.manifest.as_bytes());
        let last = StoredRelease { sequence: which.sequence, manifest };
        answered.insert(which.publisher.to_string(), last);
        write_json(&path, &answered)?;
        let package = match &receipt.package[..] {
            "" => String::new(),
            name => format!("{name} {}", receipt.version),
        };
        Ok(TargetNews::Answered {
            publisher,
            sequence: which.sequence,
            package,
            verdict: receipt.verdict,
        })
    }
}

impl Node {
    /// Where `deploy` remembers packages, whoever had them applied.
    #[must_use]
    pub fn packages_directory(&self) -> PathBuf {
        self.directory().join("packages")
    }
}

/// Why a package's tree is not here.
enum Unfetched {
    /// Its publisher made it wrong: trying again changes nothing.
    Broken(String),
    /// The way to it is cut.
    Later(GetError),
    State(StateError),
}

impl From<StateError> for Unfetched {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl Unfetched {
    fn of_tree(error: TreeError) -> Self {
        match error {
            TreeError::Decode(error) => Self::Broken(format!("its tree is malformed: {error}")),
            TreeError::NoPath(_) => Self::Broken(format!("there is no {INSTRUCTIONS} in it")),
            TreeError::Open(error) => Self::Broken(format!("its tree does not open: {error}")),
            error @ (TreeError::Kind { .. } | TreeError::Sink(_) | TreeError::HoleInDirectory) => {
                Self::Broken(format!("its tree is malformed: {error}"))
            }
            error @ (TreeError::Hub { .. }
            | TreeError::HubChoice(_)
            | TreeError::Refused { .. }
            | TreeError::Document { .. }
            | TreeError::OtherPublisher { .. }
            | TreeError::NeedsCapability(_)
            | TreeError::WrongCapability(_)
            | TreeError::Fetch(_)
            | TreeError::Store(_)
            | TreeError::Folder { .. }
            | TreeError::State(_)) => Self::Later(error.into()),
        }
    }

    fn of_get(error: GetError) -> Self {
        match error {
            GetError::Tree(error) => Self::of_tree(error),
            error @ (GetError::Checkout { .. } | GetError::State(_)) => Self::Later(error),
        }
    }
}

/// The instructions of a tree that is not here yet.
async fn instructions_of(tree: &FoundTree) -> Result<Vec<u8>, TreeError> {
    let missing = || TreeError::NoPath(INSTRUCTIONS.to_owned());
    let entry = tree.entry_at(INSTRUCTIONS.as_bytes()).await?.ok_or_else(missing)?;
    let mut bytes = Vec::new();
    // One more, so that they are seen to be too long.
    let most = package::instructions::INSTRUCTIONS_BYTES_MAX as u64 + 1;
    tree.read_file(&entry, 0..most, |part| {
        bytes.extend_from_slice(part);
        Ok(())
    })
    .await?;
    Ok(bytes)
}

fn read_instructions(tree: &Path) -> Result<Package, ApplyError> {
    let path = tree.join(INSTRUCTIONS);
    let failed = |source| ApplyError::State { path: path.clone(), source };
    let bytes = fs::read(&path).map_err(failed)?;
    Package::decode(&bytes)
        .map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

fn name_of(roster: &Roster, publisher: &PublicKey) -> String {
    roster
        .publishers
        .get(publisher)
        .map_or_else(|| publisher.to_string(), |publisher| publisher.peer.to_string())
}
