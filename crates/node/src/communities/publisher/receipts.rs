//! What targets answered is fetched, opened and kept.

use std::sync::Arc;

use community::{Address, SignedReceipt};
use documents::{PublicKey, ReleaseName};
use futures_util::future::try_join_all;
use hub_api::ReceiptInfo;
use ledger::{Answer, Ledger, LedgerError, PackageFilter, PackageRecord, Recorded, Report};
use package::Receipt;

use super::SendError;
use crate::communities::manager::fail;
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;

/// Receipts that are read at the same time: each is a round trip, and at most 8 MiB.
pub(in crate::communities) const AT_ONCE: usize = 8;

/// Reads receipts, at most [`AT_ONCE`], in their order.
pub(in crate::communities) async fn read_receipts(
    hub: &HubLink,
    feed: &ReleaseName,
    receipts: &[ReceiptInfo],
) -> Result<Vec<Vec<u8>>, CommunityError> {
    let reading = receipts.iter().map(|info| {
        let (client, feed, sequence) = (Arc::clone(&hub.client), feed.clone(), info.sequence);
        let target = PublicKey::from_bytes(info.target.0);
        async move { client.receipt(&feed, sequence, &target).await }
    });
    let read = try_join_all(reading.collect::<Vec<_>>()).await;
    read.map_err(|source| fail(hub, "read a receipt", source))
}

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
            for some in receipts.chunks(AT_ONCE) {
                for (info, signed) in some.iter().zip(read_receipts(&hub, &feed, some).await?) {
                    self.keep_receipt(ledger, info, signed, &mut collected).await?;
                    taken.push(info.id);
                }
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

    async fn keep_receipt(
        &self,
        ledger: &dyn Ledger,
        info: &ReceiptInfo,
        signed: Vec<u8>,
        collected: &mut Collected,
    ) -> Result<(), SendError> {
        let (target, sequence) = (PublicKey::from_bytes(info.target.0), info.sequence);
        let report = self.read_receipt(ledger, sequence, target, &signed).await?;
        if let Report::Unreadable(why) = &report {
            collected.unreadable.push((target, why.clone()));
        }
        let answer = Answer { target, answered: info.answered, report, receipt: Some(signed) };
        match ledger.record(&self.feed(), sequence, &answer).await? {
            Recorded::Now => collected.new += 1,
            Recorded::Before => {}
            Recorded::NotAddressed => {
                tracing::warn!(%target, sequence, "a receipt that nobody asked for");
            }
        }
        Ok(())
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
