//! The console as any client sees it: who gets in, what is refused, what headers say.

use std::collections::BTreeMap;

use hub::{Role, Tls};
use hub_db::{
    AccountKey, Accounts as _, Audit as _, Console as _, Grant, Grants as _, HubDb as _, NewToken,
    SqliteDb, TokenScope, Tokens as _,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::people::person;
use crate::scene::{Scene, Tree, name, now};

const OWN: &str = "Sec-Fetch-Site: same-origin\r\n";

/// Pages a signed-in person can open, of a hub with `team/plain` and its first release.
const PAGES: [&str; 11] = [
    "/console",
    "/console/names",
    "/console/names/team/plain",
    "/console/names/team/plain/changes",
    "/console/names/team/plain/1/tree",
    "/console/names/team/plain/1/file?path=a",
    "/console/invitations",
    "/console/accounts",
    "/console/people",
    "/console/tokens",
    "/console/audit",
];

/// Forms, with what makes each valid.
const FORMS: [(&str, &str); 12] = [
    ("/console/names/team/plain/visibility", "public=true"),
    ("/console/names/team/plain/retention", "last=1&days="),
    ("/console/names/team/plain/pin", "sequence=1&pinned=true"),
    ("/console/names/team/plain/grants", "grant=reader&key=KEY"),
    ("/console/names/team/plain/grants/remove", "key=KEY"),
    ("/console/invitations", "role=reader&names=&hours=1"),
    ("/console/invitations/revoke", "id=1"),
    ("/console/accounts/revoke", "key=KEY"),
    ("/console/tokens/revoke", "number=1"),
    ("/console/down", "minutes=5&why=a+new+disk"),
    ("/console/up", ""),
    ("/console/sign-out", ""),
];

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

async fn send(scene: &Scene, request: String) -> Answer {
    let mut stream = TcpStream::connect(scene.hub.local_addr).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("has a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.parse().expect("a number"),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

pub(crate) async fn get(scene: &Scene, path: &str, headers: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{headers}\r\n");
    send(scene, head).await
}

async fn post(scene: &Scene, path: &str, headers: &str, form: &str) -> Answer {
    let length = form.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{headers}\r\n{form}"
    );
    send(scene, head).await
}

async fn secret(scene: &Scene) -> String {
    let link = hub::console_link(scene.dir.path()).await.expect("makes a link");
    let (url, secret) = link.split_once('#').expect("has a fragment");
    assert_eq!(url, format!("{}/console/sign-in", scene.hub.url));
    secret.to_owned()
}

/// A signed-in browser.
pub(crate) struct Session {
    /// The line of a head that names the session.
    pub(crate) cookie: String,
    token: String,
}

impl Session {
    pub(crate) async fn open(scene: &Scene) -> Self {
        let form = format!("secret={}", secret(scene).await);
        let answer = post(scene, "/console/sign-in", OWN, &form).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/console"));
        let cookie = answer.header("set-cookie").split(';').next().expect("a pair").to_owned();
        let cookie = format!("Cookie: other=1; {cookie}\r\n");
        let page = get(scene, "/console", &cookie).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let token = page.body.split("name=\"token\" value=\"").nth(1).expect("a token");
        Self { cookie, token: token[..64].to_owned() }
    }

    async fn post(&self, scene: &Scene, path: &str, form: &str) -> Answer {
        let form = format!("token={}&{form}", self.token);
        post(scene, path, &format!("{OWN}{}", self.cookie), &form).await
    }
}

fn key_of(number: u8) -> String {
    hex::encode(documents::NodeKey::from_secret_bytes([number; 32]).public().as_bytes())
}

/// A hub with a private name of a release that says it is sealed, an account beside its owner, an
/// invitation and a token whose label is a script.
async fn furnished() -> Scene {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    scene.person(2, Role::Reader, &[]).await;
    owner.publish(&name("team/plain"), false, &Tree::new(1, 3)).await;
    let hour = std::time::Duration::from_secs(3600);
    hub::invite(scene.dir.path(), Role::Reader, &[name("team/plain")], hour)
        .await
        .expect("invites");
    let db = database(&scene).await;
    let key = AccountKey(hex::decode(key_of(1)).expect("digits").try_into().expect("32 bytes"));
    let account = db.account(&key).await.expect("asks").expect("registered").id;
    let token = NewToken {
        secret_hash: [7; 32],
        account,
        label: "<script>alert(1)</script>\"onload='x'\u{202e}".to_owned(),
        scope: TokenScope::Read,
        names: vec![],
        created: now(),
        expires: now() + 1000,
    };
    db.create_token(&token).await.expect("records");
    db.close().await;
    scene
}

async fn database(scene: &Scene) -> SqliteDb {
    SqliteDb::open(&scene.dir.path().join("hub.sqlite")).await.expect("opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_or_done_without_a_session() {
    let scene = furnished().await;
    let made_up = format!("Cookie: consign-console={}\r\n", "ab".repeat(32));
    for cookie in ["", "Cookie: consign-console=\r\n", &made_up] {
        let stranger = get(&scene, "/console/names/team/nowhere", cookie).await;
        for page in PAGES {
            let answer = get(&scene, page, cookie).await;
            assert_eq!(answer.status, 303, "{page}");
            assert_eq!(answer.header("location"), "/console/sign-in", "{page}");
            // What exists looks like what does not.
            assert_eq!(answer.body, stranger.body, "{page}");
        }
        for (path, form) in FORMS {
            let form = form.replace("KEY", &key_of(2));
            let answer = post(&scene, path, &format!("{OWN}{cookie}"), &form).await;
            assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{path}");
        }
        let accept = format!("Accept: text/event-stream\r\n{cookie}");
        let live = get(&scene, "/console/transfers", &accept).await;
        assert_eq!((live.status, live.body.as_str()), (401, ""));
    }
    // And nothing was done.
    let db = database(&scene).await;
    assert_eq!(db.invitations(now()).await.expect("asks").len(), 1);
    assert_eq!(db.grants("team/plain").await.expect("asks").len(), 1, "the owner alone");
    let all = db.audit(None, 100).await.expect("asks");
    assert!(all.iter().all(|(_, entry)| !matches!(entry.actor, hub_db::Actor::Console(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_signs_in_once_and_in_time() {
    let scene = Scene::start(Tls::Off).await;
    let first = secret(&scene).await;
    // Only from our own page.
    let refused = post(&scene, "/console/sign-in", "", &format!("secret={first}")).await;
    assert_eq!(refused.status, 403);
    // A whole link is as good as its secret.
    let form = format!("secret=http%3A%2F%2Fhub%2Fconsole%2Fsign-in%23{first}");
    let answer = post(&scene, "/console/sign-in", OWN, &form).await;
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("consign-console="), "{cookie}");
    for attribute in ["; Path=/", "; Max-Age=28800", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "without TLS no browser would keep it: {cookie}");
    assert!(!cookie.contains(&first), "the link's secret is not the session's");

    let again = post(&scene, "/console/sign-in", OWN, &form).await;
    assert_eq!((again.status, again.header("set-cookie")), (403, ""));
    assert!(again.body.contains("used already"), "{}", again.body);
    for wrong in ["", "secret=", "secret=abc", &format!("secret={}", "0".repeat(64))] {
        assert_eq!(post(&scene, "/console/sign-in", OWN, wrong).await.status, 403, "{wrong}");
    }
    let db = database(&scene).await;
    let late = [9; 32];
    db.create_sign_in(blake3::hash(&late).as_bytes(), now() - 1).await.expect("records");
    let form = format!("secret={}", hex::encode(late));
    assert_eq!(post(&scene, "/console/sign-in", OWN, &form).await.status, 403, "too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_other_sites_are_refused() {
    let scene = furnished().await;
    let session = Session::open(&scene).await;
    let other = Session::open(&scene).await;
    assert_ne!(session.token, other.token);
    for (path, form) in FORMS {
        let form = form.replace("KEY", &key_of(2));
        let good = format!("token={}&{form}", session.token);
        let foreign = format!("token={}&{form}", other.token);
        let tries = [
            ("no token", OWN, form.as_str()),
            ("another session's token", OWN, &foreign),
            ("another site", "Sec-Fetch-Site: cross-site\r\n", &good),
            ("a neighbour", "Sec-Fetch-Site: same-site\r\n", &good),
            ("an origin", "Origin: https://evil.example\r\n", &good),
            ("neither header", "", &good),
        ];
        for (what, headers, form) in tries {
            let headers = format!("{headers}{}", session.cookie);
            let answer = post(&scene, path, &headers, form).await;
            assert_eq!(answer.status, 403, "{what}: {path}");
            assert!(answer.body.contains("Nothing was changed"), "{}", answer.body);
        }
        assert_eq!(get(&scene, &format!("{path}?{good}"), &session.cookie).await.status, {
            // By GET there is at most a list.
            if PAGES.contains(&path) { 200 } else { 405 }
        });
    }
    let json = format!("{OWN}{}Content-Type: text/plain\r\n", session.cookie);
    let head = format!(
        "POST /console/invitations/revoke HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: 0\r\n{json}\r\n"
    );
    assert_eq!(send(&scene, head).await.status, 400);
    let db = database(&scene).await;
    assert_eq!(db.invitations(now()).await.expect("asks").len(), 1);
    assert_eq!(get(&scene, "/console", &session.cookie).await.status, 200, "still signed in");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_does_what_it_says_and_is_written_down() {
    let scene = furnished().await;
    let session = Session::open(&scene).await;
    for (path, form) in FORMS {
        let form = form.replace("KEY", &key_of(2));
        let answer = session.post(&scene, path, &form).await;
        let expected = if path == "/console/invitations" { 200 } else { 303 };
        assert_eq!(answer.status, expected, "{path}: {}", answer.body);
        assert!(!answer.header("location").contains("gone"), "{path}");
        if path.ends_with("/grants") {
            let db = database(&scene).await;
            let grants = db.grants("team/plain").await.expect("asks");
            assert_eq!(grants.iter().filter(|found| found.grant == Grant::Reader).count(), 1);
        }
    }
    // Once more: the session has ended, so nothing happens.
    assert_eq!(session.post(&scene, "/console/tokens/revoke", "number=1").await.status, 303);
    let db = database(&scene).await;
    let entries = db.audit(None, 100).await.expect("asks");
    let said: Vec<&str> = entries
        .iter()
        .filter(|(_, entry)| matches!(entry.actor, hub_db::Actor::Console(_)))
        .map(|(_, entry)| entry.action.as_str())
        .rev()
        .collect();
    let expected = [
        "sign-in",
        "visibility",
        "retention",
        "pin",
        "grant",
        "ungrant",
        "invite",
        "revoke-invitation",
        "revoke-account",
        "revoke-token",
        "take-down",
        "take-up",
        "sign-out",
    ];
    assert_eq!(said, expected);
    let secrets = entries.iter().any(|(_, entry)| entry.detail.contains("consign-invite"));
    assert!(!secrets, "no invitation stands in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_are_refused_in_words() {
    let scene = furnished().await;
    let session = Session::open(&scene).await;
    for (path, form) in [
        ("/console/names/team/plain/visibility", "public=perhaps"),
        ("/console/names/team/plain/retention", "last=-1&days="),
        ("/console/names/team/plain/retention", "last=0&days="),
        ("/console/names/team/plain/grants", "grant=owner&key=KEY"),
        ("/console/names/team/plain/grants", "grant=reader&key=abc"),
        ("/console/names/team/plain/pin", "sequence=x&pinned=true"),
        ("/console/invitations", "role=king&names=&hours=1"),
        ("/console/invitations", "role=reader&names=no-slash&hours=1"),
        ("/console/invitations", "role=reader&names=&hours=0"),
        ("/console/invitations", "role=reader&names=&hours=99999999999"),
        ("/console/accounts/revoke", "key="),
        ("/console/down", "minutes=0&why=a+disk"),
        ("/console/down", "minutes=18446744073709551615&why=a+disk"),
        ("/console/down", "minutes=5&why=+"),
        ("/console/down", "minutes=5&why=a%0Adisk"),
    ] {
        let form = form.replace("KEY", &key_of(2));
        assert_eq!(session.post(&scene, path, &form).await.status, 400, "{path} {form}");
    }
    for path in [
        "/console/names/team/nowhere",
        "/console/names/team/plain/2/tree",
        "/console/names/..%2f..%2f/x",
        "/console/names/team/plain/changes?from=1&to=99",
        "/console/nowhere",
        "/console/people?after=%3Cb%3E",
    ] {
        assert_eq!(get(&scene, path, &session.cookie).await.status, 404, "{path}");
    }
    // Only words that we wrote can be put on a page by a link.
    let page = get(&scene, "/console/accounts?done=Call+0900+now", &session.cookie).await;
    assert!(page.status == 200 && !page.body.contains("0900"));
    // A long form is not read.
    let form = format!("names={}", "x".repeat(70_000));
    assert_eq!(session.post(&scene, "/console/invitations", &form).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_and_time_end_a_session() {
    let scene = Scene::start(Tls::Off).await;
    let (session, other) = (Session::open(&scene).await, Session::open(&scene).await);
    let out = session.post(&scene, "/console/sign-out", "").await;
    assert_eq!((out.status, out.header("location")), (303, "/console/sign-in"));
    assert!(out.header("set-cookie").starts_with("consign-console=; Path=/; Max-Age=0"));
    assert_eq!(get(&scene, "/console", &session.cookie).await.status, 303);
    assert_eq!(get(&scene, "/console", &other.cookie).await.status, 200, "another session");

    // A session whose time is over, made as if eight hours ago.
    let db = database(&scene).await;
    let (link, secret) = ([3; 32], [4; 32]);
    db.create_sign_in(blake3::hash(&link).as_bytes(), now()).await.expect("records");
    let begun = now() - 28_800;
    let opened = db
        .use_sign_in(
            blake3::hash(&link).as_bytes(),
            blake3::hash(&secret).as_bytes(),
            begun,
            begun + 28_800,
        )
        .await;
    assert!(opened.expect("asks"), "the link was good then");
    let cookie = format!("Cookie: consign-console={}\r\n", hex::encode(secret));
    assert_eq!(get(&scene, "/console", &cookie).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_locked_down_and_hold_nothing_inline() {
    let scene = furnished().await;
    let session = Session::open(&scene).await;
    for page in PAGES.into_iter().chain(["/console/sign-in", "/console/nowhere"]) {
        let answer = get(&scene, page, &session.cookie).await;
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{page}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{page}");
        assert_eq!(answer.header("cache-control"), "no-store", "{page}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{page}");
        let body = answer.body.replace("<style", "\u{0}").replace(" style=", "\u{0}");
        assert!(!body.contains('\u{0}'), "{page} has a style in it");
        assert!(!answer.body.contains("javascript:"), "{page}");
        for tag in answer.body.split("<script").skip(1) {
            assert!(tag.starts_with(" src=\"/console/assets/"), "{page}: {tag:.60}");
        }
        for asset in answer.body.split("\"/console/assets/").skip(1) {
            let file = asset.split(['"', '#']).next().expect("a name");
            let asset = get(&scene, &format!("/console/assets/{file}"), "").await;
            assert_eq!(asset.status, 200, "{file}");
            assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        }
    }
    let tokens = get(&scene, "/console/tokens", &session.cookie).await.body;
    assert!(!tokens.contains("<script>") && !tokens.contains("onload='"), "{tokens}");
    assert!(tokens.contains("&#60;script&#62;alert(1)"), "{tokens}");
    assert!(tokens.contains("\\u{202e}") && !tokens.contains('\u{202e}'), "{tokens}");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_transfers_end_with_the_session() {
    let scene = Scene::start(Tls::Off).await;
    let session = Session::open(&scene).await;
    let mut stream = TcpStream::connect(scene.hub.local_addr).await.expect("connects");
    let cookie = &session.cookie;
    let head = format!("GET /console/transfers HTTP/1.1\r\nHost: hub\r\n{cookie}\r\n");
    stream.write_all(head.as_bytes()).await.expect("sends");
    let mut came = String::new();
    let mut buffer = [0; 4096];
    while !came.contains("event: transfers") {
        let read = stream.read(&mut buffer).await.expect("reads");
        assert!(read > 0, "ended early: {came}");
        came.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(came.contains("data: <strong>Nothing is moving</strong>"), "{came}");
    session.post(&scene, "/console/sign-out", "").await;
    // HTTP/1.1 keeps the connection; the end of the stream is its last, empty chunk.
    let ended = async {
        let mut rest = String::new();
        while !rest.ends_with("0\r\n\r\n") {
            let read = stream.read(&mut buffer).await.expect("reads");
            assert!(read > 0);
            rest.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    let minute = std::time::Duration::from_secs(60);
    tokio::time::timeout(minute, ended).await.expect("the session is asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_comes_after_signing_out_does_nothing() {
    let scene = furnished().await;
    let session = Session::open(&scene).await;
    let form = format!("token={}&public=true", session.token);
    let head = format!(
        "POST /console/names/team/plain/visibility HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\
         Content-Length: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n{OWN}{}\r\n",
        form.len(),
        session.cookie
    );
    let mut slow = TcpStream::connect(scene.hub.local_addr).await.expect("connects");
    slow.write_all(head.as_bytes()).await.expect("sends");
    tokio::time::sleep(crate::raw::A_WHILE).await;
    assert_eq!(session.post(&scene, "/console/sign-out", "").await.status, 303);
    slow.write_all(form.as_bytes()).await.expect("sends");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.expect("answers");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let plain = scene.anonymous().name_info(&name("team/plain")).await;
    plain.expect_err("is not public");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_shown_by_handle_page_by_page() {
    let scene = Scene::start(Tls::Off).await;
    for (handle, seed) in [("anna", 1), ("ben", 2)] {
        person(&scene, handle, seed).await;
    }
    let session = Session::open(&scene).await;
    let page = get(&scene, "/console/people", &session.cookie).await;
    let cell = |handle: &str| format!(r#"<td class="name mono">{handle}</td>"#);
    assert!(page.body.contains(&cell("anna")) && page.body.contains(&cell("ben")), "{}", page.body);
    assert!(!page.body.contains("More people"), "they fit on one page");
    let later = get(&scene, "/console/people?after=anna", &session.cookie).await;
    assert!(!later.body.contains(&cell("anna")) && later.body.contains(&cell("ben")));
}
