//! Links of deliveries: a ticket in the spelling that a browser opens.

use std::path::Path;

use anyhow::Context as _;
use delivery::{Link, LockedLink, ParseLinkError, Ticket};

use super::parse;
use crate::exit::Usage;
use crate::prompt;

/// How a ticket is handed over.
pub(super) struct Spelling {
    /// What it is called, in sentences and as an event.
    pub(super) noun: &'static str,
    /// What the other side does with it.
    pub(super) use_: &'static str,
    /// The secret itself.
    pub(super) text: String,
}

impl Spelling {
    /// As a line for `consign receive`.
    pub(super) fn ticket(ticket: &Ticket) -> Self {
        let use_ = "The other side runs `consign receive` and pastes this ticket";
        Self { noun: "ticket", use_, text: ticket.to_string() }
    }

    /// As a link, which a passphrase locks.
    pub(super) fn link(ticket: &Ticket, passphrase: Option<&str>) -> Self {
        let (use_, text) = match passphrase {
            Some(passphrase) => (
                "The other side opens this link in a browser, or hands it to `consign receive`, and types the \
                 passphrase, which is not to go the same way",
                LockedLink::lock(ticket, passphrase).to_string(),
            ),
            None => (
                "The other side opens this link in a browser, or hands it to `consign receive`",
                Link(ticket.clone()).to_string(),
            ),
        };
        Self { noun: "link", use_, text }
    }
}

/// The passphrase of a link: from a file, or from whoever sits at the terminal.
pub(super) async fn passphrase(file: Option<&Path>) -> anyhow::Result<String> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the passphrase in {}", file.display()))?,
        None => {
            let typed = prompt::secret("Passphrase: ".into()).await?;
            typed.ok_or_else(|| {
                let nobody = "nobody is here to type the passphrase";
                Usage(format!("{nobody}; name a file with --passphrase-file"))
            })?
        }
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Usage("an empty passphrase locks nothing".into()).into());
    }
    Ok(text.to_owned())
}

/// What keeps browsers from opening a link to this hub, if anything does.
pub(super) fn hindrance(ticket: &Ticket) -> Option<&'static str> {
    let is_here = |host: &str| {
        ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
            host.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        })
    };
    if ticket.url.strip_prefix("http://").is_some_and(|host| !is_here(host)) {
        return Some(
            "the hub is reached without TLS: browsers of other machines refuse to decrypt there, and the \
             link is of use to `consign receive` alone",
        );
    }
    (ticket.fingerprint != [0; 32]).then_some(
        "the hub's certificate is its own: browsers warn of it; the link carries its fingerprint for \
         `consign receive`",
    )
}

/// What somebody was given.
pub(super) enum Given {
    /// A ticket, in either spelling.
    Ticket(Ticket),
    /// A link that wants its passphrase.
    Locked(LockedLink),
}

impl Given {
    /// Reads a ticket or a link.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return parse(text).map(Self::Ticket);
        }
        match text.parse::<Link>() {
            Ok(Link(ticket)) => Ok(Self::Ticket(ticket)),
            Err(ParseLinkError::Locked) => parse(text).map(Self::Locked),
            Err(error) => Err(Usage(error.to_string()).into()),
        }
    }

    /// The ticket, once whoever was given it has typed the passphrase.
    pub(super) async fn ticket(self, file: Option<&Path>) -> anyhow::Result<Ticket> {
        match self {
            Self::Ticket(ticket) => Ok(ticket),
            Self::Locked(locked) => Ok(locked.unlock(&passphrase(file).await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use delivery::{DeliveryId, DeliverySecret};

    use super::*;

    fn at(url: &str, fingerprint: [u8; 32]) -> Ticket {
        let id = DeliveryId::from_bytes([1; 16]);
        Ticket { url: url.into(), fingerprint, id, secret: DeliverySecret::from_bytes([2; 32]) }
    }

    #[tokio::test]
    async fn every_spelling_is_read() {
        let ours = at("https://hub.example", [3; 32]);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("passphrase");
        std::fs::write(&file, "correct horse\n").expect("written");
        for spelling in [
            Spelling::ticket(&ours),
            Spelling::link(&ours, None),
            Spelling::link(&ours, Some("correct horse")),
        ] {
            let given = Given::read(&spelling.text).expect("reads");
            assert_eq!(given.ticket(Some(&file)).await.expect("opens"), ours);
        }
        assert!(Given::read("https://hub.example/d/1").is_err(), "no delivery");
        std::fs::write(&file, " \n").expect("written");
        passphrase(Some(&file)).await.expect_err("empty");
    }

    #[test]
    fn what_keeps_browsers_out_is_said() {
        for (url, is_said) in [
            ("https://hub.example", false),
            ("http://localhost:7333", false),
            ("http://127.0.0.1", false),
            ("http://hub.example", true),
            ("http://localhost.example", true),
        ] {
            assert_eq!(hindrance(&at(url, [0; 32])).is_some(), is_said, "{url}");
        }
        assert!(hindrance(&at("https://hub.example", [1; 32])).is_some(), "its own certificate");
    }
}
