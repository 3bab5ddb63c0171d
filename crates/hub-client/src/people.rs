//! People: handles, devices, address books, and what is addressed to whom.
//!
//! Whose device a key is, and what a letter or an address book says, is for the crate `people` to verify.

use documents::NodeKey;
use hub_api::{
    AddressedDelivery, BookDocument, BookKept, DeliveriesPage, DeliveryInfo, DetailsChange,
    DeviceRoom, DevicesDocument, EVENT_PERSON, Hex, Hidden, LoginRequest, MyPerson, PasswordChange,
    PendingSender, PendingSenders, PersonCard, PersonEvent, PersonRequest, RecipientCheck,
    Recovery, RecoveryRequest, SenderDecision, SenderVerdict, SessionResponse, limits, routes,
};
use hyper::Method;

use crate::client::HubClient;
use crate::error::ClientError;
use crate::events::Events;
use crate::exchange::Call;
use crate::session::{Need, answer_challenge};

/// What is new for a person, as the hub says it.
pub type PersonEvents = Events<PersonEvent>;

/// The longest answer with a sealed address book and its handles, in bytes.
const BOOK_ANSWER_BYTES_MAX: usize = 2 * limits::BOOK_BYTES_MAX;

impl HubClient {
    /// Makes a person of this node's account.
    ///
    /// # Errors
    /// See [`ClientError`]; [`HandleTaken`](hub_api::ProblemCode::HandleTaken).
    pub async fn create_person(&self, request: &PersonRequest) -> Result<MyPerson, ClientError> {
        let call = Call::new(Method::POST, routes::PEOPLE, "register a handle").json(request);
        self.json(&call, Need::Required).await
    }

    /// Makes this node a device of the person with a handle and a password.
    ///
    /// # Errors
    /// See [`ClientError`]; [`LoginRefused`](hub_api::ProblemCode::LoginRefused).
    pub async fn log_in(
        &self,
        key: &NodeKey,
        handle: &str,
        password: &Hidden<String>,
    ) -> Result<(), ClientError> {
        const PURPOSE: &str = "log in";
        let session = answer_challenge(&self.exchange, key, PURPOSE).await?;
        let password = Hidden(password.0.clone());
        let request = LoginRequest { handle: handle.to_owned(), password, session };
        let call = Call::new(Method::POST, routes::LOGINS, PURPOSE).json(&request).once();
        let _: SessionResponse = self.exchange.json(&call).await?;
        self.sessions.forget().await;
        Ok(())
    }

    /// Has a code sent to a person's mail address, if there is such a person who has told one.
    ///
    /// # Errors
    /// See [`ClientError`]; not found where the hub sends no mail.
    pub async fn ask_recovery(&self, handle: &str) -> Result<(), ClientError> {
        let request = RecoveryRequest { handle: handle.to_owned() };
        let call = Call::new(Method::POST, routes::RECOVERIES, "ask for a code by mail");
        self.unsigned(&call.json(&request).once()).await
    }

    /// Sets a password with a code that came by mail.
    ///
    /// # Errors
    /// See [`ClientError`]; [`LoginRefused`](hub_api::ProblemCode::LoginRefused).
    pub async fn recover(&self, recovery: &Recovery) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, routes::RECOVERIES, "set a password").json(recovery);
        self.unsigned(&call.once()).await
    }

    /// The person whose device this node is.
    ///
    /// # Errors
    /// See [`ClientError`]; [`PersonRequired`](hub_api::ProblemCode::PersonRequired) when it is nobody's.
    pub async fn me(&self) -> Result<MyPerson, ClientError> {
        let call = Call::new(Method::GET, routes::ME, "ask whose device this is");
        self.json(&call, Need::Required).await
    }

    /// Changes what the person tells of themselves.
    ///
    /// # Errors
    /// See [`ClientError`]; [`LoginRefused`](hub_api::ProblemCode::LoginRefused) for a wrong password, or none where one is
    /// needed.
    pub async fn change_details(&self, change: &DetailsChange) -> Result<(), ClientError> {
        self.done(&Call::new(Method::PUT, routes::ME, "change details").json(change)).await
    }

    /// Changes the person's password.
    ///
    /// # Errors
    /// See [`ClientError`]; [`LoginRefused`](hub_api::ProblemCode::LoginRefused) for a wrong old one.
    pub async fn change_password(&self, change: &PasswordChange) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, routes::MY_PASSWORD, "change the password");
        self.done(&call.json(change)).await
    }

    /// Hands in the next list of the person's devices.
    ///
    /// # Errors
    /// See [`ClientError`]; [`PersonConflict`](hub_api::ProblemCode::PersonConflict) when there is a
    /// newer one.
    pub async fn put_devices(&self, signed: &[u8]) -> Result<(), ClientError> {
        let document = DevicesDocument { devices: signed.to_vec().into() };
        let call = Call::new(Method::PUT, routes::MY_DEVICES, "change the list of devices");
        self.done(&call.json(&document)).await
    }

    /// Logs out a device that stands on no list.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn log_out(&self, device: [u8; 32]) -> Result<(), ClientError> {
        let path = routes::MY_DEVICE.replace("{key}", &Hex(device).to_string());
        self.done(&Call::new(Method::DELETE, path, "log a device out")).await
    }

    /// What people may see of the one with this handle.
    ///
    /// # Errors
    /// See [`ClientError`]; not found when nobody is called that.
    pub async fn person(&self, handle: &str) -> Result<PersonCard, ClientError> {
        let path = routes::of_person(routes::PERSON, handle);
        self.json(&Call::new(Method::GET, path, "look a person up"), Need::Required).await
    }

    /// Whether somebody can be sent so much, in files of which the largest has `largest` bytes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn check_recipient(
        &self,
        handle: &str,
        bytes: u64,
        largest: u64,
    ) -> Result<RecipientCheck, ClientError> {
        let path = routes::of_person(routes::PERSON_CHECK, handle);
        let path = format!("{path}?bytes={bytes}&largest={largest}");
        self.json(&Call::new(Method::GET, path, "ask about a recipient"), Need::Required).await
    }

    /// The person's address book.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn book(&self) -> Result<BookDocument, ClientError> {
        let call = Call::new(Method::GET, routes::MY_BOOK, "read the address book");
        let body = self.body_of(&call, Need::Required, BOOK_ANSWER_BYTES_MAX).await?;
        self.exchange.parse(&call, &body)
    }

    /// Keeps another version of the address book; returns the contacts that nobody is called.
    ///
    /// # Errors
    /// See [`ClientError`]; [`PersonConflict`](hub_api::ProblemCode::PersonConflict) when there is a
    /// newer one.
    pub async fn put_book(&self, book: &BookDocument) -> Result<Vec<String>, ClientError> {
        let call = Call::new(Method::PUT, routes::MY_BOOK, "keep the address book").json(book);
        let BookKept { unknown } = self.json(&call, Need::Required).await?;
        Ok(unknown)
    }

    /// Says what this device has room for.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_room(&self, room: &DeviceRoom) -> Result<(), ClientError> {
        self.done(&Call::new(Method::PUT, routes::MY_ROOM, "say how much room there is").json(room))
            .await
    }

    /// Waits for what is new for the person; meanwhile they are online.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn person_events(&self) -> Result<PersonEvents, ClientError> {
        let call = Call::new(Method::GET, routes::MY_EVENTS, "wait for news of people");
        self.stream(call, EVENT_PERSON, None, Need::Required).await
    }

    /// Addresses a delivery to a person; repeating it with the same values changes nothing.
    ///
    /// # Errors
    /// See [`ClientError`]; [`RecipientRefuses`](hub_api::ProblemCode::RecipientRefuses),
    /// [`PersonConflict`](hub_api::ProblemCode::PersonConflict) when their devices are others meanwhile.
    pub async fn address_delivery(
        &self,
        id: [u8; 16],
        address: &AddressedDelivery,
    ) -> Result<DeliveryInfo, ClientError> {
        let path = routes::of_delivery(routes::DELIVERY_ADDRESS, Hex(id));
        let call = Call::new(Method::PUT, path, "address a delivery").json(address);
        self.json(&call, Need::Required).await
    }

    /// What is addressed to the person, the newest first; `before` is the `next` of the page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn inbox(&self, before: Option<u64>) -> Result<DeliveriesPage, ClientError> {
        self.deliveries_page(routes::INBOX, before, "list what came").await
    }

    /// What the person addressed to others, the newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn outbox(&self, before: Option<u64>) -> Result<DeliveriesPage, ClientError> {
        self.deliveries_page(routes::OUTBOX, before, "list what was sent").await
    }

    /// What is addressed to people by anybody, the newest first, for administrators; what is over only `with_over`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn all_deliveries(
        &self,
        before: Option<u64>,
        with_over: bool,
    ) -> Result<DeliveriesPage, ClientError> {
        let from = before.as_ref().map(|before| ("before", before as &dyn std::fmt::Display));
        let page = routes::page(routes::DELIVERIES, from, limits::DELIVERIES_PAGE_MAX);
        let path = format!("{page}&over={with_over}");
        self.json(&Call::new(Method::GET, path, "list deliveries"), Need::Required).await
    }

    async fn deliveries_page(
        &self,
        route: &str,
        before: Option<u64>,
        purpose: &'static str,
    ) -> Result<DeliveriesPage, ClientError> {
        let from = before.as_ref().map(|before| ("before", before as &dyn std::fmt::Display));
        let path = routes::page(route, from, limits::DELIVERIES_PAGE_MAX);
        self.json(&Call::new(Method::GET, path, purpose), Need::Required).await
    }

    /// Who wants to send something and waits for a decision.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn pending_senders(&self) -> Result<Vec<PendingSender>, ClientError> {
        let call = Call::new(Method::GET, routes::SENDERS, "list who waits for a decision");
        let PendingSenders { senders } = self.json(&call, Need::Required).await?;
        Ok(senders)
    }

    /// Decides about a sender.
    ///
    /// # Errors
    /// See [`ClientError`]; not found when nobody of that handle waits.
    pub async fn decide_sender(
        &self,
        handle: &str,
        decision: SenderDecision,
    ) -> Result<(), ClientError> {
        let path = routes::of_person(routes::SENDER, handle);
        let call = Call::new(Method::PUT, path, "decide about a sender");
        self.done(&call.json(&SenderVerdict { decision })).await
    }
}
