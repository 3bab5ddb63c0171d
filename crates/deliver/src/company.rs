//! Deliveries of the same contents, whose segments are uploaded once for all whose recipients keep pace.
//!
//! Each of them goes on as if it were alone: it asks for a segment to be sent, and hears what became of it. One
//! task has the [`SharePlan`] of all of them and sends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use delivery::{DeliveryId, SHARED_HEAD_BYTES, SharedVault, Tag, Vault};
use delivery_plan::{MemberId, SharePlan, SharedPut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_api::{Hex, SegmentTaken, SegmentsTaken, limits};
use hub_client::{ClientError, HubClient};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::send::{put_alone, sleep_until};
use crate::source::{Source, SourceError};

const _: () = assert!(SHARED_HEAD_BYTES == limits::SEGMENT_HEAD_BYTES);
const _: () = assert!(delivery_plan::SHARED_MAX == limits::DELIVERY_SHARED_MAX);

/// What became of a segment: its tag, when it was sealed, and what the hub said.
pub(crate) type Put = Result<(Option<Tag>, Result<SegmentTaken, ClientError>), SourceError>;

/// A delivery as the task knows it.
struct Member {
    id: DeliveryId,
    vault: Arc<Vault>,
    waiting: BTreeMap<u64, oneshot::Sender<Put>>,
}

enum Wish {
    Join(MemberId, Member),
    Send(MemberId, u64, oneshot::Sender<Put>),
    Leave(MemberId),
}

/// Ends the task when the last seat is gone.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The place of one delivery among the others.
#[derive(Clone)]
pub(crate) struct Seat {
    member: MemberId,
    wishes: mpsc::UnboundedSender<Wish>,
    _task: Arc<Task>,
}

/// That a delivery takes part; dropped, it does no more.
pub(crate) struct Present(Seat);

impl Drop for Present {
    fn drop(&mut self) {
        let _ = self.0.wishes.send(Wish::Leave(self.0.member));
    }
}

/// Seats for so many deliveries of what `source` reads.
pub(crate) fn seats(
    count: usize,
    client: Arc<HubClient>,
    source: Arc<Source>,
    secret: [u8; 32],
) -> Vec<Seat> {
    let (wishes, wished) = mpsc::unbounded_channel();
    let together = Together { client, source, vault: SharedVault::new(secret) };
    let task = Arc::new(Task(tokio::spawn(run(together, wished))));
    let seat = |at| Seat { member: MemberId(at), wishes: wishes.clone(), _task: Arc::clone(&task) };
    (0..count).map(seat).collect()
}

impl Seat {
    /// Takes part until what is returned is dropped.
    pub(crate) fn join(&self, id: DeliveryId, vault: Arc<Vault>) -> Present {
        let member = Member { id, vault, waiting: BTreeMap::new() };
        let _ = self.wishes.send(Wish::Join(self.member, member));
        Present(self.clone())
    }

    /// Sends a segment, with others or not.
    pub(crate) async fn put(&self, number: u64) -> Put {
        let (answer, answered) = oneshot::channel();
        let _ = self.wishes.send(Wish::Send(self.member, number, answer));
        answered.await.expect("the task answers what it is asked as long as there is a seat")
    }
}

/// What all have in common.
#[derive(Clone)]
struct Together {
    client: Arc<HubClient>,
    source: Arc<Source>,
    vault: SharedVault,
}

/// How one delivery fared with the others.
enum Company {
    /// They waited so long for it.
    Waited(Duration),
    /// It could not be sent to with them.
    Apart,
}

type Answers = Vec<(MemberId, Put, Company)>;

async fn run(together: Together, mut wished: mpsc::UnboundedReceiver<Wish>) {
    let mut plan = SharePlan::new(Instant::now());
    let mut members: BTreeMap<MemberId, Member> = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        while let Some(SharedPut { number, members: ids }) = plan.poll_put(Instant::now()) {
            let to = ids.into_iter().filter_map(|id| {
                let Member { id: delivery, vault, .. } = members.get(&id)?;
                Some((id, *delivery, Arc::clone(vault)))
            });
            let (together, to) = (together.clone(), to.collect());
            running.push(async move { (number, together.put(number, to).await) });
        }
        let timeout = plan.poll_timeout();
        tokio::select! {
            Some((number, answers)) = running.next() => {
                let now = Instant::now();
                for (id, put, company) in answers {
                    match company {
                        Company::Waited(time) => plan.handle_waited(id, time, now),
                        Company::Apart => plan.handle_apart(id, now),
                    }
                    let member = members.get_mut(&id);
                    if let Some(answer) = member.and_then(|it| it.waiting.remove(&number)) {
                        let _ = answer.send(put);
                    }
                }
            }
            wish = wished.recv() => {
                let now = Instant::now();
                match wish {
                    None => return,
                    Some(Wish::Join(id, member)) => {
                        members.insert(id, member);
                        plan.handle_joined(id, now);
                    }
                    Some(Wish::Send(id, number, answer)) => {
                        if let Some(member) = members.get_mut(&id) {
                            member.waiting.insert(number, answer);
                            plan.handle_wanted(id, number, now);
                        }
                    }
                    Some(Wish::Leave(id)) => {
                        members.remove(&id);
                        plan.handle_left(id, now);
                    }
                }
            }
            () = sleep_until(timeout) => {}
        }
    }
}

/// Of what nobody said anything: it is to be sent again.
fn again(number: u64) -> SegmentTaken {
    SegmentTaken { taken: false, next: Some(number), verified: 0 }
}

/// The first of several hears what went wrong, the others try again.
fn unheard(number: u64, first: MemberId, put: Put, others: Vec<MemberId>) -> Answers {
    // Where the route is not known either, each has to go by itself.
    let is_apart = matches!(&put, Ok((_, Err(error))) if error.is_not_found());
    let company = || match is_apart {
        true => Company::Apart,
        false => Company::Waited(Duration::ZERO),
    };
    let others = others.into_iter().map(|id| (id, Ok((None, Ok(again(number)))), company()));
    std::iter::once((first, put, company())).chain(others).collect()
}

impl Together {
    async fn put(&self, number: u64, to: Vec<(MemberId, DeliveryId, Arc<Vault>)>) -> Answers {
        match &to[..] {
            [] => Vec::new(),
            [(id, delivery, vault)] => {
                let (source, vault) = (Arc::clone(&self.source), Arc::clone(vault));
                let delivery_id = *delivery.as_bytes();
                let put = put_alone(&self.client, delivery_id, source, vault, number, false).await;
                vec![(*id, put, Company::Waited(Duration::ZERO))]
            }
            [(first, ..), ..] => {
                let (first, others) = (*first, to.iter().skip(1).map(|(id, ..)| *id).collect());
                match self.seal(number, to).await {
                    Ok((heads, rest)) => self.put_together(number, heads, rest).await,
                    // Each of them finds out for itself.
                    Err(error) => unheard(number, first, Err(error), others),
                }
            }
        }
    }

    /// Reads and seals once; a head for each.
    async fn seal(
        &self,
        number: u64,
        to: Vec<(MemberId, DeliveryId, Arc<Vault>)>,
    ) -> Result<(Vec<Head>, Bytes), SourceError> {
        let (source, shared) = (Arc::clone(&self.source), self.vault.clone());
        let sealed = tokio::task::spawn_blocking(move || {
            let plain = source.segment(number)?;
            let segment = shared.seal(number, &plain);
            let head = |(member, delivery, vault): (MemberId, DeliveryId, Arc<Vault>)| {
                let (tag, bytes) = vault.head_of(number, &plain, &segment);
                Head { member, delivery: *delivery.as_bytes(), tag, bytes }
            };
            let heads = to.into_iter().map(head).collect();
            Ok((heads, segment.into_sealed().into()))
        });
        sealed.await.expect("sealing does not panic")
    }

    async fn put_together(&self, number: u64, heads: Vec<Head>, rest: Bytes) -> Answers {
        let named: Vec<_> = heads.iter().map(|head| (head.delivery, head.bytes)).collect();
        let taken = match self.client.put_together(&named, number, rest).await {
            Ok(SegmentsTaken { deliveries }) => deliveries,
            Err(error) => {
                let (first, tag) = (heads[0].member, heads[0].tag);
                let others = heads.iter().skip(1).map(|head| head.member).collect();
                return unheard(number, first, Ok((Some(tag), Err(error))), others);
            }
        };
        let answer = |head: Head| {
            let found = taken.iter().find(|taken| taken.delivery == Hex(head.delivery));
            let (answer, company) = match found {
                Some(found) => (
                    SegmentTaken { taken: found.taken, next: found.next, verified: found.verified },
                    Company::Waited(Duration::from_millis(found.waited_ms)),
                ),
                None => (again(number), Company::Apart),
            };
            (head.member, Ok((Some(head.tag), Ok(answer))), company)
        };
        heads.into_iter().map(answer).collect()
    }
}

/// What is one recipient's own of a segment for several.
struct Head {
    member: MemberId,
    delivery: [u8; 16],
    tag: Tag,
    bytes: delivery::SharedHead,
}
