//! Signing in to the console, and readiness.

use hub_db::HubDb;

use super::*;

pub(crate) async fn a_sign_in_works_once(db: &dyn HubDb) {
    db.create_sign_in(&[1; 32], NOW + 10).await.expect("creates");
    db.create_sign_in(&[2; 32], NOW + 10).await.expect("creates");
    let signed_in = async |secret: u8, session: u8, now| {
        db.use_sign_in(&[secret; 32], &[session; 32], now, NOW + 100).await.expect("answers")
    };
    assert!(!signed_in(9, 9, NOW).await, "unknown");
    assert!(!signed_in(2, 9, NOW + 10).await, "ended");
    let (one, two) = tokio::join!(signed_in(1, 3, NOW), signed_in(1, 4, NOW));
    assert!(one != two, "once, even at once: {one} {two}");
    let session = if one { 3 } else { 4 };
    assert!(!signed_in(1, 5, NOW).await, "used");

    let open =
        async |session: u8, now| db.console_session(&[session; 32], now).await.expect("reads");
    assert!(open(session, NOW + 99).await);
    assert!(!open(session, NOW + 100).await, "ended");
    for other in [1, 5, 7 - session, 9] {
        assert!(!open(other, NOW).await);
    }
    db.end_console_session(&[session; 32]).await.expect("ends");
    db.end_console_session(&[session; 32]).await.expect("again");
    assert!(!open(session, NOW).await);

    assert!(signed_in(2, 6, NOW).await);
    db.drop_expired(NOW + 50).await.expect("drops");
    assert!(open(6, NOW + 50).await);
    db.drop_expired(NOW + 100).await.expect("drops");
    assert!(!open(6, NOW).await, "was forgotten");
}

pub(crate) async fn an_open_database_is_ready(db: &dyn HubDb) {
    db.ready().await.expect("reads and could write");
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", false).await;
    // Also while somebody writes for long.
    let chunks: Vec<_> = (0..20_000).map(chunk).collect();
    let first = release(name, 1);
    let (published, ready) = tokio::join!(db.publish(&first, &chunks), db.ready());
    published.expect("publishes");
    ready.expect("is ready");
}

pub(crate) async fn a_database_belongs_to_the_hub_that_began_it(db: &dyn HubDb) {
    let belongs = async |key: u8, adopt| db.belongs_to(&[key; 32], adopt).await.expect("answers");
    assert!(!belongs(1, false).await, "nobody's yet");
    assert!(belongs(1, true).await);
    assert!(belongs(1, false).await && belongs(1, true).await);
    assert!(!belongs(2, true).await && !belongs(2, false).await);
    assert!(belongs(1, false).await);
}
