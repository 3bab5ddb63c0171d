//! `consign hub`, and the commands under it.

mod backup;
mod clients;
mod community;
mod supervised;
mod switch;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::supervised::Supervisor;
use super::{Session, StopSignal, mailbox};
use crate::args::{HubArgs, HubCommand, PerAddress, Recognised};
use crate::exit::{Ended, Interrupted, Usage};

pub(super) async fn run(session: &Session, mut args: HubArgs) -> anyhow::Result<Ended> {
    match args.command.take() {
        Some(HubCommand::Backup(args)) => backup::backup(session, args).await,
        Some(HubCommand::Restore(args)) => backup::restore(session, args).await,
        Some(HubCommand::Down(args)) => switch::down(session, args).await,
        Some(HubCommand::Up(args)) => switch::up(session, args).await,
        Some(HubCommand::Clients(args)) => clients::run(session, args).await,
        Some(HubCommand::Community(args)) => community::run(session, args).await,
        Some(HubCommand::Deliveries(args)) => mailbox::everybodys(session, &args).await,
        None => serve(session, args).await,
    }
}

async fn serve(session: &Session, args: HubArgs) -> anyhow::Result<Ended> {
    let data = args.data.clone().ok_or_else(|| Usage("--data is missing".into()))?;
    let listen = address("--listen", &args.listen)?;
    let metrics = args.metrics_listen.as_deref().map(|text| address("--metrics-listen", text));
    let mut config = hub::HubConfig::new(data.clone(), listen);
    config.metrics_listen = metrics.transpose()?;
    config.database = args.database.named()?;
    config.front_end = front_end(&args)?;
    config.tls = tls(&args)?;
    config.mail = mail(&args)?;
    config.trusted_proxies = args.trusted_proxy.iter().map(|it| it.to_canonical()).collect();
    config.limits.connections_per_address_max = per_address(&args, &config);
    config.url = args.url;
    config.limits.delivery_window = Duration::from_hours(args.delivery_window.into());
    let days = |days| Duration::from_hours(24 * u64::from(days));
    config.audit_retention = args.audit_retention.map(days);
    config.quota_bytes = args.quota.map(|size| size.0);
    config.free_reserve_bytes = args.keep_free.0;
    config.lockers = args.locker_quota.map(|quota| hub::LockerConfig {
        quota_bytes: quota.0,
        account_quota_bytes: args.locker_account_quota.map_or(quota.0 / 10, |quota| quota.0),
        time_max: Duration::from_hours(24 * u64::from(args.locker_days)),
    });
    let has_guests = args.guests.is_some();
    config.guests = args.guests.map(|most| hub::GuestConfig { bytes_per_day: most.0 });
    config.is_relay_only = args.relay_only;
    config.gc_interval = Duration::from_millis(args.collect_every.max(1));
    let names_loopback = config.url.is_none()
        && listen.ip().is_unspecified()
        && !matches!(config.tls, hub::Tls::Acme(_));
    without_core()?;
    let supervisor = Supervisor::from_environment();
    // Before anybody is told that it listens: who is told may ask it to stop.
    let mut stop = StopSignal::listen()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let started = tokio::select! {
        started = hub::Hub::start(config) => started,
        () = stop.asked() => return Err(Interrupted.into()),
    };
    let running = started.with_context(|| format!("cannot start the hub in {}", data.display()))?;
    let fingerprint = hex::encode(running.fingerprint);
    let recognised = if running.fingerprint != [0; 32] {
        format!("certificate {fingerprint}")
    } else if running.url.starts_with("https://") {
        "certificate checked by the authorities that clients trust".to_owned()
    } else {
        "no certificate: plain HTTP".to_owned()
    };
    let metrics = running.metrics_addr.map(|address| format!("http://{address}/metrics"));
    let told = metrics.as_ref().map(|url| format!("\nmetrics at {url}")).unwrap_or_default();
    session.output.fact(
        format!("hub at {}\n{recognised}{told}", running.url),
        &json!({
            "event": "listening",
            "url": running.url,
            "fingerprint": fingerprint,
            "metrics": metrics,
        }),
    )?;
    if names_loopback {
        let warning = format!(
            "the hub listens on all addresses, but invitations will name {}, which leads \
             nowhere from other machines: say --url with the address they use",
            running.url
        );
        session.output.warn(&warning, &json!({"event": "warning", "code": "hub-url-loopback"}))?;
    }
    session
        .output
        .remark(format!("invite a publisher with: consign invite --data {}", data.display()));
    if has_guests {
        let is_pinned = running.fingerprint != [0; 32];
        let pinned = if is_pinned { format!("#{fingerprint}") } else { String::new() };
        let url = running.url.trim_end_matches('/');
        session.output.remark(format!(
            "send without an account: consign send PATH --hub {url}{pinned}, or in a browser at \
             {url}/send"
        ));
    }
    supervisor.ready(&running.url);
    let watched = tokio::spawn(supervisor.clone().watch());
    // Without a terminal it is the wish of whoever replaced the certificate; with one it is the end
    // of the terminal, whose hub nobody could stop any more.
    let is_at_terminal = std::io::stdin().is_terminal();
    loop {
        tokio::select! {
            () = stop.asked() => break,
            _ = hangup.recv() => {
                if is_at_terminal {
                    break;
                }
                running.read_certificate_again();
            }
        }
    }
    watched.abort();
    supervisor.stopping();
    session.output.remark("stopping: requests under way are finished first");
    running.shutdown().await;
    Ok(Ended::Done)
}

/// What goes through the hub's memory is not to be on its disk: the kernel writes no core of this process, and hands
/// out one without memory where cores go to a program (`core_pattern`, core(5)), which no limit holds for.
fn without_core() -> anyhow::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).context("cannot do without cores")?;
    let filter = "/proc/self/coredump_filter";
    std::fs::write(filter, "0").with_context(|| format!("cannot write {filter}"))
}

/// How many connections there may be from one address.
fn per_address(args: &HubArgs, config: &hub::HubConfig) -> Option<usize> {
    let behind_proxy = config.tls == hub::Tls::Off && config.listen.ip().is_loopback()
        || !config.trusted_proxies.is_empty();
    match args.connections_per_address {
        Some(PerAddress::AtMost(most)) => Some(most.get()),
        Some(PerAddress::Unlimited) => None,
        // All connections come from the proxy's address; it has to limit its clients itself.
        None if behind_proxy => None,
        None => config.limits.connections_per_address_max,
    }
}

fn mail(args: &HubArgs) -> anyhow::Result<Option<hub::MailConfig>> {
    let (Some(server), Some(from)) = (args.mail_server.clone(), args.mail_from.clone()) else {
        return Ok(None);
    };
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the mail password in {}", path.display()))?;
        anyhow::Ok(hub_api::Hidden(text.trim_end_matches(['\r', '\n']).to_owned()))
    };
    let password = args.mail_password_file.as_ref().map(read).transpose()?;
    Ok(Some(hub::MailConfig { server, password, from }))
}

fn front_end(args: &HubArgs) -> anyhow::Result<Option<hub::FrontEndConfig>> {
    let Some(listen) = &args.front_end_listen else { return Ok(None) };
    let listen = address("--front-end-listen", listen)?;
    let keeps_chunks = !args.without_chunks;
    Ok(Some(hub::FrontEndConfig { listen, address: args.front_end_address.clone(), keeps_chunks }))
}

fn address(option: &str, text: &str) -> anyhow::Result<SocketAddr> {
    let wrong = || Usage(format!("{option} takes ADDRESS:PORT, not {text:?}"));
    Ok(text.parse().map_err(|_| wrong())?)
}

fn tls(args: &HubArgs) -> anyhow::Result<hub::Tls> {
    let is_acme = args.tls == "acme";
    let acme_alone = [
        ("--domain", !args.domain.is_empty()),
        ("--acme-directory", args.acme_directory.is_some()),
        ("--acme-ca", args.acme_ca.is_some()),
        ("--acme-contact", args.acme_contact.is_some()),
    ];
    if let Some((option, _)) = acme_alone.into_iter().find(|(_, given)| *given && !is_acme) {
        return Err(Usage(format!("{option} goes with --tls acme")).into());
    }
    let trust = match args.certificate {
        Recognised::Pin => hub::CertificateTrust::Fingerprint,
        Recognised::Web => hub::CertificateTrust::WebPki,
    };
    Ok(match args.tls.as_str() {
        "self" => hub::Tls::SelfSigned,
        "off" => hub::Tls::Off,
        "acme" => {
            if args.domain.is_empty() {
                return Err(Usage("--tls acme needs a --domain".into()).into());
            }
            hub::Tls::Acme(hub::Acme {
                domains: args.domain.clone(),
                directory: args.acme_directory.clone().unwrap_or_else(|| hub::LETS_ENCRYPT.into()),
                ca: args.acme_ca.clone(),
                contact: args.acme_contact.clone(),
            })
        }
        files => {
            let (cert, key) = files.split_once(',').ok_or_else(|| {
                Usage(format!("--tls takes self, off, acme or CERT,KEY, not {files:?}"))
            })?;
            hub::Tls::Files { cert: PathBuf::from(cert), key: PathBuf::from(key), trust }
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn connections_from_one_address_are_limited_unless_a_proxy_does_it() {
        let limit = |words: &str| {
            let words = format!("consign hub --data d {words}");
            let args = Args::try_parse_from(words.split_whitespace()).expect("well-formed");
            let Command::Hub(args) = args.command else { panic!("hub") };
            let listen = address("--listen", &args.listen).expect("an address");
            let mut config = hub::HubConfig::new("d", listen);
            config.tls = tls(&args).expect("one of them");
            config.trusted_proxies.clone_from(&args.trusted_proxy);
            per_address(&args, &config)
        };
        assert_eq!(limit(""), Some(4096));
        assert_eq!(limit("--tls off --listen 0.0.0.0:80"), Some(4096));
        assert_eq!(limit("--tls off"), None);
        assert_eq!(limit("--trusted-proxy 10.0.0.1"), None);
        assert_eq!(limit("--connections-per-address off"), None);
        assert_eq!(limit("--tls off --connections-per-address 9"), Some(9));
        for wrong in ["0", "-1", "many", ""] {
            let words = ["consign", "hub", "--data", "d", "--connections-per-address", wrong];
            assert!(Args::try_parse_from(words).is_err(), "{wrong:?}");
        }
    }
}
