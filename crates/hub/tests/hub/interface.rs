//! What the interface promises on every route: the document, pages, tags, idempotency keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hub::{Role, Tls};
use hub_api::MEDIA_PROBLEM;
use hub_api::openapi::{document, operations};
use serde_json::{Value, json};

use crate::ask::{Answer, Ask};
use crate::raw::token;
use crate::scene::{Scene, Tree, head, name};
use crate::schema::faults;

/// `docs/openapi.json`, which is read by people and by generators of clients.
const SNAPSHOT: &str = "../../docs/openapi.json";

#[test]
fn the_document_in_the_repository_is_the_one_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    let current = document(env!("CARGO_PKG_VERSION"));
    let text = serde_json::to_string_pretty(&current).expect("json") + "\n";
    if std::env::var_os("CONSIGN_UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &text).expect("writes");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/openapi.json is not what this version serves; look at the difference after \
         `CONSIGN_UPDATE_OPENAPI=1 cargo test -p hub --test hub the_document`"
    );
}

/// Constants of `hub_api::routes` by name.
fn templates() -> BTreeMap<String, String> {
    include_str!("../../../hub-api/src/routes.rs")
        .lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
            Some((name.to_owned(), value.strip_suffix("\";")?.to_owned()))
        })
        .collect()
}

#[test]
fn every_route_of_the_router_is_documented() {
    let templates = templates();
    let documented: BTreeSet<&str> = operations().iter().map(|operation| operation.path).collect();
    let source = include_str!("../../src/router.rs");
    let body = source.split("pub(crate) fn router").nth(1).expect("has the function");
    let body = body.split("\n}\n").next().expect("it ends");
    let mut routed = BTreeSet::new();
    for route in body.split(".route(").skip(1) {
        let constant = route.trim_start().strip_prefix("paths::").expect("a constant of hub-api");
        let end = constant.find(|c: char| !c.is_ascii_uppercase() && c != '_');
        let template = &templates[&constant[..end.expect("something follows")]];
        assert!(documented.contains(template.as_str()), "{template} is not documented");
        routed.insert(template.as_str());
    }
    assert_eq!(routed, documented, "routed, and documented");
}

/// A path with something plausible for each segment.
pub(crate) fn example(template: &str) -> String {
    let segments = template.split('/').map(|segment| match segment {
        "{team}" => "team".to_owned(),
        "{name}" => "tools".to_owned(),
        "{sequence}" | "{id}" => "1".to_owned(),
        "{key}" => "ab".repeat(32),
        "{community}" => "01020304-0506-4708-890a-0b0c0d0e0f10".to_owned(),
        "{admission}" => "ab".repeat(16),
        "{code}" => "not-found".to_owned(),
        "{*path}" => "some/file".to_owned(),
        plain => plain.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_has_the_methods_that_are_documented() {
    let scene = Scene::start(Tls::Off).await;
    let mut methods: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for operation in operations() {
        let documented = methods.entry(operation.path).or_default();
        documented.insert(operation.method.as_str().to_uppercase());
    }
    for (template, mut documented) in methods {
        let answer = Ask::new("PATCH", &example(template)).send(&scene).await;
        assert_eq!(answer.problem(), (405, "method-not-allowed".to_owned()), "{template}");
        if documented.contains("GET") {
            documented.insert("HEAD".to_owned());
        }
        let allowed: BTreeSet<String> =
            answer.header("allow").split(',').map(|method| method.trim().to_owned()).collect();
        assert_eq!(allowed, documented, "{template}");
    }
}

/// Asserts that the answer is one that the document knows for this operation, and fits it.
pub(crate) fn assert_documented(document: &Value, id: &str, answer: &Answer) {
    let operation = operations().iter().find(|operation| operation.id == id).expect("an id");
    let path = operation.path.replace("{*", "{");
    let described = &document["paths"][&path][operation.method.as_str()];
    let response = &described["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{id} answers {} undocumented: {answer:?}", answer.status);
    let media = answer.header("content-type").split(';').next().expect("split yields once");
    let Some(content) = response["content"].as_object() else {
        assert!(answer.body.is_empty(), "{id}: a body where none is documented: {answer:?}");
        return;
    };
    let content = content.get(media);
    let content = content.unwrap_or_else(|| panic!("{id}: {media} is not documented"));
    if media.ends_with("json") {
        let found = faults(document, &content["schema"], &answer.json(), id);
        assert!(found.is_empty(), "{found:#?}\n{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_documented_and_have_tags() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let admin = scene.person(9, Role::Administrator, &[]).await;
    let tools = name("team/tools");
    let first = owner.publish(&tools, false, &Tree::new(1, 3)).await;
    owner.client.add_reader(&tools, &admin.key.public()).await.expect("grants");
    let (own, root) = (token(&scene, &owner), token(&scene, &admin));

    let served = Ask::get("/v1/openapi.json").send(&scene).await;
    let document = served.json();
    assert_eq!(document, document_of_this_version());
    let key = format!("/v1/names/team/tools/grants/{}", owner.key.public());
    let secret = json!({ "label": "x", "scope": "read", "lifetime_s": 5 });
    let invitation = json!({ "role": "reader", "uses": 1, "lifetime_s": 5 });
    for (id, token, ask) in [
        ("health", "", Ask::get("/healthz")),
        ("ready", "", Ask::get("/readyz")),
        ("hub", "", Ask::get("/v1/hub")),
        ("explainError", "", Ask::get("/errors/not-found")),
        ("explainError", "", Ask::get("/errors/nothing")),
        ("challenge", "", Ask::new("POST", "/v1/sessions/challenge").json(&json!({}))),
        ("haveChunks", &*own, Ask::new("POST", "/v1/chunks/have")),
        ("fetchChunks", &*own, Ask::new("POST", "/v1/chunks/fetch")),
        ("readChunk", &*own, Ask::get(&format!("/v1/chunks/{}", "0".repeat(64)))),
        ("listNames", &*own, Ask::get("/v1/names")),
        ("listNames", &*own, Ask::get("/v1/names?limit=x")),
        ("listNames", "bad", Ask::get("/v1/names")),
        ("readName", &*own, Ask::get("/v1/names/team/tools")),
        ("readName", "", Ask::get("/v1/names/team/tools")),
        ("listGrants", &*own, Ask::get("/v1/names/team/tools/grants")),
        ("listGrants", "", Ask::get("/v1/names/team/tools/grants")),
        ("putGrant", &*own, Ask::new("PUT", &key).json(&json!({ "grant": "reader" }))),
        ("putGrant", &*own, Ask::new("PUT", &key).json(&json!({ "grant": "owner" }))),
        ("readRetention", &*own, Ask::get("/v1/names/team/tools/retention")),
        ("readHead", &*own, Ask::get("/v1/names/team/tools/head")),
        ("listReleases", &*own, Ask::get("/v1/names/team/tools/releases")),
        ("readRelease", &*own, Ask::get("/v1/names/team/tools/releases/1")),
        ("readRelease", &*own, Ask::get("/v1/names/team/tools/releases/x")),
        ("listRoot", &*own, Ask::get("/v1/names/team/tools/releases/1/entries")),
        ("readFile", &*own, Ask::get("/v1/names/team/tools/releases/1/files/a")),
        ("listChanges", &*own, Ask::get("/v1/names/team/tools/releases/1/changes")),
        ("pinRelease", &*own, Ask::new("PUT", "/v1/names/team/tools/releases/1/pin")),
        ("unpinRelease", &*own, Ask::new("DELETE", "/v1/names/team/tools/releases/1/pin")),
        ("createToken", &*own, Ask::new("POST", "/v1/tokens").json(&secret)),
        ("createToken", &*own, Ask::new("POST", "/v1/tokens").json(&json!([]))),
        ("listTokens", &*own, Ask::get("/v1/tokens")),
        ("deleteToken", &*own, Ask::new("DELETE", "/v1/tokens/1")),
        ("listAccounts", &*root, Ask::get("/v1/accounts")),
        ("listAccounts", &*own, Ask::get("/v1/accounts")),
        ("invite", &*root, Ask::new("POST", "/v1/invitations").json(&invitation)),
        ("listInvitations", &*root, Ask::get("/v1/invitations")),
        ("revokeInvitation", &*root, Ask::new("DELETE", "/v1/invitations/999")),
        ("audit", &*root, Ask::get("/v1/audit")),
    ] {
        let ask = if token.is_empty() { ask } else { ask.token(token) };
        let answer = ask.send(&scene).await;
        assert!(answer.status < 500, "{id}: {answer:?}");
        assert_documented(&document, id, &answer);
        if answer.status >= 400 {
            assert_eq!(answer.header("content-type"), MEDIA_PROBLEM, "{id}");
        }
        let tag = answer.header("etag");
        if answer.status == 200 && !tag.is_empty() {
            let again = ask.header("If-None-Match", tag).send(&scene).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{id}");
            assert_eq!(again.header("etag"), tag, "{id}");
            assert_documented(&document, id, &again);
        }
    }
    // Everything that may change is told from what it was.
    let tagged = ["/v1/names", "/v1/names/team/tools", "/v1/names/team/tools/head"];
    let mut before = Vec::new();
    for path in tagged {
        before.push(Ask::get(path).token(&own).send(&scene).await.header("etag").to_owned());
    }
    owner.post(&tools, &Tree::new(1, 3), Some(first)).await.expect("releases");
    for (path, tag) in tagged.into_iter().zip(before) {
        assert!(tag.len() > 10, "{path} has a tag");
        let ask = Ask::get(path).token(&own).header("If-None-Match", &tag);
        assert_eq!(ask.send(&scene).await.status, 200, "{path}");
    }
}

fn document_of_this_version() -> Value {
    document(env!("CARGO_PKG_VERSION"))
}

/// Follows `next` from page to page; the values of `member` in all of them.
async fn all_pages(
    scene: &Scene,
    token: &str,
    path: &str,
    parameter: &str,
    list: &str,
) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = String::new();
    for _ in 0..20 {
        let page = Ask::get(&format!("{path}?limit=2{next}")).token(token).send(scene).await.json();
        let rows = page[list].as_array().expect("rows").clone();
        assert!(!rows.is_empty() && rows.len() <= 2, "{page}");
        all.extend(rows);
        let following = &page["next"];
        if following.is_null() {
            return all;
        }
        let text = following.as_str().map_or_else(|| following.to_string(), str::to_owned);
        next = format!("&{parameter}={text}");
    }
    panic!("{path} has no last page");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_through_everything_once() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let admin = scene.person(9, Role::Administrator, &[]).await;
    let tree = Tree::new(1, 2);
    let mut last = owner.publish(&name("team/a"), true, &tree).await;
    for _ in 0..4 {
        last = owner.post(&name("team/a"), &tree, Some(last)).await.expect("releases");
    }
    for other in ["team/b", "team/c", "team/d"] {
        owner.client.put_name(&name(other), true).await.expect("puts");
    }
    let readers: Vec<_> = (20..24).map(|number| scene.stranger(number).key.public()).collect();
    for key in &readers {
        owner.client.add_reader(&name("team/a"), key).await.expect("grants");
    }
    let (own, root) = (token(&scene, &owner), token(&scene, &admin));
    let texts = |rows: Vec<Value>, member: &str| -> Vec<String> {
        rows.iter().map(|row| row[member].to_string().replace('"', "")).collect()
    };
    let names = all_pages(&scene, &own, "/v1/names", "after", "names").await;
    assert_eq!(texts(names, "name"), ["team/a", "team/b", "team/c", "team/d"]);
    let path = "/v1/names/team/a/releases";
    let releases = all_pages(&scene, &own, path, "before", "releases").await;
    assert_eq!(texts(releases, "sequence"), ["5", "4", "3", "2", "1"]);
    let path = "/v1/names/team/a/grants";
    let grants = texts(all_pages(&scene, &own, path, "after", "grants").await, "key");
    let mut expected: Vec<String> = readers.iter().map(ToString::to_string).collect();
    expected.sort();
    expected.insert(0, owner.key.public().to_string());
    assert_eq!(grants, expected);
    let accounts = texts(all_pages(&scene, &root, "/v1/accounts", "after", "accounts").await, "id");
    assert_eq!(accounts.len(), 2);
    let acts = texts(all_pages(&scene, &root, "/v1/audit", "before", "entries").await, "id");
    let distinct: BTreeSet<&String> = acts.iter().collect();
    assert!(acts.len() >= 8 && distinct.len() == acts.len(), "{acts:?}");
    // A page of nothing is the last one, and a limit of nothing is one row.
    let empty = Ask::get("/v1/names?after=zzz").token(&own).send(&scene).await.json();
    assert_eq!(empty, json!({ "names": [] }));
    let one = Ask::get("/v1/names?limit=0").token(&own).send(&scene).await.json();
    assert_eq!((one["names"].as_array().map(Vec::len), &one["next"]), (Some(1), &json!("team/a")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_post_under_one_key_is_done_once() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let own = token(&scene, &owner);
    let body = |label: &str| json!({ "label": label, "scope": "read", "lifetime_s": 3600 });
    let ask = |key: &str, label: &str| {
        Ask::new("POST", "/v1/tokens").token(&own).header("Idempotency-Key", key).json(&body(label))
    };
    let key = "0123456789abcdef-once";
    // All at once, as a client whose answers are lost might.
    let asking: Vec<_> = (0..8).map(|_| ask(key, "machine")).collect();
    let answers = futures_util::future::join_all(asking.iter().map(|ask| ask.send(&scene))).await;
    let mut made = BTreeSet::new();
    for answer in answers {
        match answer.status {
            201 => drop(made.insert(answer.json().to_string())),
            _ => assert_eq!(answer.problem(), (409, "idempotency-running".to_owned())),
        }
    }
    let repeated = ask(key, "machine").send(&scene).await;
    assert_eq!(repeated.status, 201);
    made.insert(repeated.json().to_string());
    assert_eq!(made.len(), 1, "one answer");
    assert_eq!(owner.client.tokens(None).await.expect("lists").0.len(), 1, "one token");
    let secret = repeated.json()["token"].as_str().expect("a token").to_owned();
    let used = Ask::get("/v1/names").token(&secret).send(&scene).await;
    assert_eq!(used.status, 200, "the repeated answer holds the token that works");

    let other = ask(key, "another").send(&scene).await;
    assert_eq!(other.problem(), (422, "idempotency-mismatch".to_owned()));
    let short = ask("short", "machine").send(&scene).await;
    assert_eq!(short.problem(), (400, "malformed-request".to_owned()));
    // Keys are an account's own.
    let stranger = scene.person(2, Role::Publisher, &[]).await;
    let theirs = Ask::new("POST", "/v1/tokens").token(&token(&scene, &stranger));
    let theirs = theirs.header("Idempotency-Key", key).json(&body("machine")).send(&scene).await;
    assert_eq!(theirs.status, 201);
    assert_ne!(theirs.json()["token"], json!(secret));

    // A refusal is not remembered: what was missing may come.
    let tools = name("team/tools");
    let tree = Tree::new(1, 3);
    owner.client.put_name(&tools, true).await.expect("puts");
    let manifest = tree.manifest(&owner, &tools, None);
    let signed = manifest.sign(&owner.key);
    let release = json!({
        "manifest": hub_api::Base64Bytes(signed.clone()),
        "head": hub_api::Base64Bytes(head(&owner, &manifest, &signed)),
    });
    let publish = Ask::new("POST", "/v1/names/team/tools/releases").token(&own);
    let publish = publish.header("Idempotency-Key", "fedcba9876543210-release").json(&release);
    assert_eq!(publish.send(&scene).await.problem(), (409, "chunks-missing".to_owned()));
    owner.client.upload(tree.frames()).await.expect("uploads");
    assert_eq!(publish.send(&scene).await.status, 201);
    // Posted again without the key it would be 200: it is the answer of the first time.
    assert_eq!(publish.send(&scene).await.status, 201);
    assert_eq!(owner.client.releases(&tools, None, 9).await.expect("lists").len(), 1);

    // No file of the hub holds the token or what it was asked for under.
    for file in std::fs::read_dir(scene.dir.path()).expect("reads").flatten() {
        let Ok(bytes) = std::fs::read(file.path()) else { continue };
        for hidden in [&secret[12..], key] {
            let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
            assert!(!found, "{} holds a secret", file.path().display());
        }
    }
}
