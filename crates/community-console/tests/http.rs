//! The console over HTTP, with a ledger filled as `package send` and the node fill it.

mod scene;

use axum::http::{Method, StatusCode, header};
use package::Verdict;
use package::label::Labels;
use scene::{HOSTILE, Scene, answer};

/// Every page, and something that it says.
async fn pages(scene: &Scene) -> Vec<(String, &'static str)> {
    let package = scene.package;
    vec![
        ("/".into(), "Topology"),
        ("/?by=site".into(), "site=berlin"),
        ("/?by=-state".into(), "pending (1)"),
        ("/releases".into(), "tools"),
        ("/releases?name=tools".into(), "Releases of"),
        (format!("/releases/{package}"), "press-1"),
        (format!("/releases/{package}?state=failed"), "press-2"),
        (format!("/releases/{package}?state=pending"), "the hub keeps it"),
        (scene.receipt("press-2").await, "exit code 3"),
        ("/peers".into(), "press-3"),
        ("/peers?label=site%3Dberlin%20%26%20!lab".into(), "press-1"),
        ("/peers/press-2".into(), "What was sent to it from here"),
    ]
}

#[tokio::test]
async fn a_relay_is_shown_with_its_rates_and_what_waits_behind_it() {
    let scene = Scene::sent().await;
    let cookie = scene.signed_in().await;
    let plain = async |page: &str| scene.get(page, &cookie).await.body.replace('\u{a0}', " ");
    let overview = plain("/").await;
    for says in ["↓ 8.00 MB/s ↑ 180 B/s", "8.00 MB/s down, 180 B/s up; 12 entries wait"] {
        assert!(overview.contains(says), "{says}: {overview}");
    }
    assert!(overview.contains("answers, 15 wait"), "the hub's own queue: {overview}");
    let relay = plain("/peers/boss").await;
    for says in ["3.00 GB, now 8.00 MB/s", "700 kB, now 180 B/s", "12 entries wait", "2 times"] {
        assert!(relay.contains(says), "{says}: {relay}");
    }
    // Who is no relay by the roster is none by its own word.
    assert!(!plain("/peers/press-1").await.contains("What it passes on"));
}

fn assert_inert(page: &str, body: &str) {
    for markup in ["<script>", "<img src=x", "onerror=\"", "style=\"", "javascript:"] {
        assert!(!body.contains(markup), "{page} holds {markup}");
    }
    let scripts: Vec<&str> = body.split("<script").skip(1).collect();
    assert!(scripts.iter().all(|tag| tag.starts_with(" src=\"/assets/")), "{page}");
}

#[tokio::test]
async fn every_page_is_shown_to_who_is_signed_in_and_to_nobody_else() {
    let scene = Scene::sent().await;
    let cookie = scene.signed_in().await;
    for (page, says) in pages(&scene).await {
        let answer = scene.get(&page, &cookie).await;
        assert_eq!(answer.status, StatusCode::OK, "{page}: {}", answer.body);
        assert!(answer.body.contains(says), "{page} does not say {says}: {}", answer.body);
        assert_inert(&page, &answer.body);
        for other in ["", "consign-community-8000=", &cookie.replace('a', "b")] {
            let refused = scene.get(&page, other).await;
            if other == cookie {
                continue;
            }
            assert_eq!(refused.status, StatusCode::SEE_OTHER, "{page} with {other}");
            assert_eq!(refused.header(header::LOCATION), "/sign-in", "{page}");
            assert!(!refused.body.contains("press-1"), "{page}");
        }
    }
    let live = scene.get("/live/overview", "").await;
    assert_eq!(live.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.get("/nothing", &cookie).await.status, StatusCode::NOT_FOUND);
    assert_eq!(scene.get("/nothing", "").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn every_answer_forbids_browsers_to_do_more_than_show_it() {
    let scene = Scene::sent().await;
    let cookie = scene.signed_in().await;
    let mut all: Vec<String> = pages(&scene).await.into_iter().map(|(page, _)| page).collect();
    all.extend(["/sign-in".into(), "/nothing".into(), "/assets/none.css".into()]);
    for page in all {
        let answer = scene.get(&page, &cookie).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{page}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{page}");
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            assert_eq!(answer.header(name.clone()), value, "{page} {name}");
        }
    }
    // What every page loads is there.
    let page = scene.get("/", &cookie).await.body;
    let assets: Vec<&str> = page.split("\"/assets/").skip(1).collect();
    assert!(assets.len() >= 4);
    for asset in assets {
        let path = asset.split(['"', '#']).next().expect("a path");
        let asset = scene.get(&format!("/assets/{path}"), "").await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn requests_under_a_name_that_is_not_ours_are_refused() {
    let scene = Scene::sent().await;
    let cookie = scene.signed_in().await;
    for host in ["evil.example:8000", "127.0.0.1:8001", "127.0.0.1.evil.example:8000", ""] {
        for page in ["/", "/sign-in", "/releases", "/live/overview", "/assets/none.css"] {
            let refused = scene.request(Method::GET, page, &cookie, host, "").await;
            assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST, "{page} at {host}");
            assert!(!refused.body.contains("press-1") && !refused.body.contains("Plant"), "{page}");
        }
        let form = format!("secret={}", scene.secret());
        let refused = scene.request(Method::POST, "/sign-in", "", host, &form).await;
        assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    // The link was not spent by that.
    scene.signed_in().await;
}

#[tokio::test]
async fn nothing_can_be_changed_by_a_request() {
    let scene = Scene::sent().await;
    let cookie = scene.signed_in().await;
    let receipt = scene.receipt("press-2").await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        for page in ["/", "/peers", "/releases", "/peers/press-1", &receipt, "/live/overview"] {
            let refused = scene.request(method.clone(), page, &cookie, scene::HOST, "").await;
            assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {page}");
        }
    }
    let put = scene.request(Method::PUT, "/sign-in", "", scene::HOST, "").await;
    assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_link_signs_in_once_and_only_as_it_was_printed() {
    let scene = Scene::empty().await;
    let secret = scene.secret();
    assert_eq!(secret.len(), 64);
    let post =
        async |form: &str| scene.request(Method::POST, "/sign-in", "", scene::HOST, form).await;
    let long = format!("secret={}", "0".repeat(5000));
    for wrong in ["", "secret=", "secret=0", &format!("secret={}", "0".repeat(64)), &long] {
        let refused = post(wrong).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{wrong}");
        assert!(refused.body.contains("consign community console"), "it says what to do");
    }
    // As a form sends a pasted link.
    let pasted = scene.link().replace(':', "%3A").replace('/', "%2F").replace('#', "%23");
    let opened = post(&format!("secret={pasted}")).await;
    assert_eq!((opened.status, &*opened.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/"));
    let cookie = opened.header(header::SET_COOKIE);
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(&secret));
    assert_eq!(post(&format!("secret={secret}")).await.status, StatusCode::FORBIDDEN);
    assert_ne!(scene.secret(), secret, "another one is printed");
    let page = scene.get("/", cookie.split(';').next().expect("a pair")).await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test]
async fn what_targets_say_stays_text() {
    let scene = Scene::sent().await;
    let labels: Labels = [("site".to_owned(), HOSTILE.to_owned())].into();
    let verdict = Verdict::Failed(HOSTILE.into());
    let said = format!("{HOSTILE}\n\x1b[2J\u{202e}\r");
    let package = scene.send("tools", 2, &[("press-9", labels)]).await;
    scene.answer(2, "press-9", answer(verdict, &said)).await;
    let cookie = scene.signed_in().await;
    let shown = "&#60;script&#62;window.ran=true&#60;/script&#62;";
    for page in [
        format!("/releases/{package}"),
        scene.receipt_of(package, "press-9").await,
        "/?by=site".into(),
    ] {
        let answer = scene.get(&page, &cookie).await;
        assert_eq!(answer.status, StatusCode::OK, "{page}");
        assert_inert(&page, &answer.body);
        if page != "/?by=site" {
            assert!(answer.body.contains(shown), "{page}: {}", answer.body);
        }
    }
    let receipt = scene.get(&scene.receipt_of(package, "press-9").await, &cookie).await.body;
    assert!(receipt.contains("\\u{1b}[2J\\u{202e}\\u{d}"), "{receipt}");
    // Whole, it is handed out to be kept and not to be opened.
    let stdout = format!("{}/steps/2/stdout", scene.receipt_of(package, "press-9").await);
    let bytes = scene.get(&stdout, &cookie).await;
    assert_eq!(bytes.body, said);
    assert_eq!(bytes.header(header::CONTENT_TYPE), "application/octet-stream");
    assert!(
        bytes.header(header::CONTENT_DISPOSITION).starts_with("attachment; filename=\"press-9-")
    );
}

#[tokio::test]
async fn a_receipt_tells_every_step_and_what_was_cut_off() {
    let scene = Scene::sent().await;
    let cookie = scene.signed_in().await;
    let page = scene.get(&scene.receipt("press-2").await, &cookie).await.body;
    for part in [
        "look failed",
        "1. files",
        "files put back",
        "3\u{a0}files added",
        "2. look",
        "exit code 3",
        "the step expects another end",
        "20\u{a0}ms processor time",
        "1.05\u{a0}MB largest memory",
        "standard output",
        "hello &#38; goodbye",
        "standard error",
        "no such press",
        "kept the first 14\u{a0}B of 90\u{a0}B",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    for missing in ["/releases/999", "/releases/x", "/releases/1/targets/999", "/peers/nobody"] {
        let status = scene.get(missing, &cookie).await.status;
        assert!(status.is_client_error(), "{missing}: {status}");
    }
    let other = format!("{}/steps/9/stdout", scene.receipt("press-2").await);
    assert_eq!(scene.get(&other, &cookie).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_roll_out_shows_its_waves_and_what_it_waits_for() {
    let scene = Scene::sent().await;
    let package = scene.roll_out(3, &["press-1", "press-2", "press-3"]).await;
    let cookie = scene.signed_in().await;
    let here = format!("/releases/{package}");
    let page = scene.get(&here, &cookie).await.body;
    for part in [
        "Wave 1, canary",
        "It waits for the answer of one target",
        "Then wave 2 of 2 is addressed",
        "consign package pause 3",
        "waiting <span",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let waiting = scene.get(&format!("{here}?state=waiting"), &cookie).await.body;
    assert!(waiting.contains("wave 2: its wave has not come"), "{waiting}");
    // Its canary fails; the node would stop it then.
    scene.answer(3, "press-1", answer(Verdict::Failed("no".into()), "")).await;
    scene.stop(package, "1 of 1 targets failed").await;
    let page = scene.get(&here, &cookie).await.body;
    for part in ["1 of 1 targets failed", "It waits for a decision", "consign package resume 3"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[tokio::test]
async fn a_target_that_began_is_shown_running_until_it_has_answered() {
    let scene = Scene::sent().await;
    let rolled = scene.roll_out(3, &["press-1", "press-2"]).await;
    scene.begin(scene.package, "press-3", 7200).await;
    scene.begin(rolled, "press-1", 60).await;
    let cookie = scene.signed_in().await;
    let here = format!("/releases/{}?state=running", scene.package);
    let page = scene.get(&here, &cookie).await.body;
    for part in ["press-3", "it fetches it or carries it out, for 2\u{a0}h", "state move"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("press-2"), "it has answered: {page}");
    let pending = format!("/releases/{}?state=pending", scene.package);
    assert!(!scene.get(&pending, &cookie).await.body.contains("press-3"), "it runs");
    let waves = scene.get(&format!("/releases/{rolled}"), &cookie).await.body;
    assert!(waves.contains("1 running"), "{waves}");
    for (path, part) in [
        ("/", "at work on it now"),
        ("/peers?role=target&state=running", "press-3"),
        ("/peers/press-3", "running"),
    ] {
        let page = scene.get(path, &cookie).await.body;
        assert!(page.contains(part), "{part} is not in {path}: {page}");
    }
    scene.answer(1, "press-3", answer(Verdict::Passed, "")).await;
    let page = scene.get(&here, &cookie).await.body;
    assert!(!page.contains("press-3"), "{page}");
}

#[tokio::test]
async fn empty_pages_say_what_to_do_next() {
    let scene = Scene::empty().await;
    let cookie = scene.signed_in().await;
    for (page, says) in [
        ("/", "consign community peer add"),
        ("/", "consign package send"),
        ("/releases", "consign package send"),
        ("/peers", "consign join"),
    ] {
        let body = scene.get(page, &cookie).await.body;
        assert!(body.contains(says), "{page} does not say {says}: {body}");
    }
}

#[tokio::test]
async fn a_hub_that_does_not_answer_is_named_and_what_is_known_stays() {
    let scene = Scene::sent().await;
    let cookie = scene.signed_in().await;
    scene.hub_fails();
    scene.look().await;
    for page in ["/", "/peers"] {
        let body = scene.get(page, &cookie).await.body;
        assert!(body.contains("How the community stands is not known"), "{body}");
        assert!(body.contains("press-1") && body.contains("consign doctor"), "{body}");
    }
    // One that never answered leaves what the ledger knows.
    let scene = Scene::sent_without_hub().await;
    let cookie = scene.signed_in().await;
    let body = scene.get("/peers", &cookie).await.body;
    assert!(body.contains("press-2") && body.contains("as the ledger knows them"), "{body}");
}

#[tokio::test]
async fn what_changes_is_told_while_it_does_and_ends_with_the_console() {
    let scene = Scene::sent().await;
    let cookie = scene.signed_in().await;
    let mut events = scene.events(&format!("/live/releases/{}", scene.package), &cookie).await;
    let first = events.next().await.expect("the page as it is");
    assert!(first.starts_with("event: part\n") && first.contains("1 pending"), "{first}");
    scene.answer(1, "press-3", answer(Verdict::Passed, "")).await;
    let changed = async {
        loop {
            let event = events.next().await.expect("it goes on");
            if event.contains("2 passed") {
                return event;
            }
        }
    };
    let event = tokio::time::timeout(scene::PATIENCE, changed).await.expect("it is told");
    assert!(!event.contains("1 pending"), "{event}");
    assert!(
        event
            .lines()
            .all(|line| line.is_empty() || line.starts_with("data: ") || line == "event: part")
    );
    // Another sixteen browsers end this one's session, and with it what it is told.
    for _ in 0..16 {
        scene.signed_in().await;
    }
    let ended = async { while events.next().await.is_some() {} };
    tokio::time::timeout(scene::PATIENCE, ended).await.expect("it ends");
}

#[tokio::test]
async fn ten_thousand_targets_are_a_small_page() {
    let scene = Scene::large(10_000).await;
    let cookie = scene.signed_in().await;
    let page = scene.get("/", &cookie).await.body;
    assert!(page.contains("10,000") && page.len() < 60_000, "{} bytes", page.len());
    let peers = scene.get("/peers", &cookie).await.body;
    assert!(peers.contains("More peers") && peers.len() < 120_000, "{} bytes", peers.len());
}
