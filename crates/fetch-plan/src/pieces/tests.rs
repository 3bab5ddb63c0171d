use super::*;

fn piece(number: u8) -> PieceId {
    PieceId([number; 32])
}

const A: SourceId = SourceId(1);
const B: SourceId = SourceId(2);

#[test]
fn urgent_pieces_come_first_and_returned_ones_keep_their_place() {
    let mut pieces = Pieces::default();
    for number in 1..=3 {
        pieces.want(piece(number), 10, Priority::Ordered);
    }
    pieces.want(piece(4), 10, Priority::Ahead);
    pieces.want(piece(4), 10, Priority::Demanded);
    assert_eq!(pieces.next_for(A), Some((piece(4), 10)));
    pieces.assign(piece(4), RequestId(0));
    pieces.assign(piece(1), RequestId(0));
    assert_eq!(pieces.next_for(A), Some((piece(2), 10)));
    pieces.release(piece(1), RequestId(0));
    assert_eq!(pieces.next_for(A), Some((piece(1), 10)));
    assert_eq!(pieces.queued(), Count { pieces: 3, bytes: 30 });
}

#[test]
fn of_pieces_wanted_ahead_the_rarest_come_first() {
    let mut pieces = Pieces::default();
    for number in 1..=3 {
        pieces.want(piece(number), 10, Priority::Ahead);
    }
    assert!(pieces.lacks(piece(3), B));
    assert!(!pieces.lacks(piece(3), B));
    assert_eq!(pieces.next_for(A), Some((piece(3), 10)));
    assert_eq!(pieces.next_for(B), Some((piece(1), 10)));
}

#[test]
fn a_piece_with_a_backup_returns_only_when_both_requests_ended() {
    let mut pieces = Pieces::default();
    pieces.want(piece(1), 10, Priority::Ordered);
    pieces.assign(piece(1), RequestId(0));
    assert_eq!(pieces.backup_for(piece(1), B), Some(10));
    pieces.assign_backup(piece(1), RequestId(1));
    assert_eq!(pieces.backup_for(piece(1), B), None);
    pieces.release(piece(1), RequestId(0));
    let state = PieceState::Assigned { request: RequestId(1), backup: None };
    assert_eq!(pieces.state(piece(1)), Some(state));
    pieces.release(piece(1), RequestId(1));
    assert_eq!(pieces.state(piece(1)), Some(PieceState::NotAssigned));
}

#[test]
fn what_all_sources_lack_is_set_aside_until_there_is_another() {
    let mut pieces = Pieces::default();
    pieces.want(piece(1), 10, Priority::Ordered);
    pieces.lacks(piece(1), A);
    assert_eq!(pieces.set_aside(&[A, B]), []);
    pieces.lacks(piece(1), B);
    assert_eq!(pieces.set_aside(&[A, B]), [(piece(1), vec![A, B])]);
    assert_eq!(pieces.set_aside(&[A, B]), []);
    assert_eq!(pieces.next_for(SourceId(3)), None);
    pieces.hope_again();
    assert_eq!(pieces.next_for(SourceId(3)), Some((piece(1), 10)));
}
