//! Chunks.

use super::{Operation, Who, get, post};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        request: Content::Bytes,
        answers: &[(200, Content::Bytes, "A bitmap in the order of the ids, lowest bit first.")],
        note: "The body is a list of ids of 32 bytes each. What the caller may not read is not \
               there.",
        ..post(routes::CHUNKS_HAVE, "haveChunks", "Which chunks are here", Who::Visitor)
    },
    Operation {
        request: Content::Bytes,
        answers: &[(200, Content::Bytes, "Frames, then what is missing.")],
        note: "The body is a list of ids of 32 bytes each. What the caller may not read is listed \
               as missing.",
        problems: &[P::TooManyRequests],
        ..post(routes::CHUNKS_FETCH, "fetchChunks", "Many chunks in one answer", Who::Visitor)
    },
    Operation {
        request: Content::Bytes,
        answers: &[(200, Content::Json("UploadResponse"), "Everything sent is durable.")],
        problems: &[P::MalformedFrames, P::WrongBytes, P::StorageFull],
        note: "Sending the same chunks again does no harm, so there is no idempotency key.",
        ..post(routes::CHUNKS, "uploadChunks", "Takes a publisher's chunks", Who::Publisher)
    },
    Operation {
        answers: &[
            (200, Content::Bytes, "The bytes."),
            (206, Content::Bytes, "The range asked for."),
        ],
        problems: &[P::RangeNotSatisfiable, P::TooManyRequests],
        is_conditional: true,
        ..get(routes::CHUNK, "readChunk", "The bytes of one chunk, immutable", Who::Visitor)
    },
];
