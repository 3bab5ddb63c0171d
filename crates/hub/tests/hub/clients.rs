//! Which versions clients are to be: told to all, and the oldest one that is answered.

use std::time::Duration;

use hub::{ClientsError, Tls, want_clients, wanted_clients};
use hub_api::{ClientVersion, ClientVersions, ProblemCode};
use tokio::time::{sleep, timeout};

use crate::ask::{Answer, Ask};
use crate::raw::PATIENCE;
use crate::scene::{Scene, code};

fn version(text: &str) -> ClientVersion {
    text.parse().expect("a version")
}

/// Asks as a program of this version until the answer has this status.
async fn until(scene: &Scene, path: &str, program: &str, status: u16) -> Answer {
    let asking = async {
        loop {
            let answer = Ask::get(path).header("User-Agent", program).send(scene).await;
            if answer.status == status {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("comes about")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_old_is_told_what_to_do_and_nobody_else_is_refused() {
    let scene = Scene::start(Tls::Off).await;
    let place = "https://example.org/consign".parse().expect("a place");
    let wanted = ClientVersions {
        newest: Some(version("99.0.0")),
        place: Some(place),
        minimum: Some(version("0.0.7")),
    };
    assert!(scene.anonymous().hub_info().await.expect("asks").clients.is_none());
    want_clients(scene.dir.path(), &wanted).await.expect("is set");
    assert_eq!(wanted_clients(scene.dir.path()).await.expect("reads"), wanted);

    let refused = until(&scene, "/v1/names", "consign/0.0.6", 426).await;
    let problem = refused.json();
    assert_eq!(problem["code"], "client-too-old");
    let words =
        "this is consign 0.0.6, and the hub answers 0.0.7 and newer: https://example.org/consign";
    assert_eq!(problem["detail"], words);
    // By these it learns what is wrong.
    for path in ["/v1/hub", "/healthz", "/readyz", "/errors/client-too-old"] {
        until(&scene, path, "consign/0.0.6", 200).await;
    }
    for program in ["consign/0.0.7", "consign/0.1.0", "Mozilla/5.0", "consign/next"] {
        let answer = Ask::get("/v1/names").header("User-Agent", program).send(&scene).await;
        assert_eq!(answer.status, 200, "{program}");
    }
    let told = scene.anonymous().hub_info().await.expect("asks").clients;
    assert_eq!(told.as_ref(), Some(&wanted));

    // Our own program, when the hub wants a newer one.
    let newer = ClientVersions { minimum: wanted.newest, ..wanted };
    want_clients(scene.dir.path(), &newer).await.expect("is set");
    let own = format!("consign/{}", ClientVersion::own());
    until(&scene, "/v1/names", &own, 426).await;
    let client = scene.anonymous();
    assert_eq!(code(client.names(None, 10).await), ProblemCode::ClientTooOld);
    want_clients(scene.dir.path(), &ClientVersions::default()).await.expect("is set");
    until(&scene, "/v1/names", &own, 200).await;
    scene.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minimum_above_the_newest_is_refused() {
    let scene = Scene::start(Tls::Off).await;
    let wanted = ClientVersions {
        newest: Some(version("0.1.0")),
        minimum: Some(version("0.1.1")),
        place: None,
    };
    let refused = want_clients(scene.dir.path(), &wanted).await;
    assert!(matches!(refused, Err(ClientsError::Order { .. })), "{refused:?}");
    assert_eq!(wanted_clients(scene.dir.path()).await.expect("reads"), ClientVersions::default());
    scene.hub.shutdown().await;
}
