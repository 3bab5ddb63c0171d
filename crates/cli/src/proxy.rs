//! Through which proxies hubs are reached, as the command line and the environment say it.

use std::path::PathBuf;

use anyhow::Context as _;
use hub_client::{Proxies, ProxyCredentials};

use crate::commands::Session;
use crate::exit::Usage;

/// The variable with an address, which unlike an argument nobody else on the machine sees.
pub(crate) const VARIABLE: &str = "CONSIGN_PROXY";
/// What is said instead of an address when hubs are to be reached straight.
pub(crate) const STRAIGHT: &str = "none";

/// A proxy of one's own, if one is named.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProxyChoice {
    pub(crate) address: Option<String>,
    pub(crate) credentials: Option<PathBuf>,
}

/// The proxies on the ways to hubs: the one that is named, else those of the usual variables.
pub(crate) fn proxies(session: &Session) -> anyhow::Result<Proxies> {
    let variable = |name: &str| std::env::var(name).ok();
    let Some(named) = session.proxy.address.as_ref().filter(|named| !named.is_empty()) else {
        if session.proxy.credentials.is_some() {
            let hint = "--proxy-credentials are for the proxy that --proxy names";
            return Err(Usage(hint.to_owned()).into());
        }
        return Ok(Proxies::in_environment(variable));
    };
    if named == STRAIGHT {
        return Ok(Proxies::default());
    }
    let is_secret = variable(VARIABLE).is_some_and(|set| set == *named);
    let credentials = match &session.proxy.credentials {
        Some(path) => {
            let path = session.path(path);
            let text = std::fs::read_to_string(&path).with_context(|| {
                format!("cannot read the proxy's name and password in {}", path.display())
            })?;
            let read = ProxyCredentials::parse(&text).with_context(|| {
                format!("the first line of {} is not NAME:PASSWORD", path.display())
            })?;
            Some(read)
        }
        None => None,
    };
    let proxies = parse(named, is_secret, credentials.as_ref())?;
    let exceptions = ["no_proxy", "NO_PROXY"].into_iter().find_map(variable);
    Ok(proxies.except(&exceptions.unwrap_or_default()))
}

/// Reads an address; one with a password must be one that nobody else sees.
fn parse(
    named: &str,
    is_secret: bool,
    credentials: Option<&ProxyCredentials>,
) -> Result<Proxies, Usage> {
    if named.contains('@') && !is_secret {
        let hint = "anybody on this machine sees the arguments of a command, and a configuration file \
                    may be for all: write NAME:PASSWORD to a file for --proxy-credentials, or set \
                    CONSIGN_PROXY to the address with both";
        return Err(Usage(hint.to_owned()));
    }
    Proxies::all("--proxy", named, credentials).map_err(|error| Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_s_password_is_taken_from_where_nobody_sees_it() {
        let address = "http://me:hunter2@proxy.example:3128";
        let way = |proxies: Proxies| proxies.on_the_way_to("https://hub").expect("usable");
        assert_eq!(way(parse(address, true, None).expect("secret")).unwrap(), "proxy.example:3128");
        let refused = parse(address, false, None).expect_err("is an argument").to_string();
        assert!(refused.contains("--proxy-credentials"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
        assert!(parse("http://proxy.example:3128", false, None).is_ok());
        let refused = parse("socks5://me:hunter2@x", true, None).expect_err("is none").to_string();
        assert!(refused.contains("--proxy") && !refused.contains("hunter2"), "{refused}");
    }
}
