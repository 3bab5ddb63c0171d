//! A running hub over loopback, driven by its client and by plain HTTP.

mod access;
mod http;
mod releases;
mod scene;
