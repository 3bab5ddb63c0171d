//! A certificate and its key in two files, which are read again when they change.
//!
//! Served is always a pair that was found to fit together. While the files hold none, because
//! somebody is replacing them or made a mistake, the pair before goes on being served. So it does when
//! clients know the hub by the fingerprint of the certificate and the files hold another one: all of
//! them would refuse it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Notify;

use crate::config::CertificateTrust;
use crate::refusal::Chain;
use documents::Validity;

/// Time for whoever replaces two files, one after the other, before it is called a mistake.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// Why the files are not what is served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A file is not there, or is not PEM. Put it right; it is read again by itself.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: pem::Error,
    },
    /// The file has no certificate in it. Is it the key's?
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The key is not the certificate's, or one of them cannot be used. Put both there.
    #[error("{} and {} cannot be served together", cert.display(), key.display())]
    Unfit {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// Clients would refuse the certificate. Start the hub anew to serve it all the same, and give
    /// out new invitations, or let authorities vouch for it (`--certificate web`).
    #[error(
        "{} holds a certificate of fingerprint {found}, and clients know this hub by {served}: \
         it is served after a restart, and everybody needs a new invitation then",
        path.display()
    )]
    Unknown {
        /// The certificate's file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What clients pinned.
        served: String,
    },
}

/// The two files and what is served of them.
#[derive(Debug)]
pub(crate) struct CertificateFiles {
    cert: PathBuf,
    key: PathBuf,
    trust: CertificateTrust,
    provider: Arc<CryptoProvider>,
    served: RwLock<Served>,
    /// What the files were when they were last read.
    seen: Mutex<Seen>,
    is_stale: AtomicBool,
}

#[derive(Debug, Clone)]
struct Served {
    key: Arc<CertifiedKey>,
    fingerprint: [u8; 32],
    validity: Option<Validity>,
}

/// What tells files apart from those of the same names before: device, inode, length, and when
/// contents and inode last changed. `None` for one that is not there.
type Seen = [Option<[i128; 5]>; 2];

fn seen(paths: [&Path; 2]) -> Seen {
    paths.map(|path| {
        let facts = fs::metadata(path).ok()?;
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Some([
            facts.dev().into(),
            facts.ino().into(),
            facts.size().into(),
            nanos(facts.mtime(), facts.mtime_nsec()),
            nanos(facts.ctime(), facts.ctime_nsec()),
        ])
    })
}

/// What came of a look at the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    Unchanged,
    Taken,
}

impl CertificateFiles {
    pub(crate) fn open(
        cert: PathBuf,
        key: PathBuf,
        trust: CertificateTrust,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        // Before they are read: what changes meanwhile is read again.
        let seen = Mutex::new(seen([&cert, &key]));
        let served = RwLock::new(read(&cert, &key, &provider)?);
        Ok(Self { cert, key, trust, provider, served, seen, is_stale: AtomicBool::new(false) })
    }

    fn served(&self) -> Served {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What clients recognise the hub by; `None` where authorities vouch for the certificate.
    pub(crate) fn pinned(&self) -> Option<[u8; 32]> {
        match self.trust {
            CertificateTrust::Fingerprint => Some(self.served().fingerprint),
            CertificateTrust::WebPki => None,
        }
    }

    /// When the certificate that is served ends, if it says so where it should.
    pub(crate) fn ends(&self) -> Option<u64> {
        self.served().validity.map(|validity| validity.ends)
    }

    /// Whether the files hold something else than what is served.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Relaxed)
    }

    /// Reads the files if they changed since they were last read, or if they `must` be.
    fn look(&self, must: bool) -> Result<Looked, CertificateError> {
        let now = seen([&self.cert, &self.key]);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !must && *seen == now {
            return Ok(Looked::Unchanged);
        }
        *seen = now;
        let read = self.read_known();
        self.is_stale.store(read.is_err(), Ordering::Relaxed);
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = read?;
        Ok(Looked::Taken)
    }

    fn read_known(&self) -> Result<Served, CertificateError> {
        let found = read(&self.cert, &self.key, &self.provider)?;
        match self.pinned() {
            Some(served) if served != found.fingerprint => Err(CertificateError::Unknown {
                path: self.cert.clone(),
                found: hex::encode(found.fingerprint),
                served: hex::encode(served),
            }),
            Some(_) | None => Ok(found),
        }
    }

    async fn look_apart(self: &Arc<Self>, must: bool) -> Result<Looked, CertificateError> {
        let files = Arc::clone(self);
        // Files may be on a network; other requests go on.
        match tokio::task::spawn_blocking(move || files.look(must)).await {
            Ok(looked) => looked,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Looks at the files now and then, and when it is `asked` to.
    pub(crate) async fn follow(self: Arc<Self>, interval: Duration, asked: Arc<Notify>) {
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(interval) => false,
                () = asked.notified() => true,
            };
            let mut looked = self.look_apart(is_asked).await;
            if looked.is_err() && !is_asked {
                tokio::time::sleep(SETTLE_TIME.min(interval)).await;
                looked = self.look_apart(true).await;
            }
            match looked {
                Ok(Looked::Unchanged) => {}
                Ok(Looked::Taken) => {
                    tracing::info!(cert = %self.cert.display(), "the certificate was read again");
                }
                Err(error) => tracing::warn!(
                    error = %Chain(&error),
                    "the certificate before goes on being served"
                ),
            }
        }
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.served().key)
    }
}

impl From<CertificateError> for io::Error {
    fn from(error: CertificateError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

fn read(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<Served, CertificateError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        |source| CertificateError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(file(cert))?;
    let first = chain.first().ok_or_else(|| CertificateError::Empty { path: cert.to_owned() })?;
    let fingerprint = documents::certificate_fingerprint(first);
    let validity = Validity::of(first);
    let secret = PrivateKeyDer::from_pem_file(key).map_err(file(key))?;
    let unfit = |source| {
        let (cert, key) = (cert.to_owned(), key.to_owned());
        CertificateError::Unfit { cert, key, source }
    };
    // It compares the two.
    let key = CertifiedKey::from_der(chain, secret, provider).map_err(unfit)?;
    Ok(Served { key: Arc::new(key), fingerprint, validity })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> [String; 2] {
        let made = rcgen::generate_simple_self_signed(["hub".to_owned()]).expect("a certificate");
        [made.cert.pem(), made.signing_key.serialize_pem()]
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn put(&self, name: &str, text: &str) -> PathBuf {
            let (path, new) = (self.0.path().join(name), self.0.path().join("new"));
            fs::write(&new, text).expect("writes");
            fs::rename(new, &path).expect("replaces");
            path
        }

        fn open(&self, pair: &[String; 2], trust: CertificateTrust) -> CertificateFiles {
            let [cert, key] = [self.put("cert", &pair[0]), self.put("key", &pair[1])];
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            CertificateFiles::open(cert, key, trust, provider).expect("a pair")
        }
    }

    #[test]
    fn half_a_change_is_none() {
        let place = Place(tempfile::tempdir().expect("a directory"));
        let (before, after) = (pair(), pair());
        let files = place.open(&before, CertificateTrust::WebPki);
        let first = files.served().fingerprint;
        assert_eq!(files.look(false).expect("as it was"), Looked::Unchanged);
        place.put("cert", &after[0]);
        assert!(matches!(files.look(false), Err(CertificateError::Unfit { .. })));
        assert!(files.is_stale() && files.served().fingerprint == first);
        assert_eq!(files.look(false).expect("said once"), Looked::Unchanged);
        assert!(files.is_stale());
        place.put("key", &after[1]);
        assert_eq!(files.look(false).expect("a pair again"), Looked::Taken);
        assert!(!files.is_stale() && files.served().fingerprint != first);
    }

    #[test]
    fn what_is_no_pair_is_named_and_not_served() {
        let place = Place(tempfile::tempdir().expect("a directory"));
        let before = pair();
        let files = place.open(&before, CertificateTrust::WebPki);
        let first = files.served().fingerprint;
        let check = |name: &str, text: &str, expected: &str| {
            place.put(name, text);
            let error = files.look(false).expect_err("no pair").to_string();
            assert!(error.contains(expected), "{error}");
            assert!(files.is_stale() && files.served().fingerprint == first, "{name} {text}");
        };
        check("cert", "garbage", "holds no certificate");
        check("cert", "", "holds no certificate");
        check("cert", &before[0].replace("MII", "AAA"), "cannot be served together");
        check("cert", &before[1], "holds no certificate");
        check("cert", &before[0][..before[0].len() / 2], "cert");
        place.put("cert", &before[0]);
        assert_eq!(files.look(false).expect("a pair"), Looked::Taken);
        check("key", "garbage", "cannot read");
        check("key", &pair()[1], "cannot be served together");
        fs::remove_file(place.0.path().join("key")).expect("removes");
        assert!(files.look(false).expect_err("gone").to_string().contains("cannot read"));
        place.put("key", &before[1]);
        assert_eq!(files.look(false).expect("a pair"), Looked::Taken);
        assert!(!files.is_stale());
    }

    #[test]
    fn a_fingerprint_that_clients_do_not_know_is_not_served() {
        let place = Place(tempfile::tempdir().expect("a directory"));
        let (before, after) = (pair(), pair());
        let files = place.open(&before, CertificateTrust::Fingerprint);
        let first = files.pinned().expect("by fingerprint");
        place.put("cert", &after[0]);
        place.put("key", &after[1]);
        let error = files.look(false).expect_err("another one").to_string();
        assert!(error.contains(&hex::encode(first)) && error.contains("invitation"), "{error}");
        assert!(files.is_stale() && files.pinned() == Some(first));
        // The same certificate and another one of its chain.
        place.put("cert", &(before[0].clone() + &after[0]));
        place.put("key", &before[1]);
        assert_eq!(files.look(false).expect("known"), Looked::Taken);
        assert_eq!((files.is_stale(), files.served().key.cert.len()), (false, 2));
    }
}
