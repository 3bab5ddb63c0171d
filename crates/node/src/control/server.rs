//! The node's end of the control socket.
//!
//! One task per connection: hello, one request, and while it runs whatever the command still
//! says. A command that goes away takes its job with it; the job's journals are what the next
//! one goes on from.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use node_api::{Failure, Frame, FrameReader, FromNode, Hello, Look, Run, ToNode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::hello;
use super::socket::{may_trust, own_user};
use crate::jobs::Job;
use crate::service::Service;

/// Commands served at a time; more wait for their turn to be greeted.
const CONNECTIONS_MAX: usize = 64;
/// Frames between a job and a command that reads slowly.
const FRAMES_AHEAD: usize = 64;
/// How long a command may take to say hello and what it wants.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Contents are sent in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

/// How a command ended.
#[derive(Debug)]
pub enum Outcome {
    /// By itself, with this exit code.
    Ended(u8),
    /// With an error.
    Failed(Failure),
}

/// What runs commands: the command line, which knows their words and what they print.
#[async_trait]
pub trait Commands: Send + Sync + 'static {
    /// Runs one command. Dropping the future cancels it.
    async fn run(&self, run: Run, line: Arc<Line>) -> Outcome;
}

/// The way from a job back to its command.
pub struct Line {
    sender: mpsc::Sender<Frame>,
    answers: Mutex<mpsc::Receiver<Option<String>>>,
    job: Arc<Job>,
}

impl Line {
    /// Says something; waits while the command reads slower than the job speaks.
    ///
    /// # Errors
    /// When nobody listens any more; the job is about to be cancelled.
    pub fn say(&self, message: &FromNode) -> io::Result<()> {
        self.send(Frame::of(message).map_err(io::Error::other)?)
    }

    /// Sends contents for the command's standard output.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.send(Frame::Bytes(piece.to_vec()))?;
        }
        Ok(())
    }

    /// Shows how far the job is, to the command and to whoever asks for the status. A command
    /// that reads slowly misses looks, not facts.
    pub fn look(&self, look: Look) {
        self.job.look(&look);
        if let Ok(frame) = Frame::of(&FromNode::Look(look)) {
            // A full channel means that newer looks will follow.
            drop(self.sender.try_send(frame));
        }
    }

    /// Asks the user; `None` when nobody is there to answer.
    pub async fn ask(&self, question: &str) -> Option<String> {
        self.say(&FromNode::Ask { question: question.to_owned() }).ok()?;
        self.answers.lock().await.recv().await.flatten()
    }

    fn send(&self, frame: Frame) -> io::Result<()> {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        match self.sender.try_send(frame) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closed()),
            // Other tasks of this thread move on meanwhile.
            Err(mpsc::error::TrySendError::Full(frame)) => tokio::task::block_in_place(|| {
                self.sender.blocking_send(frame).map_err(|_| closed())
            }),
        }
    }
}

/// Serves until the future is dropped, which cancels every job.
pub(crate) async fn serve(
    listener: UnixListener,
    service: Arc<Service>,
    commands: Arc<dyn Commands>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let (service, commands) = (Arc::clone(&service), Arc::clone(&commands));
                tasks.spawn(async move {
                    if let Err(error) = one(stream, &service, commands.as_ref()).await {
                        tracing::debug!(%error, "a command went away");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors: those in use are freed by jobs that end.
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn one(
    stream: UnixStream,
    service: &Arc<Service>,
    commands: &dyn Commands,
) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let (mut read, mut write) = stream.into_split();
    let ours = hello();
    send(&mut write, &Frame::of(&ours).map_err(io::Error::other)?).await?;
    if !may_trust(peer, own_user()) {
        tracing::warn!(user = peer, "refused a command of another user");
        return refuse(
            &mut write,
            5,
            "this node is another user's and opens files with its rights",
        )
        .await;
    }
    let mut reader = FrameReader::default();
    let request = async {
        let theirs: Hello = message(&mut read, &mut reader).await?;
        let request: Option<ToNode> = if theirs.fits(&ours) {
            Some(message(&mut read, &mut reader).await?)
        } else {
            // It has read our hello and says itself what is wrong.
            None
        };
        io::Result::Ok(request)
    };
    let request = tokio::time::timeout(REQUEST_WITHIN, request)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    match request {
        None => Ok(()),
        Some(ToNode::Status) => {
            let status = FromNode::Status(Box::new(service.status()));
            send(&mut write, &Frame::of(&status).map_err(io::Error::other)?).await
        }
        Some(ToNode::Run(run)) => job(run, read, reader, write, service, commands).await,
        Some(ToNode::Answer { .. }) => refuse(&mut write, 1, "nothing was asked").await,
    }
}

async fn refuse(write: &mut OwnedWriteHalf, exit_code: u8, why: &str) -> io::Result<()> {
    let failure = Failure { exit_code, causes: vec![why.to_owned()], hint: None };
    send(write, &Frame::of(&FromNode::Failed(failure)).map_err(io::Error::other)?).await
}

/// Runs one command to its end, or to the command's.
async fn job(
    run: Run,
    mut read: OwnedReadHalf,
    mut reader: FrameReader,
    mut write: OwnedWriteHalf,
    service: &Arc<Service>,
    commands: &dyn Commands,
) -> io::Result<()> {
    let (sender, mut frames) = mpsc::channel(FRAMES_AHEAD);
    let (answer, answers) = mpsc::channel(1);
    let words: Vec<String> = run.arguments.iter().map(node_api::Text::to_shown).collect();
    let job = service.jobs().begin(words.join(" "));
    let line = Arc::new(Line { sender, answers: Mutex::new(answers), job: Arc::clone(&job) });
    // A task of its own: a job that says much without a pause holds up the task it runs in, and
    // the frames it waits for must go out all the same.
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        while let Some(frame) = frames.recv().await {
            send(&mut write, &frame).await?;
        }
        io::Result::Ok(())
    });
    let writing = async move {
        match writer.join_next().await {
            Some(Ok(done)) => done,
            Some(Err(error)) => Err(io::Error::other(error)),
            None => Ok(()),
        }
    };
    let listening = async {
        loop {
            match message(&mut read, &mut reader).await? {
                ToNode::Answer { text } => drop(answer.try_send(text)),
                ToNode::Run(_) | ToNode::Status => {
                    return io::Result::<()>::Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    };
    let working = async {
        let outcome = commands.run(run, Arc::clone(&line)).await;
        let last = match outcome {
            Outcome::Ended(exit_code) => FromNode::Ended { exit_code },
            Outcome::Failed(failure) => FromNode::Failed(failure),
        };
        let said = line.say(&last);
        // The writer ends when nobody can say anything any more.
        drop(line);
        said
    };
    let done = async { tokio::try_join!(working, writing).map(drop) };
    tokio::select! {
        done = done => done,
        gone = listening => gone,
    }
}

async fn send(write: &mut OwnedWriteHalf, frame: &Frame) -> io::Result<()> {
    write.write_all(&frame.encode()).await
}

async fn message<T: serde::de::DeserializeOwned>(
    read: &mut OwnedReadHalf,
    reader: &mut FrameReader,
) -> io::Result<T> {
    let mut buffer = [0; 16 << 10];
    loop {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        if let Some(frame) = reader.next_frame().map_err(invalid)? {
            return frame.message().map_err(invalid);
        }
        match read.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => reader.push(&buffer[..count]),
        }
    }
}
