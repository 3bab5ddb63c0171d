//! The four messages by which a ticket is handed over to whoever has the code.
//!
//! The sender has an account, the recipient a random token of its own. What is in a message is nobody's
//! business here.

use bytes::Bytes;
use hub_api::{CODE_TOKEN_HEADER, Hex, limits, routes};
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use crate::client::HubClient;
use crate::error::ClientError;
use crate::exchange::Call;
use crate::session::Need;

const TOKEN: HeaderName = HeaderName::from_static(CODE_TOKEN_HEADER);

impl HubClient {
    /// Makes the number of a code known. Repeating it changes nothing; after the hub was restarted it must
    /// be repeated.
    ///
    /// # Errors
    /// See [`ClientError`]; [`CodeTaken`](hub_api::ProblemCode::CodeTaken) when another sender has the
    /// number, or somebody has claimed this one's ticket.
    pub async fn announce_code(&self, number: u16) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, routes::code(number), "make a code known");
        self.done(&call).await
    }

    /// Passes a message on: as the recipient with a token, as the sender without one.
    ///
    /// # Errors
    /// See [`ClientError`]; not found when the hub does not know the code (any more);
    /// [`CodeTaken`](hub_api::ProblemCode::CodeTaken) when somebody else has claimed the ticket.
    pub async fn put_code_message(
        &self,
        number: u16,
        index: u8,
        token: Option<&[u8; 32]>,
        message: Vec<u8>,
    ) -> Result<(), ClientError> {
        let call =
            Call::new(Method::PUT, routes::code_message(number, index), "hand a ticket over");
        let call = shown(call.octets([Bytes::from(message)]), token);
        self.body_of(&call, need(token), limits::RESPONSE_BYTES_MAX).await.map(drop)
    }

    /// A message of the other side; `None` when it did not come within some 20 s.
    ///
    /// # Errors
    /// See [`ClientError`]; not found when the hub does not know the code (any more).
    pub async fn code_message(
        &self,
        number: u16,
        index: u8,
        token: Option<&[u8; 32]>,
    ) -> Result<Option<Bytes>, ClientError> {
        let path = routes::code_message(number, index);
        let call = shown(Call::new(Method::GET, path, "wait for the other side of a code"), token);
        let body = self.body_of(&call, need(token), limits::CODE_MESSAGE_BYTES_MAX).await?;
        // No message is empty.
        Ok(Some(body).filter(|body| !body.is_empty()))
    }
}

/// The call with the recipient's token.
fn shown(call: Call, token: Option<&[u8; 32]>) -> Call {
    let Some(token) = token else { return call };
    let mut value = HeaderValue::from_str(&Hex(*token).to_string())
        .expect("hexadecimal digits are fit for a header");
    value.set_sensitive(true);
    call.header(TOKEN, value)
}

fn need(token: Option<&[u8; 32]>) -> Need {
    if token.is_some() { Need::Nothing } else { Need::Required }
}
