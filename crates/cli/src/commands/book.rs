//! `consign book` and `consign block`

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use hub_api::SenderPolicy;
use node::people::{CARRIED_BOOK_BYTES_MAX, Contacts, Imported};
use people::{Comparison, Contact, Handle};
use serde_json::json;

use super::send::read_input;
use super::{Session, parse};
use crate::args::{BookAddArgs, BookArgs, BookCommand, PolicyWord};
use crate::exit::{Ended, Usage};
use crate::output::counted;

pub(super) async fn run(session: &Session, args: BookArgs) -> anyhow::Result<Ended> {
    match args.what.unwrap_or(BookCommand::List) {
        BookCommand::List => list(session).await,
        BookCommand::Add(args) => add(session, args).await,
        BookCommand::Remove(args) => remove(session, &args.handle).await,
        BookCommand::Trust(args) => trust(session, &args.handle).await,
        BookCommand::Verify(args) => verify(session, &args.handle, args.agreed).await,
        BookCommand::Policy(args) => {
            let policy = match args.policy {
                PolicyWord::AddressBook => SenderPolicy::AddressBook,
                PolicyWord::BlockAll => SenderPolicy::BlockAll,
            };
            change(session, |contacts| contacts.policy = policy).await
        }
        BookCommand::Export(args) => export(session, &session.path(&args.file)).await,
        BookCommand::Import(args) => import(session, &session.path(&args.file)).await,
        BookCommand::Signature => {
            let text = read_input("the signature").await?.trim_end().to_owned();
            change(session, |contacts| contacts.book.signature.clone_from(&text)).await
        }
    }
}

/// Lets somebody in no more; what waits of theirs ends.
pub(super) async fn block(session: &Session, handle: &str) -> anyhow::Result<Ended> {
    let handle: Handle = parse(handle)?;
    change(session, |contacts| contacts.block(handle.clone())).await
}

async fn change(session: &Session, mut act: impl FnMut(&mut Contacts)) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let me = node.me(&link).await?;
    let unknown = node.change_contacts(&link, &me, |contacts| {
        act(contacts);
        Ok(())
    });
    for handle in unknown.await? {
        let line = json!({"event": "unknown-contact", "handle": handle});
        session.output.warn(format!("nobody at {} is called {handle}", link.url), &line)?;
    }
    list(session).await
}

async fn add(session: &Session, args: BookAddArgs) -> anyhow::Result<Ended> {
    let handle: Handle = parse(&args.handle)?;
    let (node, link) = (session.node()?, session.link()?);
    let me = node.me(&link).await?;
    // Whom the handle stands for is noted now, so that a change shows.
    let (known, _) = node.recipient(&link, &me, &handle).await?;
    change(session, |contacts| {
        contacts.know(&handle, known.identity);
        let contact = contacts.book.contacts.entry(handle.clone()).or_default();
        let BookAddArgs { first_name, last_name, notes, .. } = args.clone();
        let Contact { first_name: first, last_name: last, notes: noted, .. } = contact;
        for (field, text) in [(first, first_name), (last, last_name), (noted, notes)] {
            if let Some(text) = text {
                *field = text;
            }
        }
    })
    .await
}

async fn export(session: &Session, file: &Path) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let me = node.me(&link).await?;
    let contacts = node.contacts(&link, &me).await?;
    // Only its owner can read it: it has notes about people.
    let mut options = std::fs::File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(file).and_then(|mut file| {
        file.write_all(contacts.carried().as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write the address book to {}", file.display()))?;
    let (count, shown) = (contacts.book.contacts.len(), file.display().to_string());
    let line = json!({"event": "book-exported", "contacts": count, "file": shown});
    session.output.fact(format!("{count} contacts are in {shown}"), &line)?;
    Ok(Ended::Done)
}

async fn import(session: &Session, file: &Path) -> anyhow::Result<Ended> {
    let cannot = || format!("cannot read {}", file.display());
    let mut text = String::new();
    let opened = std::fs::File::open(file).with_context(cannot)?;
    opened
        .take(CARRIED_BOOK_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)
        .with_context(cannot)?;
    let imported =
        Imported::read(&text).map_err(|error| Usage(format!("{}: {error}", file.display())))?;
    let line = json!({"event": "book-imported", "entries": imported.count()});
    session.output.fact(format!("{} entries in {}", imported.count(), file.display()), &line)?;
    change(session, |contacts| imported.add_to(contacts)).await
}

async fn remove(session: &Session, handle: &str) -> anyhow::Result<Ended> {
    let handle: Handle = parse(handle)?;
    change(session, |contacts| {
        contacts.book.contacts.remove(&handle);
        contacts.blocked.remove(&handle);
    })
    .await
}

async fn trust(session: &Session, handle: &str) -> anyhow::Result<Ended> {
    let handle: Handle = parse(handle)?;
    let (node, link) = (session.node()?, session.link()?);
    let me = node.me(&link).await?;
    node.accept_identity(&link, &me, &handle).await?;
    list(session).await
}

async fn verify(session: &Session, handle: &str, is_agreed: bool) -> anyhow::Result<Ended> {
    let handle: Handle = parse(handle)?;
    let (node, link) = (session.node()?, session.link()?);
    let me = node.me(&link).await?;
    let (known, _) = node.recipient(&link, &me, &handle).await?;
    if is_agreed {
        let note = |contacts: &mut Contacts| {
            contacts.know(&handle, known.identity);
            contacts.contact(&handle)?.is_verified = true;
            Ok(())
        };
        node.change_contacts(&link, &me, note).await?;
        let line = json!({"event": "verified", "handle": handle.as_str()});
        session.output.fact(format!("{handle} is noted as verified"), &line)?;
        return Ok(Ended::Done);
    }
    let words = Comparison::of(me.known.identity, known.identity).to_string();
    session
        .output
        .remark(format!("{handle} sees these words, too, if the hub tells both of you the truth:"));
    let line = json!({"event": "words", "handle": handle.as_str(), "words": words});
    session.output.fact(words, &line)?;
    Ok(Ended::Done)
}

async fn list(session: &Session) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let me = node.me(&link).await?;
    let contacts = node.contacts(&link, &me).await?;
    let policy = match contacts.policy {
        SenderPolicy::AddressBook => "address-book",
        SenderPolicy::BlockAll => "block-all",
    };
    let others = match contacts.policy {
        SenderPolicy::AddressBook => "others wait until you let them in",
        SenderPolicy::BlockAll => "others are refused",
    };
    session.output.fact(
        format!("{}; {others}", counted(contacts.book.contacts.len() as u64, "contact")),
        &json!({"event": "book", "policy": policy, "signature": contacts.book.signature}),
    )?;
    for (handle, contact) in &contacts.book.contacts {
        let Contact { first_name, last_name, notes, identity, is_verified } = contact;
        let name = format!("{first_name} {last_name}");
        session.output.fact(
            format!("  {handle:<32}  {}  {}", name.trim(), notes.replace('\n', " ")),
            &json!({
                "event": "contact",
                "handle": handle.as_str(),
                "first_name": first_name,
                "last_name": last_name,
                "notes": notes,
                "identity": identity.map(|identity| identity.to_string()),
                "verified": is_verified,
            }),
        )?;
    }
    for handle in &contacts.blocked {
        session.output.fact(
            format!("  {handle:<32}  blocked"),
            &json!({"event": "blocked", "handle": handle.as_str()}),
        )?;
    }
    Ok(Ended::Done)
}
