//! One file per endpoint.

pub(crate) mod challenge;
pub(crate) mod events;
pub(crate) mod fetch_chunks;
pub(crate) mod grant_reader;
pub(crate) mod have_chunks;
pub(crate) mod head;
pub(crate) mod health;
pub(crate) mod hub;
pub(crate) mod list_names;
pub(crate) mod list_releases;
pub(crate) mod one_chunk;
pub(crate) mod one_name;
pub(crate) mod one_release;
pub(crate) mod open_session;
pub(crate) mod publish;
pub(crate) mod put_name;
pub(crate) mod register;
pub(crate) mod revoke_reader;
pub(crate) mod upload_chunks;
