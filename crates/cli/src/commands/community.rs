//! `consign community …`

mod console;
mod ending;
mod list;
mod peer;
mod proposal;
mod relays;
mod route;
mod status;

use std::path::Path;

use anyhow::Context as _;
use community::{PeerName, Role, Seed};
use node::communities::Place;
use node::communities::manager::Changed;
use serde_json::json;

use super::{Session, parse};
use crate::args::{
    ApproveArgs, CommunityArgs, CommunityCommand, CreateArgs, DescribeArgs, Described, LabelArgs,
    ManagerCommand, OpenArgs, PeerCommand, PeerNameArgs, PeerRole, ProposalFile, RoleArgs,
    SeedArgs,
};
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: CommunityArgs) -> anyhow::Result<Ended> {
    let place = || {
        let place = session.node()?.community(args.community.as_deref());
        anyhow::Ok(place?)
    };
    match args.what {
        CommunityCommand::Create(args) => create(session, args).await,
        CommunityCommand::Seed(args) => seed(session, &place()?, &args).await,
        CommunityCommand::Manager(args) => manager(session, &place()?, args.what).await,
        CommunityCommand::Open(args) => open(session, &args).await,
        CommunityCommand::Peer(args) => match args.what {
            PeerCommand::Add(args) => peer::add(session, &place()?, args).await,
        },
        CommunityCommand::List => list::run(session, &place()?).await,
        CommunityCommand::Approve(args) => approve(session, &place()?, &args).await,
        CommunityCommand::Role(args) => role(session, &place()?, args).await,
        CommunityCommand::Label(args) => label(session, &place()?, args).await,
        CommunityCommand::Describe(args) => describe(session, &place()?, args).await,
        CommunityCommand::Route(args) => route::set(session, &place()?, args).await,
        CommunityCommand::Address(args) => route::address(session, &place()?, args).await,
        CommunityCommand::Relays => relays::run(session, &place()?).await,
        CommunityCommand::Relay(args) => route::relay(session, &place()?, &args),
        CommunityCommand::Sign(args) => proposal::sign(session, &place()?, args).await,
        CommunityCommand::Proposal(args) => proposal::run(session, &place()?, args.what).await,
        CommunityCommand::Revoke(args) => revoke(session, &place()?, &args).await,
        CommunityCommand::Delete(args) => ending::delete(session, args).await,
        CommunityCommand::Status => status::run(session, args.community.as_deref()).await,
        CommunityCommand::Console(args) => console::run(session, place()?, &args).await,
    }
}

impl From<PeerRole> for Role {
    fn from(role: PeerRole) -> Self {
        match role {
            PeerRole::Publisher => Self::Publisher,
            PeerRole::Relay => Self::Relay,
            PeerRole::Target => Self::Target,
        }
    }
}

async fn create(session: &Session, args: CreateArgs) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let hub = node.hub(session.hub.as_deref())?;
    let place = node.create_community(&hub, &args.name).await?;
    if let Some(file) = &args.seed {
        write_seed(&session.path(file), &place.seed()?)?;
    }
    let (id, key) = (place.id(), node.key().public());
    session.output.fact(
        format!("created {} ({id}) at {}, managed by {key}", args.name, hub.url),
        &json!({
            "event": "created", "community": id.to_string(), "name": args.name,
            "hub": hub.url, "manager": key.to_string(),
        }),
    )?;
    session.output.remark("`consign node` admits peers and keeps the community alive: let it run");
    Ok(Ended::Done)
}

async fn manager(session: &Session, place: &Place, what: ManagerCommand) -> anyhow::Result<Ended> {
    let (add, remove, threshold, to) = match what {
        ManagerCommand::Add(args) => (Some(parse(&args.key)?), None, args.threshold, args.to),
        ManagerCommand::Remove(args) => (None, Some(parse(&args.key)?), args.threshold, args.to),
        ManagerCommand::Threshold(args) => (None, None, Some(args.count), args.to),
    };
    let changed = place.change_managers(add.as_slice(), remove.as_slice(), threshold);
    if let Changed::Proposed(proposed) = session.patiently(changed).await? {
        return proposal::made(session, &proposed, &to);
    }
    let charter = place.charter()?;
    let (number, threshold) = (charter.number, charter.managers.threshold);
    let keys: Vec<String> = charter.managers.keys.iter().map(ToString::to_string).collect();
    let signers = if threshold > 1 { format!("{threshold} of ") } else { String::new() };
    session.output.fact(
        format!("charter {number}: managed by {signers}{}", keys.join(", ")),
        &json!({
            "event": "managers", "charter": number, "managers": keys, "threshold": threshold,
        }),
    )?;
    Ok(Ended::Done)
}

async fn open(session: &Session, args: &OpenArgs) -> anyhow::Result<Ended> {
    let path = session.path(&args.seed);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let seed: Seed = parse(&text)?;
    let place = session.patiently(session.node()?.open_community(&seed)).await?;
    let name = place.charter()?.name;
    session.output.fact(
        format!("this node manages {name} ({})", place.id()),
        &json!({"event": "opened", "community": place.id().to_string(), "name": name}),
    )?;
    Ok(Ended::Done)
}

async fn seed(session: &Session, place: &Place, args: &SeedArgs) -> anyhow::Result<Ended> {
    let seed = match &args.routes[..] {
        [] => place.seed()?,
        routes => place.seed_through(route::routes_of(session, place, routes).await?)?,
    };
    match &args.output {
        Some(file) => write_seed(&session.path(file), &seed)?,
        None => {
            let seed = seed.to_string();
            let value = json!({"event": "seed", "community": place.id().to_string(), "seed": seed});
            session.output.fact(seed, &value)?;
        }
    }
    Ok(Ended::Done)
}

fn write_seed(file: &Path, seed: &Seed) -> anyhow::Result<()> {
    std::fs::write(file, format!("{seed}\n"))
        .with_context(|| format!("cannot write the seed to {}", file.display()))
}

async fn approve(session: &Session, place: &Place, args: &ApproveArgs) -> anyhow::Result<Ended> {
    let (peer, key): (PeerName, documents::PublicKey) = (parse(&args.peer)?, parse(&args.key)?);
    place.approve(&peer, &key)?;
    // If it asks already, it is answered now and not when the node looks next.
    session.patiently(place.handle_joins()).await?;
    session.output.fact(
        format!("{peer} may join with key {key}"),
        &json!({"event": "approved", "peer": peer.as_str(), "key": key.to_string()}),
    )?;
    if let Some(waiting) = session.patiently(place.waiting()).await?
        && waiting.proposal.members().contains_key(&peer)
    {
        return proposal::made(session, &waiting, &args.to);
    }
    Ok(Ended::Done)
}

async fn role(session: &Session, place: &Place, args: RoleArgs) -> anyhow::Result<Ended> {
    let roles: std::collections::BTreeSet<Role> = args.roles.into_iter().map(Role::from).collect();
    let peer: PeerName = parse(&args.peer)?;
    let changed = place.change_peer(&peer, |member| member.roles.clone_from(&roles));
    changed_fact(session, &peer, &session.patiently(changed).await?, &args.to)
}

async fn label(session: &Session, place: &Place, args: LabelArgs) -> anyhow::Result<Ended> {
    let peer: PeerName = parse(&args.peer)?;
    let changed = place.change_peer(&peer, |member| {
        for key in &args.remove {
            member.labels.remove(key);
        }
        let labels = args.labels.iter().map(|it| (it.key.clone(), it.value.clone()));
        member.labels.extend(labels);
    });
    changed_fact(session, &peer, &session.patiently(changed).await?, &args.to)
}

async fn describe(session: &Session, place: &Place, args: DescribeArgs) -> anyhow::Result<Ended> {
    let peer: PeerName = parse(&args.peer)?;
    let changed = place.change_peer(&peer, |member| {
        for what in &args.forget {
            match what {
                Described::Description => member.description = None,
                Described::Host => member.host = None,
            }
        }
        if args.description.is_some() {
            member.description.clone_from(&args.description);
        }
        if args.host.is_some() {
            member.host.clone_from(&args.host);
        }
    });
    changed_fact(session, &peer, &session.patiently(changed).await?, &args.to)
}

async fn revoke(session: &Session, place: &Place, args: &PeerNameArgs) -> anyhow::Result<Ended> {
    let peer: PeerName = parse(&args.peer)?;
    let standing = match session.patiently(place.revoke(&peer)).await? {
        Changed::InForce(standing) => standing,
        Changed::Proposed(proposed) => return proposal::made(session, &proposed, &args.to),
    };
    let roster = standing.roster().number;
    session.output.fact(
        format!("revoked {peer}; roster {roster} is without it"),
        &json!({"event": "revoked", "peer": peer.as_str(), "roster": roster}),
    )?;
    Ok(Ended::Done)
}

fn changed_fact(
    session: &Session,
    peer: &PeerName,
    changed: &Changed,
    to: &ProposalFile,
) -> anyhow::Result<Ended> {
    let standing = match changed {
        Changed::InForce(standing) => standing,
        Changed::Proposed(proposed) => return proposal::made(session, proposed, to),
    };
    let roster = standing.roster().number;
    session.output.fact(
        format!("changed {peer} in roster {roster}"),
        &json!({"event": "changed", "peer": peer.as_str(), "roster": roster}),
    )?;
    Ok(Ended::Done)
}
