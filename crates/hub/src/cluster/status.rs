//! How the front-ends are, for those who run them, and what they should look at.

use hub_api::{
    AlarmKind, FrontEndState, FrontEndStatus, Hex, HubAlarm, HubDown, HubStatus, ManagerStatus,
};
use hub_db::{DbError, FrontEndSeen};

use super::{Load, load};
use crate::app::App;

/// Below so many bytes a disk is nearly full: some minutes of a fast upload.
const DISK_LOW_BYTES: u64 = 2 << 30;

/// So long before its end a certificate should have been renewed: half of what authorities leave for it.
const CERTIFICATE_SOON_S: u64 = 14 * 24 * 3600;

/// How the hub is, at `now`.
pub(crate) async fn status(app: &App, now: u64) -> Result<HubStatus, DbError> {
    let (db, own) = (&app.db, app.cluster.id());
    let manager = db.manager().await?.map(|manager| ManagerStatus {
        front_end: Hex(manager.holder.0),
        term: manager.term,
        since: manager.since,
        is_held: manager.is_held,
    });
    let shown = |seen: FrontEndSeen| {
        // Of this one more is known than it told last, which may be minutes ago.
        let is_own = seen.front_end.id == own;
        // One of another version may say more, or less.
        let told = |text: &str| serde_json::from_str(text).unwrap_or_default();
        let load = if is_own { load(app) } else { told(&seen.front_end.load) };
        shown(seen, load)
    };
    let front_ends: Vec<_> = db.front_ends().await?.into_iter().map(shown).collect();
    let alarms = alarms(manager.as_ref(), &front_ends, now);
    let down = db.down().await?.filter(|down| down.until > now);
    let down = down.map(|down| HubDown { since: down.since, until: down.until, why: down.why });
    Ok(HubStatus { down, manager, front_ends, alarms })
}

fn shown(seen: FrontEndSeen, load: Load) -> FrontEndStatus {
    let FrontEndSeen { front_end, silent, is_live } = seen;
    FrontEndStatus {
        id: Hex(front_end.id.0),
        address: front_end.address,
        state: match (is_live, load.stopping) {
            (false, _) => FrontEndState::Gone,
            (true, true) => FrontEndState::Going,
            (true, false) => FrontEndState::Up,
        },
        version: front_end.version,
        started: front_end.started,
        silent_ms: u64::try_from(silent.as_millis()).unwrap_or(u64::MAX),
        keeps_chunks: front_end.keeps_chunks,
        deliveries: load.deliveries,
        streams: load.streams,
        heartbeat_s: load.heartbeat_s,
        free_bytes: load.free_bytes,
        certificate_ends: load.certificate_ends,
    }
}

fn alarms(
    manager: Option<&ManagerStatus>,
    front_ends: &[FrontEndStatus],
    now: u64,
) -> Vec<HubAlarm> {
    let mut alarms = Vec::new();
    if !manager.is_some_and(|manager| manager.is_held) {
        let detail = "nothing is cleaned up until a front-end is the manager".to_owned();
        alarms.push(HubAlarm { kind: AlarmKind::ManagerSilent, front_end: None, detail });
    }
    let mut live = front_ends.iter().filter(|it| it.state != FrontEndState::Gone);
    if !live.any(|front_end| front_end.keeps_chunks) {
        let detail = "releases are neither published nor fetched".to_owned();
        alarms.push(HubAlarm { kind: AlarmKind::ChunksAway, front_end: None, detail });
    }
    for it in front_ends {
        let mut alarm = |kind, detail| {
            alarms.push(HubAlarm { kind, front_end: Some(it.id), detail });
        };
        if it.state == FrontEndState::Gone {
            alarm(
                AlarmKind::FrontEndSilent,
                format!("no sign of life for {} s", it.silent_ms / 1000),
            );
            continue;
        }
        // Zero is before its first look.
        if it.free_bytes > 0 && it.free_bytes < DISK_LOW_BYTES {
            alarm(AlarmKind::DiskNearlyFull, format!("{} bytes are free", it.free_bytes));
        }
        if it.certificate_ends > 0 && it.certificate_ends < now + CERTIFICATE_SOON_S {
            let days = it.certificate_ends.saturating_sub(now) / (24 * 3600);
            alarm(AlarmKind::CertificateEnds, format!("its certificate ends in {days} days"));
        }
    }
    alarms
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    fn healthy() -> (ManagerStatus, FrontEndStatus) {
        let id = Hex([1; 16]);
        let manager = ManagerStatus { front_end: id, term: 1, since: NOW - 9, is_held: true };
        let front_end = FrontEndStatus {
            id,
            address: None,
            state: FrontEndState::Up,
            version: "1".to_owned(),
            started: NOW - 10,
            silent_ms: 1500,
            keeps_chunks: true,
            deliveries: 0,
            streams: 0,
            heartbeat_s: 5,
            free_bytes: DISK_LOW_BYTES,
            certificate_ends: NOW + CERTIFICATE_SOON_S,
        };
        (manager, front_end)
    }

    fn kinds(manager: Option<ManagerStatus>, front_ends: &[FrontEndStatus]) -> Vec<AlarmKind> {
        let alarms = alarms(manager.as_ref(), front_ends, NOW);
        alarms.into_iter().map(|alarm| alarm.kind).collect()
    }

    #[test]
    fn what_is_wrong_is_told_and_nothing_else() {
        let (manager, one) = healthy();
        assert_eq!(kinds(Some(manager), std::slice::from_ref(&one)), []);
        let other = FrontEndStatus { keeps_chunks: false, ..one.clone() };
        assert_eq!(kinds(Some(manager), &[one.clone(), other.clone()]), []);

        assert_eq!(kinds(None, std::slice::from_ref(&one)), [AlarmKind::ManagerSilent]);
        let silent = ManagerStatus { is_held: false, ..manager };
        assert_eq!(kinds(Some(silent), std::slice::from_ref(&one)), [AlarmKind::ManagerSilent]);
        let gone = FrontEndStatus { state: FrontEndState::Gone, ..one.clone() };
        assert_eq!(
            kinds(Some(manager), &[gone, other]),
            [AlarmKind::ChunksAway, AlarmKind::FrontEndSilent]
        );
        let full = FrontEndStatus { free_bytes: DISK_LOW_BYTES - 1, ..one.clone() };
        assert_eq!(kinds(Some(manager), &[full]), [AlarmKind::DiskNearlyFull]);
        let ends = FrontEndStatus { certificate_ends: NOW + CERTIFICATE_SOON_S - 1, ..one.clone() };
        assert_eq!(kinds(Some(manager), &[ends]), [AlarmKind::CertificateEnds]);
        let plain = FrontEndStatus { certificate_ends: 0, free_bytes: 0, ..one };
        assert_eq!(kinds(Some(manager), &[plain]), [], "without TLS, and before its first look");
    }
}
