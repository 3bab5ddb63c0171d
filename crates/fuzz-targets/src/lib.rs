//! One function per decoder of bytes from outside, for fuzzers and for the replay test.
//!
//! A target takes any bytes at all and must neither panic nor hang; where the decoder accepts
//! the bytes, encoding the value again must give the very same bytes (of JSON, which has many
//! spellings, bytes that decode to the same value; of a certificate, whose dates alone are read,
//! dates that a calendar has; of headers, queries and forms, what `request_targets` asserts of
//! each). Targets that decode something authenticated come twice: once on raw bytes, and once
//! behind the signature or the cipher, where a fuzzer would otherwise never get.
//!
//! What this crate is not: the fuzzer, which is the program in `fuzz/`, built and run by
//! `cargo xtask fuzz`. What it found worth keeping is in `corpus/` and read by [`corpus`];
//! `tests/replay.rs` feeds every target its corpus, the golden files and thousands of mutations.
//!
//! Start reading at [`TARGETS`].

mod community_targets;
mod content_targets;
pub mod corpus;
mod delivery_targets;
mod disk_targets;
mod document_targets;
mod hub_targets;
mod node_targets;
mod package_targets;
mod people_targets;
mod request_targets;
mod seeds;
mod store_targets;
mod wire_targets;

pub use community_targets::{
    beginning, beginning_payload, charter, charter_payload, community_word, join_answer_payload,
    join_challenge_payload, join_request, join_request_payload, join_secret_text, membership,
    proposal_text, receipt_payload, relay_report, relay_report_payload, renewal_payload,
    roster_payload, seed_text, signed_receipt,
};
pub use content_targets::{
    closure_head, closure_segment, frame, node, piece_list, sealed_chunk, sealed_message, tree_root,
};
pub use delivery_targets::{
    code_message, code_text, delivery_header, delivery_prefix, delivery_receipt,
    delivery_receipt_payload, delivery_segment, direct_path, link_text, ticket_text,
};
pub use disk_targets::{checkout_journal, checkout_records, directory_index};
pub use document_targets::{
    accept_head, audit_head, audit_head_payload, capability_text, certificate_validity, delegation,
    delegation_payload, head, head_payload, invitation_text, manifest, manifest_payload,
    registration, registration_payload, release_name, sealed_root, session_proof,
    session_proof_payload, session_token, session_token_payload,
};
pub use hub_targets::{
    event_stream, front_end_news, http_date, hub_request, hub_response, id_text, locker_facts,
};
pub use node_targets::{from_node, node_frame_stream, node_hello, node_text, to_node};
pub use package_targets::{
    label_expression, package_instructions, package_receipt, package_specification,
};
pub use people_targets::{
    book, device_request_payload, device_request_text, devices_payload, receipt_file, sealed_book,
};
pub use request_targets::{
    console_form, console_query, forwarded_for, if_none_match, page_query, range_header,
};
pub use seeds::seeds;
pub use store_targets::store_pack;
pub use wire_targets::{frame_stream, have_bitmap, id_list, segment_stream};

/// What a decoder made of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It took them, and of the value everything held that the target asserts.
    Accepted,
    /// It refused them with an error.
    Refused,
}

/// A decoder under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the function.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]) -> Verdict,
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// Every target.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), run: $name }),*];
    };
}

targets![
    node,
    tree_root,
    piece_list,
    closure_segment,
    closure_head,
    frame,
    sealed_chunk,
    sealed_message,
    manifest,
    manifest_payload,
    head,
    head_payload,
    audit_head,
    audit_head_payload,
    delegation,
    delegation_payload,
    session_proof,
    session_proof_payload,
    registration,
    registration_payload,
    session_token,
    session_token_payload,
    accept_head,
    sealed_root,
    capability_text,
    invitation_text,
    release_name,
    certificate_validity,
    charter,
    charter_payload,
    roster_payload,
    membership,
    renewal_payload,
    join_request,
    join_request_payload,
    join_challenge_payload,
    join_answer_payload,
    beginning,
    beginning_payload,
    receipt_payload,
    signed_receipt,
    relay_report,
    relay_report_payload,
    seed_text,
    join_secret_text,
    proposal_text,
    community_word,
    frame_stream,
    id_list,
    have_bitmap,
    segment_stream,
    ticket_text,
    direct_path,
    code_text,
    code_message,
    link_text,
    delivery_header,
    delivery_prefix,
    delivery_segment,
    delivery_receipt,
    delivery_receipt_payload,
    devices_payload,
    device_request_payload,
    device_request_text,
    sealed_book,
    book,
    receipt_file,
    node_frame_stream,
    node_hello,
    to_node,
    from_node,
    node_text,
    hub_request,
    hub_response,
    id_text,
    event_stream,
    http_date,
    range_header,
    locker_facts,
    front_end_news,
    if_none_match,
    forwarded_for,
    page_query,
    console_form,
    console_query,
    store_pack,
    directory_index,
    checkout_records,
    checkout_journal,
    package_instructions,
    package_receipt,
    package_specification,
    label_expression,
];

/// What a text is read as, shown again.
fn parse<T: std::str::FromStr + ToString>(bytes: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(bytes).ok()?.parse::<T>().ok()?.to_string())
}

/// Accepted when `again` is there; then it must be `bytes`.
fn same<B: AsRef<[u8]>>(again: Option<B>, bytes: &[u8]) -> Verdict {
    match again {
        None => Verdict::Refused,
        Some(again) => {
            assert_eq!(again.as_ref(), bytes, "accepted bytes must encode to the same again");
            Verdict::Accepted
        }
    }
}
