//! The client: one method for every route.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use content::{Buffers, CHUNK_BYTES_MAX, ChunkId};
use documents::{Invitation, NodeKey, Registration, ReleaseName};
use hub_api::{
    Hex, Hidden, HubInfo, NameInfo, NameSettings, NamesPage, RegistrationRequest,
    RegistrationResponse, limits, routes,
};
use hyper::Method;
use serde::de::DeserializeOwned;

use crate::activity::Activity;
use crate::counting::BytesOnWire;
use crate::error::ClientError;
use crate::exchange::{Call, Exchange, Timeouts, is_answer};
use crate::incoming::refusal;
use crate::pin::Pin;
use crate::proxy::Proxies;
use crate::session::{Need, Sessions};
use crate::versions::ToldVersions;

/// Speaks to one hub as one node, or as nobody.
///
/// Methods take `&self` and may run at the same time; connections are pooled and kept. Needs a
/// tokio runtime with time and IO enabled.
pub struct HubClient {
    pub(crate) exchange: Exchange,
    pub(crate) sessions: Sessions,
    /// Memory of the frames that are fetched.
    pub(crate) buffers: Buffers,
    /// Which download of a locker its requests belong to.
    pub(crate) download: Option<[u8; 16]>,
}

impl std::fmt::Debug for HubClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubClient").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl HubClient {
    /// A client of the hub at `url`, known by `pin`; sessions are opened with `key`, and without
    /// one only public things can be read. Connects to nothing yet.
    ///
    /// # Errors
    /// When `url` is no address of a hub, or does not fit the pin: [`Pin::None`] goes with
    /// `http://`, the others with `https://`; or when this system trusts no authority at all.
    pub fn new(url: &str, pin: Pin, key: Option<NodeKey>) -> Result<Self, ClientError> {
        Self::with_timeouts(url, pin, key, Timeouts::default())
    }

    /// As [`HubClient::new`], with other patience.
    ///
    /// # Errors
    /// As [`HubClient::new`].
    pub fn with_timeouts(
        url: &str,
        pin: Pin,
        key: Option<NodeKey>,
        timeouts: Timeouts,
    ) -> Result<Self, ClientError> {
        let exchange = Exchange::new(url, pin, key, timeouts)?;
        let (sessions, buffers) = (Sessions::default(), Buffers::default());
        Ok(Self { exchange, sessions, buffers, download: None })
    }

    /// The same client, for one download of a delivery that may be downloaded several times. Whoever goes on with
    /// one names the same.
    #[must_use]
    pub fn with_download(self, download: [u8; 16]) -> Self {
        Self { download: Some(download), ..self }
    }

    /// The same client, entering its calls into a list shared with others.
    #[must_use]
    pub fn with_activity(mut self, activity: Arc<Activity>) -> Self {
        self.exchange.activity = activity;
        self
    }

    /// The same client, which reaches the hub through these proxies. The hub is recognised as
    /// before, behind them.
    #[must_use]
    pub fn through(self, proxies: Proxies) -> Self {
        Self { exchange: self.exchange.through(proxies), ..self }
    }

    /// The same client, noting what the hub wants of its clients where others do.
    #[must_use]
    pub fn with_versions(mut self, versions: Arc<ToldVersions>) -> Self {
        self.exchange.versions = versions;
        self
    }

    /// The address of the hub, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.exchange.base()
    }

    /// The address of this machine from which it reaches the hub; `None` when that goes through a proxy. Nothing is
    /// sent to find it, but that the hub's name is looked up.
    ///
    /// # Errors
    /// The hub's name is not known, or nothing leads there.
    pub async fn own_address(&self) -> io::Result<Option<IpAddr>> {
        self.exchange.own_address().await
    }

    /// Bytes on the wire so far.
    #[must_use]
    pub fn bytes_on_wire(&self) -> BytesOnWire {
        self.exchange.counters.read()
    }

    /// What the hub says of itself.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn hub_info(&self) -> Result<HubInfo, ClientError> {
        self.exchange.json(&Call::new(Method::GET, routes::HUB, "ask about the hub")).await
    }

    /// Registers the node's key by an invitation to this hub; returns the account's handle.
    ///
    /// # Errors
    /// See [`ClientError`]. After [`ClientError::Interrupted`] the invitation may be used up
    /// and the key registered.
    pub async fn register(&self, invitation: &Invitation) -> Result<String, ClientError> {
        let call = Call::new(Method::POST, routes::REGISTRATIONS, "register").once();
        let Some(key) = &self.exchange.key else {
            let url = self.exchange.url(&call);
            let reason = "a client without a key cannot register".to_owned();
            return Err(ClientError::Protocol { url, doing: call.doing, reason });
        };
        let (hub, secret, public) = (self.exchange.hub_identity(), invitation.secret, key.public());
        let proof = Registration { hub, secret, key: public }.sign(key);
        let call = call.json(&RegistrationRequest {
            key: Hex(*public.as_bytes()),
            secret: Hidden(Hex(secret)),
            proof: proof.into(),
        });
        let registered: RegistrationResponse = self.exchange.json(&call).await?;
        self.sessions.forget().await;
        Ok(registered.handle)
    }

    /// The bytes of one chunk, verified. Many are better fetched with
    /// [`HubClient::fetch_frames`].
    ///
    /// # Errors
    /// See [`ClientError`]; other bytes than the chunk's are [`ClientError::Protocol`].
    pub async fn chunk(&self, id: &ChunkId) -> Result<Bytes, ClientError> {
        let call = Call::new(Method::GET, routes::chunk(id), "read a chunk");
        let bytes = self.body_of(&call, Need::Wanted, CHUNK_BYTES_MAX).await?;
        if ChunkId::of(&bytes) == *id {
            Ok(bytes)
        } else {
            Err(self.exchange.protocol(&call, "bytes with another hash"))
        }
    }

    /// A page of the names this node may read, in order, those behind `after`; at most `limit`
    /// and at most [`limits::NAMES_PAGE_MAX`]. An empty page is the end.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn names(
        &self,
        after: Option<&ReleaseName>,
        limit: u32,
    ) -> Result<Vec<NameInfo>, ClientError> {
        let path = routes::names(after.map(ReleaseName::as_str), limit.min(limits::NAMES_PAGE_MAX));
        let call = Call::new(Method::GET, path, "list names");
        let page: NamesPage = self.json(&call, Need::Wanted).await?;
        Ok(page.names)
    }

    /// What the hub says of a name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn name_info(&self, name: &ReleaseName) -> Result<NameInfo, ClientError> {
        self.json(&Call::new(Method::GET, routes::name(name), "ask about a name"), Need::Wanted)
            .await
    }

    /// Creates a name that belongs to this node, or changes whether it is public.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_name(&self, name: &ReleaseName, public: bool) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, routes::name(name), "set up a name")
            .json(&NameSettings { public });
        self.done(&call).await
    }

    /// Opens a session, if none is open: whether the hub takes this node's key.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ProblemCode::NotRegistered`](hub_api::ProblemCode::NotRegistered)
    /// when the key is not, or no longer, registered.
    pub async fn open_session(&self) -> Result<(), ClientError> {
        self.sessions.open(&self.exchange).await
    }

    /// Whether the hub answers at all.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn health(&self) -> Result<(), ClientError> {
        let call = Call::new(Method::GET, routes::HEALTH, "ask whether the hub is alive");
        self.body_of(&call, Need::Nothing, limits::RESPONSE_BYTES_MAX).await.map(drop)
    }

    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        call: &Call,
        need: Need,
    ) -> Result<T, ClientError> {
        let body = self.body_of(call, need, limits::RESPONSE_BYTES_MAX).await?;
        self.exchange.parse(call, &body)
    }

    /// For routes whose answer says nothing but that it is done.
    pub(crate) async fn done(&self, call: &Call) -> Result<(), ClientError> {
        self.body_of(call, Need::Required, limits::RESPONSE_BYTES_MAX).await.map(drop)
    }

    /// As [`HubClient::done`], for a route that takes no session.
    pub(crate) async fn unsigned(&self, call: &Call) -> Result<(), ClientError> {
        self.body_of(call, Need::Nothing, limits::RESPONSE_BYTES_MAX).await.map(drop)
    }

    pub(crate) async fn body_of(
        &self,
        call: &Call,
        need: Need,
        bytes_max: usize,
    ) -> Result<Bytes, ClientError> {
        let response = self.sessions.call(&self.exchange, call, need).await?;
        response.into_body().collect(bytes_max, self.patience(bytes_max)).await
    }

    /// How long a bounded body may take: longer for a page of releases.
    fn patience(&self, bytes_max: usize) -> Duration {
        let times = bytes_max.div_ceil(limits::RESPONSE_BYTES_MAX);
        self.exchange.timeouts.document * u32::try_from(times).unwrap_or(u32::MAX)
    }
}

impl Exchange {
    /// A JSON answer to a call outside any session.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        let response = self.send(call).await?;
        if !is_answer(call, response.status()) {
            return Err(refusal(response, self.timeouts.document).await);
        }
        let whole = self.timeouts.document;
        let body = response.into_body().collect(limits::RESPONSE_BYTES_MAX, whole).await?;
        self.parse(call, &body)
    }

    pub(crate) fn parse<T: DeserializeOwned>(
        &self,
        call: &Call,
        body: &[u8],
    ) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.protocol(call, error.to_string()))
    }

    pub(crate) fn protocol(&self, call: &Call, reason: impl Into<String>) -> ClientError {
        ClientError::Protocol { url: self.url(call), doing: call.doing, reason: reason.into() }
    }
}
