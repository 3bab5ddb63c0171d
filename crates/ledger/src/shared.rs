//! What both databases are asked in the same words.
//!
//! All statements stand here, once, in the part of SQL that both understand; `$1` is a parameter in
//! both. What differs is how a connection is made, how writers take turns, and how many rows go in at
//! once: that is in `sqlite.rs` and `postgres.rs`, which `implement!` joins to these.
//!
//! Writers take turns for whole transactions, in both: what a transaction has read holds until
//! it ends.

pub(crate) mod rollouts;

/// By feed and number: id, manifest.
pub(crate) const SAME_NUMBER: &str =
    "SELECT id, manifest FROM packages WHERE feed = $1 AND sequence = $2";

/// The unfinished draft of a feed: id, number.
pub(crate) const UNFINISHED: &str = "
    SELECT p.id, p.sequence FROM packages p
    WHERE p.feed = $1 AND (p.sent IS NULL
        OR EXISTS (SELECT 1 FROM targets t WHERE t.package = p.id AND t.sent IS NULL))
    ORDER BY p.id LIMIT 1";

pub(crate) const LAST_SEQUENCE: &str = "SELECT max(sequence) FROM packages WHERE feed = $1";

pub(crate) const INSERT_PACKAGE: &str = "
    INSERT INTO packages (community, feed, sequence, manifest, name, version, description, tree,
        bytes, selector, built, expires)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id";

pub(crate) const SET_RESUME: &str = "
    UPDATE packages SET resume = $2 WHERE id = $1 AND (sent IS NULL
        OR EXISTS (SELECT 1 FROM targets t WHERE t.package = $1 AND t.sent IS NULL))";

pub(crate) const CONFIRM_TARGETS: &str =
    "UPDATE targets SET sent = $2 WHERE package = $1 AND sent IS NULL";

pub(crate) const CONFIRM_PACKAGE: &str = "
    UPDATE packages SET sent = coalesce(sent, $2), resume = NULL
    WHERE id = $1 AND (sent IS NULL OR resume IS NOT NULL)";

pub(crate) const PACKAGE_EXISTS: &str = "SELECT count(*) FROM packages WHERE id = $1";

/// How many targets of a package the hub was told of.
pub(crate) const SENT_TARGETS: &str =
    "SELECT count(*) FROM targets WHERE package = $1 AND sent IS NOT NULL";

pub(crate) const DISCARD_TARGETS: &str = "DELETE FROM targets WHERE package = $1 AND sent IS NULL";

pub(crate) const DISCARD_PACKAGE: &str = "DELETE FROM packages WHERE id = $1 AND sent IS NULL";

pub(crate) const PACKAGE_SENT: &str = "SELECT sent FROM packages WHERE id = $1";

pub(crate) const FORGET_RESUME: &str = "UPDATE packages SET resume = NULL WHERE id = $1";

/// By feed, number and key: id, verdict, manifest.
pub(crate) const FIND_TARGET: &str = "
    SELECT t.id, t.verdict, p.manifest FROM targets t JOIN packages p ON p.id = t.package
    WHERE p.feed = $1 AND p.sequence = $2 AND t.key = $3";

pub(crate) const LOSE: &str = "
    UPDATE targets SET lost = $2, lost_reason = $3
    WHERE package = $1 AND key = $4 AND sent IS NOT NULL AND answered IS NULL AND lost IS NULL
    RETURNING peer";

pub(crate) const BEGIN: &str = "
    UPDATE targets SET begun = $2
    WHERE package = $1 AND key = $3 AND sent IS NOT NULL AND answered IS NULL AND begun IS NULL";

pub(crate) const ANSWER: &str = "
    UPDATE targets SET sent = coalesce(sent, $2), answered = $2, verdict = $3, reason = $4, receipt = $5
    WHERE id = $1";

pub(crate) const INSERT_STEP: &str = "
    INSERT INTO steps (target, number, name, outcome, reason, begun_ms, took_us, exit_code, signal,
        timed_out, expected, stdout, stdout_total, stderr, stderr_total, cpu_us, memory_bytes,
        added, changed, kept, removed, bytes, ran_into, memory_together_bytes)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
        $18, $19, $20, $21, $22, $23, $24)";

/// The columns of [`crate::stored::package`], of the page that comes before.
macro_rules! packages {
    ($page:literal) => {
        concat!(
            "WITH page AS (",
            $page,
            "), counts AS (
                SELECT t.package,
                    count(*) FILTER (WHERE t.verdict IS NULL AND t.lost IS NULL) AS pending,
                    count(*) FILTER (WHERE t.verdict IS NULL AND t.lost IS NOT NULL) AS lost,
                    count(*) FILTER (WHERE t.verdict IS NULL AND t.lost IS NULL
                        AND t.begun IS NOT NULL) AS running,
                    count(*) FILTER (WHERE t.verdict = 'passed') AS passed,
                    count(*) FILTER (WHERE t.verdict = 'failed') AS failed,
                    count(*) FILTER (WHERE t.verdict = 'not_applicable') AS not_applicable,
                    count(*) FILTER (WHERE t.verdict = 'unreadable') AS unreadable
                FROM targets t WHERE t.package IN (SELECT id FROM page) GROUP BY t.package)
            SELECT id, community, feed, sequence, manifest, name, version, description, tree, bytes,
                selector, built, expires, sent, coalesce(pending, 0), coalesce(lost, 0), coalesce(passed, 0),
                coalesce(failed, 0), coalesce(not_applicable, 0), coalesce(unreadable, 0), coalesce(running, 0),
                resume
            FROM page LEFT JOIN counts ON counts.package = page.id"
        )
    };
}

pub(crate) const PACKAGES: &str = concat!(
    packages!(
        "SELECT * FROM packages WHERE ($1 IS NULL OR community = $1) AND ($2 IS NULL OR name = $2)
            AND ($3 IS NULL OR sequence = $3) AND ($4 IS NULL OR id < $4) ORDER BY id DESC LIMIT $5"
    ),
    " ORDER BY id DESC"
);

pub(crate) const PACKAGE: &str = packages!("SELECT * FROM packages WHERE id = $1");

/// Of a feed. Whoever has not answered one of its releases begins with no later one.
pub(crate) const MAY_BEGIN: &str = concat!(
    packages!(
        "SELECT * FROM packages p WHERE p.feed = $1 AND p.sent IS NOT NULL
            AND EXISTS (SELECT 1 FROM targets t WHERE t.package = p.id AND t.sent IS NOT NULL
                AND t.answered IS NULL AND t.lost IS NULL AND t.begun IS NULL
                AND NOT EXISTS (SELECT 1 FROM targets o JOIN packages q ON q.id = o.package
                    WHERE o.key = t.key AND o.package < t.package AND q.feed = p.feed
                    AND o.sent IS NOT NULL AND o.answered IS NULL AND o.lost IS NULL))"
    ),
    " ORDER BY id"
);

/// As [`PACKAGES`], and `resume`.
pub(crate) const DRAFTS: &str = concat!(
    packages!(
        "SELECT * FROM packages p WHERE p.sent IS NULL
            OR EXISTS (SELECT 1 FROM targets t WHERE t.package = p.id AND t.sent IS NULL)"
    ),
    " ORDER BY id"
);

pub(crate) const UNSENT_TARGETS: &str =
    "SELECT key, peer, labels FROM targets WHERE package = $1 AND sent IS NULL ORDER BY id";

/// The columns of [`crate::stored::target`].
macro_rules! target_columns {
    () => {
        "t.id, t.key, t.peer, t.labels, t.sent, t.answered, t.verdict, t.reason,
            CAST(coalesce(length(t.receipt), 0) AS bigint), t.lost, t.lost_reason, t.begun"
    };
}

/// `$2`: 0 all, 1 pending, 2 answered.
pub(crate) const TARGETS: &str = concat!(
    "SELECT ",
    target_columns!(),
    " FROM targets t WHERE t.package = $1 AND t.id > $3
        AND ($2 = 0 OR $2 = 1 AND t.answered IS NULL AND t.lost IS NULL OR $2 = 2 AND t.answered IS NOT NULL)
        ORDER BY t.id LIMIT $4"
);

pub(crate) const LATEST: &str = concat!(
    "SELECT ",
    target_columns!(),
    ", p.id, p.name, p.version, p.sequence
        FROM targets t JOIN packages p ON p.id = t.package
        WHERE ($1 IS NULL OR p.community = $1) AND t.id > $2
        AND NOT EXISTS (SELECT 1 FROM targets n JOIN packages q ON q.id = n.package
            WHERE n.key = t.key AND n.package > t.package AND q.community = p.community)
        ORDER BY t.id LIMIT $3"
);

pub(crate) const STEPS: &str = "
    SELECT name, outcome, reason, begun_ms, took_us, exit_code, signal, timed_out, expected,
        stdout, stdout_total, stderr, stderr_total, cpu_us, memory_bytes, added, changed, kept, removed,
        bytes, ran_into, memory_together_bytes
    FROM steps WHERE target = $1 ORDER BY number";

pub(crate) const RECEIPTS_REPORT: &str = "
    SELECT * FROM receipts_report r WHERE ($1 IS NULL OR r.community = $1)
        AND ($2 IS NULL OR r.name = $2) AND ($3 IS NULL OR r.sequence = $3)
        AND ($4 IS NULL OR r.peer = $4)
    ORDER BY r.target";

pub(crate) const STEPS_REPORT: &str = "
    SELECT * FROM steps_report r WHERE ($1 IS NULL OR r.community = $1)
        AND ($2 IS NULL OR r.name = $2) AND ($3 IS NULL OR r.sequence = $3)
        AND ($4 IS NULL OR r.peer = $4)
    ORDER BY r.target, r.number";

/// Implements the traits on a type with `readers`, a pool; `write()`, a transaction of `$database` that has
/// its turn; `insert_targets()` and `last_sent_of()`.
macro_rules! implement {
    ($ledger:ty, $database:ty) => {
        mod implementation {
            use std::collections::BTreeMap;

            use async_trait::async_trait;
            use community::{CommunityId, PeerName};
            use documents::{PublicKey, ReleaseName};
            use futures_util::StreamExt as _;
            use futures_util::stream::BoxStream;
            use package::StepReceipt;

            use crate::shared::*;
            use crate::stored::{self, Columns as _, signed, text};
            use crate::*;

            impl $ledger {
                /// As [`Recording::draft`], in a transaction.
                pub(super) async fn draft_in(
                    transaction: &mut sqlx::Transaction<'static, $database>,
                    new: &NewPackage,
                    targets: &[Addressee],
                ) -> Result<PackageId, DraftError> {
                    let feed = new.feed.as_str().to_owned();
                    let unfinished = sqlx::query(UNFINISHED)
                        .bind(feed.clone())
                        .fetch_optional(&mut **transaction)
                        .await?;
                    let same = sqlx::query(SAME_NUMBER)
                        .bind(feed.clone())
                        .bind(signed(new.sequence))
                        .fetch_optional(&mut **transaction)
                        .await?;
                    let same = match same {
                        Some(row) if row.array::<32>(1)? == *new.manifest.as_bytes() => {
                            Some(row.id(0)?)
                        }
                        Some(_) | None => None,
                    };
                    if let Some(row) = unfinished {
                        let (id, sequence) = (row.id(0)?, row.unsigned(1)?);
                        if same != Some(id) {
                            let package = PackageId(id);
                            return Err(DraftError::Unfinished { package, sequence });
                        }
                    }
                    let id = match same {
                        Some(id) => id,
                        None => {
                            let last = sqlx::query(LAST_SEQUENCE)
                                .bind(feed.clone())
                                .fetch_one(&mut **transaction)
                                .await?
                                .maybe_unsigned(0)?
                                .unwrap_or(0);
                            if last >= new.sequence {
                                return Err(DraftError::NotNext { last, offered: new.sequence });
                            }
                            sqlx::query_scalar(INSERT_PACKAGE)
                                .bind(new.community.as_bytes().to_vec())
                                .bind(feed)
                                .bind(signed(new.sequence))
                                .bind(new.manifest.as_bytes().to_vec())
                                .bind(text(&new.name))
                                .bind(text(&new.version))
                                .bind(text(&new.description))
                                .bind(new.tree.as_bytes().to_vec())
                                .bind(signed(new.bytes))
                                .bind(text(&new.selector))
                                .bind(signed(new.built))
                                .bind(signed(new.expires))
                                .fetch_one(&mut **transaction)
                                .await?
                        }
                    };
                    Self::insert_targets(transaction, id, targets).await?;
                    sqlx::query(SET_RESUME)
                        .bind(id)
                        .bind(new.resume.clone())
                        .execute(&mut **transaction)
                        .await?;
                    Ok(PackageId(id))
                }
            }

            #[async_trait]
            impl Recording for $ledger {
                async fn draft(
                    &self,
                    new: &NewPackage,
                    targets: &[Addressee],
                ) -> Result<PackageId, DraftError> {
                    let mut transaction = self.write().await?;
                    let id = Self::draft_in(&mut transaction, new, targets).await?;
                    transaction.commit().await?;
                    Ok(id)
                }

                async fn confirm(
                    &self,
                    package: PackageId,
                    now: u64,
                ) -> Result<Confirmed, LedgerError> {
                    let mut transaction = self.write().await?;
                    let mut changed = 0;
                    for statement in [CONFIRM_TARGETS, CONFIRM_PACKAGE] {
                        let done = sqlx::query(statement)
                            .bind(package.0)
                            .bind(signed(now))
                            .execute(&mut *transaction)
                            .await?;
                        changed += done.rows_affected();
                    }
                    let exists: i64 = sqlx::query_scalar(PACKAGE_EXISTS)
                        .bind(package.0)
                        .fetch_one(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                    Ok(match (changed, exists) {
                        (_, 0) => Confirmed::Unknown,
                        (0, _) => Confirmed::Before,
                        (_, _) => Confirmed::Now,
                    })
                }

                async fn discard(&self, package: PackageId) -> Result<bool, LedgerError> {
                    let mut transaction = self.write().await?;
                    let row = sqlx::query(PACKAGE_SENT)
                        .bind(package.0)
                        .fetch_optional(&mut *transaction)
                        .await?;
                    let Some(row) = row else { return Ok(false) };
                    let is_new = row.maybe_number(0)?.is_none();
                    let sent_targets: i64 = sqlx::query_scalar(SENT_TARGETS)
                        .bind(package.0)
                        .fetch_one(&mut *transaction)
                        .await?;
                    if is_new && sent_targets > 0 {
                        // Somebody has answered it: the hub has it.
                        return Ok(false);
                    }
                    let mut dropped = 0;
                    let rest = if is_new { DISCARD_PACKAGE } else { FORGET_RESUME };
                    for statement in [DISCARD_TARGETS, rest] {
                        let done = sqlx::query(statement)
                            .bind(package.0)
                            .execute(&mut *transaction)
                            .await?;
                        dropped += done.rows_affected();
                    }
                    transaction.commit().await?;
                    // Of a package that was sent a row is written anew in any case.
                    Ok(dropped > u64::from(!is_new))
                }

                async fn lose(
                    &self,
                    package: PackageId,
                    keys: &[PublicKey],
                    reason: &str,
                    now: u64,
                ) -> Result<Vec<PeerName>, LedgerError> {
                    let mut transaction = self.write().await?;
                    let mut lost = Vec::new();
                    for key in keys {
                        let row = sqlx::query(LOSE)
                            .bind(package.0)
                            .bind(signed(now))
                            .bind(text(reason))
                            .bind(key.as_bytes().to_vec())
                            .fetch_optional(&mut *transaction)
                            .await?;
                        if let Some(row) = row {
                            lost.push(stored::peer(&row, 0)?);
                        }
                    }
                    transaction.commit().await?;
                    Ok(lost)
                }

                async fn begin(
                    &self,
                    package: PackageId,
                    begun: &[(PublicKey, u64)],
                ) -> Result<u64, LedgerError> {
                    let mut transaction = self.write().await?;
                    let mut noted = 0;
                    for (key, since) in begun {
                        let done = sqlx::query(BEGIN)
                            .bind(package.0)
                            .bind(signed(*since))
                            .bind(key.as_bytes().to_vec())
                            .execute(&mut *transaction)
                            .await?;
                        noted += done.rows_affected();
                    }
                    transaction.commit().await?;
                    Ok(noted)
                }

                async fn record(
                    &self,
                    feed: &ReleaseName,
                    sequence: u64,
                    answer: &Answer,
                ) -> Result<Recorded, LedgerError> {
                    let mut transaction = self.write().await?;
                    let found = sqlx::query(FIND_TARGET)
                        .bind(feed.as_str().to_owned())
                        .bind(signed(sequence))
                        .bind(answer.target.as_bytes().to_vec())
                        .fetch_optional(&mut *transaction)
                        .await?;
                    let Some(row) = found else { return Ok(Recorded::NotAddressed) };
                    let target = row.id(0)?;
                    let is_readable = match &answer.report {
                        Report::Unreadable(_) => false,
                        Report::Readable { manifest, .. } => {
                            if row.array::<32>(2)? != *manifest.as_bytes() {
                                return Ok(Recorded::NotAddressed);
                            }
                            true
                        }
                    };
                    match row.maybe_text(1)?.as_deref() {
                        None => {}
                        Some("unreadable") if is_readable => {}
                        Some(_) => return Ok(Recorded::Before),
                    }
                    let (verdict, steps) = stored::verdict(answer);
                    sqlx::query(ANSWER)
                        .bind(target)
                        .bind(signed(answer.answered))
                        .bind(verdict.word())
                        .bind(verdict.reason().map(str::to_owned))
                        .bind(answer.receipt.clone())
                        .execute(&mut *transaction)
                        .await?;
                    for (index, step) in steps.iter().enumerate() {
                        let (outcome, reason, ran, placed) = stored::outcome(&step.outcome);
                        let end = ran.map(|ran| stored::end(ran.end));
                        let said = |of: fn(&package::receipt::Ran) -> &package::receipt::Output| {
                            let said = ran.map(of);
                            let total = said.map(|said| signed(said.bytes_total));
                            (said.map(|said| said.bytes.clone()), total)
                        };
                        let (output, error) = (said(|ran| &ran.output), said(|ran| &ran.error));
                        sqlx::query(INSERT_STEP)
                            .bind(target)
                            .bind(signed(index as u64 + 1))
                            .bind(text(&step.name))
                            .bind(outcome)
                            .bind(reason)
                            .bind((step.begun_ms > 0).then(|| signed(step.begun_ms)))
                            .bind(stored::micros(step.took))
                            .bind(end.and_then(|end| end.0))
                            .bind(end.and_then(|end| end.1))
                            .bind(end.map(|end| end.2))
                            .bind(ran.map(|ran| ran.is_expected))
                            .bind(output.0)
                            .bind(output.1)
                            .bind(error.0)
                            .bind(error.1)
                            .bind(ran.map(|ran| stored::micros(ran.processor)))
                            .bind(ran.map(|ran| signed(ran.memory_bytes_max)))
                            .bind(placed.map(|placed| signed(placed.added)))
                            .bind(placed.map(|placed| signed(placed.changed)))
                            .bind(placed.map(|placed| signed(placed.kept)))
                            .bind(placed.map(|placed| signed(placed.removed)))
                            .bind(placed.map(|placed| signed(placed.bytes)))
                            .bind(
                                ran.and_then(|ran| ran.limit).map(package::receipt::Limit::as_str),
                            )
                            .bind(ran.and_then(|ran| ran.memory_together_bytes_max).map(signed))
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await?;
                    Ok(Recorded::Now)
                }
            }

            #[async_trait]
            impl Reading for $ledger {
                async fn drafts(&self) -> Result<Vec<Draft>, LedgerError> {
                    let rows = sqlx::query(DRAFTS).fetch_all(&self.readers).await?;
                    let mut drafts = Vec::with_capacity(rows.len());
                    for row in rows {
                        let package = stored::package(&row)?;
                        let resume = row.maybe_bytes(21)?.unwrap_or_default();
                        let targets = sqlx::query(UNSENT_TARGETS)
                            .bind(package.id.0)
                            .fetch_all(&self.readers)
                            .await?;
                        let targets =
                            targets.iter().map(stored::addressee).collect::<Result<_, _>>()?;
                        drafts.push(Draft { package, targets, resume });
                    }
                    Ok(drafts)
                }

                async fn last_sequence(
                    &self,
                    feed: &ReleaseName,
                ) -> Result<Option<u64>, LedgerError> {
                    let row = sqlx::query(LAST_SEQUENCE)
                        .bind(feed.as_str().to_owned())
                        .fetch_one(&self.readers)
                        .await?;
                    row.maybe_unsigned(0)
                }

                async fn last_sent(
                    &self,
                    feed: &ReleaseName,
                    keys: &[PublicKey],
                    before: u64,
                ) -> Result<BTreeMap<PublicKey, u64>, LedgerError> {
                    self.last_sent_of(feed, keys, before).await
                }

                async fn packages(
                    &self,
                    filter: &PackageFilter,
                    before: Option<PackageId>,
                    limit: u32,
                ) -> Result<Vec<PackageRecord>, LedgerError> {
                    let rows = sqlx::query(PACKAGES)
                        .bind(filter.community.map(|community| community.as_bytes().to_vec()))
                        .bind(filter.name.clone())
                        .bind(filter.sequence.map(signed))
                        .bind(before.map(|before| before.0))
                        .bind(i64::from(limit))
                        .fetch_all(&self.readers)
                        .await?;
                    rows.iter().map(stored::package).collect()
                }

                async fn may_begin(
                    &self,
                    feed: &ReleaseName,
                ) -> Result<Vec<PackageRecord>, LedgerError> {
                    let rows = sqlx::query(MAY_BEGIN)
                        .bind(feed.as_str().to_owned())
                        .fetch_all(&self.readers)
                        .await?;
                    rows.iter().map(stored::package).collect()
                }

                async fn targets(
                    &self,
                    package: PackageId,
                    filter: TargetFilter,
                    after: Option<TargetId>,
                    limit: u32,
                ) -> Result<Vec<TargetRecord>, LedgerError> {
                    let filter: i64 = match filter {
                        TargetFilter::All => 0,
                        TargetFilter::Pending => 1,
                        TargetFilter::Answered => 2,
                    };
                    let rows = sqlx::query(TARGETS)
                        .bind(package.0)
                        .bind(filter)
                        .bind(after.map_or(0, |after| after.0))
                        .bind(i64::from(limit))
                        .fetch_all(&self.readers)
                        .await?;
                    rows.iter().map(stored::target).collect()
                }

                async fn steps(&self, target: TargetId) -> Result<Vec<StepReceipt>, LedgerError> {
                    let rows = sqlx::query(STEPS).bind(target.0).fetch_all(&self.readers).await?;
                    rows.iter().map(stored::step).collect()
                }

                async fn latest(
                    &self,
                    community: Option<&CommunityId>,
                    after: Option<TargetId>,
                    limit: u32,
                ) -> Result<Vec<Latest>, LedgerError> {
                    let rows = sqlx::query(LATEST)
                        .bind(community.map(|community| community.as_bytes().to_vec()))
                        .bind(after.map_or(0, |after| after.0))
                        .bind(i64::from(limit))
                        .fetch_all(&self.readers)
                        .await?;
                    rows.iter().map(stored::latest).collect()
                }

                fn receipts_report<'a>(
                    &'a self,
                    filter: &ReportFilter,
                ) -> BoxStream<'a, Result<Row, LedgerError>> {
                    report!(self, RECEIPTS_REPORT, RECEIPT_COLUMNS, filter)
                }

                fn steps_report<'a>(
                    &'a self,
                    filter: &ReportFilter,
                ) -> BoxStream<'a, Result<Row, LedgerError>> {
                    report!(self, STEPS_REPORT, STEP_COLUMNS, filter)
                }
            }
        }
    };
}

macro_rules! report {
    ($self:ident, $statement:ident, $columns:ident, $filter:ident) => {
        sqlx::query($statement)
            .bind($filter.community.map(|community| community.to_string()))
            .bind($filter.name.clone())
            .bind($filter.sequence.map(signed))
            .bind($filter.peer.as_ref().map(ToString::to_string))
            .fetch(&$self.readers)
            .map(|row| crate::report::row($columns, &row?))
            .boxed()
    };
}

pub(crate) use {implement, report};
