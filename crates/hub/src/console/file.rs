//! `GET /console/names/{team}/{name}/{sequence}/file?path=`: one file of a plain release.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use content::Kind;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::page::{Failure, State};
use super::session::Operator;
use super::tree::{ReleasePath, open, query_bytes, release};
use crate::browse::Found;
use crate::escape::escape;
use crate::refusal::Chain;

/// Always as something to keep, never to show: a file may be a page with scripts, and would then
/// speak with the console's voice.
pub(super) async fn file(
    state: State,
    operator: Operator,
    Path(path): Path<ReleasePath>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let (_, release) = release(&state, path).await?;
    let turn = state.turn(&state.browses).await?;
    let tree = open(&state, &release).await?;
    let at = query_bytes(query.as_deref(), "path");
    let Found::Entry(entry) = tree.find(&at).await? else {
        return Err(Failure::refused("This is a directory."));
    };
    let Kind::File { size, .. } = entry.kind else {
        return Err(Failure::refused("Only files can be downloaded."));
    };
    let reader = tree.reader(&entry, 0..size)?;
    // Directories are read; the rest takes a chunk at a time.
    drop(turn);
    let place = state.fetch_turn(operator.sharer()).await?;
    let stream = reader.into_stream().map_err(move |error| {
        // Told by breaking off; the place is held as long as the stream.
        let _ = &place;
        tracing::warn!(error = %Chain(&error), "a download of the console was not sent to its end");
        std::io::Error::other("the hub could not read on")
    });
    // A browser that takes a byte now and then must not hold its place for ever.
    let stream = stream.take_until(tokio::time::sleep(state.limits.transfer_time));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(size)),
        (header::CONTENT_DISPOSITION, disposition(entry.name.as_bytes())),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// The name as RFC 6266 has it: browsers decode it and keep path separators out.
fn disposition(name: &[u8]) -> HeaderValue {
    let name = String::from_utf8_lossy(name);
    let value = format!("attachment; filename*=UTF-8''{}", escape(name.as_bytes()));
    HeaderValue::from_str(&value).expect("letters, digits and percent signs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_out_of_the_header() {
        let value = disposition(b"a\"; filename=\"evil\r\nSet-Cookie: x\xff.html");
        let text = value.to_str().expect("ASCII");
        assert!(
            text.starts_with("attachment; filename*=UTF-8''a%22%3B%20filename%3D%22evil%0D%0A")
        );
    }
}
