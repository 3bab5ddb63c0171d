//! Machines that ask to join are challenged, and admitted or refused.

use community::{
    JoinAnswer, JoinChallenge, JoinError, JoinRequest, JoinSecret, Membership, PeerName, Role,
};
use documents::{DocumentHash, PublicKey};
use hub_api::{Base64Bytes, Hex, JoinEnd, Joining};

use super::{Defined, fail, route_of};
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;
use crate::publish::unix_now;
use crate::state::random;

/// What became of a request to join, or what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinNews {
    /// The machine was challenged, and is to answer.
    Challenged(PeerName),
    /// It is a peer now.
    Admitted(PeerName, PublicKey),
    /// It was refused: why.
    Refused(PeerName, String),
    /// A manager has to approve this key.
    WaitsForApproval(PeerName, PublicKey, u64),
}

impl Place {
    /// Takes every joining a step further that can be, and says what became of each.
    ///
    /// # Errors
    /// See [`CommunityError`]; of one joining that fails the others are not touched.
    pub async fn handle_joins(&self) -> Result<Vec<JoinNews>, CommunityError> {
        self.own_charter()?;
        let hub = self.hub()?;
        let joinings = hub.client.joinings(&self.id).await;
        let joinings = joinings.map_err(|source| fail(&hub, "list who asks to join", source))?;
        let mut news = Vec::new();
        for joining in joinings.into_iter().filter(|joining| joining.end.is_none()) {
            let Ok(request) = JoinRequest::open(&joining.request.0) else {
                let end = JoinEnd::Refused { reason: "the request is malformed".to_owned() };
                self.end(&hub, &joining.id, &end).await?;
                continue;
            };
            if let Some(step) = self.handle_join(&hub, &joining, &request).await? {
                news.push(step);
            }
        }
        Ok(news)
    }

    async fn handle_join(
        &self,
        hub: &HubLink,
        joining: &Joining,
        request: &JoinRequest,
    ) -> Result<Option<JoinNews>, CommunityError> {
        let managed = self.managed()?;
        let Some(defined) = managed.defined.get(request.peer.as_str()) else {
            if self.charter()?.managers.keys.len() > 1 {
                // Another manager may have defined it; whoever did answers.
                return Ok(None);
            }
            let reason = format!("no peer {} is expected", request.peer);
            return self.refuse(hub, joining, request, reason).await.map(Some);
        };
        let secret = defined.secret.as_deref();
        let secret = secret.and_then(|secret| secret.parse::<JoinSecret>().ok());
        let lacks = match &secret {
            Some(secret) => (request.admission != Some(secret.admission(&self.id, &request.peer)))
                .then_some("it came without the peer's join secret"),
            None if defined.approved.as_deref() == Some(&request.key.to_string()) => None,
            None => {
                let (peer, key) = (request.peer.clone(), request.key);
                return Ok(Some(JoinNews::WaitsForApproval(peer, key, joining.came)));
            }
        };
        if let Some(reason) = lacks {
            return self.refuse(hub, joining, request, reason.to_owned()).await.map(Some);
        }
        match (&joining.challenge, &joining.answer) {
            (None, _) => {
                let challenge = JoinChallenge {
                    community: self.id,
                    request: DocumentHash::of(&joining.request.0),
                    manager: self.node.key().public(),
                    nonce: random()?,
                };
                let signed = challenge.sign(self.node.key());
                let put = hub.client.challenge_join(&self.id, &joining.id, &signed).await;
                put.map_err(|source| fail(hub, "challenge the machine", source))?;
                Ok(Some(JoinNews::Challenged(request.peer.clone())))
            }
            (Some(_), None) => Ok(None),
            (Some(challenge), Some(answer)) => {
                let judged = self.judge(joining, challenge, answer, secret.as_ref());
                if let Err(error) = judged {
                    return self.refuse(hub, joining, request, error.to_string()).await.map(Some);
                }
                self.admit(request, defined).await?;
                self.end(hub, &joining.id, &JoinEnd::Admitted).await?;
                Ok(Some(JoinNews::Admitted(request.peer.clone(), request.key)))
            }
        }
    }

    fn judge(
        &self,
        joining: &Joining,
        challenge: &Base64Bytes,
        answer: &Base64Bytes,
        secret: Option<&JoinSecret>,
    ) -> Result<(), JoinError> {
        let charter = self.charter().map_err(|_| JoinError::OtherJoining("charter"))?;
        let (request, answer) =
            JoinAnswer::open(&answer.0, &charter, &joining.request.0, &challenge.0)?;
        secret.map_or(Ok(()), |secret| answer.admit(&request, secret))
    }

    async fn admit(&self, request: &JoinRequest, defined: &Defined) -> Result<(), CommunityError> {
        let roles = Role::ALL
            .into_iter()
            .filter(|role| defined.roles.iter().any(|defined| defined == role.as_str()));
        let member = Membership {
            community: self.id,
            peer: request.peer.clone(),
            key: request.key,
            exchange: request.exchange,
            roles: roles.collect(),
            labels: defined.labels.clone(),
            routes: defined.routes.iter().map(route_of).collect(),
            issued: unix_now(),
            description: defined.description.clone(),
            host: defined.host.clone(),
        };
        let changed = self.change(|members| {
            // A machine is one peer: under another name it leaves the old one.
            members.retain(|_, other| other.key != member.key);
            members.insert(member.peer.clone(), member.clone());
            Ok(())
        });
        changed.await.map(drop)
    }

    async fn refuse(
        &self,
        hub: &HubLink,
        joining: &Joining,
        request: &JoinRequest,
        reason: String,
    ) -> Result<JoinNews, CommunityError> {
        self.end(hub, &joining.id, &JoinEnd::Refused { reason: reason.clone() }).await?;
        Ok(JoinNews::Refused(request.peer.clone(), reason))
    }

    async fn end(&self, hub: &HubLink, id: &Hex<32>, end: &JoinEnd) -> Result<(), CommunityError> {
        let ended = hub.client.end_join(&self.id, id, end).await;
        ended.map_err(|source| fail(hub, "end a joining", source))
    }
}
