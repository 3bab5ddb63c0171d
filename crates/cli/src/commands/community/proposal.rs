//! `consign community sign` and `consign community proposal …`

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use community::proposal::PROPOSAL_BYTES_MAX;
use community::{Membership, Proposal, Role, Route};
use documents::PublicKey;
use node::communities::Place;
use node::communities::manager::{Proposed, ProposingError};
use serde_json::json;

use crate::args::{ProposalCommand, ProposalFile, SignArgs};
use crate::commands::{Session, parse};
use crate::exit::Ended;
use crate::output::utc;

pub(super) async fn run(
    session: &Session,
    place: &Place,
    what: ProposalCommand,
) -> anyhow::Result<Ended> {
    match what {
        ProposalCommand::Show(args) => {
            let proposed = match &args.file {
                Some(file) => {
                    let proposal = read(&session.path(file))?;
                    session.patiently(place.review(proposal)).await?
                }
                None => session
                    .patiently(place.waiting())
                    .await?
                    .ok_or(ProposingError::NonePending)
                    .map_err(node::communities::CommunityError::from)?,
            };
            if let Some(file) = &args.output {
                let file = session.path(file);
                write(&file, &proposed.proposal)?;
                return show(session, &proposed, Some(&file)).map(|()| Ended::Done);
            }
            show(session, &proposed, None)?;
            Ok(Ended::Done)
        }
        ProposalCommand::Submit(args) => {
            let proposal = read(&session.path(&args.file))?;
            submit(session, place, &proposal).await
        }
        ProposalCommand::Drop => {
            let id = place.drop_pending()?.id().to_string();
            session.output.fact(
                format!("proposal {id} is taken back here"),
                &json!({"event": "dropped", "id": id}),
            )?;
            Ok(Ended::Done)
        }
    }
}

pub(super) async fn sign(
    session: &Session,
    place: &Place,
    args: SignArgs,
) -> anyhow::Result<Ended> {
    let file = session.path(&args.file);
    let proposal = read(&file)?;
    let found = proposal.id();
    if let Some(expected) = args.id.filter(|id| !found.to_string().starts_with(id.as_str())) {
        let error = ProposingError::Other { expected, found };
        return Err(node::communities::CommunityError::from(error).into());
    }
    let proposed = session.patiently(place.sign(proposal)).await?;
    write(&file, &proposed.proposal)?;
    show(session, &proposed, Some(&file))?;
    if proposed.progress.missing > 0 || args.no_submit {
        return Ok(Ended::Done);
    }
    submit(session, place, &proposed.proposal).await
}

async fn submit(session: &Session, place: &Place, proposal: &Proposal) -> anyhow::Result<Ended> {
    let roster = session.patiently(place.submit(proposal)).await?;
    if place.charter()?.ended {
        return super::ending::ended(session, place);
    }
    let id = proposal.id().to_string();
    session.output.fact(
        format!("roster {roster} is in force"),
        &json!({
            "event": "submitted", "community": place.id().to_string(), "id": id, "roster": roster,
        }),
    )?;
    Ok(Ended::Done)
}

/// A change that was made here, and goes on from hand to hand.
pub(super) fn made(
    session: &Session,
    proposed: &Proposed,
    to: &ProposalFile,
) -> anyhow::Result<Ended> {
    let number = proposed.proposal.roster().number;
    let default = || PathBuf::from(format!("roster-{number}.proposal"));
    let file = session.path(&to.proposal.clone().unwrap_or_else(default));
    write(&file, &proposed.proposal)?;
    show(session, proposed, Some(&file))?;
    Ok(Ended::Done)
}

/// A change that waits on this node.
pub(super) fn waits(session: &Session, proposed: &Proposed) -> anyhow::Result<()> {
    show(session, proposed, None)?;
    session.output.remark(
        "to carry it to other managers: consign community proposal show --output FILE; \
         to take it back: consign community proposal drop",
    );
    Ok(())
}

fn show(session: &Session, proposed: &Proposed, file: Option<&Path>) -> anyhow::Result<()> {
    let Proposed { proposal, charter, review, progress, since } = proposed;
    let own = session.node()?.key().public();
    let keys = |keys: &BTreeSet<PublicKey>| -> Vec<String> {
        keys.iter().map(ToString::to_string).collect()
    };
    let named = |key: &PublicKey| {
        if *key == own { format!("{key} (this node)") } else { key.to_string() }
    };
    let changes = changes(proposed);
    let (id, roster, missing) = (proposal.id().to_string(), proposal.roster(), progress.missing);
    let name = plain(&charter.name);
    let mut lines = vec![format!("proposal {} for {name}: roster {}", &id[..16], roster.number)];
    lines.extend(changes.iter().map(|change| format!("  {change}")));
    lines.extend(progress.signed.iter().map(|key| format!("  signed by {}", named(key))));
    if missing > 0 {
        let s = if missing == 1 { "" } else { "s" };
        let open: Vec<String> = progress.open.iter().map(named).collect();
        lines.push(format!("  {missing} more signature{s} needed, of {}", open.join(", ")));
    }
    if let Some(since) = since {
        lines.push(format!("  waits since {}", utc(*since)));
    }
    lines.push(format!("  good until {}, or until another roster comes", utc(review.expires)));
    session.output.fact(
        lines.join("\n"),
        &json!({
            "event": "proposal", "community": proposal.community().to_string(),
            "name": charter.name, "id": id, "roster": roster.number,
            "charter": review.charter.as_ref().map(|charter| charter.number),
            "changes": changes, "signed": keys(&progress.signed), "open": keys(&progress.open),
            "missing": missing, "expires": review.expires, "since": since,
            "file": file.map(|file| file.display().to_string()),
        }),
    )?;
    if let Some(file) = file.filter(|_| missing > 0) {
        let file = file.display();
        session.output.remark(format!(
            "carry {file} to another manager, who looks at it and signs it:\n  \
             consign community proposal show {file}\n  consign community sign {file}"
        ));
    }
    Ok(())
}

/// Everything that it changes, in words.
fn changes(proposed: &Proposed) -> Vec<String> {
    let Proposed { charter: before, review, .. } = proposed;
    let mut words = Vec::new();
    if review.charter.as_ref().is_some_and(|charter| charter.ended) {
        return vec!["ENDS THE COMMUNITY, for good; nothing follows it".to_owned()];
    }
    if let Some(after) = &review.charter {
        if before.name != after.name {
            words.push(format!(
                "calls it {} instead of {}",
                plain(&after.name),
                plain(&before.name)
            ));
        }
        let (old, new) = (&before.managers, &after.managers);
        words.extend(new.keys.difference(&old.keys).map(|key| format!("adds the manager {key}")));
        words.extend(
            old.keys.difference(&new.keys).map(|key| format!("takes the manager {key} out")),
        );
        let (from, to) = (old.threshold, new.threshold);
        if from != to {
            words.push(format!("{to} managers have to sign from then on instead of {from}"));
        }
        words.push(format!("the charter counts until {}", utc(after.expires)));
    }
    for member in &review.added {
        let facts: Vec<String> = facts(member)
            .into_iter()
            .filter(|(_, fact)| !fact.is_empty())
            .map(|(what, fact)| format!("{what} {fact}"))
            .collect();
        words.push(format!("adds {}: {}; key {}", member.peer, facts.join("; "), member.key));
    }
    for member in &review.removed {
        let (peer, key) = (&member.peer, member.key);
        let roles: Vec<&str> = member.roles.iter().map(|role| Role::as_str(*role)).collect();
        words.push(format!("revokes {peer}: {}; key {key}", roles.join(", ")));
    }
    for (before, after) in &review.altered {
        words.push(format!("changes {}: {}", after.peer, altered(before, after).join("; ")));
    }
    if words.is_empty() {
        words.push("keeps all peers as they are, for another while".to_owned());
    }
    let renewers: Vec<String> = review.renewers.iter().map(ToString::to_string).collect();
    words.push(format!("may be kept alive by {}", renewers.join(", ")));
    words
}

/// What differs between two memberships of one peer.
fn altered(before: &Membership, after: &Membership) -> Vec<String> {
    let mut words = Vec::new();
    if (before.key, before.exchange) != (after.key, after.exchange) {
        words.push(format!("ANOTHER MACHINE, with key {} instead of {}", after.key, before.key));
    }
    for ((what, before), (_, after)) in facts(before).into_iter().zip(facts(after)) {
        if before != after {
            let none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
            words.push(format!("{what} {} instead of {}", none(after), none(before)));
        }
    }
    if words.is_empty() {
        words.push("signed anew as it is".to_owned());
    }
    words
}

/// All that a membership says of a peer, but for its keys and when it was signed.
fn facts(member: &Membership) -> [(&'static str, String); 6] {
    // Taken apart, so that nothing that is added to it can be forgotten here.
    let Membership {
        community: _,
        peer: _,
        key: _,
        exchange: _,
        roles,
        labels,
        routes,
        issued: _,
        description,
        host,
        addresses,
    } = member;
    let roles: Vec<&str> = roles.iter().map(|role| Role::as_str(*role)).collect();
    let label = |(key, value): (&String, &String)| {
        if value.is_empty() { key.clone() } else { format!("{key}={value}") }
    };
    let labels: Vec<String> = labels.iter().map(label).collect();
    let text = |text: &Option<String>| {
        text.as_ref().map_or(String::new(), |text| format!("{:?}", plain(text)))
    };
    [
        ("roles", roles.join(", ")),
        ("labels", labels.join(" ")),
        ("routes", routes_text(routes)),
        ("found at", routes_text(addresses)),
        ("description", text(description)),
        ("host", text(host)),
    ]
}

fn routes_text(routes: &[Route]) -> String {
    let one = |route: &Route| match route.fingerprint {
        fingerprint if fingerprint == [0; 32] => route.url.clone(),
        fingerprint => format!("{} (certificate {})", route.url, hex::encode(fingerprint)),
    };
    routes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A text of somebody else, which must not pass for a line of ours.
fn plain(text: &str) -> String {
    crate::output::path(text.as_bytes())
}

fn read(file: &Path) -> anyhow::Result<Proposal> {
    let failed = || format!("cannot read {}", file.display());
    let opened = fs::File::open(file).with_context(failed)?;
    let mut text = String::new();
    // One more than the largest: it then says that it is too large.
    let most = PROPOSAL_BYTES_MAX as u64 + 1;
    opened.take(most).read_to_string(&mut text).with_context(failed)?;
    parse(&text).with_context(|| format!("{} is no proposal", file.display()))
}

/// Whole or not at all: the file may be the only one with the signatures of others.
fn write(file: &Path, proposal: &Proposal) -> anyhow::Result<()> {
    let failed = || format!("cannot write the proposal to {}", file.display());
    let mut draft = file.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let written = fs::File::create(&draft).and_then(|mut opened| {
        use std::io::Write as _;
        opened.write_all(format!("{proposal}\n").as_bytes())?;
        opened.sync_all()?;
        fs::rename(&draft, file)
    });
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.with_context(failed)
}
