//! Grants, tokens, accounts: who may do what, and that it ends at once.

use std::time::{Duration, Instant};

use bytes::Bytes;
use content::closure::ClosureEntry;
use content::{ChunkId, Closure, ClosureHead};
use documents::{Delegation, Manifest, NodeKey, ReleaseName, Tenure};
use hub::{Role, Tls};
use hub_api::{
    AccountRole, Grant, Hex, InvitationRequest, ProblemCode, Retention, TokenCreated, TokenRequest,
    TokenScope,
};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::ask::Ask;
use crate::raw::{PATIENCE, Wire, post, token};
use crate::scene::{Person, Scene, Tree, code, frames, head, name};

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_with_a_grant_releases_and_nobody_else() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let other = scene.person(2, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let (tree, next) = (Tree::new(1, 5), Tree::new(2, 5));
    let first = owner.publish(&tools, false, &tree).await;
    other.client.upload(next.frames()).await.expect("uploads");

    assert_eq!(code(other.post(&tools, &next, Some(first)).await), ProblemCode::NotFound);
    let key = other.key.public();
    owner.client.add_reader(&tools, &key).await.expect("grants");
    assert_eq!(code(other.post(&tools, &next, Some(first)).await), ProblemCode::Forbidden);
    owner.delegate(&tools, 1, &[key]).await.expect("delegates");
    // What `consign publish` asks first: for the name to be as it is.
    other.client.put_name(&tools, false).await.expect("is as asked");
    assert_eq!(code(other.client.put_name(&tools, true).await), ProblemCode::NameTaken);
    let second = other.post(&tools, &next, Some(first)).await.expect("releases");
    assert_eq!(owner.client.name_info(&tools).await.expect("reads").latest, Some(2));
    // Publishing is not owning.
    assert_eq!(code(other.delegate(&tools, 2, &[key]).await), ProblemCode::Forbidden);
    assert_eq!(code(other.client.add_reader(&tools, &key).await), ProblemCode::Forbidden);
    assert_eq!(code(other.client.delete_name(&tools).await), ProblemCode::Forbidden);
    // Nor may a publisher bring a manifest that somebody else signed.
    let stranger = scene.stranger(3);
    let manifest = next.manifest(&stranger, &tools, Some(second));
    let signed = manifest.sign(&stranger.key);
    let its_head = head(&stranger, &manifest, &signed);
    let refused = other.client.post_release(&tools, &signed, &its_head).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);

    let (grants, next_page) = owner.client.grants(&tools, None).await.expect("lists");
    let expected = [(owner.key.public(), Grant::Owner), (key, Grant::Publisher)];
    let listed: Vec<_> = grants.iter().map(|one| (one.key, one.grant)).collect();
    assert_eq!(listed, expected.map(|(key, grant)| (Hex(*key.as_bytes()), grant)));
    assert_eq!(next_page, None);

    owner.client.remove_grant(&tools, &key).await.expect("takes back");
    assert_eq!(code(other.post(&tools, &next, Some(second)).await), ProblemCode::NotFound);
    // A release by somebody whose grant ended stays, and the owner goes on from it.
    owner.post(&tools, &tree, Some(second)).await.expect("releases");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_publishers_is_the_owners_newest_one_and_comes_with_the_release() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let other = scene.person(2, Role::Publisher, &[]).await;
    let (tools, more) = (name("team/tools"), name("team/more"));
    let first = owner.publish(&tools, true, &Tree::new(1, 3)).await;
    owner.client.put_name(&more, true).await.expect("puts");
    assert_eq!(scene.anonymous().delegation(&tools).await.expect("reads"), None);
    let key = other.key.public();

    // Of somebody else, of another name, expired, garbage: none is taken.
    let list = |name: &ReleaseName, signer: &NodeKey, expires| {
        let publishers = [(key, Tenure::Current)].into();
        let (name, owner) = (name.clone(), signer.public());
        Delegation { owner, name, number: 1, issued: 0, expires, publishers }.sign(signer)
    };
    let later = u64::MAX;
    for wrong in [
        list(&tools, &other.key, later),
        list(&more, &owner.key, later),
        list(&tools, &owner.key, 1),
        b"no document".to_vec(),
    ] {
        let refused = owner.client.put_delegation(&tools, &wrong).await;
        assert_eq!(code(refused), ProblemCode::DocumentRefused);
    }
    let signed = list(&tools, &owner.key, later);
    assert_eq!(code(other.client.put_delegation(&tools, &signed).await), ProblemCode::Forbidden);
    owner.client.put_delegation(&tools, &signed).await.expect("is taken");
    // Once more, or an older one: a newer list may be what it would undo.
    let again = owner.client.put_delegation(&tools, &signed).await;
    assert_eq!(code(again), ProblemCode::DelegationConflict);

    let second = other.upload_and_post(&tools, &Tree::new(2, 3), Some(first)).await;
    let newest = scene.anonymous().head(&tools).await.expect("reads");
    assert_eq!(newest.delegation.as_ref(), Some(&signed));
    assert_eq!(scene.anonymous().delegation(&tools).await.expect("reads"), Some(signed));
    // The next list ends it at once, also for the reader it was.
    owner.delegate(&tools, 2, &[]).await.expect("delegates");
    let refused = other.post(&tools, &Tree::new(2, 3), Some(second)).await;
    assert_eq!(code(refused), ProblemCode::Forbidden);
    // With the name goes the list: the new owner has signed none.
    owner.delegate(&tools, 3, &[key]).await.expect("delegates");
    let next = scene.person(3, Role::Publisher, &[]).await;
    owner.client.transfer_name(&tools, &next.key.public()).await.expect("gives away");
    assert_eq!(scene.anonymous().delegation(&tools).await.expect("reads"), None);
    let refused = other.post(&tools, &Tree::new(2, 3), Some(second)).await;
    assert_eq!(code(refused), ProblemCode::Forbidden);
}

async fn new_token(person: &Person, scope: TokenScope, names: &[&str]) -> TokenCreated {
    let request = TokenRequest {
        label: "a machine".to_owned(),
        scope,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        lifetime_s: 3600,
    };
    person.client.create_token(&request).await.expect("makes a token")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reads_the_names_it_is_for_and_changes_nothing() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let (one, two) = (Tree::new(1, 3), Tree::new(2, 3));
    owner.publish(&name("team/one"), false, &one).await;
    owner.publish(&name("team/two"), false, &two).await;
    let created = new_token(&owner, TokenScope::Read, &["team/one"]).await;
    let secret = created.token.0.as_str();
    assert!(secret.starts_with("consign_pat_") && secret.len() == 12 + 64, "{}", secret.len());

    let ask = async |method: &str, path: &str| {
        Ask::new(method, path).token(secret).json(&json!({})).send(&scene).await
    };
    let chunk = |tree: &Tree| format!("/v1/chunks/{}", tree.ids()[0]);
    assert_eq!(ask("GET", "/v1/names/team/one/head").await.status, 200);
    assert_eq!(ask("GET", "/v1/names/team/two/head").await.status, 404);
    let one_chunk = ask("GET", &chunk(&one)).await;
    assert_eq!((one_chunk.status, one_chunk.body), (200, one.chunks[0].to_vec()));
    assert_eq!(ask("GET", &chunk(&two)).await.status, 404);
    let names = ask("GET", "/v1/names").await.json();
    assert_eq!(names["names"].as_array().map(Vec::len), Some(1));
    let key = NodeKey::from_secret_bytes([9; 32]).public();
    for (method, path) in [
        ("POST", "/v1/chunks".to_owned()),
        ("POST", "/v1/names/team/one/releases".to_owned()),
        ("PUT", "/v1/names/team/one".to_owned()),
        ("PUT", format!("/v1/names/team/one/grants/{key}")),
        ("DELETE", "/v1/names/team/one".to_owned()),
        ("GET", "/v1/tokens".to_owned()),
        ("POST", "/v1/tokens".to_owned()),
        ("GET", "/v1/audit".to_owned()),
    ] {
        let refused = ask(method, &path).await;
        assert_eq!(refused.problem(), (403, "forbidden".to_owned()), "{method} {path}");
    }
    // Listed without its text, used or not.
    let (tokens, _) = owner.client.tokens(None).await.expect("lists");
    assert_eq!((tokens.len(), tokens[0].id), (1, created.id));
    assert!(tokens[0].last_used.is_some());

    // Nobody else's.
    let other = scene.person(2, Role::Publisher, &[]).await;
    assert_eq!(code(other.client.revoke_token(created.id).await), ProblemCode::NotFound);
    owner.client.revoke_token(created.id).await.expect("revokes");
    let refused = ask("GET", "/v1/names/team/one/head").await;
    assert_eq!(refused.problem(), (401, "session-expired".to_owned()));
    let mut forged = secret.to_owned();
    forged.replace_range(20..21, if &secret[20..21] == "0" { "1" } else { "0" });
    let refused = Ask::get("/v1/names").token(&forged).send(&scene).await;
    assert_eq!(refused.problem(), (401, "session-expired".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_to_publish_posts_what_was_signed_elsewhere() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    owner.client.put_name(&tools, true).await.expect("puts");
    owner.client.put_name(&name("team/other"), true).await.expect("puts");
    let secret = new_token(&owner, TokenScope::Publish, &["team/tools"]).await.token.0;

    let tree = Tree::new(1, 5);
    let mut upload: Vec<u8> = Vec::new();
    for frame in tree.frames() {
        wire::encode_frame(&frame).iter().for_each(|part| upload.extend_from_slice(part));
    }
    upload.extend_from_slice(&wire::encode_end(&[]));
    let mut wire = Wire::connect(&scene).await;
    let length = format!("Content-Length: {}\r\n", upload.len());
    wire.send(post("/v1/chunks", Some(&secret), &length).as_bytes()).await;
    wire.send(&upload).await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let manifest: Manifest = tree.manifest(&owner, &tools, None);
    let signed = manifest.sign(&owner.key);
    let body = json!({
        "manifest": hub_api::Base64Bytes(signed.clone()),
        "head": hub_api::Base64Bytes(head(&owner, &manifest, &signed)),
    });
    let publish =
        async |path: &str| Ask::new("POST", path).token(&secret).json(&body).send(&scene).await;
    let refused = publish("/v1/names/team/other/releases").await;
    assert_eq!(refused.status, 403, "the token is not for it: {refused:?}");
    assert_eq!(publish("/v1/names/team/tools/releases").await.status, 201);
    assert_eq!(scene.anonymous().name_info(&tools).await.expect("reads").latest, Some(1));
}

/// Publishes far more than the hub and the sockets between hold at once.
async fn publish_much(owner: &Person, tools: &ReleaseName, public: bool) -> Tree {
    let chunks = (0u32..320).map(|number| {
        let mut bytes = vec![0; 128 << 10];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes.into()
    });
    let tree = Tree::of(chunks.collect());
    owner.client.put_name(tools, public).await.expect("puts");
    for part in tree.frames().chunks(32) {
        owner.client.upload(part.to_vec()).await.expect("uploads");
    }
    owner.post(tools, &tree, None).await.expect("publishes");
    tree
}

/// A fetch of all of the tree of which the head was read.
async fn begin_fetch(scene: &Scene, tree: &Tree, token: Option<&str>) -> Wire {
    let mut fetch = Wire::connect(scene).await;
    let ids: Vec<u8> = tree.ids().iter().flat_map(|id| *id.as_bytes()).collect();
    let length = format!("Connection: close\r\nContent-Length: {}\r\n", ids.len());
    fetch.send(post("/v1/chunks/fetch", token, &length).as_bytes()).await;
    fetch.send(&ids).await;
    assert!(fetch.head().await.starts_with("HTTP/1.1 200"));
    fetch
}

/// How many bytes still come.
async fn bytes_to_come(mut fetch: Wire) -> usize {
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, fetch.0.read_to_end(&mut rest)).await.expect("ends");
    rest.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_fetch_gives_no_more_than_may_be_read_by_now() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let reader = scene.person(2, Role::Reader, std::slice::from_ref(&tools)).await;
    let tree = publish_much(&owner, &tools, false).await;
    let whole = tree.chunks.iter().map(Bytes::len).sum::<usize>();

    let session = token(&scene, &reader);
    let fetch = begin_fetch(&scene, &tree, Some(&session)).await;
    owner.client.remove_grant(&tools, &reader.key.public()).await.expect("takes back");
    let came = bytes_to_come(fetch).await;
    assert!(came < whole, "{came} of {whole} bytes came after the grant was taken back");

    owner.client.put_name(&tools, true).await.expect("opens");
    let fetch = begin_fetch(&scene, &tree, None).await;
    owner.client.put_name(&tools, false).await.expect("closes");
    let came = bytes_to_come(fetch).await;
    assert!(came < whole, "{came} of {whole} bytes came after the name was made private");
}

/// A closure that names one chunk a million times: checking it takes a while.
fn slow_release(person: &Person, tools: &ReleaseName) -> (Vec<Bytes>, Manifest) {
    let bytes = Tree::new(9, 1).chunks[0].clone();
    let entry = |bytes: &Bytes| ClosureEntry {
        id: ChunkId::of(bytes),
        stored_length: u32::try_from(bytes.len()).expect("small"),
    };
    let root = entry(&bytes);
    // Of different lengths, as no segment may come twice.
    let segments: Vec<Bytes> =
        (3841..=4096).map(|count| Closure(vec![root; count]).encode().into()).collect();
    let chunks = (3841..=4096u64).sum::<u64>();
    let head = ClosureHead {
        tree: root.id,
        chunks,
        stored_bytes: chunks * u64::from(root.stored_length),
        segments: segments.iter().map(entry).collect(),
    };
    let head = Bytes::from(head.encode());
    let tree = Tree::of(vec![bytes.clone()]);
    let manifest = Manifest { closure: entry(&head), ..tree.manifest(person, tools, None) };
    ([vec![bytes, head], segments].concat(), manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_lost_while_a_release_is_checked_is_lost_to_it() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let other = scene.person(2, Role::Publisher, &[]).await;
    let (tools, key) = (name("team/tools"), other.key.public());
    owner.client.put_name(&tools, true).await.expect("puts");
    owner.delegate(&tools, 1, &[key]).await.expect("delegates");
    let (chunks, manifest) = slow_release(&other, &tools);
    for part in frames(&chunks).chunks(8) {
        other.client.upload(part.to_vec()).await.expect("uploads");
    }
    let signed = manifest.sign(&other.key);
    let its_head = head(&other, &manifest, &signed);
    let began = Instant::now();
    let publishing = async {
        let result = other.client.post_release(&tools, &signed, &its_head).await;
        (result, began.elapsed())
    };
    let taking_back = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        owner.client.remove_grant(&tools, &key).await.expect("takes back");
        began.elapsed()
    };
    let ((published, ended), taken_back) = tokio::join!(publishing, taking_back);
    assert!(taken_back < ended, "the check took {ended:?}, less than the {taken_back:?} wanted");
    assert_eq!(code(published), ProblemCode::Forbidden);
    assert_eq!(owner.client.name_info(&tools).await.expect("reads").latest, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_account_loses_streams_and_fetches_at_once() {
    let scene = Scene::start(Tls::Off).await;
    let admin = scene.person(9, Role::Administrator, &[]).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let reader = scene.person(2, Role::Reader, std::slice::from_ref(&tools)).await;
    let tree = publish_much(&owner, &tools, false).await;

    let machine = new_token(&reader, TokenScope::Read, &[]).await.token.0;
    let mut events = reader.client.events(&tools, None).await.expect("subscribes");
    let session = token(&scene, &reader);
    let fetch = begin_fetch(&scene, &tree, Some(&session)).await;

    let began = Instant::now();
    admin.client.revoke_account(&reader.key.public()).await.expect("revokes");
    let ended = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time");
    assert!(matches!(ended, Ok(None) | Err(_)), "{ended:?}");
    // Sooner than a heart-beat would have noticed.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let came = bytes_to_come(fetch).await;
    let whole = tree.chunks.iter().map(Bytes::len).sum::<usize>();
    assert!(came < whole, "{came} of {whole} bytes came");
    let refused = Ask::get("/v1/names/team/tools").token(&machine).send(&scene).await;
    assert_eq!(refused.problem(), (401, "session-expired".to_owned()));
    let refused = reader.client.have(&[ChunkId::of(b"any")]).await;
    assert_eq!(code(refused), ProblemCode::NotRegistered);
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_alone_administer_and_every_act_is_noted() {
    let scene = Scene::start(Tls::Off).await;
    let admin = scene.person(9, Role::Administrator, &[]).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    assert_eq!(code(owner.client.accounts(None).await), ProblemCode::Forbidden);
    assert_eq!(code(owner.client.audit(None).await), ProblemCode::Forbidden);
    assert_eq!(code(owner.client.invitations(None).await), ProblemCode::Forbidden);
    let key = owner.key.public();
    assert_eq!(code(owner.client.revoke_account(&key).await), ProblemCode::Forbidden);
    assert_eq!(code(scene.anonymous().accounts(None).await), ProblemCode::SessionRequired);

    let wanted = InvitationRequest {
        role: AccountRole::Publisher,
        names: vec!["team/tools".to_owned()],
        uses: 1,
        each_network: None,
        lifetime_s: 60,
    };
    let invited = admin.client.invite(&wanted).await.expect("invites");
    let invitation = invited.invitation.0.parse().expect("an invitation");
    let newcomer = scene.stranger(3);
    newcomer.client.register(&invitation).await.expect("registers");
    let second = admin.client.invite(&wanted).await.expect("invites");
    let (invitations, _) = admin.client.invitations(None).await.expect("lists");
    let [left] = &invitations[..] else { panic!("one is used up: {invitations:?}") };
    assert_eq!((left.uses_left, &left.names), (1, &wanted.names));
    admin.client.revoke_invitation(left.id).await.expect("takes back");
    let taken_back = second.invitation.0.parse().expect("an invitation");
    let refused = scene.stranger(4).client.register(&taken_back).await;
    assert_eq!(code(refused), ProblemCode::InvitationRefused);
    assert_eq!(code(admin.client.revoke_invitation(left.id).await), ProblemCode::NotFound);

    let newcomer_key = newcomer.key.public();
    admin.client.revoke_account(&newcomer_key).await.expect("revokes");
    assert_eq!(code(admin.client.revoke_account(&newcomer_key).await), ProblemCode::NotFound);
    let own = admin.client.revoke_account(&admin.key.public()).await;
    assert_eq!(code(own), ProblemCode::Forbidden);
    let (accounts, _) = admin.client.accounts(None).await.expect("lists");
    let revoked: Vec<bool> = accounts.iter().map(|one| one.revoked.is_some()).collect();
    assert_eq!(revoked, [false, false, true]);

    let tools = name("team/tools");
    owner.client.put_name(&tools, true).await.expect("puts");
    owner.client.add_reader(&tools, &newcomer_key).await.expect("grants");
    let made = new_token(&owner, TokenScope::Read, &[]).await;
    admin.client.delete_name(&tools).await.expect("an administrator may");
    assert_eq!(code(owner.client.name_info(&tools).await), ProblemCode::NotFound);

    let (entries, _) = admin.client.audit(None).await.expect("reads");
    let from_here: Vec<_> = entries.iter().filter(|entry| entry.actor != "local").collect();
    let actions: Vec<&str> = from_here.iter().rev().map(|entry| entry.action.as_str()).collect();
    let expected = [
        "invite",
        "invite",
        "revoke-invitation",
        "revoke-account",
        "visibility",
        "grant",
        "create-token",
        "delete-name",
    ];
    assert_eq!(actions, expected);
    assert_eq!(from_here[0].actor, admin.key.public().to_string());
    assert_eq!(from_here[2].actor, owner.key.public().to_string());
    let log = serde_json::to_string(&entries).expect("json");
    for secret in [&made.token.0, &invited.invitation.0, &second.invitation.0] {
        assert!(!log.contains(secret.as_str()), "a secret in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_changes_hands_with_all_that_hangs_on_it() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let heir = scene.person(2, Role::Publisher, &[]).await;
    let reader = scene.person(3, Role::Reader, &[]).await;
    let tools = name("team/tools");
    let tree = Tree::new(1, 3);
    let first = owner.publish(&tools, false, &tree).await;
    let refused = owner.client.transfer_name(&tools, &reader.key.public()).await;
    assert_eq!(code(refused), ProblemCode::Forbidden, "a reader cannot own a name");
    owner.client.transfer_name(&tools, &heir.key.public()).await.expect("gives away");
    assert_eq!(code(owner.post(&tools, &tree, Some(first)).await), ProblemCode::NotFound);
    assert_eq!(code(owner.client.delete_name(&tools).await), ProblemCode::NotFound);
    heir.post(&tools, &tree, Some(first)).await.expect("goes on");
    let release = heir.client.release_info(&tools, 1).await.expect("is kept");
    assert_eq!(release.sequence, 1);
    heir.client.delete_name(&tools).await.expect("deletes");
    assert_eq!(code(heir.client.name_info(&tools).await), ProblemCode::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_say_what_is_kept() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let other = scene.person(2, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    owner.publish(&tools, true, &Tree::new(1, 3)).await;
    let none = Retention::default();
    assert_eq!(owner.client.retention(&tools).await.expect("reads"), none);
    let rules = Retention { last: Some(2), days: Some(30) };
    owner.client.set_retention(&tools, rules).await.expect("sets");
    assert_eq!(owner.client.retention(&tools).await.expect("reads"), rules);
    let nothing = Retention { last: Some(0), days: None };
    let refused = owner.client.set_retention(&tools, nothing).await;
    assert_eq!(code(refused), ProblemCode::MalformedRequest);
    assert_eq!(code(other.client.set_retention(&tools, none).await), ProblemCode::Forbidden);
    assert_eq!(code(other.client.retention(&tools).await), ProblemCode::Forbidden);

    owner.client.set_pinned(&tools, 1, true).await.expect("pins");
    assert!(owner.client.release_info(&tools, 1).await.expect("reads").pinned);
    owner.client.set_pinned(&tools, 1, false).await.expect("unpins");
    assert!(!owner.client.release_info(&tools, 1).await.expect("reads").pinned);
    assert_eq!(code(owner.client.set_pinned(&tools, 7, true).await), ProblemCode::NotFound);
    assert_eq!(code(other.client.set_pinned(&tools, 1, true).await), ProblemCode::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_administrator_leaves_no_way_back() {
    let scene = Scene::start(Tls::Off).await;
    let root = scene.person(9, Role::Administrator, &[]).await;
    let admin = scene.person(1, Role::Administrator, &[]).await;
    let wanted = InvitationRequest {
        role: AccountRole::Administrator,
        names: vec![],
        uses: 2,
        each_network: None,
        lifetime_s: 60,
    };
    let invited = admin.client.invite(&wanted).await.expect("invites");
    // A request whose body comes after the revocation.
    let body = serde_json::to_string(&wanted).expect("json");
    let mut slow = Wire::connect(&scene).await;
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    slow.send(post("/v1/invitations", Some(&token(&scene, &admin)), &headers).as_bytes()).await;
    slow.assert_silent().await;
    root.client.revoke_account(&admin.key.public()).await.expect("revokes");
    slow.send(body.as_bytes()).await;
    let answer = slow.answer().await;
    assert!(answer.contains("/errors/not-registered"), "{answer}");

    let invitation = invited.invitation.0.parse().expect("an invitation");
    let refused = scene.stranger(3).client.register(&invitation).await;
    assert_eq!(code(refused), ProblemCode::InvitationRefused);
    let (left, _) = root.client.invitations(None).await.expect("lists");
    assert_eq!(left, []);
    let (entries, _) = root.client.audit(None).await.expect("reads");
    let invites = entries.iter().filter(|entry| entry.actor != "local" && entry.action == "invite");
    assert_eq!(invites.count(), 1, "the one that was refused is not told of");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_for_everybody_lets_a_network_in_so_often_a_day() {
    let scene = Scene::start(Tls::Off).await;
    let admin = scene.person(1, Role::Administrator, &[]).await;
    let mut wanted = InvitationRequest {
        role: AccountRole::Reader,
        names: vec![],
        uses: 5000,
        each_network: Some(0),
        lifetime_s: 60,
    };
    assert_eq!(code(admin.client.invite(&wanted).await), ProblemCode::MalformedRequest);
    wanted.each_network = Some(2);
    let invited = admin.client.invite(&wanted).await.expect("invites");
    let invitation = invited.invitation.0.parse().expect("an invitation");
    let [first, second, third] = [3, 4, 5].map(|number| scene.stranger(number));
    first.client.register(&invitation).await.expect("registers");
    second.client.register(&invitation).await.expect("registers");
    first.client.register(&invitation).await.expect("repeated, which costs nothing");
    assert_eq!(code(third.client.register(&invitation).await), ProblemCode::TooManyRequests);
    let (invitations, _) = admin.client.invitations(None).await.expect("lists");
    assert_eq!((invitations[0].uses_left, invitations[0].each_network), (4998, Some(2)));
}
