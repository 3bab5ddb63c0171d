//! `POST /v1/chunks`: a publisher's chunks, answered when they are durable.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use content::{ChunkId, Frame};
use hub_api::limits::{UPLOAD_BYTES_MAX, UPLOAD_CHUNKS_MAX};
use hub_api::{ProblemCode, UploadResponse};
use wire::FrameStreamDecoder;

use crate::app::App;
use crate::body::BoundedBody;
use crate::caller::Publisher;
use crate::refusal::Refusal;
use crate::transfers::Direction;

/// Bytes of frames given to the store at once: enough to write in long runs, little enough for
/// many uploads side by side.
const BATCH_BYTES: usize = 4 << 20;

/// The uploader becomes a holder of every chunk it sent, new or known: it has shown the bytes.
pub(crate) async fn upload_chunks(
    State(app): State<Arc<App>>,
    publisher: Result<Publisher, Refusal>,
    request: Request,
) -> Result<Json<UploadResponse>, Refusal> {
    // A refusal before the body is read leaves a connection that cannot be used again.
    let Publisher(caller) = publisher.map_err(Refusal::closing)?;
    let holder = caller.holder().ok_or_else(Refusal::not_found)?;
    let _turn = app.turn(&app.uploads).await.map_err(Refusal::closing)?;
    let moving = app.transfers.begin((&caller).into(), Direction::Upload, Instant::now());
    let mut body = BoundedBody::new(request, UPLOAD_BYTES_MAX, app.limits.idle_time)?;
    let mut decoder = FrameStreamDecoder::new(app.buffers.clone());
    let mut upload = Upload::default();
    while let Some(bytes) = body.next().await? {
        moving.add(bytes.len());
        decoder.push(bytes);
        while let Some(frame) = decoder.next_frame().map_err(malformed)? {
            upload.push(&app, frame).await?;
        }
    }
    let missing = decoder.finish().map_err(malformed)?;
    if !missing.is_empty() {
        return Err(malformed("an upload lists nothing as missing"));
    }
    upload.store(&app).await?;
    // In this order: nobody is a holder of a chunk that a crash could take away.
    app.store.flush().await?;
    app.db.add_holders(holder, &upload.ids).await?;
    Ok(Json(upload.response))
}

fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(ProblemCode::MalformedFrames, error.to_string()).closing()
}

#[derive(Default)]
struct Upload {
    batch: Vec<Frame>,
    batch_bytes: usize,
    ids: Vec<ChunkId>,
    response: UploadResponse,
}

impl Upload {
    async fn push(&mut self, app: &App, frame: Frame) -> Result<(), Refusal> {
        self.ids.extend(frame.entries().iter().map(|entry| entry.id));
        if self.ids.len() > UPLOAD_CHUNKS_MAX {
            let limit = format!("more than {UPLOAD_CHUNKS_MAX} chunks");
            return Err(Refusal::new(ProblemCode::BodyTooLarge, limit).closing());
        }
        self.batch_bytes += frame.payload().len();
        self.batch.push(frame);
        if self.batch_bytes >= BATCH_BYTES {
            self.store(app).await?;
        }
        Ok(())
    }

    async fn store(&mut self, app: &App) -> Result<(), Refusal> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        let appended = app.store.append(batch).await.map_err(|error| {
            // The rest of the body will not be read.
            Refusal::from(error).closing()
        })?;
        self.response.stored += appended.new_chunks;
        self.response.known += appended.known_chunks;
        Ok(())
    }
}
