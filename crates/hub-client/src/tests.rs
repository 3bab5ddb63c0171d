//! Tests against a small server in this process that does whatever a test wants.

mod bodies;
mod busy;
mod early;
mod proxies;
mod server;
mod sessions;
mod trust;
