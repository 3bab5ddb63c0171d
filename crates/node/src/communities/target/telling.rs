//! That a release was begun is told to whoever it waits at, so that its publisher sees it running.

use std::future::Future;
use std::time::Duration;

use community::{Address, Beginning};

use super::Which;
use crate::causes::chain;
use crate::communities::Place;
use crate::publish::unix_now;

/// How long work goes on before it is told. What ends sooner is told by its receipt, and a fleet that
/// answers at once asks nothing more of its hub than that.
const TELL_AFTER: Duration = Duration::from_secs(2);

impl Place {
    /// Does some of the work of a release. When that takes a while its hubs and relays hear that it was
    /// begun; none of them has to be there for the work to go on and end.
    pub(super) async fn telling<T>(&self, which: &Which, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let tell = async {
            tokio::time::sleep(TELL_AFTER).await;
            self.tell_begun(which).await;
        };
        tokio::select! {
            done = &mut work => return done,
            () = tell => {}
        }
        work.await
    }

    /// The first time stands, at each of them.
    async fn tell_begun(&self, which: &Which) {
        let links = match self.links() {
            Ok(links) => links,
            Err(error) => {
                tracing::debug!(community = %self.id(), error = chain(&error), "cannot tell");
                return;
            }
        };
        let key = self.node().key();
        let Which { publisher, sequence, manifest } = *which;
        let address = Address { community: self.id(), manifest, publisher, target: key.public() };
        let signed = Beginning { address, sequence, begun: unix_now() }.sign(key);
        let (feed, own) = (self.id().feed(&publisher), key.public());
        for link in links {
            // Older ones do not know the call, and others not the release.
            if let Err(error) =
                link.client.begin_release(&feed, sequence, &own, signed.clone()).await
            {
                let error = chain(&error);
                tracing::debug!(community = %self.id(), url = link.url, error, "not told");
            }
        }
    }
}
