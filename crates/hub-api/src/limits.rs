//! The largest of everything that crosses the wire, and where each number comes from.
//!
//! The constants are what this version's hub enforces and what clients stay within unasked; a
//! hub with other settings says so in [`Limits`], which clients may read to ask for less.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Most ids in one fetch. A batch of 1,024 chunks of 32 KiB is 32 MiB: several seconds of most
/// links, so larger batches hide no more round trips and only coarsen scheduling.
pub const FETCH_IDS_MAX: usize = 1024;

/// Most ids in one have. 256 KiB of request for 1 KiB of answer: larger lists save no time.
pub const HAVE_IDS_MAX: usize = 8192;

/// Most missing ids one problem document names: as many as a have, so that the client's next
/// step fits one request; about 540 KiB of JSON, inside [`RESPONSE_BYTES_MAX`].
pub const MISSING_IDS_MAX: usize = HAVE_IDS_MAX;

/// Most bytes in one upload: one pack. Clients send about 8 MiB at once; the rest is room for
/// frames that do not compress and for other clients.
pub const UPLOAD_BYTES_MAX: usize = 64 << 20;

/// Most chunks in one upload. At the least average size, 32 KiB, an upload has 2,048; the rest
/// is room for small ones, and the bound keeps what the hub must index at once in memory.
pub const UPLOAD_CHUNKS_MAX: usize = 65_536;

/// Most bytes of a signed document, as in `documents`.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Most bytes of a JSON request: two documents in base64 (175 KiB), rounded up.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// Most bytes of a JSON response other than a page of releases.
pub const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// Most bytes of a page of releases: each carries a manifest, see [`RELEASES_PAGE_MAX`].
pub const RELEASES_RESPONSE_BYTES_MAX: usize = 8 << 20;

/// Most releases on one page. 64 of the largest manifests in base64 are 5.4 MiB.
pub const RELEASES_PAGE_MAX: u32 = 64;
/// Releases on one page when the request does not say: a screenful.
pub const RELEASES_PAGE_DEFAULT: u32 = 20;

/// Most names on one page: at about 300 bytes each, far inside [`RESPONSE_BYTES_MAX`].
pub const NAMES_PAGE_MAX: u32 = 1000;

/// Most rows on one page of anything else, and how many when the request does not say: the
/// largest rows, changes of two paths, are some 8 KiB where paths are as long as kernels take.
pub const PAGE_MAX: u32 = 500;
/// Rows on such a page when the request does not say.
pub const PAGE_DEFAULT: u32 = 100;

/// Most bytes of a page of entries or changes: paths in JSON may take six times their bytes.
pub const BROWSE_RESPONSE_BYTES_MAX: usize = 8 << 20;

/// Most names one token or invitation lists.
pub const LISTED_NAMES_MAX: usize = 64;
/// Longest life of a token: whoever needs one for longer should look at it once more.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_hours(2 * 365 * 24);
/// Longest life of an invitation.
pub const INVITATION_LIFETIME_MAX: Duration = Duration::from_hours(365 * 24);
/// Most keys that may register with one invitation.
pub const INVITATION_USES_MAX: u32 = 1_000_000;
/// Most characters of a token's label: one line of a listing.
pub const LABEL_CHARS_MAX: usize = 80;

/// Most envelopes, or taken receipts, of one request: of 1,000 targets at some 220 bytes of JSON each,
/// they are inside [`REQUEST_BYTES_MAX`].
pub const ENVELOPES_MAX: usize = 1000;
/// Most bytes of one envelope; ours are 92 (`docs/format.md`, 13.6).
pub const ENVELOPE_BYTES_MAX: usize = 256;
/// Most bytes of a change of a roster: the roster and some 20,000 memberships in base64.
pub const ROSTER_CHANGE_BYTES_MAX: usize = 16 << 20;
/// Most peers of a community.
pub const MEMBERS_MAX: usize = 100_000;
/// Most charters of one answer: in base64, with a roster of that size beside them, they are inside
/// [`RESPONSE_BYTES_MAX`].
pub const CHARTERS_PAGE_MAX: u32 = 8;
/// Most bytes of a signed beginning, as in `community`: [`PAGE_MAX`] of them in base64 are inside
/// [`RESPONSE_BYTES_MAX`].
pub const BEGINNING_BYTES_MAX: usize = 512;
/// Most bytes of a signed receipt, as in `community`.
pub const RECEIPT_BYTES_MAX: usize = (8 << 20) + (64 << 10);
/// Most bytes of a signed receipt that comes with the list: a program that said little has under 1 KiB,
/// and what is longer is worth a request of its own.
pub const LISTED_RECEIPT_BYTES_MAX: usize = 16 << 10;
/// Most bytes of all of them on one page: in base64, with what is told of [`PAGE_MAX`] receipts at some
/// 300 bytes each, they are inside [`RESPONSE_BYTES_MAX`].
pub const LISTED_RECEIPTS_BYTES_MAX: usize = 640 << 10;
/// Most bytes of a signed relay report, as in `community`.
pub const RELAY_REPORT_BYTES_MAX: usize = 512;
/// Most relay reports of one request or answer, and of one community: in base64 they are inside
/// [`REQUEST_BYTES_MAX`].
pub const RELAY_REPORTS_MAX: usize = 256;
/// Most entries that are counted when somebody asks how many wait: a tenth of a second's work.
pub const BACKLOG_MAX: u32 = 100_000;
/// Most bytes of a request to join, or of an answer: some 400 are usual.
pub const JOIN_BYTES_MAX: usize = 4 * 1024;
/// Most joinings of a community that are not over: more than one manager would look at.
pub const JOININGS_MAX: u32 = 1000;
/// Most of them that have no admission, so that those who have one find a place.
pub const JOININGS_UNANNOUNCED_MAX: u32 = 100;
/// Most joinings of one answer, the oldest: with three documents each of the largest size they are
/// inside [`RELEASES_RESPONSE_BYTES_MAX`].
pub const JOININGS_PAGE_MAX: u32 = 500;
/// How long a machine may wait for the next step of its joining in one request: less than any request
/// may take.
pub const JOIN_WAIT_MAX: Duration = Duration::from_secs(25);
/// How long a joining waits for its next step.
pub const JOINING_LIFETIME: Duration = Duration::from_hours(24);
/// Longest life of an admission: that of a join secret.
pub const ADMISSION_LIFETIME_MAX: Duration = Duration::from_hours(365 * 24);
/// Most bytes of a reason for people.
pub const REASON_BYTES_MAX: usize = 256;

/// Most bytes of a segment of a delivery: 1 MiB, and what sealing adds to it.
pub const SEGMENT_BYTES_MAX: usize = (1 << 20) + 128;
/// Deliveries that have a segment in one request at most.
pub const DELIVERY_SHARED_MAX: usize = 32;
/// Bytes of a segment for several that are one recipient's own.
pub const SEGMENT_HEAD_BYTES: usize = 64;
/// How long the hub makes those for whose segment it has a place wait for the others that are to have it, too.
pub const SHARED_PATIENCE: Duration = Duration::from_secs(1);
/// Segments of a delivery that the hub holds at most: one comes in while another goes out.
pub const DELIVERY_WINDOW: usize = 2;
/// Most downloads of a delivery in a locker.
pub const LOCKER_DOWNLOADS_MAX: u32 = 100;
/// Most bytes of the receipt of a delivery.
pub const DELIVERY_RECEIPT_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of what tells a recipient where it reaches the sender itself.
pub const DELIVERY_DIRECT_BYTES_MAX: usize = 256;
/// Most characters of the reason why a delivery was ended: two lines of a listing.
pub const DELIVERY_REASON_CHARS_MAX: usize = 200;
/// Least characters of a password (NIST SP 800-63B, 5.1.1.2).
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Most bytes of a password: far beyond what anybody types, and hashed in no time.
pub const PASSWORD_BYTES_MAX: usize = 512;
/// Most characters of what a person tells of themselves, each.
pub const PERSON_TEXT_CHARS_MAX: usize = 128;
/// Most bytes of a sealed address book.
pub const BOOK_BYTES_MAX: usize = 1 << 20;
/// Most handles on each list of an address book.
pub const BOOK_HANDLES_MAX: usize = 2000;
/// Most senders who wait for one person's decision; whoever comes beyond is refused.
pub const PENDING_SENDERS_MAX: usize = 100;
/// Most deliveries of one sender that wait for one recipient.
pub const WAITING_DELIVERIES_MAX: usize = 100;
/// Most devices of a person, on a list or not.
pub const DEVICES_MAX: usize = 16;
/// Most bytes of all lists of one person's devices: a thousand changes with three devices, and in base64
/// they fit a response.
pub const DEVICE_LISTS_BYTES_MAX: usize = 512 << 10;
/// Bytes of the secret of a delivery as it is sealed for a device.
pub const LETTER_BYTES: usize = 80;
/// Most deliveries on one page.
pub const DELIVERIES_PAGE_MAX: u32 = 200;
/// How long a code that came by mail can be used.
pub const RECOVERY_TIME: Duration = Duration::from_hours(1);
/// Codes that go to one person within [`RECOVERY_TIME`], those that were used not counted.
pub const RECOVERIES_MAX: u32 = 3;
/// Codes that one network asks for within [`LOGIN_WINDOW`], whoever they are for.
pub const RECOVERY_REQUESTS_MAX: u32 = 10;
/// Failed logins for one handle from one network within [`LOGIN_WINDOW`], after which that network is refused until
/// the window has passed; others are not.
pub const FAILED_LOGINS_MAX: u32 = 3;
/// Over which failed logins are counted.
pub const LOGIN_WINDOW: Duration = Duration::from_hours(1);
/// Handles that one person may ask for within [`LOGIN_WINDOW`] though nobody is called that: enough for
/// mistakes, too few to try names.
pub const UNKNOWN_HANDLES_MAX: u32 = 100;
/// How long a question for a delivery's next change waits for one, and a segment for room: less than
/// any request may take.
pub const DELIVERY_WAIT_MAX: Duration = Duration::from_secs(20);
/// Most bytes of a message of a handover: a sealed ticket is the longest, and has half of that.
pub const CODE_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Messages of a handover: claim, answer, proof, ticket.
pub const CODE_MESSAGES: u8 = 4;
/// How long a question for a message of a handover waits for it: as one for a delivery's next change.
pub const CODE_WAIT_MAX: Duration = DELIVERY_WAIT_MAX;
/// Silence in a stream of segments before the hub sends a heart-beat.
pub const SEGMENT_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Least characters of an idempotency key: enough for one that nobody guesses.
pub const IDEMPOTENCY_KEY_CHARS_MIN: usize = 16;
/// Most characters of an idempotency key: room for two UUIDs and a word.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 128;
/// How long an answer is remembered under its idempotency key.
pub const IDEMPOTENCY_LIFETIME: Duration = Duration::from_hours(24);

/// Most bytes of the head of a request. A token is under 1 KiB; proxies commonly stop at 8 KiB.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Most header fields of a request; browsers behind two proxies send about 30.
pub const HEADERS_MAX: usize = 64;

/// How long a challenge can be answered: one round trip and a signature, with a slow link and a
/// busy machine in between.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_mins(1);
/// How long a session lasts: what a stolen token is worth, against one more round trip.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(1);
/// Silence on an event stream before its next heart-beat, as clients take it to be until the hub tells them another
/// one by [`EVENT_HEARTBEAT`](crate::EVENT_HEARTBEAT).
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// The shortest interval of heart-beats that a hub tells: a broken line is noticed in a quarter of a minute.
pub const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// The longest: less than three of [`HEARTBEAT_INTERVAL`], which clients wait for that are told none, and less than
/// the 60 s after which proxies commonly close idle connections.
pub const HEARTBEAT_INTERVAL_MAX: Duration = Duration::from_secs(40);
/// So many heart-beats in a row are missed before a line counts as broken.
pub const HEARTBEATS_MISSED: u32 = 3;

/// What a hub accepts, as it states in [`HubInfo`](crate::HubInfo).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    /// Most ids in one fetch.
    pub fetch_ids_max: u64,
    /// Most ids in one have.
    pub have_ids_max: u64,
    /// Most bytes in one upload.
    pub upload_bytes_max: u64,
    /// Most chunks in one upload.
    pub upload_chunks_max: u64,
    /// Most bytes of a signed document.
    pub document_bytes_max: u64,
    /// Most releases on one page.
    pub releases_page_max: u32,
    /// Most names on one page.
    pub names_page_max: u32,
    /// How long a session lasts, in seconds.
    pub session_lifetime_s: u64,
    /// Longest silence on an event stream, in seconds.
    pub heartbeat_interval_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fetch_ids_max: FETCH_IDS_MAX as u64,
            have_ids_max: HAVE_IDS_MAX as u64,
            upload_bytes_max: UPLOAD_BYTES_MAX as u64,
            upload_chunks_max: UPLOAD_CHUNKS_MAX as u64,
            document_bytes_max: DOCUMENT_BYTES_MAX as u64,
            releases_page_max: RELEASES_PAGE_MAX,
            names_page_max: NAMES_PAGE_MAX,
            session_lifetime_s: SESSION_LIFETIME.as_secs(),
            heartbeat_interval_s: HEARTBEAT_INTERVAL_MAX.as_secs(),
        }
    }
}
