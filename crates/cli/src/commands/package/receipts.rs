//! `consign package receipts`

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use ledger::{
    Export, Format, Ledger, PackageFilter, PackageRecord, RECEIPT_COLUMNS, ReportFilter,
    STEP_COLUMNS, TargetFilter, TargetRecord,
};
use package::Outcome;
use serde_json::{Value, json};

use super::apply::{line, of_step, quoted, shown};
use super::sent::{Packages, Targets, community, name, painted, target_fields};
use super::show::NotSent;
use crate::args::{ExportFormat, ReceiptsArgs};
use crate::commands::Session;
use crate::exit::{Ended, Usage};
use crate::ledger::existing;
use crate::output::{self, Output, number};

pub(super) async fn run(session: &Session, args: ReceiptsArgs) -> anyhow::Result<Ended> {
    let format = match args.format {
        ExportFormat::Text => None,
        ExportFormat::Csv => Some(Format::Csv),
        ExportFormat::Jsonl => Some(Format::JsonLines),
    };
    if format.is_none() && (args.output.is_some() || args.steps) {
        let hint = "--output and --steps are for --format csv and --format jsonl";
        return Err(Usage(hint.to_owned()).into());
    }
    let filter = ReportFilter {
        community: community(session, args.community.as_deref())?,
        name: args.name,
        sequence: args.sequence,
        peer: args.peer,
    };
    let Some(ledger) = existing(session).await? else {
        return Err(NotSent(sought(&filter)).into());
    };
    if let Some(sequence) = filter.sequence {
        let sought = PackageFilter { sequence: Some(sequence), ..PackageFilter::default() };
        if ledger.packages(&sought, None, 1).await?.is_empty() {
            return Err(NotSent(sequence.to_string()).into());
        }
    }
    let Some(format) = format else { return tell(session.output, ledger.as_ref(), filter).await };
    let wanted = Wanted { filter, has_steps: args.steps, format };
    match &args.output {
        None => {
            export(ledger.as_ref(), &wanted, Stdout(session.output)).await?;
            Ok(Ended::Done)
        }
        Some(path) => write(session, ledger.as_ref(), &wanted, path).await,
    }
}

/// What is exported, and how.
struct Wanted {
    filter: ReportFilter,
    /// A row for each step.
    has_steps: bool,
    format: Format,
}

/// What was asked for, where there is nothing.
fn sought(filter: &ReportFilter) -> String {
    let words = [filter.sequence.map(|it| it.to_string()), filter.name.as_deref().map(shown)];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Tells every answer, of the newest package first.
async fn tell(output: Output, ledger: &dyn Ledger, filter: ReportFilter) -> anyhow::Result<Ended> {
    let ReportFilter { community, name, sequence, peer } = filter;
    let mut packages = Packages::new(ledger, PackageFilter { community, name, sequence }, u32::MAX);
    let mut told = 0u64;
    loop {
        let page = packages.page().await?;
        if page.is_empty() {
            break;
        }
        for package in &page {
            let mut targets = Targets::new(ledger, package, TargetFilter::Answered);
            loop {
                let page = targets.page().await?;
                if page.is_empty() {
                    break;
                }
                for target in page {
                    if peer.as_ref().is_none_or(|peer| *peer == target.peer) {
                        answer(output, ledger, package, &target).await?;
                        told += 1;
                    }
                }
            }
        }
    }
    if told == 0 {
        output.remark("nothing of that was answered so far");
    }
    Ok(Ended::Done)
}

async fn answer(
    output: Output,
    ledger: &dyn Ledger,
    package: &PackageRecord,
    target: &TargetRecord,
) -> anyhow::Result<()> {
    let Some((answered, verdict)) = &target.answered else { return Ok(()) };
    let mut text = format!(
        "{}  {} ({})  {}",
        target.peer,
        name(package),
        package.sequence,
        painted(output, *answered, verdict)
    );
    let mut steps: Vec<Value> = Vec::new();
    for (index, step) in ledger.steps(target.id).await?.iter().enumerate() {
        text.push_str(&format!("\n  {} {}: {}", index + 1, shown(&step.name), line(step)));
        if let Outcome::Ran(ran) = &step.outcome
            && !ran.is_expected
        {
            text.extend([&ran.output, &ran.error].map(quoted));
        }
        steps.push(of_step(index, step));
    }
    let mut fields = target_fields(package, target);
    fields["steps"] = steps.into();
    fields["event"] = "answer".into();
    output.fact(text, &fields)
}

/// Writes all rows; returns how many.
async fn export(ledger: &dyn Ledger, wanted: &Wanted, out: impl Write) -> anyhow::Result<u64> {
    let (columns, mut rows) = if wanted.has_steps {
        (STEP_COLUMNS, ledger.steps_report(&wanted.filter))
    } else {
        (RECEIPT_COLUMNS, ledger.receipts_report(&wanted.filter))
    };
    let mut export = Export::begin(columns, wanted.format, BufWriter::new(out))?;
    let mut count = 0;
    while let Some(row) = rows.next().await {
        export.write(&row?)?;
        count += 1;
    }
    export.finish()?;
    Ok(count)
}

/// Standard output, or that of whoever asked.
struct Stdout(Output);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Exports into a file, which has its name once it is complete and durable.
async fn write(
    session: &Session,
    ledger: &dyn Ledger,
    wanted: &Wanted,
    path: &Path,
) -> anyhow::Result<Ended> {
    let path = session.path(path);
    let mut growing = path.clone().into_os_string();
    growing.push(".consign.tmp");
    let growing = PathBuf::from(growing);
    let shown = output::path(path.as_os_str().as_encoded_bytes());
    let cannot = || format!("cannot write {shown}");
    let file = create(&growing).with_context(cannot)?;
    let written = export(ledger, wanted, &file).await;
    let finished = written.and_then(|rows| {
        file.sync_all().with_context(cannot)?;
        fs::rename(&growing, &path).with_context(cannot)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).with_context(cannot)?;
        folder.sync_all().with_context(cannot)?;
        Ok(rows)
    });
    let rows = match finished {
        Ok(rows) => rows,
        Err(error) => {
            // It may be gone already; what went wrong before is what is to be told.
            let _ = fs::remove_file(&growing);
            return Err(error);
        }
    };
    let plural = if rows == 1 { "" } else { "s" };
    session.output.fact(
        format!("{} row{plural} written to {shown}", number(rows)),
        &json!({"event": "exported", "path": path.display().to_string(), "rows": rows}),
    )?;
    Ok(Ended::Done)
}

/// A file for ourselves: what scripts say on machines is not for everybody.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        // What an export left that was killed.
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
