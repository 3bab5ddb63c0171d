//! Machines that ask to join are challenged, and admitted or refused.

use community::{
    JoinAnswer, JoinChallenge, JoinError, JoinRequest, JoinSecret, Membership, PeerName, Role,
};
use documents::{DocumentHash, PublicKey};
use hub_api::{Base64Bytes, Hex, JoinEnd, Joining};

use super::{Changed, Defined, fail, route_of};
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
    /// Whoever asked broke it off, because somebody answered who is no manager of the community: which joining, as
    /// which peer, and why by its own word. It is told of for a day.
    BrokenOff(Hex<32>, PeerName, String),
    /// It may join with this key, and so many more managers have to sign a proposal with it.
    WaitsForSignatures(PeerName, PublicKey, usize),
}

impl Place {
    /// Takes every joining a step further that can be, and says what became of each.
    ///
    /// # Errors
    /// See [`CommunityError`]; of one joining that fails the others are not touched.
    pub async fn handle_joins(&self) -> Result<Vec<JoinNews>, CommunityError> {
        self.own_charter()?;
        let hub = self.hub()?;
        if self.pending()?.is_some() {
            // Other managers may have handed it in meanwhile, or something else.
            let basis = self.basis(&hub).await?;
            self.pending_on(&basis)?;
        }
        let joinings = hub.client.joinings(&self.id).await;
        let joinings = joinings.map_err(|source| fail(&hub, "list who asks to join", source))?;
        let mut news = Vec::new();
        for joining in joinings {
            let request = JoinRequest::open(&joining.request.0);
            if let Some(end) = &joining.end {
                if let (JoinEnd::Aborted { reason }, Ok(request)) = (end, request) {
                    news.push(JoinNews::BrokenOff(joining.id, request.peer, reason.clone()));
                }
                continue;
            }
            let Ok(request) = request else {
                let end = JoinEnd::Refused { reason: "the request is malformed".to_owned() };
                self.end_joining(&hub, &joining.id, &end).await?;
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
        if let Some(news) = self.signing(hub, joining, request).await? {
            return Ok(Some(news));
        }
        let managed = self.managed()?;
        let Some(defined) = managed.defined.get(request.peer.as_str()) else {
            if self.charter()?.managers.keys.len() > 1 {
                // Another manager may have defined it; whoever did answers.
                return Ok(None);
            }
            let reason = format!("no peer {} is expected", request.peer);
            return self.refuse(hub, joining, request, reason).await.map(Some);
        };
        match may_join(defined, request, unix_now()) {
            MayJoin::Yes => {}
            MayJoin::WhenApproved => {
                let (peer, key) = (request.peer.clone(), request.key);
                return Ok(Some(JoinNews::WaitsForApproval(peer, key, joining.came)));
            }
            MayJoin::No(reason) => {
                return self.refuse(hub, joining, request, reason.to_owned()).await.map(Some);
            }
        }
        let secret = defined.secret.as_deref().and_then(|secret| secret.parse().ok());
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
                let (peer, key) = (request.peer.clone(), request.key);
                if let Changed::Proposed(proposed) = self.admit(request, defined).await? {
                    let missing = proposed.progress.missing;
                    return Ok(Some(JoinNews::WaitsForSignatures(peer, key, missing)));
                }
                self.end_joining(hub, &joining.id, &JoinEnd::Admitted).await?;
                Ok(Some(JoinNews::Admitted(peer, key)))
            }
        }
    }

    /// What becomes of a machine that has shown that it may join, while managers sign; none for one
    /// that has not.
    async fn signing(
        &self,
        hub: &HubLink,
        joining: &Joining,
        request: &JoinRequest,
    ) -> Result<Option<JoinNews>, CommunityError> {
        if joining.answer.is_none() {
            return Ok(None);
        }
        let (peer, key) = (request.peer.clone(), request.key);
        let is_same = |member: &Membership| {
            (&member.key, &member.exchange) == (&request.key, &request.exchange)
        };
        let member = self.managed()?.members.remove(peer.as_str());
        let member = member.map(|member| Membership::decode(&member.0)).transpose()?;
        if member.as_ref().is_some_and(is_same) {
            self.end_joining(hub, &joining.id, &JoinEnd::Admitted).await?;
            return Ok(Some(JoinNews::Admitted(peer, key)));
        }
        let Some(pending) = self.pending()? else { return Ok(None) };
        match pending.proposal.members().get(&peer) {
            Some(proposed) if is_same(proposed) => {
                let missing = pending.proposal.progress(&self.charter()?).missing;
                Ok(Some(JoinNews::WaitsForSignatures(peer, key, missing)))
            }
            Some(proposed) if member.is_none() => {
                // The secret was used, by a machine that is not in the roster yet.
                let reason = format!("another machine is to be {peer}, with key {}", proposed.key);
                self.refuse(hub, joining, request, reason).await.map(Some)
            }
            Some(_) | None => Ok(None),
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

    async fn admit(
        &self,
        request: &JoinRequest,
        defined: &Defined,
    ) -> Result<Changed, CommunityError> {
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
            addresses: defined.addresses.iter().map(route_of).collect(),
        };
        self.change(|next| {
            // A machine is one peer: under another name it leaves the old one.
            next.members.retain(|_, other| other.key != member.key);
            next.members.insert(member.peer.clone(), member.clone());
            Ok(())
        })
        .await
    }

    async fn refuse(
        &self,
        hub: &HubLink,
        joining: &Joining,
        request: &JoinRequest,
        reason: String,
    ) -> Result<JoinNews, CommunityError> {
        self.end_joining(hub, &joining.id, &JoinEnd::Refused { reason: reason.clone() }).await?;
        Ok(JoinNews::Refused(request.peer.clone(), reason))
    }

    async fn end_joining(
        &self,
        hub: &HubLink,
        id: &Hex<32>,
        end: &JoinEnd,
    ) -> Result<(), CommunityError> {
        let ended = hub.client.end_join(&self.id, id, end).await;
        ended.map_err(|source| fail(hub, "end a joining", source))
    }
}

/// Whether a machine may go on with its joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MayJoin {
    Yes,
    WhenApproved,
    No(&'static str),
}

/// The hub keeps places for secrets too, and forgets them in time; what it says is not relied on.
fn may_join(defined: &Defined, request: &JoinRequest, now: u64) -> MayJoin {
    let Some(secret) = &defined.secret else {
        let is_approved = defined.approved.as_deref() == Some(&request.key.to_string());
        return if is_approved { MayJoin::Yes } else { MayJoin::WhenApproved };
    };
    if defined.expires.is_none_or(|expires| expires <= now) {
        return MayJoin::No("the peer's join secret has expired");
    }
    let admission = secret.parse::<JoinSecret>().ok();
    let admission = admission.map(|secret| secret.admission(&request.community, &request.peer));
    match admission {
        Some(admission) if request.admission == Some(admission) => MayJoin::Yes,
        Some(_) | None => MayJoin::No("it came without the peer's join secret"),
    }
}

#[cfg(test)]
mod tests {
    use community::{CommunityId, ExchangeKey};
    use documents::NodeKey;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn request(secret: u8, admission: Option<[u8; 16]>) -> JoinRequest {
        let key = NodeKey::from_secret_bytes([secret; 32]);
        JoinRequest {
            community: CommunityId::from_bytes([7; 16]),
            peer: "press-1".parse().expect("a name"),
            key: key.public(),
            exchange: ExchangeKey::derive(&key).public(),
            nonce: [3; 32],
            admission,
        }
    }

    fn defined(secret: Option<&JoinSecret>) -> Defined {
        Defined {
            roles: vec!["target".to_owned()],
            labels: std::collections::BTreeMap::new(),
            routes: Vec::new(),
            addresses: Vec::new(),
            description: None,
            host: None,
            secret: secret.map(ToString::to_string),
            expires: secret.map(|_| NOW + 1),
            approved: None,
        }
    }

    #[test]
    fn a_secret_lets_its_peer_in_until_it_expires_whatever_the_hub_says() {
        let secret = JoinSecret::from_random([9; 16]);
        let plain = request(5, None);
        let admission = secret.admission(&plain.community, &plain.peer);
        let with = request(5, Some(admission));
        assert_eq!(may_join(&defined(Some(&secret)), &with, NOW), MayJoin::Yes);
        let other = request(5, Some([1; 16]));
        for (wrong, now) in [(&with, NOW + 1), (&plain, NOW), (&other, NOW)] {
            let judged = may_join(&defined(Some(&secret)), wrong, now);
            assert!(matches!(judged, MayJoin::No(_)), "{judged:?}");
        }
        let damaged = Defined { secret: Some("damaged".to_owned()), ..defined(Some(&secret)) };
        assert!(matches!(may_join(&damaged, &with, NOW), MayJoin::No(_)));
    }

    #[test]
    fn approval_is_of_one_key() {
        let (own, other) = (request(5, None), request(6, Some([1; 16])));
        let approved = Defined { approved: Some(own.key.to_string()), ..defined(None) };
        assert_eq!(may_join(&approved, &own, NOW), MayJoin::Yes);
        assert_eq!(may_join(&approved, &other, NOW), MayJoin::WhenApproved);
        assert_eq!(may_join(&defined(None), &own, NOW), MayJoin::WhenApproved);
    }
}
