//! `GET /healthz`: alive.

/// Answers without touching anything, so that it says one thing only: the process serves.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}
