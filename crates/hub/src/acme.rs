//! A certificate from an authority that speaks ACME (RFC 8555), obtained and renewed while the
//! hub serves, on the hub's own port (tls-alpn-01, RFC 8737).
//!
//! In the data directory: `acme/account.json`, the account's key; `acme/certificate.pem`, the key
//! and chain in use; `acme/certificate.json`, the authority that was asked for it and for which
//! domains. Each is of mode 0600 and replaced as a whole. Account and certificate belong to one
//! directory of one authority: with another one, or with other domains, they are made anew.

mod schedule;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use documents::Validity;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use crate::config::Acme;
use crate::files::{unix_now, write_private};
use crate::refusal::Chain;

/// The protocol in which an authority asks for the challenge's certificate.
pub(crate) const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// Longest wait for an authority to validate and to issue.
const ORDER_TIME: Duration = Duration::from_mins(2);

/// Longest time for all of an attempt: an authority that takes a connection and says nothing must
/// not keep the hub from trying again. Domains are validated one after the other.
const ATTEMPT_TIME: Duration = Duration::from_mins(10);

/// What an authority says when it has lost an account, or was set up anew (RFC 8555, 6.7).
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Why there is no new certificate. The old one stays in use, and it is tried again.
#[derive(Debug, thiserror::Error)]
enum AcmeError {
    /// The authority could not be reached or refused. Its text says what it objects to.
    #[error("the authority gave no certificate")]
    Authority(#[from] instant_acme::Error),
    /// The authority does not offer to ask on port 443 of this hub. Use another authority.
    #[error("the authority does not offer tls-alpn-01 for {0}")]
    NoChallenge(String),
    /// The authority asked and was not content: does the domain lead here, on port 443?
    #[error("the authority did not find this hub under its domain ({0:?})")]
    NotValid(OrderStatus),
    /// The authority took a connection and did not go on. Is it what it should be?
    #[error("the authority was silent for too long")]
    Silent,
    /// A key or certificate cannot be made.
    #[error("cannot make a key or certificate")]
    Making(#[from] rcgen::Error),
    /// What the authority gave cannot be used.
    #[error("the certificate that came cannot be used: {0}")]
    Unusable(String),
    /// A file in `acme/` cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl AcmeError {
    fn is_unknown_account(&self) -> bool {
        let Self::Authority(instant_acme::Error::Api(problem)) = self else { return false };
        problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT)
    }
}

/// The certificate in use, and those that answer challenges.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    current: RwLock<Option<Current>>,
    challenges: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

impl Certificates {
    fn validity(&self) -> Option<Validity> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| current.validity)
    }

    /// When the certificate in use ends.
    pub(crate) fn ends(&self) -> Option<u64> {
        self.validity().map(|validity| validity.ends)
    }

    fn replace(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }

    fn answer(&self, domain: &str, certificate: Option<Arc<CertifiedKey>>) {
        let mut challenges = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
        match certificate {
            Some(certificate) => challenges.insert(domain.to_owned(), certificate),
            None => challenges.remove(domain),
        };
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_challenge = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == CHALLENGE_PROTOCOL));
        if is_challenge {
            let challenges = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
            return challenges.get(hello.server_name()?).cloned();
        }
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| Arc::clone(&current.key))
    }
}

/// Obtains certificates.
#[derive(Debug)]
pub(crate) struct Renewal {
    acme: Acme,
    directory: PathBuf,
    certificates: Arc<Certificates>,
}

/// `account.json`.
#[derive(Serialize, Deserialize)]
struct StoredAccount {
    /// URL of the authority's directory that knows it.
    authority: String,
    credentials: AccountCredentials,
}

/// `certificate.json`: what `certificate.pem` was ordered for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ordered {
    /// URL of the authority's directory.
    authority: String,
    domains: Vec<String>,
}

impl Ordered {
    fn by(acme: &Acme) -> Self {
        Self { authority: acme.directory.clone(), domains: acme.domains.clone() }
    }

    fn path(directory: &Path) -> PathBuf {
        directory.join("certificate.json")
    }

    /// Whether the stored certificate is what `acme` asks for. One that nothing is known of is not.
    fn is_stored(acme: &Acme, directory: &Path) -> io::Result<bool> {
        match std::fs::read(Self::path(directory)) {
            Ok(bytes) => {
                Ok(serde_json::from_slice(&bytes).is_ok_and(|it: Self| it == Self::by(acme)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Replaces the stored certificate. Whatever moment this is cut off at, `certificate.json` does not
/// vouch for a certificate it was not written for.
fn store(acme: &Acme, directory: &Path, pem: &[u8]) -> Result<(), AcmeError> {
    let about = Ordered::path(directory);
    let removed = match std::fs::remove_file(&about) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    let path = directory.join("certificate.pem");
    removed
        .and_then(|()| write_private(&path, pem))
        .map_err(|source| AcmeError::File { path, source })?;
    serde_json::to_vec(&Ordered::by(acme))
        .map_err(io::Error::from)
        .and_then(|bytes| write_private(&about, &bytes))
        .map_err(|source| AcmeError::File { path: about, source })
}

impl Renewal {
    /// Loads what `directory` holds of an earlier run, if it is for the same domains and of the
    /// same authority.
    pub(crate) fn open(acme: Acme, directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let certificates = Arc::new(Certificates::default());
        let path = directory.join("certificate.pem");
        let is_ours = Ordered::is_stored(&acme, &directory)?;
        match std::fs::read(&path) {
            Ok(_) if !is_ours => {
                tracing::info!(
                    "the stored certificate is for other domains or of another authority"
                );
            }
            Ok(pem) => match parse(&pem) {
                Ok(current) => certificates.replace(current),
                Err(error) => tracing::warn!(%error, "the stored certificate is obtained anew"),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self { acme, directory, certificates })
    }

    pub(crate) fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    /// Renews for as long as the hub runs.
    pub(crate) async fn run(self) {
        let mut failures = 0;
        loop {
            if schedule::is_due(unix_now(), self.certificates.validity()) {
                let result = self.obtain_in_time().await;
                failures = if result.is_ok() { 0 } else { failures + 1 };
                if let Err(error) = result {
                    let pause = schedule::pause_after(failures, self.certificates.validity());
                    tracing::error!(
                        error = %Chain(&error),
                        retry_in_s = pause.as_secs(),
                        "no certificate was obtained"
                    );
                }
            }
            let pause = schedule::pause_after(failures, self.certificates.validity());
            tokio::time::sleep(pause).await;
        }
    }

    async fn obtain_in_time(&self) -> Result<(), AcmeError> {
        match tokio::time::timeout(ATTEMPT_TIME, self.obtain()).await {
            Ok(result) => result,
            Err(_) => Err(AcmeError::Silent),
        }
    }

    async fn obtain(&self) -> Result<(), AcmeError> {
        let account = self.account().await?;
        let domains = &self.acme.domains;
        let names: Vec<Identifier> =
            domains.iter().map(|domain| Identifier::Dns(domain.clone())).collect();
        let mut result = self.order(&account, &names).await;
        if result.as_ref().is_err_and(AcmeError::is_unknown_account) {
            tracing::warn!("the authority does not know the account: another one is made");
            self.forget_account()?;
            result = self.order(&self.account().await?, &names).await;
        }
        for domain in domains {
            self.certificates.answer(domain, None);
        }
        let pem = result?;
        let current = parse(&pem).map_err(AcmeError::Unusable)?;
        let ends = current.validity.ends;
        store(&self.acme, &self.directory, &pem)?;
        self.certificates.replace(current);
        tracing::info!(domains = ?domains, ends, "a certificate was obtained");
        Ok(())
    }

    /// Key and chain, in PEM.
    async fn order(&self, account: &Account, names: &[Identifier]) -> Result<Vec<u8>, AcmeError> {
        let mut order = account.new_order(&NewOrder::new(names)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let domain = authorization.identifier().to_string();
            let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
                return Err(AcmeError::NoChallenge(domain));
            };
            let digest = challenge.key_authorization().digest();
            let answer = challenge_certificate(&domain, digest.as_ref())?;
            self.certificates.answer(&domain, Some(answer));
            challenge.set_ready().await?;
        }
        let patience = RetryPolicy::default().timeout(ORDER_TIME);
        let status = order.poll_ready(&patience).await?;
        if status != OrderStatus::Ready {
            return Err(AcmeError::NotValid(status));
        }
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&patience).await?;
        Ok(format!("{key}\n{chain}").into_bytes())
    }

    fn forget_account(&self) -> Result<(), AcmeError> {
        let path = self.directory.join("account.json");
        std::fs::remove_file(&path).map_err(|source| AcmeError::File { path, source })
    }

    async fn account(&self) -> Result<Account, AcmeError> {
        let builder = || match &self.acme.ca {
            Some(ca) => Account::builder_with_root(ca),
            None => Account::builder(),
        };
        let path = self.directory.join("account.json");
        if let Some(stored) = read_account(&path)?
            && stored.authority == self.acme.directory
        {
            return Ok(builder()?.from_credentials(stored.credentials).await?);
        }
        let contact: Vec<String> =
            self.acme.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let authority = self.acme.directory.clone();
        let (account, credentials) = builder()?.create(&new, authority.clone(), None).await?;
        let stored = serde_json::to_vec(&StoredAccount { authority, credentials });
        stored
            .map_err(io::Error::from)
            .and_then(|bytes| write_private(&path, &bytes))
            .map_err(|source| AcmeError::File { path, source })?;
        Ok(account)
    }
}

fn read_account(path: &Path) -> Result<Option<StoredAccount>, AcmeError> {
    let failed = |source| AcmeError::File { path: path.to_owned(), source };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The certificate that proves to an authority who answers under `domain`.
fn challenge_certificate(domain: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, AcmeError> {
    let mut params = CertificateParams::new([domain.to_owned()])?;
    params.custom_extensions.push(CustomExtension::new_acme_identifier(digest));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let key = any_supported_type(&key.into()).map_err(|e| AcmeError::Unusable(e.to_string()))?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
}

/// The key and chain of `certificate.pem`.
fn parse(pem: &[u8]) -> Result<Current, String> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let first = chain.first().ok_or("there is none in it")?;
    let validity = Validity::of(first).ok_or("its dates cannot be read")?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|e| e.to_string())?;
    let key = any_supported_type(&key).map_err(|e| e.to_string())?;
    let key = CertifiedKey::new(chain, key);
    key.keys_match().map_err(|e| e.to_string())?;
    Ok(Current { key: Arc::new(key), validity })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(authority: &str, domains: &[&str]) -> Acme {
        let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        Acme { domains, directory: authority.to_owned(), contact: None, ca: None }
    }

    fn is_loaded(acme: Acme, directory: &Path) -> bool {
        let renewal = Renewal::open(acme, directory.to_owned()).expect("opens");
        renewal.certificates().ends().is_some()
    }

    #[test]
    fn a_stored_certificate_is_used_for_what_it_was_ordered_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path();
        let hub = || asked("https://one.example/directory", &["hub.example", "www.hub.example"]);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(hub().domains).expect("names");
        let certificate = params.self_signed(&key).expect("a certificate");
        let pem = format!("{}\n{}", key.serialize_pem(), certificate.pem());
        store(&hub(), directory, pem.as_bytes()).expect("stores");
        assert!(is_loaded(hub(), directory));
        for other in [
            asked("https://two.example/directory", &["hub.example", "www.hub.example"]),
            asked("https://one.example/directory", &["hub.example"]),
            asked("https://one.example/directory", &["other.example", "www.hub.example"]),
        ] {
            assert!(!is_loaded(other, directory));
        }
        // Cut off between the two files, or of a version that did not say.
        std::fs::remove_file(Ordered::path(directory)).expect("removes");
        assert!(!is_loaded(hub(), directory));
        store(&hub(), directory, pem.as_bytes()).expect("stores again");
        assert!(is_loaded(hub(), directory));
    }

    /// Time passes at once here, because nothing else is waited for.
    #[tokio::test(start_paused = true)]
    async fn an_authority_that_is_silent_is_given_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = silent.local_addr().expect("has an address");
        let directory = tempfile::tempdir().expect("a directory");
        let acme = asked(&format!("https://{address}/directory"), &["hub.example"]);
        let renewal = Renewal::open(acme, directory.path().to_owned()).expect("opens");
        let given_up = renewal.obtain_in_time().await.expect_err("nobody answers");
        assert!(matches!(given_up, AcmeError::Silent), "{given_up:?}");
    }
}
