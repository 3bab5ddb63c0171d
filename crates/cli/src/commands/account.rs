//! `consign account`

use documents::PublicKey;
use hub_api::{AccountInfo, DetailsChange, Hidden, PasswordChange, PersonDetails, Recovery};
use node::HubLink;
use node::people::Me;
use people::{Handle, SignedRequest};
use serde_json::json;

use super::invitation::role_word;
use super::pages::show_each;
use super::send::read_input;
use super::{Session, parse};
use crate::args::{
    AccountArgs, AccountChangeArgs, AccountCommand, AccountCreateArgs, AccountLoginArgs,
    AccountRecoverArgs, AccountResetArgs,
};
use crate::exit::{Ended, Usage};
use crate::output::{bytes, number, utc};
use crate::prompt;

pub(super) async fn run(session: &Session, args: AccountArgs) -> anyhow::Result<Ended> {
    match args.what {
        AccountCommand::Create(args) => create(session, args).await,
        AccountCommand::Login(args) => log_in(session, args).await,
        AccountCommand::Show => session.patiently(show_me(session)).await,
        AccountCommand::Change(args) => change(session, args).await,
        AccountCommand::Approve(args) => approve(session, args.line).await,
        AccountCommand::Remove(args) => session.patiently(remove(session, &args.device)).await,
        AccountCommand::Password => change_password(session).await,
        AccountCommand::Recover(args) => recover(session, args).await,
        AccountCommand::Reset(args) => reset(session, args).await,
        AccountCommand::List => session.patiently(list(session)).await,
        AccountCommand::Revoke(args) => session.patiently(revoke(session, &args.key)).await,
    }
}

async fn create(session: &Session, args: AccountCreateArgs) -> anyhow::Result<Ended> {
    let handle = parse(&args.handle)?;
    let (node, link) = (session.node()?, session.link()?);
    let device = device_name(args.device)?;
    let password = new_password().await?;
    let AccountCreateArgs { first_name, last_name, organisation, email, address, .. } = args;
    let details = PersonDetails { first_name, last_name, organisation, address, email };
    let creating = node.create_person(&link, handle, password, details, &device);
    let me = session.patiently(creating).await?;
    session.output.fact(
        format!("{} at {}, on this device: {device}", me.handle(), link.url),
        &json!({
            "event": "account-created",
            "handle": me.handle().as_str(),
            "hub": link.url,
            "device": device,
            "key": node.key().public().to_string(),
        }),
    )?;
    Ok(Ended::Done)
}

async fn log_in(session: &Session, args: AccountLoginArgs) -> anyhow::Result<Ended> {
    let handle = parse(&args.handle)?;
    let node = session.node()?;
    let link = node.hub_at(session.hub.as_deref())?;
    let device = device_name(args.device)?;
    let question = format!("Password of {}: ", args.handle);
    let password = password(question).await?;
    let logging_in = node.log_in(&link, handle, &password, &device);
    let key = node.key().public().to_string();
    let Some(request) = session.patiently(logging_in).await? else {
        let line =
            json!({"event": "logged-in", "handle": args.handle, "key": key, "request": null});
        session.output.fact("logged in; this is the first device of a new list", &line)?;
        return Ok(Ended::Done);
    };
    let request = request.to_string();
    session.output.remark(
        "logged in; now approve this device on another one of the account: run `consign account approve` there \
         and paste this line",
    );
    let key = node.key().public().to_string();
    let line = json!({"event": "logged-in", "handle": args.handle, "key": key, "request": request});
    session.output.fact(request, &line)?;
    Ok(Ended::Done)
}

async fn show_me(session: &Session) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let me = node.me(&link).await?;
    show_devices(session, &link, &me, &node.key().public())?;
    let (handle, address) = (me.handle(), link.address());
    session
        .output
        .remark(format!("on another machine: consign account login {handle} --hub '{address}'"));
    Ok(if me.is_approved { Ended::Done } else { Ended::InPart })
}

fn deliveries(count: u64) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{} deliveries", number(count)) }
}

fn show_devices(session: &Session, link: &HubLink, me: &Me, own: &PublicKey) -> anyhow::Result<()> {
    let person = &me.person;
    let named = [&person.details.first_name, &person.details.last_name];
    let named: Vec<&str> =
        named.into_iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    let totals = &person.totals;
    let told = [&person.details.organisation, &person.details.address, &person.details.email];
    let told = told.into_iter().filter(|it| !it.is_empty()).map(|it| format!("\n  {it}"));
    let told: Vec<String> = told.collect();
    session.output.fact(
        format!(
            "{}  {}  since {}{}\n  sent {} in {}, received {} in {}",
            me.handle(),
            named.join(" "),
            utc(person.created),
            told.concat(),
            bytes(totals.sent_bytes),
            deliveries(totals.sent_deliveries),
            bytes(totals.received_bytes),
            deliveries(totals.received_deliveries),
        ),
        &json!({
            "event": "person",
            "handle": me.handle().as_str(),
            "first_name": person.details.first_name,
            "last_name": person.details.last_name,
            "organisation": person.details.organisation,
            "postal_address": person.details.address,
            "email": person.details.email,
            "address": link.address(),
            "created": person.created,
            "sent_deliveries": totals.sent_deliveries,
            "sent_bytes": totals.sent_bytes,
            "received_deliveries": totals.received_deliveries,
            "received_bytes": totals.received_bytes,
        }),
    )?;
    for (key, device) in &me.known.list.devices {
        let here = if key == own { "  (this device)" } else { "" };
        session.output.fact(
            format!("  {key}  {}  since {}{here}", device.name, utc(device.since)),
            &json!({
                "event": "device",
                "key": key.to_string(),
                "name": device.name,
                "since": device.since,
                "approved": true,
                "here": key == own,
            }),
        )?;
    }
    for device in &person.unlisted {
        let here = device.key.0 == *own.as_bytes();
        let what = if here { "  (this device)" } else { "" };
        session.output.fact(
            format!("  {}  waits to be approved since {}{what}", device.key, utc(device.since)),
            &json!({
                "event": "device",
                "key": device.key,
                "name": null,
                "since": device.since,
                "approved": false,
                "here": here,
            }),
        )?;
    }
    Ok(())
}

async fn approve(session: &Session, line: Option<String>) -> anyhow::Result<Ended> {
    let line = match line {
        Some(line) if line != "-" => line,
        _ => read_input("the line of the new device").await?,
    };
    let request: SignedRequest = parse(line.trim())?;
    let (node, link) = (session.node()?, session.link()?);
    let me = session.patiently(node.approve_device(&link, &request)).await?;
    show_devices(session, &link, &me, &node.key().public())?;
    Ok(Ended::Done)
}

async fn remove(session: &Session, device: &str) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let me = node.remove_device(&link, device).await?;
    show_devices(session, &link, &me, &node.key().public())?;
    Ok(Ended::Done)
}

/// Asks for something secret that lets a new password be chosen, and for that.
async fn with_new_password(what: &str) -> anyhow::Result<(Hidden<String>, Hidden<String>)> {
    let mut question = format!("{what}: ");
    question[..1].make_ascii_uppercase();
    if let Some(first) = prompt::secret(question).await? {
        return Ok((Hidden(first), new_password().await?));
    }
    let both = read_input(&format!("the {what} and the new password")).await?;
    let (first, new) = both.trim_end().split_once('\n').ok_or_else(|| {
        Usage(format!("standard input has to hold the {what} and the new password, a line each"))
    })?;
    Ok((Hidden(first.trim_end().to_owned()), Hidden(new.to_owned())))
}

async fn recover(session: &Session, args: AccountRecoverArgs) -> anyhow::Result<Ended> {
    let handle: Handle = parse(&args.handle)?;
    let link = session.node()?.hub_at(session.hub.as_deref())?;
    if !args.code {
        session.patiently(link.client.ask_recovery(handle.as_str())).await?;
        session.output.remark(format!("when it has come: consign account recover {handle} --code"));
        session.output.fact(
            format!("a code is on its way, if {handle} has told {} a mail address", link.url),
            &json!({"event": "recovery-asked", "handle": handle.as_str(), "hub": link.url}),
        )?;
        return Ok(Ended::Done);
    }
    let (code, password) = with_new_password("code from the mail").await?;
    let recovery = Recovery { handle: handle.to_string(), code, password };
    session.patiently(link.client.recover(&recovery)).await?;
    session.output.fact("the password is changed", &json!({"event": "password-changed"}))?;
    Ok(Ended::Done)
}

async fn change(session: &Session, args: AccountChangeArgs) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let me = session.patiently(node.me(&link)).await?;
    let mut details = me.person.details;
    let email = details.email.clone();
    let changed = [
        (&mut details.first_name, args.first_name),
        (&mut details.last_name, args.last_name),
        (&mut details.organisation, args.organisation),
        (&mut details.email, args.email),
        (&mut details.address, args.address),
    ];
    for (now, new) in changed {
        if let Some(new) = new {
            *now = new;
        }
    }
    let question = "Password: ".to_owned();
    let password = if details.email == email { None } else { Some(password(question).await?) };
    let change = DetailsChange { details, password };
    session.patiently(link.client.change_details(&change)).await?;
    session.patiently(show_me(session)).await
}

async fn change_password(session: &Session) -> anyhow::Result<Ended> {
    let (old, new) = with_new_password("old password").await?;
    let link = session.link()?;
    session.patiently(link.client.change_password(&PasswordChange { old, new })).await?;
    session.output.fact("the password is changed", &json!({"event": "password-changed"}))?;
    Ok(Ended::Done)
}

/// Asks for a password that is there already.
async fn password(question: String) -> anyhow::Result<Hidden<String>> {
    Ok(Hidden(match prompt::secret(question).await? {
        Some(typed) => typed,
        None => read_input("the password").await?.trim_end_matches(['\r', '\n']).to_owned(),
    }))
}

/// Asks for a password twice, because it is not seen while it is typed.
async fn new_password() -> anyhow::Result<Hidden<String>> {
    let Some(first) = prompt::secret("New password, at least 8 characters: ".into()).await? else {
        return password(String::new()).await;
    };
    let again = prompt::secret("The same again: ".into()).await?;
    if again.as_ref() != Some(&first) {
        return Err(Usage("the two passwords are not the same".into()).into());
    }
    Ok(Hidden(first))
}

/// What this device is to be called.
fn device_name(wanted: Option<String>) -> anyhow::Result<String> {
    let name =
        wanted.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    if people::check_device_name(&name) {
        return Ok(name);
    }
    Err(Usage("a device has a name of 1 to 64 characters; say one with --device".into()).into())
}

async fn reset(session: &Session, args: AccountResetArgs) -> anyhow::Result<Ended> {
    let handle: Handle = parse(&args.handle)?;
    let hub = hub::HubData::new(args.data, args.database.named()?);
    let password = hub::reset_password(hub, handle.as_str()).await?;
    session.output.remark(
        "tell them this password, by another way than the hub; `consign account login` takes it, and \
         `consign account password` changes it:",
    );
    let line = json!({"event": "password-reset", "handle": handle.as_str(), "password": password});
    session.output.fact(&password, &line)?;
    Ok(Ended::Done)
}

async fn revoke(session: &Session, key: &str) -> anyhow::Result<Ended> {
    let parsed: PublicKey = parse(key)?;
    session.link()?.client.revoke_account(&parsed).await?;
    session.output.fact(
        format!("the account of {parsed} is revoked"),
        &json!({"event": "revoked", "key": key}),
    )?;
    Ok(Ended::Done)
}

async fn list(session: &Session) -> anyhow::Result<Ended> {
    let link = session.link()?;
    show_each(|after| link.client.accounts(after), |account| show(session, account)).await?;
    Ok(Ended::Done)
}

fn show(session: &Session, account: &AccountInfo) -> anyhow::Result<()> {
    let since = utc(account.created);
    let state = account
        .revoked
        .map_or_else(|| format!("since {since}"), |at| format!("revoked {}", utc(at)));
    session.output.fact(
        format!(
            "{:<13}  {}  {:<12}  {state}",
            role_word(account.role),
            account.key,
            account.handle.as_deref().unwrap_or("-")
        ),
        &json!({
            "event": "account",
            "account": account.id,
            "key": account.key,
            "handle": account.handle,
            "role": account.role,
            "created": account.created,
            "revoked": account.revoked,
        }),
    )
}
