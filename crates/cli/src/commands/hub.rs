//! `consign hub`

use anyhow::Context as _;
use serde_json::json;

use super::{Session, interrupted};
use crate::args::HubArgs;
use crate::exit::{Ended, Usage};

pub(super) async fn run(session: &Session, args: HubArgs) -> anyhow::Result<Ended> {
    let tls = match args.tls.as_str() {
        "self" => hub::Tls::SelfSigned,
        "off" => hub::Tls::Off,
        files => {
            let (cert, key) = files.split_once(',').ok_or_else(|| {
                Usage(format!("--tls takes self, off or CERT,KEY, not {files:?}"))
            })?;
            hub::Tls::Files { cert: cert.into(), key: key.into() }
        }
    };
    let listen = args
        .listen
        .parse()
        .map_err(|_| Usage(format!("--listen takes ADDRESS:PORT, not {:?}", args.listen)))?;
    let mut config = hub::HubConfig::new(args.data.clone(), listen);
    config.tls = tls;
    config.url = args.url;
    let running = hub::Hub::start(config)
        .await
        .with_context(|| format!("cannot start the hub in {}", args.data.display()))?;
    let fingerprint = hex::encode(running.fingerprint);
    session.output.fact(
        format!("hub at {}\ncertificate {fingerprint}", running.url),
        &json!({"event": "listening", "url": running.url, "fingerprint": fingerprint}),
    )?;
    session
        .output
        .remark(format!("invite a publisher with: consign invite --data {}", args.data.display()));
    interrupted().await?;
    session.output.remark("stopping: requests under way are finished first");
    running.shutdown().await;
    Ok(Ended::Done)
}
