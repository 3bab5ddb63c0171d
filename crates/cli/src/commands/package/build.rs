//! `consign package build`

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::opened::{Opened, make_removable};
use super::sources::{Unusable, look};
use crate::args::BuildArgs;
use crate::commands::Session;
use crate::exit::{Ended, Usage};
use crate::output::{bytes, counted};

/// Builds beside the directory's place, and gives it its name when everything is in it.
pub(super) fn run(session: &Session, args: &BuildArgs) -> anyhow::Result<Ended> {
    let (path, to) = (session.path(&args.file), session.path(&args.to));
    let opened = Opened::open(&path)?;
    if opened.is_built() {
        return Err(Usage(format!("{} is built already", path.display())).into());
    }
    if fs::symlink_metadata(&to).is_ok() {
        return Err(Usage(format!("{} is there already; name another", to.display())).into());
    }
    let name = to.file_name().ok_or_else(|| Usage("--to names no directory".into()))?;
    let above = to.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    let hidden = above.join(format!(".{}.building", name.to_string_lossy()));
    let cannot = || format!("cannot make {}", hidden.display());
    if hidden.exists() {
        // One that was interrupted, or that runs: its files would be mixed with ours.
        bail!("{} is there: remove it, unless another process builds this now", hidden.display());
    }
    fs::create_dir(&hidden).with_context(cannot)?;
    let built = opened.put_together(&hidden).and_then(|()| {
        let held = look(&hidden).map_err(Unusable::into_error)?;
        fs::rename(&hidden, &to).with_context(|| format!("cannot make {}", to.display()))?;
        Ok(held)
    });
    let held = match built {
        Ok(held) => held,
        Err(error) => {
            // What went wrong is told; that something is left is seen by the next try.
            let _ = make_removable(&hidden).and_then(|()| fs::remove_dir_all(&hidden));
            return Err(error);
        }
    };
    let package = &opened.package;
    session.output.fact(
        format!(
            "built {} {} in {}: {}, {}",
            package.name,
            package.version,
            to.display(),
            counted(held.files, "file"),
            bytes(held.bytes)
        ),
        &json!({
            "event": "built",
            "package": package.name,
            "version": package.version,
            "path": to.display().to_string(),
            "files": held.files,
            "bytes_total": held.bytes,
        }),
    )?;
    Ok(Ended::Done)
}
