//! How the recipient of a delivery gets its ticket: by a code of words, or as it is.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use deliver::{CodeNews, DeliveryProgress, Sent};
use delivery::Code;
use node::deliveries::{DeliveryError, Prepared};
use serde_json::{Value, json};

use super::super::Session;
use super::super::delivery_link::{self, Spelling};
use crate::args::SendDeliveryArgs;
use crate::output::{bytes, counted};

/// One way or the other; into a file, or else printed.
pub(super) enum Handover {
    /// The recipient has a handle: the hub keeps it for them, sealed.
    Letters,
    /// A code, into this file or else printed.
    Code(Option<PathBuf>),
    /// A ticket or a link, into this file or else printed.
    Spelled(Spelling, Option<PathBuf>),
}

impl Handover {
    pub(super) async fn new(
        session: &Session,
        args: &SendDeliveryArgs,
        prepared: &Prepared,
    ) -> anyhow::Result<Self> {
        let file = |file: &Option<PathBuf>| file.as_deref().map(|file| session.path(file));
        if args.link {
            let secret = file(&args.passphrase_file);
            let passphrase = if args.passphrase || secret.is_some() {
                Some(delivery_link::passphrase(secret.as_deref()).await?)
            } else {
                None
            };
            let link = Spelling::link(&prepared.ticket, passphrase.as_deref());
            return Ok(Self::Spelled(link, file(&args.ticket_file)));
        }
        Ok(if args.ticket || args.ticket_file.is_some() {
            Self::Spelled(Spelling::ticket(&prepared.ticket), file(&args.ticket_file))
        } else {
            Self::Code(file(&args.code_file))
        })
    }

    /// Says what is sent. A ticket is there at once; a code is when the hub knows it.
    pub(super) fn begin(&self, session: &Session, prepared: &Prepared) -> anyhow::Result<()> {
        let what = describe(prepared);
        match self {
            Self::Letters => Ok(()),
            Self::Code(_) => {
                session.output.remark(what);
                Ok(())
            }
            Self::Spelled(spelling, file) => {
                show_spelled(session, prepared, spelling, &what, file.as_deref())
            }
        }
    }

    /// Sends, and shows codes meanwhile where there are some.
    pub(super) async fn send(
        &mut self,
        session: &Session,
        prepared: &mut Prepared,
        progress: &DeliveryProgress,
    ) -> Result<Sent, DeliveryError> {
        match self {
            Self::Letters | Self::Spelled(..) => prepared.send(progress).await,
            Self::Code(file) => {
                let (id, hub) = (prepared.id.to_string(), prepared.hub.url.clone());
                let codes = Codes { session, id, hub, file: file.as_deref() };
                let told =
                    |news| codes.tell(news).map_err(|error| io::Error::other(format!("{error:#}")));
                prepared.send_by_code(progress, told).await
            }
        }
    }
}

fn describe(prepared: &Prepared) -> String {
    let (files, total) = prepared.header.totals();
    format!("{}, {}, through {}", counted(files, "file"), bytes(total), prepared.hub.url)
}

fn show_spelled(
    session: &Session,
    prepared: &Prepared,
    spelling: &Spelling,
    what: &str,
    file: Option<&Path>,
) -> anyhow::Result<()> {
    let Spelling { noun, use_, text } = spelling;
    let (files, total) = prepared.header.totals();
    let mut line = json!({
        "event": noun,
        "id": prepared.id.to_string(),
        "hub": prepared.hub.url,
        "files": files,
        "bytes_total": total,
    });
    let human = match file {
        Some(file) => {
            write_secret(file, text)
                .with_context(|| format!("cannot write the {noun} to {}", file.display()))?;
            format!("{what}: the {noun} is in {}", file.display())
        }
        None => {
            insert(&mut line, noun, text);
            session
                .output
                .remark(format!("{what}. {use_}; whoever has it can collect the delivery."));
            text.clone()
        }
    };
    if let Some(hindrance) = delivery_link::hindrance(&prepared.ticket).filter(|_| *noun == "link")
    {
        session.output.remark(hindrance);
    }
    session.output.fact(human, &line)
}

/// Codes as they come and go.
struct Codes<'a> {
    session: &'a Session,
    id: String,
    hub: String,
    file: Option<&'a Path>,
}

impl Codes<'_> {
    fn tell(&self, news: CodeNews) -> anyhow::Result<()> {
        let output = self.session.output;
        match news {
            CodeNews::Ready(code) => self.show(code),
            CodeNews::HandedOver(_) => output.warn(
                format!(
                    "the code was used: the recipient has the ticket. If it was not the one you told it to, \
                     press Ctrl-C now. If the recipient lost it, `consign send --resume {}` shows another code.",
                    self.id
                ),
                &self.spent("handed-over"),
            ),
            CodeNews::TriedInVain(code) => output.warn(
                format!("somebody tried a wrong code of the number {}; it is void", code.number()),
                &self.spent("tried-in-vain"),
            ),
            CodeNews::BrokenOff(code) => output.warn(
                format!(
                    "somebody began with the number {} and did not go on; the code is void",
                    code.number()
                ),
                &self.spent("broken-off"),
            ),
            CodeNews::NumberTaken(code) => output.warn(
                format!(
                    "the hub was restarted and gave the number {} to somebody else; the code is void",
                    code.number()
                ),
                &self.spent("number-taken"),
            ),
        }
    }

    fn spent(&self, how: &str) -> Value {
        json!({"event": "code-spent", "id": self.id, "how": how})
    }

    fn show(&self, code: Code) -> anyhow::Result<()> {
        let Self { session, id, hub, file } = self;
        let mut line = json!({"event": "code", "id": id, "hub": hub});
        let human = match file {
            Some(file) => {
                write_secret(file, &code.to_string())
                    .with_context(|| format!("cannot write the code to {}", file.display()))?;
                format!("the code is in {}; the hub is {hub}", file.display())
            }
            None => {
                insert(&mut line, "code", &code.to_string());
                session.output.remark(format!(
                    "The other side runs `consign receive {code} --hub {hub}`. The code works once:"
                ));
                code.to_string()
            }
        };
        session.output.fact(human, &line)
    }
}

fn insert(line: &mut Value, name: &str, text: &str) {
    if let Some(line) = line.as_object_mut() {
        line.insert(name.into(), Value::from(text));
    }
}

fn write_secret(file: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(format!("{text}\n").as_bytes())
}
