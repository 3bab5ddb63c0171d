//! A running hub over loopback, driven by its client and by plain HTTP.

mod access;
mod ask;
mod backing_up;
mod browse;
mod certificates;
mod collecting;
mod console;
mod early;
mod http;
mod interface;
mod limits_connections;
mod limits_console;
mod limits_hostile;
mod limits_storage;
mod limits_streams;
mod limits_transfers;
mod observing;
mod postgres;
mod postgres_tls;
mod raw;
mod releases;
mod rights;
mod scene;
mod schema;
mod schemathesis;
