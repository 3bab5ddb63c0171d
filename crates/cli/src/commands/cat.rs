//! `consign cat`

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use node::tree::TreeError;

use super::Session;
use super::ls::find;
use crate::args::CatArgs;
use crate::exit::{Ended, Usage};

pub(super) async fn run(session: &Session, args: CatArgs) -> anyhow::Result<Ended> {
    let range = args.range.as_deref().map_or(Ok(0..u64::MAX), parse_range)?;
    let found = find(session, &args.tree, &args.sealed).await?;
    let entry = found.entry_at(args.path.as_os_str().as_bytes()).await?.ok_or(TreeError::Kind {
        path: args.path.display().to_string(),
        is: "the root",
        wanted: "a file",
    })?;
    found.read_file(&entry, range, |bytes| session.output.write(bytes)).await?;
    std::io::stdout().flush()?;
    Ok(Ended::Done)
}

/// `FIRST-LAST`, both included, as in HTTP.
fn parse_range(text: &str) -> Result<std::ops::Range<u64>, Usage> {
    let wrong = || Usage(format!("--range takes FIRST-LAST in bytes, as in 0-99, not {text:?}"));
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let first: u64 = first.parse().map_err(|_| wrong())?;
    let end = match last {
        "" => u64::MAX,
        last => last.parse::<u64>().ok().and_then(|last| last.checked_add(1)).ok_or_else(wrong)?,
    };
    if end <= first {
        return Err(wrong());
    }
    Ok(first..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(parse_range("0-99").expect("valid"), 0..100);
        assert_eq!(parse_range("5-").expect("valid"), 5..u64::MAX);
        for wrong in ["", "5", "-5", "9-3", "a-b", "0-18446744073709551615"] {
            assert!(parse_range(wrong).is_err(), "{wrong:?}");
        }
    }
}
