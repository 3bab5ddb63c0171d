//! Every path the hub serves: a template for its router, a builder for clients.
//!
//! Templates write a segment that varies as `{segment}`. Builders take the texts of ids and of
//! checked names, none of which needs escaping; a name is one text, `team/tools`.

use std::fmt::Display;

/// `GET`: alive, without access to anything. Not under `/v1`: proxies and probes ask it.
pub const HEALTH: &str = "/healthz";
/// `GET ?for=reading`: whether the hub can do its work, part by part; 503 when it cannot.
pub const READY: &str = "/readyz";
/// `GET`: [`HubInfo`](crate::HubInfo).
pub const HUB: &str = "/v1/hub";
/// `POST`: [`RegistrationRequest`](crate::RegistrationRequest).
pub const REGISTRATIONS: &str = "/v1/registrations";
/// `POST`: [`ChallengeRequest`](crate::ChallengeRequest).
pub const SESSION_CHALLENGE: &str = "/v1/sessions/challenge";
/// `POST`: [`SessionRequest`](crate::SessionRequest).
pub const SESSIONS: &str = "/v1/sessions";
/// `POST`: id list in, bitmap out.
pub const CHUNKS_HAVE: &str = "/v1/chunks/have";
/// `POST`: id list in, frame stream out.
pub const CHUNKS_FETCH: &str = "/v1/chunks/fetch";
/// `POST`: frame stream in, [`UploadResponse`](crate::UploadResponse) once it is durable.
pub const CHUNKS: &str = "/v1/chunks";
/// `GET`: the bytes of one chunk, immutable; understands `Range`.
pub const CHUNK: &str = "/v1/chunks/{id}";
/// `GET ?after=&limit=`: [`NamesPage`](crate::NamesPage).
pub const NAMES: &str = "/v1/names";
/// `GET`: [`NameInfo`](crate::NameInfo). `PUT`: [`NameSettings`](crate::NameSettings). `DELETE`.
pub const NAME: &str = "/v1/names/{team}/{name}";
/// `PUT`: [`OwnerSettings`](crate::OwnerSettings).
pub const OWNER: &str = "/v1/names/{team}/{name}/owner";
/// `GET ?after=&limit=`: [`GrantsPage`](crate::GrantsPage).
pub const GRANTS: &str = "/v1/names/{team}/{name}/grants";
/// `PUT`: [`GrantSettings`](crate::GrantSettings). `DELETE`.
pub const GRANT: &str = "/v1/names/{team}/{name}/grants/{key}";
/// `GET`, `PUT`: [`DelegationDocument`](crate::DelegationDocument).
pub const DELEGATION: &str = "/v1/names/{team}/{name}/delegation";
/// `GET`, `PUT`: [`Retention`](crate::Retention).
pub const RETENTION: &str = "/v1/names/{team}/{name}/retention";
/// `GET`: [`NewestRelease`](crate::NewestRelease), with `ETag` and `If-None-Match`.
pub const HEAD: &str = "/v1/names/{team}/{name}/head";
/// `GET ?before=&limit=`: [`ReleasesPage`](crate::ReleasesPage), newest first. `POST`:
/// [`HeadDocuments`](crate::HeadDocuments) in, [`ReleaseAccepted`](crate::ReleaseAccepted) out.
pub const RELEASES: &str = "/v1/names/{team}/{name}/releases";
/// `GET`: [`ReleaseInfo`](crate::ReleaseInfo).
pub const RELEASE: &str = "/v1/names/{team}/{name}/releases/{sequence}";
/// `PUT`, `DELETE`: whether retention leaves the release alone.
pub const PIN: &str = "/v1/names/{team}/{name}/releases/{sequence}/pin";
/// `GET ?after=&limit=`: [`EntriesPage`](crate::EntriesPage) of the root of a plain tree.
pub const ROOT_ENTRIES: &str = "/v1/names/{team}/{name}/releases/{sequence}/entries";
/// `GET ?after=&limit=`: [`EntriesPage`](crate::EntriesPage) of another directory.
pub const ENTRIES: &str = "/v1/names/{team}/{name}/releases/{sequence}/entries/{*path}";
/// `GET`: the bytes of a file of a plain tree; understands `Range`.
pub const FILE: &str = "/v1/names/{team}/{name}/releases/{sequence}/files/{*path}";
/// `GET ?since=&after=&limit=`: [`ChangesPage`](crate::ChangesPage) between plain trees.
pub const CHANGES: &str = "/v1/names/{team}/{name}/releases/{sequence}/changes";
/// `GET ?name=`: server-sent events.
pub const EVENTS: &str = "/v1/events";
/// `GET ?after=&limit=`: [`TokensPage`](crate::TokensPage). `POST`:
/// [`TokenRequest`](crate::TokenRequest) in, [`TokenCreated`](crate::TokenCreated) out.
pub const TOKENS: &str = "/v1/tokens";
/// `DELETE`.
pub const TOKEN: &str = "/v1/tokens/{id}";
/// `GET ?after=&limit=`: [`AccountsPage`](crate::AccountsPage), for administrators.
pub const ACCOUNTS: &str = "/v1/accounts";
/// `DELETE`: revokes the account, for administrators.
pub const ACCOUNT: &str = "/v1/accounts/{key}";
/// `GET ?after=&limit=`: [`InvitationsPage`](crate::InvitationsPage). `POST`:
/// [`InvitationRequest`](crate::InvitationRequest) in,
/// [`InvitationCreated`](crate::InvitationCreated) out. For administrators.
pub const INVITATIONS: &str = "/v1/invitations";
/// `DELETE`, for administrators.
pub const INVITATION: &str = "/v1/invitations/{id}";
/// `GET`: [`HubStatus`](crate::HubStatus), for administrators.
pub const STATUS: &str = "/v1/status";
/// `GET ?before=&limit=`: [`AuditPage`](crate::AuditPage), for administrators.
pub const AUDIT: &str = "/v1/audit";
/// The audit log from its first entry on, with links and signed heads.
pub const AUDIT_CHAIN: &str = "/v1/audit/chain";
/// `POST`: [`CharterDocument`](crate::CharterDocument), the first of a community.
pub const COMMUNITIES: &str = "/v1/communities";
/// `POST`: [`CharterDocument`](crate::CharterDocument), the first of a community whose home is another
/// hub, and which the caller passes on to this one.
pub const MIRRORS: &str = "/v1/mirrors";
/// `GET ?after=`: [`ChartersPage`](crate::ChartersPage), for everybody who knows the community.
/// `POST`: [`CharterDocument`](crate::CharterDocument), the next.
pub const CHARTERS: &str = "/v1/communities/{community}/charters";
/// `GET ?charter=`: [`Standing`](crate::Standing) behind that charter, for peers and managers, with
/// `ETag` and `If-None-Match`.
pub const STANDING: &str = "/v1/communities/{community}/standing";
/// `PUT`: [`RosterChange`](crate::RosterChange), for managers.
pub const ROSTER: &str = "/v1/communities/{community}/roster";
/// `PUT`: [`RenewalDocument`](crate::RenewalDocument), for managers and whom the roster names.
pub const RENEWAL: &str = "/v1/communities/{community}/renewal";
/// `GET ?after=&limit=`: [`MembersPage`](crate::MembersPage), for managers, publishers and relays.
pub const MEMBERS: &str = "/v1/communities/{community}/members";
/// `PUT`: [`AdmissionSettings`](crate::AdmissionSettings). `DELETE`. For managers.
pub const ADMISSION: &str = "/v1/communities/{community}/admissions/{admission}";
/// `GET`: [`JoiningsPage`](crate::JoiningsPage), for managers. `POST`: [`JoinKnock`](crate::JoinKnock)
/// in, [`JoinAccepted`](crate::JoinAccepted) out, for everybody.
pub const JOINS: &str = "/v1/communities/{community}/joins";
/// `GET ?wait=`: [`Joining`](crate::Joining), for whoever knows its id.
pub const JOIN: &str = "/v1/communities/{community}/joins/{id}";
/// `PUT`: [`JoinDocument`](crate::JoinDocument), for managers.
pub const JOIN_CHALLENGE: &str = "/v1/communities/{community}/joins/{id}/challenge";
/// `PUT`: [`JoinDocument`](crate::JoinDocument), for whoever knows the id.
pub const JOIN_ANSWER: &str = "/v1/communities/{community}/joins/{id}/answer";
/// `PUT`: [`JoinEnd`](crate::JoinEnd), for managers; [`JoinEnd::Aborted`](crate::JoinEnd::Aborted)
/// for whoever knows the id.
pub const JOIN_END: &str = "/v1/communities/{community}/joins/{id}/end";
/// `GET ?after=&limit=`: [`QueuePage`](crate::QueuePage), for the calling target.
pub const QUEUE: &str = "/v1/communities/{community}/queue";
/// `GET ?after=&limit=`: [`WaitingPage`](crate::WaitingPage), for relays and whoever mirrors it.
pub const WAITING: &str = "/v1/communities/{community}/waiting";
/// `GET`: [`RelayStates`](crate::RelayStates), for managers, publishers and whoever mirrors it. `PUT`:
/// [`RelayReports`](crate::RelayReports) in, [`RelayReportsTaken`](crate::RelayReportsTaken) out, for
/// relays.
pub const RELAYS: &str = "/v1/communities/{community}/relays";
/// `GET`: server-sent events for the calling peer or manager.
pub const COMMUNITY_EVENTS: &str = "/v1/communities/{community}/events";
/// `POST`: [`Envelopes`](crate::Envelopes) in, [`Queued`](crate::Queued) out.
pub const ENVELOPES: &str = "/v1/names/{team}/{name}/releases/{sequence}/envelopes";
/// `GET ?after=&limit=`: [`QueuedTargetsPage`](crate::QueuedTargetsPage), for the publisher.
pub const TARGETS: &str = "/v1/names/{team}/{name}/releases/{sequence}/targets";
/// `PUT`: [`BeginningDocument`](crate::BeginningDocument), by the target or a relay. `DELETE`: it waits no
/// longer, by whoever mirrors the community.
pub const TARGET: &str = "/v1/names/{team}/{name}/releases/{sequence}/targets/{key}";
/// `PUT`: [`ManifestDocument`](crate::ManifestDocument), by whoever mirrors the community.
pub const MIRRORED: &str = "/v1/names/{team}/{name}/releases/{sequence}/mirrored";
/// `PUT`: a signed receipt, by its target. `GET`: the same bytes, for the publisher.
pub const RECEIPT: &str = "/v1/names/{team}/{name}/releases/{sequence}/receipts/{key}";
/// `GET ?after=&limit=`: [`BeginningsPage`](crate::BeginningsPage), for the publisher.
pub const BEGINNINGS: &str = "/v1/names/{team}/{name}/beginnings";
/// `GET ?after=&limit=&signed=`: [`ReceiptsPage`](crate::ReceiptsPage), for the publisher.
pub const RECEIPTS: &str = "/v1/names/{team}/{name}/receipts";
/// `POST`: [`TakenReceipts`](crate::TakenReceipts), by the publisher.
pub const RECEIPTS_TAKEN: &str = "/v1/names/{team}/{name}/receipts/taken";
/// `GET ?before=&limit=&over=`: [`DeliveriesPage`](crate::DeliveriesPage) of everybody, for administrators.
pub const DELIVERIES: &str = "/v1/deliveries";
/// `PUT`: [`DeliveryAnnouncement`](crate::DeliveryAnnouncement) in,
/// [`DeliveryStatus`](crate::DeliveryStatus) out, by the sender. `GET ?after=`: the same status, behind
/// that change, for both. `DELETE`: [`DeliveryEnding`](crate::DeliveryEnding), by either.
pub const DELIVERY: &str = "/v1/deliveries/{delivery}";
/// `PUT`: the bytes of a segment, [`SegmentTaken`](crate::SegmentTaken) out, by the sender.
pub const DELIVERY_SEGMENT: &str = "/v1/deliveries/{delivery}/segments/{number}";
/// `PUT ?also=`: the bytes of a segment for several deliveries, [`SegmentsTaken`](crate::SegmentsTaken) out, by
/// the sender of all of them.
pub const DELIVERY_TOGETHER: &str = "/v1/deliveries/{delivery}/together/{number}";
/// `GET ?from=`: a stream of segments in order, for the recipient.
pub const DELIVERY_SEGMENTS: &str = "/v1/deliveries/{delivery}/segments";
/// `POST`: [`DeliveryVerified`](crate::DeliveryVerified) in, [`DeliveryStatus`](crate::DeliveryStatus)
/// out, by the recipient.
pub const DELIVERY_VERIFIED: &str = "/v1/deliveries/{delivery}/verified";
/// `PUT`: [`LockerRequest`](crate::LockerRequest) in, [`DeliveryStatus`](crate::DeliveryStatus) out, by the
/// sender, instead of announcing the delivery. The other routes are the same.
pub const DELIVERY_LOCKER: &str = "/v1/deliveries/{delivery}/locker";
/// `PUT`: [`AddressedDelivery`](crate::AddressedDelivery) in, [`DeliveryInfo`](crate::DeliveryInfo) out, by
/// the sender.
pub const DELIVERY_ADDRESS: &str = "/v1/deliveries/{delivery}/address";
/// `POST`: [`PersonRequest`](crate::PersonRequest) in, [`MyPerson`](crate::MyPerson) out.
pub const PEOPLE: &str = "/v1/people";
/// `GET`: [`PersonCard`](crate::PersonCard), for people.
pub const PERSON: &str = "/v1/people/{handle}";
/// `GET ?bytes=&largest=`: [`RecipientCheck`](crate::RecipientCheck), for people.
pub const PERSON_CHECK: &str = "/v1/people/{handle}/check";
/// `POST`: [`LoginRequest`](crate::LoginRequest) in, [`SessionResponse`](crate::SessionResponse) out.
pub const LOGINS: &str = "/v1/logins";
/// `POST`: [`RecoveryRequest`](crate::RecoveryRequest). `PUT`: [`Recovery`](crate::Recovery).
pub const RECOVERIES: &str = "/v1/recoveries";
/// `GET`: [`MyPerson`](crate::MyPerson). `PUT`: [`PersonDetails`](crate::PersonDetails).
pub const ME: &str = "/v1/me";
/// `PUT`: [`PasswordChange`](crate::PasswordChange).
pub const MY_PASSWORD: &str = "/v1/me/password";
/// `PUT`: [`DevicesDocument`](crate::DevicesDocument).
pub const MY_DEVICES: &str = "/v1/me/devices";
/// `DELETE`: logs out a device that stands on no list.
pub const MY_DEVICE: &str = "/v1/me/devices/{key}";
/// `GET`: [`BookDocument`](crate::BookDocument). `PUT`: the same in, [`BookKept`](crate::BookKept) out.
pub const MY_BOOK: &str = "/v1/me/book";
/// `PUT`: [`DeviceRoom`](crate::DeviceRoom), by a device.
pub const MY_ROOM: &str = "/v1/me/room";
/// `GET`: server-sent events for a device of the calling person, who is online while it listens.
pub const MY_EVENTS: &str = "/v1/me/events";
/// `GET ?before=&limit=`: [`DeliveriesPage`](crate::DeliveriesPage) that are addressed to the caller.
pub const INBOX: &str = "/v1/me/inbox";
/// `GET ?before=&limit=`: [`DeliveriesPage`](crate::DeliveriesPage) that the caller addressed.
pub const OUTBOX: &str = "/v1/me/outbox";
/// `GET`: [`PendingSenders`](crate::PendingSenders).
pub const SENDERS: &str = "/v1/me/senders";
/// `PUT`: [`SenderVerdict`](crate::SenderVerdict).
pub const SENDER: &str = "/v1/me/senders/{handle}";
/// `PUT`: makes a number known under which a ticket is handed over, by the sender.
pub const CODE: &str = "/v1/codes/{number}";
/// `PUT`, `GET`: the bytes of one of the four messages of a handover: 0 and 2 by the recipient, 1 and 3 by
/// the sender.
pub const CODE_MESSAGE: &str = "/v1/codes/{number}/messages/{index}";
/// `GET`: the OpenAPI document of all this.
pub const OPENAPI: &str = "/v1/openapi.json";
/// `GET`: what a problem code means and what to do, as text. Not under `/v1`:
/// [`Problem::kind`](crate::Problem::kind) points at it.
pub const ERROR: &str = "/errors/{code}";

/// Path of one chunk.
#[must_use]
pub fn chunk(id: impl Display) -> String {
    format!("{CHUNKS}/{id}")
}

/// Path and query of a page of names, those behind `after`.
#[must_use]
pub fn names(after: Option<&str>, limit: u32) -> String {
    match after {
        Some(after) => format!("{NAMES}?after={after}&limit={limit}"),
        None => format!("{NAMES}?limit={limit}"),
    }
}

/// Path of a name.
#[must_use]
pub fn name(name: impl Display) -> String {
    format!("{NAMES}/{name}")
}

/// Path of a name's owner.
#[must_use]
pub fn owner(name: impl Display) -> String {
    format!("{NAMES}/{name}/owner")
}

/// Path of what a key may do with a name.
#[must_use]
pub fn grant(name: impl Display, key: impl Display) -> String {
    format!("{NAMES}/{name}/grants/{key}")
}

/// Path of a name's grants.
#[must_use]
pub fn grants(name: impl Display) -> String {
    format!("{NAMES}/{name}/grants")
}

/// Path of a name's list of publishers.
#[must_use]
pub fn delegation(name: impl Display) -> String {
    format!("{NAMES}/{name}/delegation")
}

/// Path of a name's retention.
#[must_use]
pub fn retention(name: impl Display) -> String {
    format!("{NAMES}/{name}/retention")
}

/// Path of a name's head.
#[must_use]
pub fn head(name: impl Display) -> String {
    format!("{NAMES}/{name}/head")
}

/// Path of a name's releases.
#[must_use]
pub fn releases(name: impl Display) -> String {
    format!("{NAMES}/{name}/releases")
}

/// Path and query of a page of releases, those with a sequence below `before`.
#[must_use]
pub fn releases_page(name: impl Display, before: Option<u64>, limit: u32) -> String {
    match before {
        Some(before) => format!("{NAMES}/{name}/releases?before={before}&limit={limit}"),
        None => format!("{NAMES}/{name}/releases?limit={limit}"),
    }
}

/// Path of one release.
#[must_use]
pub fn release(name: impl Display, sequence: u64) -> String {
    format!("{NAMES}/{name}/releases/{sequence}")
}

/// Path of a release's pin.
#[must_use]
pub fn pin(name: impl Display, sequence: u64) -> String {
    format!("{NAMES}/{name}/releases/{sequence}/pin")
}

/// Path of one token.
#[must_use]
pub fn token(id: u64) -> String {
    format!("{TOKENS}/{id}")
}

/// Path of one account.
#[must_use]
pub fn account(key: impl Display) -> String {
    format!("{ACCOUNTS}/{key}")
}

/// Path of one invitation.
#[must_use]
pub fn invitation(id: u64) -> String {
    format!("{INVITATIONS}/{id}")
}

/// Path and query of a page of anything: `from` is `after` or `before` and the `next` of the page
/// before.
#[must_use]
pub fn page(path: &str, from: Option<(&str, &dyn Display)>, limit: u32) -> String {
    match from {
        Some((parameter, next)) => format!("{path}?{parameter}={next}&limit={limit}"),
        None => format!("{path}?limit={limit}"),
    }
}

/// Path of something of a community: `template` is [`CHARTERS`] or another one whose only segment that
/// varies is the community.
#[must_use]
pub fn of_community(template: &str, community: impl Display) -> String {
    template.replace("{community}", &community.to_string())
}

/// Path of an admission.
#[must_use]
pub fn admission(community: impl Display, admission: impl Display) -> String {
    of_community(ADMISSION, community).replace("{admission}", &admission.to_string())
}

/// Path of a joining, or with another template of a step of it.
#[must_use]
pub fn join(template: &str, community: impl Display, id: impl Display) -> String {
    of_community(template, community).replace("{id}", &id.to_string())
}

/// Path of the envelopes of a release.
#[must_use]
pub fn envelopes(name: impl Display, sequence: u64) -> String {
    format!("{NAMES}/{name}/releases/{sequence}/envelopes")
}

/// Path of the targets of a release.
#[must_use]
pub fn targets(name: impl Display, sequence: u64) -> String {
    format!("{NAMES}/{name}/releases/{sequence}/targets")
}

/// Path of one target of a release.
#[must_use]
pub fn target(name: impl Display, sequence: u64, key: impl Display) -> String {
    format!("{NAMES}/{name}/releases/{sequence}/targets/{key}")
}

/// Where a release is taken over from another hub.
#[must_use]
pub fn mirrored(name: impl Display, sequence: u64) -> String {
    format!("{NAMES}/{name}/releases/{sequence}/mirrored")
}

/// Path of a target's receipt for a release.
#[must_use]
pub fn receipt(name: impl Display, sequence: u64, key: impl Display) -> String {
    format!("{NAMES}/{name}/releases/{sequence}/receipts/{key}")
}

/// Path of the beginnings of a feed.
#[must_use]
pub fn beginnings(name: impl Display) -> String {
    format!("{NAMES}/{name}/beginnings")
}

/// Path of the receipts of a feed.
#[must_use]
pub fn receipts(name: impl Display) -> String {
    format!("{NAMES}/{name}/receipts")
}

/// Where to say which receipts of a feed were taken.
#[must_use]
pub fn receipts_taken(name: impl Display) -> String {
    format!("{NAMES}/{name}/receipts/taken")
}

/// Path of a delivery; with another template, whose only segment that varies is the delivery, of
/// something of it.
#[must_use]
pub fn of_delivery(template: &str, delivery: impl Display) -> String {
    template.replace("{delivery}", &delivery.to_string())
}

/// Path and query of a delivery's status; it is answered behind the change `after`.
#[must_use]
pub fn delivery_status(delivery: impl Display, after: Option<u64>) -> String {
    let path = of_delivery(DELIVERY, delivery);
    match after {
        Some(after) => format!("{path}?after={after}"),
        None => path,
    }
}

/// Path of what belongs to a person; with a template whose only segment that varies is the handle.
#[must_use]
pub fn of_person(template: &str, handle: impl Display) -> String {
    template.replace("{handle}", &handle.to_string())
}

/// Path of a segment of a delivery.
#[must_use]
pub fn delivery_segment(delivery: impl Display, number: u64) -> String {
    of_delivery(DELIVERY_SEGMENT, delivery).replace("{number}", &number.to_string())
}

/// Path and query of a segment of a delivery and of others.
#[must_use]
pub fn delivery_together<T: Display>(delivery: T, number: u64, others: &[T]) -> String {
    let path = of_delivery(DELIVERY_TOGETHER, delivery).replace("{number}", &number.to_string());
    let others: Vec<String> = others.iter().map(T::to_string).collect();
    format!("{path}?also={}", others.join(","))
}

/// Path and query of the segments of a delivery from a number on.
#[must_use]
pub fn delivery_segments(delivery: impl Display, from: u64) -> String {
    format!("{}?from={from}", of_delivery(DELIVERY_SEGMENTS, delivery))
}

/// Path of a code, of which the hub knows the number alone.
#[must_use]
pub fn code(number: u16) -> String {
    CODE.replace("{number}", &number.to_string())
}

/// Path of a message of a handover.
#[must_use]
pub fn code_message(number: u16, index: u8) -> String {
    let path = CODE_MESSAGE.replace("{number}", &number.to_string());
    path.replace("{index}", &index.to_string())
}

/// Path and query of the events of a name.
#[must_use]
pub fn events(name: impl Display) -> String {
    format!("{EVENTS}?name={name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `path` is what a router would find under `template`.
    fn fits(template: &str, path: &str) -> bool {
        let path = path.split('?').next().expect("split yields once");
        let (template, path): (Vec<_>, Vec<_>) =
            (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len()
            && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p)
    }

    #[test]
    fn builders_fit_their_templates_and_no_other() {
        let all = [
            CHUNKS_HAVE,
            CHUNKS_FETCH,
            CHUNK,
            NAMES,
            NAME,
            OWNER,
            GRANTS,
            GRANT,
            RETENTION,
            HEAD,
            RELEASES,
            RELEASE,
            PIN,
            ROOT_ENTRIES,
            CHANGES,
            EVENTS,
            TOKENS,
            TOKEN,
            ACCOUNTS,
            ACCOUNT,
            INVITATIONS,
            INVITATION,
            AUDIT,
            STATUS,
            AUDIT_CHAIN,
            COMMUNITIES,
            CHARTERS,
            STANDING,
            ADMISSION,
            JOINS,
            JOIN,
            JOIN_CHALLENGE,
            JOIN_END,
            MIRRORS,
            QUEUE,
            WAITING,
            RELAYS,
            COMMUNITY_EVENTS,
            ENVELOPES,
            TARGETS,
            TARGET,
            MIRRORED,
            RECEIPT,
            BEGINNINGS,
            RECEIPTS,
            RECEIPTS_TAKEN,
            DELIVERIES,
            DELIVERY,
            DELIVERY_SEGMENT,
            DELIVERY_TOGETHER,
            DELIVERY_SEGMENTS,
            DELIVERY_VERIFIED,
            DELIVERY_LOCKER,
            DELIVERY_ADDRESS,
            CODE,
            CODE_MESSAGE,
            PEOPLE,
            PERSON,
            PERSON_CHECK,
            LOGINS,
            RECOVERIES,
            ME,
            MY_PASSWORD,
            MY_DEVICES,
            MY_DEVICE,
            MY_BOOK,
            MY_ROOM,
            MY_EVENTS,
            INBOX,
            OUTBOX,
            SENDERS,
            SENDER,
            OPENAPI,
        ];
        let community = "01020304-0506-4708-890a-0b0c0d0e0f10";
        let id = "ab".repeat(32);
        for (template, path) in [
            (CHUNK, chunk(&id)),
            (PERSON, of_person(PERSON, "anna")),
            (PERSON_CHECK, of_person(PERSON_CHECK, "anna")),
            (SENDER, of_person(SENDER, "anna")),
            (NAMES, names(None, 5)),
            (NAMES, names(Some("team/tools"), 5)),
            (NAME, name("team/tools")),
            (OWNER, owner("team/tools")),
            (GRANTS, grants("team/tools")),
            (GRANTS, page(&grants("team/tools"), Some(("after", &id)), 5)),
            (GRANT, grant("team/tools", &id)),
            (RETENTION, retention("team/tools")),
            (PIN, pin("team/tools", 7)),
            (TOKENS, page(TOKENS, None, 5)),
            (TOKEN, token(7)),
            (ACCOUNT, account(&id)),
            (INVITATION, invitation(7)),
            (AUDIT, page(AUDIT, Some(("before", &7)), 5)),
            (AUDIT_CHAIN, page(AUDIT_CHAIN, Some(("after", &7)), 5)),
            (HEAD, head("team/tools")),
            (RELEASES, releases("team/tools")),
            (RELEASES, releases_page("team/tools", Some(7), 5)),
            (RELEASE, release("team/tools", 7)),
            (EVENTS, events("team/tools")),
            (STANDING, of_community(STANDING, community)),
            (ADMISSION, admission(community, "ab")),
            (JOIN, join(JOIN, community, &id)),
            (JOIN_END, join(JOIN_END, community, &id)),
            (ENVELOPES, envelopes("team/tools", 7)),
            (WAITING, of_community(WAITING, community)),
            (RELAYS, of_community(RELAYS, community)),
            (TARGET, target("team/tools", 7, &id)),
            (MIRRORED, mirrored("team/tools", 7)),
            (TARGETS, targets("team/tools", 7)),
            (RECEIPT, receipt("team/tools", 7, &id)),
            (BEGINNINGS, beginnings("team/tools")),
            (RECEIPTS, receipts("team/tools")),
            (RECEIPTS_TAKEN, receipts_taken("team/tools")),
            (DELIVERY, of_delivery(DELIVERY, "ab")),
            (DELIVERY, delivery_status("ab", Some(7))),
            (DELIVERY_SEGMENT, delivery_segment("ab", 7)),
            (DELIVERY_TOGETHER, delivery_together("ab", 7, &["cd", "ef"])),
            (DELIVERY_SEGMENTS, delivery_segments("ab", 7)),
            (DELIVERY_VERIFIED, of_delivery(DELIVERY_VERIFIED, "ab")),
            (CODE, code(4821)),
            (CODE_MESSAGE, code_message(4821, 3)),
        ] {
            let found: Vec<_> = all.iter().filter(|other| fits(other, &path)).collect();
            assert_eq!(found, [&template], "{path}");
        }
    }
}
