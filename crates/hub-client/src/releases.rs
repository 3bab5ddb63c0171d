//! Releases of a name: read, listed, published. All unverified, as the hub sent it.

use documents::ReleaseName;
use hub_api::{
    HeadDocuments, NewestRelease, ReleaseAccepted, ReleaseInfo, ReleasesPage, limits, routes,
};
use hyper::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, StatusCode};

use crate::client::HubClient;
use crate::error::ClientError;
use crate::exchange::Call;
use crate::session::Need;

/// The newest release of a name, by the hub's word: nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The signed manifest.
    pub manifest: Vec<u8>,
    /// The signed head.
    pub head: Vec<u8>,
    /// The owner's signed list of further publishers.
    pub delegation: Option<Vec<u8>>,
    /// For [`HubClient::head_unless`]; none when the hub sent none.
    pub etag: Option<String>,
}

impl HubClient {
    /// The newest release of a name and the head that says so.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn head(&self, name: &ReleaseName) -> Result<SignedHead, ClientError> {
        let call = Call::new(Method::GET, routes::head(name), "read the newest release");
        let head = self.read_head(&call).await?;
        head.ok_or_else(|| self.exchange.protocol(&call, "no release where there should be one"))
    }

    /// As [`HubClient::head`]; `None` while it is the one that came with `etag`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn head_unless(
        &self,
        name: &ReleaseName,
        etag: &str,
    ) -> Result<Option<SignedHead>, ClientError> {
        let call = Call::new(Method::GET, routes::head(name), "read the newest release");
        // A tag that is fit for no header is none the hub sent.
        let call = match HeaderValue::from_str(etag) {
            Ok(etag) => call.header(IF_NONE_MATCH, etag),
            Err(_) => call,
        };
        self.read_head(&call).await
    }

    async fn read_head(&self, call: &Call) -> Result<Option<SignedHead>, ClientError> {
        let response = self.sessions.call(&self.exchange, call, Need::Wanted).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let whole = self.exchange.timeouts.document;
        let body = response.into_body().collect(limits::RESPONSE_BYTES_MAX, whole).await?;
        let newest: NewestRelease = self.exchange.parse(call, &body)?;
        Ok(Some(SignedHead {
            manifest: newest.manifest.0,
            head: newest.head.0,
            delegation: newest.delegation.map(|delegation| delegation.0),
            etag,
        }))
    }

    /// A page of the releases of a name, newest first, those below `before`; at most `limit` and
    /// at most [`limits::RELEASES_PAGE_MAX`]. An empty page is the end.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn releases(
        &self,
        name: &ReleaseName,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ReleaseInfo>, ClientError> {
        let limit = limit.min(limits::RELEASES_PAGE_MAX);
        let path = routes::releases_page(name, before, limit);
        let call = Call::new(Method::GET, path, "list releases");
        let bytes_max = limits::RELEASES_RESPONSE_BYTES_MAX;
        let body = self.body_of(&call, Need::Wanted, bytes_max).await?;
        let page: ReleasesPage = self.exchange.parse(&call, &body)?;
        Ok(page.releases)
    }

    /// What the hub says of one release.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn release_info(
        &self,
        name: &ReleaseName,
        sequence: u64,
    ) -> Result<ReleaseInfo, ClientError> {
        let call = Call::new(Method::GET, routes::release(name, sequence), "read a release");
        self.json(&call, Need::Wanted).await
    }

    /// The signed manifest of one release, not verified yet.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn release(&self, name: &ReleaseName, sequence: u64) -> Result<Vec<u8>, ClientError> {
        Ok(self.release_info(name, sequence).await?.manifest.0)
    }

    /// Publishes a release: its signed manifest and the signed head that makes it the newest.
    ///
    /// # Errors
    /// See [`ClientError`]; [`hub_api::ProblemCode::ChunksMissing`] names what to upload first.
    /// After [`ClientError::Interrupted`] it may be published: read the head.
    pub async fn post_release(
        &self,
        name: &ReleaseName,
        manifest: &[u8],
        head: &[u8],
    ) -> Result<ReleaseAccepted, ClientError> {
        self.post_release_after(name, manifest, head, None).await
    }

    /// Publishes a release in the feed of a publisher, after the release `after`, the newest at the hub:
    /// those between the two are lost with an earlier database of the hub.
    ///
    /// # Errors
    /// See [`post_release`](Self::post_release); a conflict when another one is the newest.
    pub async fn post_release_after(
        &self,
        name: &ReleaseName,
        manifest: &[u8],
        head: &[u8],
        after: Option<u64>,
    ) -> Result<ReleaseAccepted, ClientError> {
        let call = Call::new(Method::POST, routes::releases(name), "publish a release")
            .json(&HeadDocuments { manifest: manifest.into(), head: head.into(), after })
            .once();
        self.json(&call, Need::Required).await
    }
}
