//! A hub that is down for everyone, and what its administrators see of it.

use std::time::Duration;

use hub::{Role, SwitchError, Tls, take_down, take_up};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::ask::{Answer, Ask};
use crate::people::person;
use crate::raw::{PATIENCE, Wire, token};
use crate::scene::Scene;

const HOUR: Duration = Duration::from_secs(3600);

/// Asks until the answer has this status: the switch is looked at every other second.
async fn until(scene: &Scene, ask: &Ask, status: u16) -> Answer {
    let asking = async {
        loop {
            let answer = ask.send(scene).await;
            if answer.status == status {
                return answer;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("comes about")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_down_for_everyone_but_administrators() {
    let scene = Scene::start(Tls::Off).await;
    let anna = person(&scene, "anna", 1).await;
    let operator = scene.person(9, Role::Administrator, &[]).await;
    let operator = token(&scene, &operator);
    let mut listening = Wire::connect(&scene).await;
    let events = format!(
        "GET /v1/me/events HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {}\r\n\r\n",
        anna.token
    );
    listening.send(events.as_bytes()).await;
    assert!(listening.head().await.contains(" 200 "));

    let until_time = take_down(scene.dir.path(), HOUR, "a new disk").await.expect("is down");
    let refused = until(&scene, &Ask::get("/v1/me").token(&anna.token), 503).await;
    assert_eq!(refused.problem().1, "unavailable");
    let detail = refused.json()["detail"].as_str().expect("a text").to_owned();
    assert!(detail.contains("down for everyone: a new disk"), "{detail}");
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((3500..=3600 + 900).contains(&after), "{after}");
    // What was open is ended, so that it is told too.
    listening.rest().await;
    for path in ["/v1/names", "/v1/people/anna", "/v1/deliveries/00000000000000000000000000000000"]
    {
        assert_eq!(Ask::get(path).send(&scene).await.status, 503, "{path}");
    }
    for path in ["/healthz", "/readyz", "/v1/hub", "/console/sign-in"] {
        assert_eq!(Ask::get(path).send(&scene).await.status, 200, "{path}");
    }
    let status = Ask::get("/v1/status").token(&operator).send(&scene).await.json();
    assert_eq!(status["down"]["until"], json!(until_time));
    let heartbeat_s = status["front_ends"][0]["heartbeat_s"].as_u64().expect("is told");
    assert!((5..=40).contains(&heartbeat_s), "{status}");
    assert_eq!(Ask::get("/v1/accounts").token(&operator).send(&scene).await.status, 200);
    assert_eq!(Ask::get("/v1/status").token(&anna.token).send(&scene).await.status, 403);

    take_up(scene.dir.path()).await.expect("is up");
    until(&scene, &Ask::get("/v1/me").token(&anna.token), 200).await;
    let audit = Ask::get("/v1/audit").token(&operator).send(&scene).await.json().to_string();
    assert!(audit.contains("take-down") && audit.contains("take-up"), "{audit}");
    scene.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_not_taken_down_for_ever_or_with_words_that_are_no_line() {
    let scene = Scene::start(Tls::Off).await;
    let down = async |time, why: &str| take_down(scene.dir.path(), time, why).await;
    for time in [Duration::ZERO, Duration::from_secs(59), 200 * HOUR] {
        let refused = down(time, "x").await.expect_err("no such time");
        assert!(matches!(refused, SwitchError::Time), "{refused}");
    }
    for why in ["a\nb", "\u{1b}[2J", &"x".repeat(201)] {
        let refused = down(HOUR, why).await.expect_err("no line");
        assert!(matches!(refused, SwitchError::Why), "{refused}");
    }
    assert_eq!(Ask::get("/v1/names").send(&scene).await.status, 200);
    scene.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_how_the_front_ends_are() {
    let scene = Scene::start(Tls::Off).await;
    let operator = scene.person(9, Role::Administrator, &[]).await;
    let ask = Ask::get("/v1/status").token(&token(&scene, &operator));
    let status = ask.send(&scene).await.json();
    let front_ends = status["front_ends"].as_array().expect("a list");
    assert_eq!(front_ends.len(), 1);
    assert_eq!(
        (&front_ends[0]["state"], &front_ends[0]["keeps_chunks"]),
        (&json!("up"), &json!(true))
    );
    assert_eq!(status["manager"]["front_end"], front_ends[0]["id"]);
    assert_eq!(status["manager"]["is_held"], json!(true));
    assert_eq!(status["alarms"], json!([]));
    assert!(status.get("down").is_none());
    scene.hub.shutdown().await;
}
