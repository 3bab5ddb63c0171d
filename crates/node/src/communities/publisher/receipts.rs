//! What targets answered is fetched, opened and kept.

use community::{Address, SignedReceipt};
use documents::PublicKey;
use ledger::{Answer, Ledger, LedgerError, PackageFilter, PackageRecord, Recorded, Report};
use package::Receipt;

use super::SendError;
use crate::communities::Place;
use crate::communities::manager::fail;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// Receipts that are new in the ledger.
    pub new: u64,
    /// Those among them that could not be read: of which target, and why.
    pub unreadable: Vec<(PublicKey, String)>,
}

impl Place {
    /// Keeps the receipts that are at the hub.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn collect_receipts(&self, ledger: &dyn Ledger) -> Result<Collected, SendError> {
        let hub = self.hub()?;
        let feed = self.feed();
        let mut collected = Collected { new: 0, unreadable: Vec::new() };
        let mut after = None;
        loop {
            let page = hub.client.receipts(&feed, after).await;
            let (receipts, next) = match page {
                Ok(page) => page,
                // Nothing was ever sent.
                Err(error) if error.is_not_found() => return Ok(collected),
                Err(source) => return Err(fail(&hub, "list receipts", source).into()),
            };
            let mut taken = Vec::new();
            for info in &receipts {
                let target = PublicKey::from_bytes(info.target.0);
                let signed = hub.client.receipt(&feed, info.sequence, &target).await;
                let signed = signed.map_err(|source| fail(&hub, "read a receipt", source))?;
                let report = self.read_receipt(ledger, info.sequence, target, &signed).await?;
                if let Report::Unreadable(why) = &report {
                    collected.unreadable.push((target, why.clone()));
                }
                let answered = info.answered;
                let answer = Answer { target, answered, report, receipt: Some(signed) };
                match ledger.record(&feed, info.sequence, &answer).await? {
                    Recorded::Now => collected.new += 1,
                    Recorded::Before => {}
                    Recorded::NotAddressed => {
                        tracing::warn!(%target, sequence = info.sequence, "a receipt that nobody asked for");
                    }
                }
                taken.push(info.id);
            }
            hub.client
                .receipts_taken(&feed, &taken)
                .await
                .map_err(|source| fail(&hub, "take receipts", source))?;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(collected),
            }
        }
    }

    async fn read_receipt(
        &self,
        ledger: &dyn Ledger,
        sequence: u64,
        target: PublicKey,
        signed: &[u8],
    ) -> Result<Report, SendError> {
        let Some(package) = self.sent_package(ledger, sequence).await? else {
            return Ok(Report::Unreadable("no such release was sent from here".to_owned()));
        };
        let manifest = package.manifest;
        let publisher = self.node().key().public();
        let address = Address { community: self.id(), manifest, publisher, target };
        let opened = SignedReceipt::open(signed, &address, sequence)
            .and_then(|receipt| receipt.body(&self.node().exchange()));
        let body = match opened {
            Ok(body) => body,
            Err(error) => return Ok(Report::Unreadable(error.to_string())),
        };
        Ok(match Receipt::decode(&body) {
            Ok(receipt) => Report::Readable { manifest, receipt },
            Err(error) => Report::Unreadable(error.to_string()),
        })
    }

    /// What the ledger has of a release of this node's feed.
    pub(in crate::communities) async fn sent_package(
        &self,
        ledger: &dyn Ledger,
        sequence: u64,
    ) -> Result<Option<PackageRecord>, LedgerError> {
        let filter = PackageFilter {
            community: Some(self.id()),
            sequence: Some(sequence),
            ..PackageFilter::default()
        };
        let feed = self.feed();
        // There is one for each publisher whose ledger this is.
        let packages = ledger.packages(&filter, None, 16).await?;
        Ok(packages.into_iter().find(|package| package.feed == feed))
    }
}
