//! Sources that misbehave.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};
use fetch::{Source, SourceError};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::{Library, frame_of, noise};

/// A way of misbehaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes requests and never says anything.
    Silent,
    /// Sends the right bytes, one a second.
    OneByteASecond,
    /// Sends other bytes of the right length.
    WrongBytes,
    /// Sends the right bytes without the last one.
    WrongLength,
    /// Sends the first half of what was asked for, then breaks off.
    ClosesHalfWay,
    /// Promises everything and has nothing.
    LiesAboutWhatItHas,
    /// Sends what nobody asked for, for ever.
    FloodsForEver,
    /// Sends what was asked for again and again, for ever.
    RepeatsForEver,
    /// Sends everything and does not end its answer.
    HoldsOpen,
    /// Sends each chunk under the id of another.
    SwapsAnswers,
    /// Sends the chunks that an earlier request asked for.
    AnswersAnotherRequest,
    /// Says no.
    Refuses,
    /// Is broken itself.
    Panics,
}

/// A source with bad manners.
pub struct Hostile {
    name: String,
    library: Arc<Library>,
    manner: Manner,
}

impl Hostile {
    /// Named after its manner.
    #[must_use]
    pub fn new(manner: Manner, library: &Arc<Library>) -> Self {
        Self { name: format!("{manner:?}"), library: Arc::clone(library), manner }
    }

    fn right(&self, id: &ChunkId) -> Option<(ChunkId, Bytes)> {
        self.library.chunk(id).map(|bytes| (*id, bytes.clone()))
    }

    fn wrong(&self, id: &ChunkId) -> Option<(ChunkId, Bytes)> {
        let (id, bytes) = self.right(id)?;
        let ids = self.library.ids();
        let place = ids.iter().position(|known| *known == id)?;
        let other = ids[(place + 1) % ids.len()];
        Some(match self.manner {
            Manner::WrongBytes => (id, noise(7, bytes.len())),
            Manner::WrongLength => (id, bytes.slice(..bytes.len() - 1)),
            Manner::SwapsAnswers => (id, self.library.chunk(&other)?.clone()),
            Manner::AnswersAnotherRequest => {
                let foreign = noise(place as u64 + 99, bytes.len());
                (ChunkId::of(&foreign), foreign)
            }
            Manner::Silent
            | Manner::OneByteASecond
            | Manner::ClosesHalfWay
            | Manner::LiesAboutWhatItHas
            | Manner::FloodsForEver
            | Manner::RepeatsForEver
            | Manner::HoldsOpen
            | Manner::Refuses
            | Manner::Panics => (id, bytes),
        })
    }
}

/// Sends frames of one chunk each; stops when nobody listens.
async fn send(
    chunks: impl Iterator<Item = (ChunkId, Bytes)>,
    frames: &mpsc::Sender<Frame>,
) -> bool {
    for chunk in chunks {
        if frames.send(frame_of(&[chunk])).await.is_err() {
            return false;
        }
    }
    true
}

#[async_trait]
impl Source for Hostile {
    fn name(&self) -> &str {
        &self.name
    }

    fn promises_all(&self) -> bool {
        self.manner == Manner::LiesAboutWhatItHas
    }

    async fn fetch(&self, ids: &[ChunkId], frames: mpsc::Sender<Frame>) -> Result<(), SourceError> {
        match self.manner {
            Manner::Silent => pending().await,
            Manner::OneByteASecond => {
                for chunk in ids.iter().filter_map(|id| self.right(id)) {
                    sleep(Duration::from_secs(chunk.1.len() as u64)).await;
                    send([chunk].into_iter(), &frames).await;
                }
            }
            Manner::WrongBytes
            | Manner::WrongLength
            | Manner::SwapsAnswers
            | Manner::AnswersAnotherRequest => {
                send(ids.iter().filter_map(|id| self.wrong(id)), &frames).await;
            }
            Manner::ClosesHalfWay => {
                send(ids[..ids.len() / 2].iter().filter_map(|id| self.right(id)), &frames).await;
                return Err(SourceError::Failed("broke off".to_owned()));
            }
            Manner::LiesAboutWhatItHas => {}
            Manner::FloodsForEver => {
                let junk = noise(99, 64 << 10);
                send(std::iter::repeat((ChunkId::of(&junk), junk)), &frames).await;
            }
            Manner::RepeatsForEver => {
                send(ids.iter().take(1).cycle().filter_map(|id| self.right(id)), &frames).await;
            }
            Manner::HoldsOpen => {
                send(ids.iter().filter_map(|id| self.right(id)), &frames).await;
                pending::<()>().await;
            }
            Manner::Refuses => return Err(SourceError::Refused("no access".to_owned())),
            Manner::Panics => panic!("as this source is meant to"),
        }
        Ok(())
    }
}
