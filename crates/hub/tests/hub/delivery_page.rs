//! The page on which browsers receive deliveries: what it is served with, and its modules under Node.js.

use std::path::{Path, PathBuf};
use std::process::Command;

use hub::{HubLimits, Tls};

use crate::console::get;
use crate::guests;
use crate::scene::Scene;

const ID: &str = "000102030405060708090a0b0c0d0e0f";

#[tokio::test]
async fn the_page_is_the_same_for_every_delivery_and_lets_nothing_in_or_out() {
    let scene = Scene::start(Tls::Off).await;
    let page = get(&scene, &format!("/d/{ID}"), "").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let other = get(&scene, &format!("/d/{}", "ff".repeat(16)), "").await;
    assert_eq!(other.body, page.body, "it says nothing about deliveries");
    for (name, value) in pages::policy::HEADERS {
        assert_eq!(page.header(name), value, "{name}");
    }
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("set-cookie"), "");
    assert!(!page.body.contains("<script>") && !page.body.contains(" style="), "nothing inline");
    let sources = page.body.split(['"', '\'']).filter(|it| it.contains("/assets/"));
    let mut count = 0;
    for source in sources {
        let asset = get(&scene, source, "").await;
        assert_eq!(asset.status, 200, "{source}");
        assert!(asset.header("cache-control").contains("immutable"), "{source}");
        assert_eq!(asset.header("content-security-policy"), pages::policy::CONTENT, "{source}");
        count += 1;
    }
    assert!(count >= 5, "{count}");
}

#[tokio::test]
async fn a_persons_page_is_the_same_for_everybody_and_sets_no_cookie() {
    let scene = Scene::start(Tls::Off).await;
    let page = get(&scene, "/me", "").await;
    assert_eq!(page.status, 200, "{}", page.body);
    for (name, value) in pages::policy::HEADERS {
        assert_eq!(page.header(name), value, "{name}");
    }
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("set-cookie"), "");
    assert!(!page.body.contains("<script>") && !page.body.contains(" style="), "nothing inline");
    // Whatever cookie a browser sends, the page is the same, and the routes it asks know nobody by one.
    let cookie = "Cookie: consign-console=00; session=11\r\n";
    assert_eq!(get(&scene, "/me", cookie).await.body, page.body);
    for path in ["/v1/me", "/v1/me/inbox", "/v1/me/book", "/v1/me/events"] {
        assert_eq!(get(&scene, path, cookie).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn the_page_of_guests_is_the_same_for_everybody_and_only_where_there_are_some() {
    let closed = Scene::start(Tls::Off).await;
    let page = get(&closed, "/send", "").await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(page.body.contains("Nobody sends here without an account"), "{}", page.body);
    assert!(!page.body.contains("send-form"), "{}", page.body);
    for path in ["/me", &format!("/d/{ID}")] {
        assert!(!get(&closed, path, "").await.body.contains("\"/send\""), "{path} leads nowhere");
    }

    let scene = guests::hub(64_000_000, HubLimits::default()).await;
    let page = get(&scene, "/send", "").await;
    assert_eq!(page.status, 200, "{}", page.body);
    for (name, value) in pages::policy::HEADERS {
        assert_eq!(page.header(name), value, "{name}");
    }
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("set-cookie"), "");
    assert!(!page.body.contains("<script>") && !page.body.contains(" style="), "nothing inline");
    assert!(page.body.contains("share 64.0\u{a0}MB in a day"), "{}", page.body);
    let cookie = "Cookie: consign-console=00; session=11\r\n";
    assert_eq!(get(&scene, "/send", cookie).await.body, page.body);
    for path in ["/me", &format!("/d/{ID}")] {
        assert!(get(&scene, path, "").await.body.contains("\"/send\""), "{path} leads there");
    }
}

#[tokio::test]
async fn what_names_no_delivery_has_no_page() {
    let scene = Scene::start(Tls::Off).await;
    for path in ["/d/", "/d/x", &format!("/d/{ID}0"), &format!("/d/{ID}/x"), "/d/assets/x/page.js"]
    {
        assert_eq!(get(&scene, path, "").await.status, 404, "{path}");
    }
}

/// Runs the tests of the page's modules that need no browser.
fn run(name: &str) {
    let Some(node) = testkit::parts::require("node") else { return };
    let place: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/delivery_page");
    let output = Command::new(node)
        .args(["--test", "--test-reporter=spec", &format!("{name}.test.mjs")])
        .current_dir(place)
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("pass ") && !said.contains("tests 0"), "{said}");
}

#[test]
fn the_page_reads_and_writes_the_formats_as_rust_does() {
    run("formats");
}

#[test]
fn a_persons_page_signs_and_seals_as_rust_does() {
    run("people");
}

#[test]
fn a_persons_page_sends_what_was_chosen_whatever_breaks() {
    run("send");
}

#[test]
fn the_page_asks_reports_and_gives_up_as_the_plan_says() {
    run("plan");
}

#[test]
fn the_page_reads_out_what_comes_and_what_ends_once() {
    run("news");
}

#[test]
fn the_page_tells_segment_rate_rest_and_restarts() {
    run("course");
}

#[test]
fn the_page_keeps_names_and_archives_harmless() {
    run("names");
}
