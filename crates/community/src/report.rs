//! What a relay tells those above it of itself: counts and times, nothing of what it passes on.

use content::DecodeError;
use content::cbor::{self, Encoded, Reader, Writer};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, NodeKey, PublicKey};

use crate::{CommunityId, identity};

/// The longest signed report, in bytes.
pub const SIGNED_BYTES_MAX: usize = 512;
/// The longest time that the newest counts may be of, in seconds.
pub const PERIOD_SECONDS_MAX: u64 = 3600;

const RELAY: u8 = 2;
const MADE: u8 = 3;
const SINCE: u8 = 4;
const TOTAL: u8 = 5;
const RECENT: u8 = 6;
const TURNS: u8 = 7;
const TURNED: u8 = 8;
const WAITING: u8 = 9;
const SILENT: u8 = 10;

/// Bytes that went through a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Of chunks and envelopes, to the hub beside it.
    pub down: u64,
    /// Of receipts, to the hub above it.
    pub up: u64,
}

/// How the hub beside a relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// It answers, and nothing waits there.
    Idle,
    /// Entries wait there for those served by the relay.
    Waiting {
        /// How many; at least one.
        entries: u64,
        /// Since when the oldest waits, in seconds since 1970.
        oldest: u64,
    },
    /// It does not answer.
    Silent {
        /// Since when, in seconds since 1970.
        since: u64,
    },
}

/// How a relay is, by its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayReport {
    /// The community.
    pub community: CommunityId,
    /// The relay, which signs.
    pub relay: PublicKey,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// From when it counts, in seconds since 1970.
    pub since: u64,
    /// What went through since then.
    pub total: Passed,
    /// Of how many seconds `recent` is: 1 to [`PERIOD_SECONDS_MAX`].
    pub seconds: u64,
    /// What went through in the last `seconds`.
    pub recent: Passed,
    /// How often it turned to another hub above it, and when last.
    pub turns: Option<(u64, u64)>,
    /// The hub beside it.
    pub beside: Beside,
}

/// Why a report is not believed: how that relay is stays unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It is damaged, or was not signed by the relay that it names.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is of another community.
    #[error("the report is of community {0}")]
    OtherCommunity(CommunityId),
}

impl RelayReport {
    /// Signs the report with the relay's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that the relay it names signed it, for this community. Whether that is a relay, the
    /// roster says.
    ///
    /// # Errors
    /// It did not.
    pub fn open(signed: &[u8], community: &CommunityId) -> Result<Self, ReportError> {
        let relay = envelope::peek::<Self>(signed)?.relay;
        let report: Self = envelope::open(signed, &relay)?;
        if report.community != *community {
            return Err(ReportError::OtherCommunity(report.community));
        }
        Ok(report)
    }
}

impl Passed {
    fn write(self, writer: &mut Writer) -> Encoded {
        writer.array(2)?.u64(self.down)?.u64(self.up)?;
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array_of(2)?;
        Ok(Self { down: reader.u64()?, up: reader.u64()? })
    }
}

impl Payload for RelayReport {
    const CONTEXT: Context = Context::RelayReport;
    const BYTES_MAX: usize = SIGNED_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        let optional = [self.turns.is_some(), self.beside != Beside::Idle];
        let fields = 8 + optional.into_iter().map(u64::from).sum::<u64>();
        cbor::encode(|writer| {
            writer.map(fields)?.u8(0)?.u8(1)?.u8(1)?.bytes(self.community.as_bytes())?;
            writer.u8(RELAY)?.bytes(self.relay.as_bytes())?;
            writer.u8(MADE)?.u64(self.made)?.u8(SINCE)?.u64(self.since)?;
            writer.u8(TOTAL)?;
            self.total.write(writer)?;
            writer.u8(RECENT)?.array(2)?.u64(self.seconds)?;
            self.recent.write(writer)?;
            let (turns, turned) = self.turns.unzip();
            writer.u8(TURNS)?.u64(turns.unwrap_or(0))?;
            if let Some(turned) = turned {
                writer.u8(TURNED)?.u64(turned)?;
            }
            match self.beside {
                Beside::Idle => {}
                Beside::Waiting { entries, oldest } => {
                    writer.u8(WAITING)?.array(2)?.u64(entries)?.u64(oldest)?;
                }
                Beside::Silent { since } => {
                    writer.u8(SILENT)?.u64(since)?;
                }
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, RELAY)?;
            let relay = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, MADE)?;
            let made = reader.u64()?;
            fields.expect(reader, SINCE)?;
            let since = reader.u64()?;
            fields.expect(reader, TOTAL)?;
            let total = Passed::read(reader)?;
            fields.expect(reader, RECENT)?;
            reader.array_of(2)?;
            let seconds = reader.u64()?;
            if !(1..=PERIOD_SECONDS_MAX).contains(&seconds) {
                return Err(reader.invalid(format!("counts of {seconds} seconds")));
            }
            let recent = Passed::read(reader)?;
            fields.expect(reader, TURNS)?;
            let turns = reader.u64()?;
            let turned = if fields.take(reader, TURNED)? { Some(reader.u64()?) } else { None };
            if turned.is_some() != (turns > 0) {
                return Err(reader.invalid("who turned did so at some time"));
            }
            let beside = if fields.take(reader, WAITING)? {
                reader.array_of(2)?;
                let entries = crate::charter::read_number(reader)?;
                Beside::Waiting { entries, oldest: reader.u64()? }
            } else if fields.take(reader, SILENT)? {
                Beside::Silent { since: reader.u64()? }
            } else {
                Beside::Idle
            };
            fields.finish(reader)?;
            let turns = turned.map(|turned| (turns, turned));
            Ok(Self { community, relay, made, since, total, seconds, recent, turns, beside })
        };
        cbor::decode_canonical("relay report", bytes, read, Self::encode)
    }
}

impl Attributed for RelayReport {
    fn signer(&self) -> PublicKey {
        self.relay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{charter, key, report};

    #[test]
    fn a_relay_speaks_for_itself_alone() {
        let community = charter().community;
        assert_eq!(RelayReport::open(&report().sign(&key(9)), &community), Ok(report()));
        // Signed by another relay in the name of this one.
        let forged = RelayReport::open(&report().sign(&key(6)), &community);
        assert!(matches!(forged, Err(ReportError::Document(_))));
        let other = CommunityId::from_bytes([9; 16]);
        let moved = RelayReport::open(&report().sign(&key(9)), &other);
        assert_eq!(moved, Err(ReportError::OtherCommunity(community)));
    }

    #[test]
    fn the_longest_report_fits_and_impossible_ones_do_not_decode() {
        let most = Passed { down: u64::MAX, up: u64::MAX };
        let longest = RelayReport {
            made: u64::MAX,
            since: u64::MAX,
            total: most,
            seconds: PERIOD_SECONDS_MAX,
            recent: most,
            turns: Some((u64::MAX, u64::MAX)),
            beside: Beside::Waiting { entries: u64::MAX, oldest: u64::MAX },
            ..report()
        };
        let signed = longest.sign(&key(9));
        assert!(signed.len() <= SIGNED_BYTES_MAX, "{} bytes", signed.len());
        assert_eq!(RelayReport::open(&signed, &longest.community), Ok(longest));
        for wrong in [
            RelayReport { seconds: 0, ..report() },
            RelayReport { seconds: PERIOD_SECONDS_MAX + 1, ..report() },
            RelayReport { turns: Some((0, 5)), ..report() },
            RelayReport { beside: Beside::Waiting { entries: 0, oldest: 5 }, ..report() },
        ] {
            assert!(RelayReport::decode(&wrong.encode()).is_err(), "{wrong:?}");
        }
    }
}
