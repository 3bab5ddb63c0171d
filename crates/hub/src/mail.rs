//! Mail to people, through a server of the operator's.

use std::time::Duration;

use hub_api::Hidden;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which server takes mail, and whom it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailConfig {
    /// `smtps://USER@HOST:PORT` for TLS from the first byte, `smtp://USER@HOST:PORT` for STARTTLS, without which
    /// nothing is sent except on a loopback address. User and port may be left out.
    pub server: String,
    /// The user's password.
    pub password: Option<Hidden<String>>,
    /// The address in `From`, as `Consign <hub@example.org>`.
    pub from: String,
}

/// Why a mail server cannot be used as it is configured. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum MailConfigError {
    /// The server is named by something else than the two kinds of URL.
    #[error("{0:?} is not smtps://USER@HOST:PORT or smtp://USER@HOST:PORT")]
    Server(String),
    /// There is a user without a password, or the other way round.
    #[error("a user of a mail server has a password, and a password a user")]
    Credentials,
    /// The address in `From` is none.
    #[error("{0:?} is no mail address")]
    From(String),
    /// TLS cannot be set up: this machine trusts no authority.
    #[error("cannot set up TLS to the mail server")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// Sends mail.
#[derive(Debug, Clone)]
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// A server as its URL names it.
#[derive(Debug, PartialEq, Eq)]
struct Server<'a> {
    is_tls: bool,
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
}

fn parse(text: &str) -> Option<Server<'_>> {
    let (scheme, rest) = text.split_once("://")?;
    let is_tls = match scheme {
        "smtps" => true,
        "smtp" => false,
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user).filter(|user| !user.is_empty()), place),
        None => (None, rest),
    };
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map(str::parse).transpose().ok()?;
    (!host.is_empty() && !host.contains('/')).then_some(Server { is_tls, user, host, port })
}

/// Whether what is said there stays on this machine.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}

impl Mailer {
    pub(crate) fn new(config: &MailConfig) -> Result<Self, MailConfigError> {
        type Transport = AsyncSmtpTransport<Tokio1Executor>;
        let server = parse(&config.server);
        let server = server.ok_or_else(|| MailConfigError::Server(config.server.clone()))?;
        let from = config.from.parse().map_err(|_| MailConfigError::From(config.from.clone()))?;
        let mut builder = match server.is_tls {
            true => Transport::relay(server.host).map_err(MailConfigError::Tls)?,
            false if is_loopback(server.host) => Transport::builder_dangerous(server.host),
            false => Transport::starttls_relay(server.host).map_err(MailConfigError::Tls)?,
        };
        if let Some(port) = server.port {
            builder = builder.port(port);
        }
        builder = match (server.user, &config.password) {
            (Some(user), Some(Hidden(password))) => {
                builder.credentials(Credentials::new(user.to_owned(), password.clone()))
            }
            (None, None) => builder,
            (Some(_), None) | (None, Some(_)) => return Err(MailConfigError::Credentials),
        };
        Ok(Self { transport: builder.timeout(Some(PATIENCE)).build(), from })
    }

    /// Sends a text; an error says nothing of what it holds.
    pub(crate) async fn send(&self, to: &str, subject: &str, text: String) -> Result<(), String> {
        let to: Mailbox = to.parse().map_err(|_| "the address is none".to_owned())?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .body(text)
            .map_err(|error| error.to_string())?;
        self.transport.send(message).await.map(drop).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_url() {
        let server = |is_tls, user, host, port| Some(Server { is_tls, user, host, port });
        assert_eq!(parse("smtps://mail.example"), server(true, None, "mail.example", None));
        let with_user = server(false, Some("hub@example.org"), "mail.example", Some(587));
        assert_eq!(parse("smtp://hub@example.org@mail.example:587/"), with_user);
        assert_eq!(parse("smtp://[::1]:2525"), server(false, None, "::1", Some(2525)));
        for wrong in
            ["mail.example", "http://mail.example", "smtp://", "smtp://h:port", "smtp://h/x"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_mailer_wants_a_user_with_a_password_and_an_address() {
        let config = |server: &str, password: Option<&str>, from: &str| MailConfig {
            server: server.to_owned(),
            password: password.map(|it| Hidden(it.to_owned())),
            from: from.to_owned(),
        };
        let refused = |config: &MailConfig| Mailer::new(config).expect_err("refused");
        let from = "Consign <hub@example.org>";
        Mailer::new(&config("smtp://127.0.0.1:25", None, from)).expect("a server of this machine");
        let alone = refused(&config("smtp://hub@127.0.0.1", None, from));
        assert!(matches!(alone, MailConfigError::Credentials), "{alone}");
        let nobody = refused(&config("smtp://127.0.0.1", Some("secret"), from));
        assert!(matches!(nobody, MailConfigError::Credentials), "{nobody}");
        let address = refused(&config("smtp://127.0.0.1", None, "not an address"));
        assert!(matches!(address, MailConfigError::From(_)), "{address}");
        let server = refused(&config("mail.example", None, from));
        assert!(matches!(server, MailConfigError::Server(_)), "{server}");
    }
}
