//! What targets answered is fetched, opened and kept.

use std::sync::Arc;

use community::{Address, ExchangeKey, SignedReceipt};
use documents::{PublicKey, ReleaseName};
use futures_util::future::try_join_all;
use hub_api::ReceiptInfo;
use ledger::{Answer, Ledger, LedgerError, PackageFilter, PackageRecord, Recorded, Report};
use package::Receipt;

use super::SendError;
use crate::communities::manager::fail;
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;

/// Receipts that are read at the same time: those that did not come with their list are a round trip
/// each, and at most 8 MiB.
pub(in crate::communities) const AT_ONCE: usize = 8;

/// Reads receipts, at most [`AT_ONCE`], in their order. They are what the hub says that they are, until
/// they are opened.
pub(in crate::communities) async fn read_receipts(
    hub: &HubLink,
    feed: &ReleaseName,
    receipts: &[ReceiptInfo],
) -> Result<Vec<Vec<u8>>, CommunityError> {
    let reading = receipts.iter().map(|info| {
        let (client, feed, sequence) = (Arc::clone(&hub.client), feed.clone(), info.sequence);
        let target = PublicKey::from_bytes(info.target.0);
        let listed = info.signed.as_ref().map(|signed| signed.0.clone());
        async move {
            match listed {
                Some(signed) => Ok(signed),
                None => client.receipt(&feed, sequence, &target).await,
            }
        }
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

/// What a receipt says, if its target signed it for this release: whoever handed it over, and with
/// whatever else.
fn report(signed: &[u8], address: &Address, sequence: u64, exchange: &ExchangeKey) -> Report {
    let opened =
        SignedReceipt::open(signed, address, sequence).and_then(|receipt| receipt.body(exchange));
    let body = match opened {
        Ok(body) => body,
        Err(error) => return Report::Unreadable(error.to_string()),
    };
    match Receipt::decode(&body) {
        Ok(receipt) => Report::Readable { manifest: address.manifest, receipt },
        Err(error) => Report::Unreadable(error.to_string()),
    }
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
        Ok(report(signed, &address, sequence, &self.node().exchange()))
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

#[cfg(test)]
mod tests {
    use community::{CommunityId, MessageSeed};
    use documents::{DocumentHash, NodeKey};
    use package::Verdict;

    use super::*;

    #[test]
    fn a_receipt_that_comes_along_counts_only_if_its_target_signed_it_for_this_release() {
        let [publisher, target, other] =
            [1, 2, 3].map(|number| NodeKey::from_secret_bytes([number; 32]));
        let exchange = ExchangeKey::derive(&publisher);
        let address = Address {
            community: CommunityId::from_random([4; 16]),
            manifest: DocumentHash::from_bytes([5; 32]),
            publisher: publisher.public(),
            target: target.public(),
        };
        let (package, version) = ("press".to_owned(), "7".to_owned());
        let said = Receipt { package, version, verdict: Verdict::Passed, steps: Vec::new() };
        let body = said.encode().expect("is inside every bound");
        let receipt = |address: Address, body: &[u8]| {
            let seed = MessageSeed::from_random([6; 32]);
            SignedReceipt::new(address, 9, 1, body, &exchange.public(), seed).expect("seals")
        };
        let good = receipt(address, &body).sign(&target);
        let Report::Readable { manifest, receipt: found } = report(&good, &address, 9, &exchange)
        else {
            panic!("it is good");
        };
        assert_eq!((manifest, found), (address.manifest, said));

        let of_other = Address { target: other.public(), ..address };
        let of_other_release = Address { manifest: DocumentHash::from_bytes([7; 32]), ..address };
        let mut altered = good.clone();
        *altered.last_mut().expect("it is not empty") ^= 1;
        for (signed, sequence) in [
            (receipt(address, &body).sign(&other), 9),
            (receipt(of_other, &body).sign(&other), 9),
            (receipt(of_other_release, &body).sign(&target), 9),
            (receipt(address, b"no receipt").sign(&target), 9),
            (good, 8),
            (altered, 9),
            (Vec::new(), 9),
        ] {
            let refused = report(&signed, &address, sequence, &exchange);
            assert!(matches!(refused, Report::Unreadable(_)), "{refused:?}");
        }
    }
}
