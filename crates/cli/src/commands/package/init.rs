//! `consign package init`

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, bail};
use package::specification::FILE_NAME;
use serde_json::json;

use crate::args::{InitArgs, Template};
use crate::commands::Session;
use crate::exit::Ended;
use crate::output;

/// A file of a template.
struct Part {
    path: &'static str,
    text: &'static str,
    mode: u32,
}

macro_rules! part {
    ($template:literal, $path:literal, $mode:literal) => {
        Part {
            path: $path,
            text: include_str!(concat!("templates/", $template, "/", $path)),
            mode: $mode,
        }
    };
}

/// The specification of a template comes last: where it is, the rest is too.
fn parts(template: Template) -> &'static [Part] {
    match template {
        Template::Files => &[
            part!("files", "files/hello.txt", 0o644),
            part!("files", "consign-package.toml", 0o644),
        ],
        Template::Application => &[
            part!("application", "application/bin/hello", 0o755),
            part!("application", "application/hello.service", 0o644),
            part!("application", "consign-package.toml", 0o644),
        ],
        Template::Patch => &[
            part!("patch", "patch/hello.conf", 0o644),
            part!("patch", "consign-package.toml", 0o644),
        ],
        Template::Script => {
            &[part!("script", "setup.sh", 0o755), part!("script", "consign-package.toml", 0o644)]
        }
    }
}

pub(super) fn run(session: &Session, args: &InitArgs) -> anyhow::Result<Ended> {
    let directory = session.path(&args.directory);
    for part in parts(args.template) {
        let path = directory.join(part.path);
        // A link that leads nowhere is in the way, too.
        if path.symlink_metadata().is_ok() {
            bail!("{} is there already; nothing was written", path.display());
        }
    }
    for part in parts(args.template) {
        let path = directory.join(part.path);
        let wrong = || format!("cannot write {}", path.display());
        path.parent().map_or(Ok(()), fs::create_dir_all).with_context(wrong)?;
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(part.mode).open(&path);
        file.and_then(|mut file| file.write_all(part.text.as_bytes())).with_context(wrong)?;
        let shown = output::path(path.as_os_str().as_encoded_bytes());
        session.output.fact(
            format!("wrote {shown}"),
            &json!({"event": "wrote", "path": path.display().to_string()}),
        )?;
    }
    let file = directory.join(FILE_NAME);
    session.output.remark(format!(
        "Edit {0}, then: consign package check {0}",
        output::path(file.as_os_str().as_encoded_bytes())
    ));
    Ok(Ended::Done)
}
