//! What both databases are asked of roll-outs, in the same words.

pub(crate) const INSERT_ROLLOUT: &str = "
    INSERT INTO rollouts (package, rules, root, began, state, since)
    VALUES ($1, $2, $3, $4, 'running', $4)";

pub(crate) const INSERT_PLANNED: &str = "
    INSERT INTO rollout_targets (package, place, wave, key, peer, labels)
    VALUES ($1, $2, $3, $4, $5, $6)";

pub(crate) const ROLLOUT_FEED: &str = "
    SELECT p.feed, o.state FROM rollouts o JOIN packages p ON p.id = o.package WHERE o.package = $1";

pub(crate) const SKIP: &str = "
    UPDATE rollout_targets SET skipped = $3, reason = $4
    WHERE package = $1 AND key = $2 AND skipped IS NULL
        AND NOT EXISTS (SELECT 1 FROM targets t WHERE t.package = $1 AND t.key = $2)";

pub(crate) const SET_ROLLOUT: &str = "
    UPDATE rollouts SET state = $2, since = $3, reason = $4, forgiven_failed = $5,
        forgiven_answered = $6, forgiven_until = $7,
        root = CASE WHEN $2 IN ('aborted', 'expired', 'finished') THEN NULL ELSE root END
    WHERE package = $1 AND state = $8 AND since = $9 AND forgiven_until = $10";

/// package, rules, root, began, then the columns of [`crate::stored::progress`]
macro_rules! rollout {
    ($which:literal) => {
        concat!(
            "SELECT package, rules, root, began, state, since, reason, forgiven_failed,
                forgiven_answered, forgiven_until FROM rollouts WHERE ",
            $which,
            " ORDER BY package"
        )
    };
}

pub(crate) const ROLLOUT: &str = rollout!("package = $1");

pub(crate) const OPEN_ROLLOUTS: &str = rollout!("state IN ('running', 'paused', 'stopped')");

/// The columns of [`crate::stored::planned`].
pub(crate) const PLANNED: &str = "
    SELECT r.key, r.peer, r.labels, r.wave, r.skipped, r.reason, t.id, t.sent, t.answered, t.verdict,
        t.reason, t.lost, t.lost_reason, t.begun
    FROM rollout_targets r LEFT JOIN targets t ON t.package = r.package AND t.key = r.key
    WHERE r.package = $1 ORDER BY r.place";

/// Implements [`crate::Rollouts`] on a type that `implement!` was used for.
macro_rules! implement_rollouts {
    ($ledger:ty) => {
        mod rollouts {
            use async_trait::async_trait;
            use documents::PublicKey;

            use crate::shared::rollouts::*;
            use crate::shared::{PACKAGE, SET_RESUME, UNFINISHED};
            use crate::stored::{self, Columns as _, labels_json, signed, text};
            use crate::*;

            impl $ledger {
                async fn rollout_of(
                    &self,
                    row: &impl stored::Columns,
                ) -> Result<RolloutRecord, LedgerError> {
                    let package =
                        sqlx::query(PACKAGE).bind(row.id(0)?).fetch_one(&self.readers).await?;
                    Ok(RolloutRecord {
                        package: stored::package(&package)?,
                        rules: row.text(1)?,
                        root: row.maybe_bytes(2)?,
                        began: row.unsigned(3)?,
                        progress: stored::progress(row, 4)?,
                    })
                }
            }

            #[async_trait]
            impl Rollouts for $ledger {
                async fn draft_rollout(
                    &self,
                    new: &NewPackage,
                    rollout: &NewRollout,
                ) -> Result<PackageId, DraftError> {
                    let mut transaction = self.write().await?;
                    let id = Self::draft_in(&mut transaction, new, &[]).await?;
                    sqlx::query(INSERT_ROLLOUT)
                        .bind(id.0)
                        .bind(text(&rollout.rules))
                        .bind(rollout.root.clone())
                        .bind(signed(rollout.began))
                        .execute(&mut *transaction)
                        .await?;
                    for (place, (wave, target)) in rollout.targets.iter().enumerate() {
                        sqlx::query(INSERT_PLANNED)
                            .bind(id.0)
                            .bind(signed(place as u64))
                            .bind(i64::from(*wave))
                            .bind(target.key.as_bytes().to_vec())
                            .bind(target.peer.to_string())
                            .bind(labels_json(&target.labels))
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await?;
                    Ok(id)
                }

                async fn draft_wave(
                    &self,
                    package: PackageId,
                    targets: &[Addressee],
                    resume: &[u8],
                ) -> Result<WaveDrafted, DraftError> {
                    let mut transaction = self.write().await?;
                    let row = sqlx::query(ROLLOUT_FEED)
                        .bind(package.0)
                        .fetch_optional(&mut *transaction)
                        .await?;
                    let Some(row) = row else { return Ok(WaveDrafted::NotRunning) };
                    if row.text(1)? != RolloutState::Running.word() {
                        return Ok(WaveDrafted::NotRunning);
                    }
                    let unfinished = sqlx::query(UNFINISHED)
                        .bind(row.text(0)?)
                        .fetch_optional(&mut *transaction)
                        .await?;
                    if let Some(row) = unfinished {
                        let (package, sequence) = (PackageId(row.id(0)?), row.unsigned(1)?);
                        return Err(DraftError::Unfinished { package, sequence });
                    }
                    Self::insert_targets(&mut transaction, package.0, targets).await?;
                    sqlx::query(SET_RESUME)
                        .bind(package.0)
                        .bind(resume.to_vec())
                        .execute(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                    Ok(WaveDrafted::Now)
                }

                async fn skip_targets(
                    &self,
                    package: PackageId,
                    keys: &[PublicKey],
                    reason: &str,
                    now: u64,
                ) -> Result<(), LedgerError> {
                    let mut transaction = self.write().await?;
                    for key in keys {
                        sqlx::query(SKIP)
                            .bind(package.0)
                            .bind(key.as_bytes().to_vec())
                            .bind(signed(now))
                            .bind(text(reason))
                            .execute(&mut *transaction)
                            .await?;
                    }
                    Ok(transaction.commit().await?)
                }

                async fn set_rollout(
                    &self,
                    package: PackageId,
                    from: &RolloutProgress,
                    to: &RolloutProgress,
                ) -> Result<bool, LedgerError> {
                    let mut transaction = self.write().await?;
                    let done = sqlx::query(SET_ROLLOUT)
                        .bind(package.0)
                        .bind(to.state.word())
                        .bind(signed(to.since))
                        .bind(to.reason.as_deref().map(text))
                        .bind(signed(to.forgiven_failed))
                        .bind(signed(to.forgiven_answered))
                        .bind(signed(to.forgiven_until))
                        .bind(from.state.word())
                        .bind(signed(from.since))
                        .bind(signed(from.forgiven_until))
                        .execute(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                    Ok(done.rows_affected() > 0)
                }

                async fn rollout(
                    &self,
                    package: PackageId,
                ) -> Result<Option<RolloutRecord>, LedgerError> {
                    let row =
                        sqlx::query(ROLLOUT).bind(package.0).fetch_optional(&self.readers).await?;
                    match row {
                        Some(row) => Ok(Some(self.rollout_of(&row).await?)),
                        None => Ok(None),
                    }
                }

                async fn open_rollouts(&self) -> Result<Vec<RolloutRecord>, LedgerError> {
                    let rows = sqlx::query(OPEN_ROLLOUTS).fetch_all(&self.readers).await?;
                    let mut open = Vec::with_capacity(rows.len());
                    for row in rows {
                        open.push(self.rollout_of(&row).await?);
                    }
                    Ok(open)
                }

                async fn planned(
                    &self,
                    package: PackageId,
                ) -> Result<Vec<PlannedRecord>, LedgerError> {
                    let rows =
                        sqlx::query(PLANNED).bind(package.0).fetch_all(&self.readers).await?;
                    rows.iter().map(stored::planned).collect()
                }
            }
        }
    };
}

pub(crate) use implement_rollouts;
