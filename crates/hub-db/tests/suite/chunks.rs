//! Chunk holders.

use content::ChunkId;
use hub_db::{Caller, HubDb, LOOKUP_IDS_MAX};

use super::*;

pub(crate) async fn chunks_are_readable_through_their_holders_alone(db: &dyn HubDb) {
    let (owner, reader, other) =
        (publisher(db, 1).await, publisher(db, 2).await, publisher(db, 3).await);
    let private = name_of(db, &owner, "team/private", false).await;
    let callers: [Caller; 4] =
        [(&owner).into(), (&reader).into(), (&other).into(), Caller::Anonymous];
    let rights = async |id: ChunkId| {
        let mut rights = vec![];
        for caller in &callers {
            rights.push(can_read(db, caller, id).await);
        }
        rights
    };
    assert_eq!(rights(chunk(1)).await, [false; 4], "an id alone opens nothing");
    db.add_holders(owner.id.into(), &[chunk(1), chunk(2)]).await.expect("adds");
    assert_eq!(rights(chunk(1)).await, [true, false, false, false], "its uploader's");
    db.publish(&release(private, 1), &[chunk(1), chunk(3)]).await.expect("publishes");
    assert_eq!(rights(chunk(3)).await, [true, false, false, false], "the name's owner's");
    db.add_reader("team/private", &reader.key).await.expect("grants");
    assert_eq!(rights(chunk(1)).await, [true, true, false, false]);
    assert_eq!(rights(chunk(2)).await, [true, false, false, false], "in no release");
    db.remove_grant("team/private", &reader.key).await.expect("revokes");
    assert_eq!(rights(chunk(1)).await, [true, false, false, false]);
    db.put_name("team/private", owner.id, true, NOW).await.expect("publishes to all");
    assert_eq!(rights(chunk(3)).await, [true; 4]);
    assert_eq!(rights(chunk(2)).await, [true, false, false, false]);
    db.put_name("team/private", owner.id, false, NOW).await.expect("takes back");
    assert_eq!(rights(chunk(3)).await, [true, false, false, false]);

    // The holder of account n and of name n are not the same.
    db.add_holders(other.id.into(), &[chunk(4)]).await.expect("adds");
    db.add_holders(private.into(), &[chunk(5)]).await.expect("adds");
    assert_eq!(rights(chunk(4)).await, [false, false, true, false]);
    assert_eq!(rights(chunk(5)).await, [true, false, false, false]);
}

pub(crate) async fn lookups_of_every_size_agree_with_single_ones(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let caller = (&owner).into();
    let ids = (0..3000).map(chunk).collect::<Vec<_>>();
    let held = ids.iter().copied().step_by(3).collect::<Vec<_>>();
    for size in [1, 2, 31, 33, 513, held.len()] {
        db.add_holders(owner.id.into(), &held[..size]).await.expect("adds");
        for length in [0, 1, 2, 64, 65, LOOKUP_IDS_MAX] {
            let found = db.readable(&caller, &ids[..length]).await.expect("looks up");
            let expected = length.div_ceil(3).min(size);
            assert_eq!(found.len(), expected, "{length} of {size}");
            assert!(found.iter().all(|id| held.contains(id)));
        }
    }
    assert!(db.readable(&Caller::Anonymous, &ids[..64]).await.expect("looks up").is_empty());
}

pub(crate) async fn dropped_holders_are_gone(db: &dyn HubDb) {
    let (owner, other) = (publisher(db, 1).await, publisher(db, 2).await);
    let mut ids = (0..1500).map(chunk).collect::<Vec<_>>();
    ids.sort_by_key(|id| *id.as_bytes());
    for holder in [&owner, &other] {
        db.add_holders(holder.id.into(), &ids).await.expect("adds");
    }
    let page = db.held_chunks(None, 1000).await.expect("lists");
    assert_eq!(page, ids[..1000], "each once, in order");
    let page = db.held_chunks(page.last().copied(), 1000).await.expect("lists");
    assert_eq!(page, ids[1000..]);
    db.drop_holders(&ids[10..1400]).await.expect("drops");
    let rest = db.held_chunks(None, 5000).await.expect("lists");
    assert_eq!(rest, [&ids[..10], &ids[1400..]].concat());
}
