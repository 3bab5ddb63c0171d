//! The hub and the way to it, step by step: address, name, network, port, TLS, service, session.
//!
//! A step that was not reached is skipped, so that the one that fails stands out.

use std::io;
use std::net::SocketAddr;

use hub_api::{ClientVersion, ProblemCode};
use hub_client::{Answer, ClientError, Probe, SeenCertificate};

use super::surroundings::HubLook;
use super::{Finding, Surroundings};
use crate::output::utc;

/// Sessions and invitations tell times to the minute; releases expire by the clock.
const CLOCK_OFF_WARN_S: u64 = 60;
/// Challenges and invitations fail, and heads look expired or not yet issued.
const CLOCK_OFF_FAIL_S: u64 = 600;
/// How long before its end a certificate is mentioned.
const CERTIFICATE_ENDS_SOON_S: u64 = 14 * 86_400;

const NO_HUB: &str = "there is no hub to look at";

fn look(around: &Surroundings) -> Result<&HubLook, Finding> {
    around.hub_look.as_ref().ok_or_else(|| Finding::skipped(NO_HUB))
}

fn probe(around: &Surroundings) -> Result<(&HubLook, &Probe), Finding> {
    let look = look(around)?;
    match &look.probe {
        Ok(probe) => Ok((look, probe)),
        Err(_) => Err(Finding::skipped("its address cannot be used")),
    }
}

fn url(around: &Surroundings, look: &HubLook) -> String {
    around.shown.text(&look.hub.url)
}

pub(super) fn none(around: &Surroundings) -> Finding {
    match around.chosen_hub() {
        Some(hub) => Finding::ok(around.shown.text(&hub.url)),
        None => Finding::warn(
            "this node is registered with no hub; only local commands work",
            "consign register INVITATION (ask the hub's administrator: consign invite)",
        ),
    }
}

pub(super) fn address(around: &Surroundings) -> Finding {
    let look = match look(around) {
        Ok(look) => look,
        Err(skipped) => return skipped,
    };
    let url = url(around, look);
    match &look.probe {
        Err(reason) => Finding::fail(
            format!("{url:?} is not the address of a hub: {reason}"),
            "name one as in --hub https://hub.example:7400",
        ),
        Ok(_) if look.hub.url.starts_with("https://") && !look.registered => Finding::fail(
            format!("{url} is not registered here, so its certificate cannot be checked"),
            "consign register INVITATION",
        ),
        Ok(_) => Finding::ok(url),
    }
}

pub(super) fn proxy_set(around: &Surroundings) -> Finding {
    let (look, probe) = match probe(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let Some(proxy) = &probe.proxy else {
        return Finding::ok(format!("{} is reached straight", url(around, look)));
    };
    let (address, hub) = (&proxy.address, url(around, look));
    let correct = "correct HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or --proxy; NO_PROXY lists hosts that are reached straight";
    let failure = match (&proxy.tunnel, &probe.addresses, connect_error(probe)) {
        (Some(Ok(())), ..) => return Finding::ok(format!("{hub} is reached through {address}")),
        (Some(Err(error)), ..) => error,
        (None, Err(error), _) => {
            let evidence = format!("the proxy {address} does not resolve: {error}");
            return Finding::fail(evidence, correct);
        }
        (None, Ok(_), Some((tried, error))) => {
            let evidence = format!("no connection to the proxy {address} ({tried}): {error}");
            return Finding::fail(evidence, correct);
        }
        (None, Ok(_), None) => {
            return Finding::fail(format!("the proxy {address} has no address"), correct);
        }
    };
    let evidence = format!("no way to {hub} through the proxy {address}: {failure}");
    Finding::fail(evidence, crate::exit::way_around(failure))
}

/// What is found of the way's first machine, which is the proxy where one is on it.
fn straight(around: &Surroundings) -> Result<(&HubLook, &Probe), Finding> {
    let (look, probe) = probe(around)?;
    if probe.proxy.is_some() {
        return Err(Finding::skipped("a proxy is on the way: see proxy-set"));
    }
    Ok((look, probe))
}

pub(super) fn name_unresolved(around: &Surroundings) -> Finding {
    let (look, probe) = match straight(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let host = host(&look.hub.url);
    match &probe.addresses {
        Ok(addresses) if addresses.is_empty() => {
            Finding::fail(format!("{host} has no address"), format!("getent hosts {host}"))
        }
        Ok(addresses) => Finding::ok(format!("{host} is {}", list(addresses))),
        Err(error) => Finding::fail(
            format!("{host} does not resolve: {error}"),
            format!("getent hosts {host}; correct /etc/hosts, /etc/resolv.conf or the hub's URL"),
        ),
    }
}

fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    super::shown::word(host.trim_matches(['[', ']']).as_bytes())
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ")
}

/// The error of the last try, when no address took the connection.
fn connect_error(probe: &Probe) -> Option<(&SocketAddr, &io::Error)> {
    let (address, result) = probe.connections.last()?;
    result.as_ref().err().map(|error| (address, error))
}

fn is_without_route(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NetworkDown
    )
}

pub(super) fn ipv6_only(around: &Surroundings) -> Finding {
    let (_, probe) = match straight(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let Ok(addresses) = &probe.addresses else {
        return Finding::skipped("its name does not resolve");
    };
    match connect_error(probe) {
        Some((_, error))
            if addresses.iter().all(SocketAddr::is_ipv6) && is_without_route(error) =>
        {
            Finding::fail(
                format!("it has IPv6 addresses alone, and there is no way to them: {error}"),
                "ip -6 route; ask for IPv6 here, or for an IPv4 address of the hub",
            )
        }
        Some(_) | None => Finding::ok(format!("{} addresses", addresses.len())),
    }
}

pub(super) fn unreachable(around: &Surroundings) -> Finding {
    let (_, probe) = match straight(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let only_ipv6 = probe.addresses.as_ref().is_ok_and(|all| all.iter().all(SocketAddr::is_ipv6));
    match connect_error(probe) {
        Some((_, error)) if is_without_route(error) && only_ipv6 => {
            Finding::skipped("named by hub-ipv6-only")
        }
        Some((address, error)) if is_without_route(error) || is_timeout(error) => Finding::fail(
            format!("no connection to {address}: {error}"),
            format!(
                "ip route get {}; a firewall that swallows packets looks like this",
                address.ip()
            ),
        ),
        Some(_) => Finding::ok("the machine answers"),
        None if probe.connections.is_empty() => Finding::skipped("no address is known"),
        None => Finding::ok("the machine answers"),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

pub(super) fn port_closed(around: &Surroundings) -> Finding {
    let (_, probe) = match straight(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    match (connect_error(probe), probe.connections.last()) {
        (Some((address, error)), _) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Finding::fail(
                format!("nothing listens at {address}"),
                "start the hub there: consign hub --data DIR --listen ADDRESS:PORT",
            )
        }
        (Some(_), _) | (None, None) => Finding::skipped("the machine was not reached"),
        (None, Some((address, _))) => Finding::ok(format!("{address} takes connections")),
    }
}

fn certificate(around: &Surroundings) -> Result<(&HubLook, &SeenCertificate), Finding> {
    let (look, probe) = probe(around)?;
    match &probe.certificate {
        Some(Ok(seen)) => Ok((look, seen)),
        Some(Err(_)) => Err(Finding::skipped("there is no TLS session")),
        None => Err(Finding::skipped("no certificate was seen")),
    }
}

pub(super) fn tls_missing(around: &Surroundings) -> Finding {
    let (look, probe) = match probe(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    match &probe.certificate {
        Some(Ok(_)) => Finding::ok("it speaks TLS"),
        Some(Err(error)) if is_timeout(error) => Finding::skipped("named by hub-silent"),
        Some(Err(error)) => Finding::fail(
            format!("{} speaks no TLS: {error}", url(around, look)),
            "is another service at this port, or a hub with --tls off? curl -v URL shows it",
        ),
        None => Finding::skipped("its address is plain HTTP, or it was not reached"),
    }
}

pub(super) fn fingerprint_changed(around: &Surroundings) -> Finding {
    let (look, seen) = match certificate(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let shown = hex::encode(seen.fingerprint);
    match &look.hub.fingerprint {
        None => Finding::skipped("no fingerprint is remembered"),
        Some(pinned) if *pinned == shown => Finding::ok(format!("it is the pinned one, {shown}")),
        Some(pinned) => Finding::fail(
            format!("the certificate is {shown}, the pinned one is {pinned}"),
            "ask the hub's administrator which is right; if the hub was set up anew: consign register INVITATION",
        ),
    }
}

pub(super) fn certificate_expired(around: &Surroundings) -> Finding {
    let (look, seen) = match certificate(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let Some(valid) = seen.validity else {
        return Finding::skipped("its dates cannot be read");
    };
    let renew = "renew it and start the hub with --tls CERT,KEY; with a new key clients need new invitations";
    let dates = format!("valid from {} to {}", utc(valid.begins), utc(valid.ends));
    if valid.ends < look.now && look.hub.fingerprint.is_none() {
        Finding::fail(format!("{dates}: expired, and no fingerprint is pinned"), renew)
    } else if valid.ends < look.now {
        Finding::warn(format!("{dates}: expired; pinned clients go on, browsers do not"), renew)
    } else if valid.begins > look.now {
        Finding::warn(
            format!("{dates}: not yet; or this machine's clock is behind"),
            "date; timedatectl",
        )
    } else if valid.ends - look.now < CERTIFICATE_ENDS_SOON_S {
        Finding::warn(format!("{dates}: it ends soon"), renew)
    } else {
        Finding::ok(dates)
    }
}

fn answer(around: &Surroundings) -> Result<(&HubLook, &Answer), Finding> {
    let (look, probe) = probe(around)?;
    match &probe.answer {
        Some(Ok(answer)) => Ok((look, answer)),
        Some(Err(_)) | None => Err(Finding::skipped("nothing answered")),
    }
}

pub(super) fn silent(around: &Surroundings) -> Finding {
    let (look, probe) = match probe(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let late = "it is overloaded or hangs: see its log, or restart it";
    let shown = url(around, look);
    match (&probe.certificate, &probe.answer) {
        (Some(Err(error)), _) if is_timeout(error) => {
            Finding::fail(format!("{shown} takes connections and says nothing"), late)
        }
        (_, Some(Err(error))) if is_timeout(error) => {
            Finding::fail(format!("{shown} takes requests and does not answer"), late)
        }
        (_, Some(_)) => Finding::ok("it answers"),
        (_, None) => Finding::skipped("it was not asked"),
    }
}

pub(super) fn other_service(around: &Surroundings) -> Finding {
    let (look, probe) = match probe(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let next = "correct the hub's URL, or what a proxy forwards: /v1/ must reach the hub";
    let shown = url(around, look);
    match &probe.answer {
        Some(Ok(answer)) if answer.hub.is_some() => Finding::ok("it is a hub"),
        Some(Ok(answer)) => {
            let server = answer.server.as_deref().unwrap_or("no name");
            Finding::fail(
                format!("{shown} answers {} as {server}, and is no hub", answer.status),
                next,
            )
        }
        Some(Err(error)) if is_timeout(error) => Finding::skipped("named by hub-silent"),
        Some(Err(error)) => Finding::fail(format!("{shown} speaks no HTTP: {error}"), next),
        None => Finding::skipped("it was not asked"),
    }
}

/// The numbers that must agree: before 1.0 the second one, later the first.
fn generation(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(|part| part.parse::<u64>().ok());
    match (parts.next()??, parts.next()??) {
        (0, minor) => Some((0, minor)),
        (major, _) => Some((major, 0)),
    }
}

fn versions(around: &Surroundings) -> Result<(String, Option<std::cmp::Ordering>), Finding> {
    let (_, answer) = answer(around)?;
    let Some(hub) = &answer.hub else { return Err(Finding::skipped("it is no hub")) };
    let ours = env!("CARGO_PKG_VERSION");
    let order =
        generation(&hub.version).zip(generation(ours)).map(|(theirs, ours)| theirs.cmp(&ours));
    let version = crate::output::path(hub.version.as_bytes());
    Ok((format!("the hub has version {version}, this is {ours}"), order))
}

pub(super) fn too_old(around: &Surroundings) -> Finding {
    match versions(around) {
        Ok((evidence, Some(std::cmp::Ordering::Less))) => {
            Finding::fail(evidence, "update the hub, or use the version of consign it has")
        }
        Ok((evidence, _)) => Finding::ok(evidence),
        Err(skipped) => skipped,
    }
}

pub(super) fn too_new(around: &Surroundings) -> Finding {
    match versions(around) {
        Ok((evidence, Some(std::cmp::Ordering::Greater))) => {
            Finding::fail(evidence, "update consign on this machine")
        }
        Ok((evidence, _)) => Finding::ok(evidence),
        Err(skipped) => skipped,
    }
}

/// What the hub wants of its clients; hubs of versions that say nothing want nothing.
pub(super) fn client_outdated(around: &Surroundings) -> Finding {
    let answer = match answer(around) {
        Ok((_, answer)) => answer,
        Err(skipped) => return skipped,
    };
    let Some(hub) = &answer.hub else { return Finding::skipped("it is no hub") };
    let (own, wanted) = (ClientVersion::own(), hub.clients.clone().unwrap_or_default());
    let next = format!("update consign on this machine{}", wanted.at_place());
    match (wanted.too_old(own), wanted.newer_than(own), wanted.newest) {
        (Some(minimum), _, _) => {
            let evidence = format!("this is {own}, and the hub answers {minimum} and newer");
            Finding::fail(evidence, next)
        }
        (None, Some(newest), _) => Finding::warn(format!("this is {own}; {newest} is there"), next),
        (None, None, Some(newest)) => Finding::ok(format!("this is {own}, the newest is {newest}")),
        (None, None, None) => Finding::ok(format!("this is {own}; the hub names no newest one")),
    }
}

pub(super) fn clock_off(around: &Surroundings) -> Finding {
    let (look, answer) = match answer(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let Some(theirs) = answer.date else { return Finding::skipped("the answer has no date") };
    let (off, side) = match look.now.checked_sub(theirs) {
        Some(ahead) => (ahead, "ahead of"),
        None => (theirs - look.now, "behind"),
    };
    let evidence = format!("this clock is {off} s {side} the hub's");
    let next = "timedatectl set-ntp true (here or at the hub: compare both with date -u)";
    match off {
        CLOCK_OFF_FAIL_S.. => Finding::fail(evidence, next),
        CLOCK_OFF_WARN_S..CLOCK_OFF_FAIL_S => Finding::warn(evidence, next),
        ..CLOCK_OFF_WARN_S => Finding::ok(evidence),
    }
}

fn session(around: &Surroundings) -> Result<(&HubLook, Option<&ClientError>), Finding> {
    let look = look(around)?;
    match &look.session {
        Some(Ok(())) => Ok((look, None)),
        Some(Err(error)) => Ok((look, Some(error))),
        None => Err(Finding::skipped("no session was tried")),
    }
}

pub(super) fn not_registered(around: &Surroundings) -> Finding {
    let (look, error) = match session(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    match error.and_then(ClientError::code) {
        Some(ProblemCode::NotRegistered) => Finding::fail(
            format!("{} does not know this node's key, or knows it no more", url(around, look)),
            "ask the hub's administrator for an invitation (consign invite), then: consign register INVITATION",
        ),
        _ if error.is_none() => Finding::ok("the hub knows this node"),
        _ => Finding::skipped("named by session-refused"),
    }
}

pub(super) fn session_refused(around: &Surroundings) -> Finding {
    let (_, error) = match session(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    match error {
        None => Finding::ok("a session was opened"),
        Some(error) if error.code() == Some(ProblemCode::NotRegistered) => {
            Finding::skipped("named by not-registered")
        }
        Some(ClientError::WrongFingerprint { .. }) => {
            Finding::skipped("named by hub-fingerprint-changed")
        }
        Some(error) => Finding::fail(
            around.shown.text(&error.to_string()),
            "see the hub's log; behind a proxy, the hub's URL must be the one in the invitation",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_far_as_they_promise() {
        assert_eq!(generation("0.1.9"), generation("0.1.0"));
        assert!(generation("0.2.0") > generation("0.1.9"));
        assert!(generation("1.0.0") > generation("0.9.0"));
        assert_eq!(generation("1.7.0"), generation("1.2.3"));
        assert_eq!(generation("next"), None);
    }

    #[test]
    fn the_host_of_a_url_is_a_word() {
        assert_eq!(host("https://hub.example:7400/base"), "hub.example");
        assert_eq!(host("http://[::1]:80"), "::1");
        assert_eq!(host("http://me:secret@hub"), "hub");
    }
}
