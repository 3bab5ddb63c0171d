//! Every path the hub serves: a template for its router, a builder for clients.
//!
//! Templates write a segment that varies as `{segment}`. Builders take the texts of ids and of
//! checked names, none of which needs escaping; a name is one text, `team/tools`.

use std::fmt::Display;

/// `GET`: alive, without access to anything. Not under `/v1`: proxies and probes ask it.
pub const HEALTH: &str = "/healthz";
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
/// `GET`: [`NameInfo`](crate::NameInfo). `PUT`: [`NameSettings`](crate::NameSettings).
pub const NAME: &str = "/v1/names/{team}/{name}";
/// `PUT`, `DELETE`: who may read, by public key.
pub const READER: &str = "/v1/names/{team}/{name}/readers/{key}";
/// `GET`: [`HeadDocuments`](crate::HeadDocuments), with `ETag` and `If-None-Match`.
pub const HEAD: &str = "/v1/names/{team}/{name}/head";
/// `GET ?before=&limit=`: [`ReleasesPage`](crate::ReleasesPage), newest first. `POST`:
/// [`HeadDocuments`](crate::HeadDocuments) in, [`ReleaseAccepted`](crate::ReleaseAccepted) out.
pub const RELEASES: &str = "/v1/names/{team}/{name}/releases";
/// `GET`: [`ReleaseInfo`](crate::ReleaseInfo).
pub const RELEASE: &str = "/v1/names/{team}/{name}/releases/{sequence}";
/// `GET ?name=`: server-sent events.
pub const EVENTS: &str = "/v1/events";

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

/// Path of a reader of a name.
#[must_use]
pub fn reader(name: impl Display, key: impl Display) -> String {
    format!("{NAMES}/{name}/readers/{key}")
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
            READER,
            HEAD,
            RELEASES,
            RELEASE,
            EVENTS,
        ];
        let id = "ab".repeat(32);
        for (template, path) in [
            (CHUNK, chunk(&id)),
            (NAMES, names(None, 5)),
            (NAMES, names(Some("team/tools"), 5)),
            (NAME, name("team/tools")),
            (READER, reader("team/tools", &id)),
            (HEAD, head("team/tools")),
            (RELEASES, releases("team/tools")),
            (RELEASES, releases_page("team/tools", Some(7), 5)),
            (RELEASE, release("team/tools", 7)),
            (EVENTS, events("team/tools")),
        ] {
            let found: Vec<_> = all.iter().filter(|other| fits(other, &path)).collect();
            assert_eq!(found, [&template], "{path}");
        }
    }
}
