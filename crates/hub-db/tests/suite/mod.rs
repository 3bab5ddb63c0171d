//! What every implementation of [`HubDb`] must do.

mod accounts;
mod audit;
mod chunks;
mod claims;
mod cluster;
mod communities;
mod console;
mod deliveries;
mod grants;
mod joins;
mod names;
mod people;
mod queues;
mod releases;
mod retention;
mod tokens;

pub(crate) use accounts::*;
pub(crate) use audit::*;
pub(crate) use chunks::*;
pub(crate) use claims::*;
pub(crate) use cluster::*;
pub(crate) use communities::*;
pub(crate) use console::*;
use content::ChunkId;
pub(crate) use deliveries::*;
pub(crate) use grants::*;
use hub_db::{
    Account, AccountKey, Caller, HubDb, NameId, NewDelegation, NewInvitation, NewRelease, Role,
};
pub(crate) use joins::*;
pub(crate) use names::*;
pub(crate) use people::*;
pub(crate) use queues::*;
pub(crate) use releases::*;
pub(crate) use retention::*;
pub(crate) use tokens::*;

/// Gives every check to a macro.
#[macro_export]
macro_rules! for_each_check {
    ($callback:ident) => {
        $callback! {
            invitations_are_used_as_often_as_they_allow,
            a_network_registers_so_many_keys_a_day,
            an_invitation_raises_roles_and_grants_names,
            revoked_accounts_stay_revoked,
            invitations_end_with_the_account_that_made_them,
            invitations_are_listed_while_they_are_good,
            an_administrator_is_a_publisher_too,
            accounts_are_listed_by_pages,
            of_many_racing_registrations_as_many_as_allowed_succeed,
            a_revoked_account_reads_what_is_public,
            a_name_keeps_its_owner,
            a_deleted_name_is_not_made_anew_by_a_setting,
            names_are_seen_by_those_who_may_read_them,
            of_many_who_create_a_name_one_owns_it,
            names_are_in_order_of_their_bytes,
            usage_is_counted_by_name,
            grants_replace_one_another_and_are_listed,
            a_list_of_publishers_replaces_the_one_before_as_a_whole,
            a_name_is_transferred_to_accounts_that_may_publish,
            a_deleted_name_leaves_nothing_behind,
            tokens_are_found_by_their_secret_until_they_end,
            tokens_are_revoked_by_their_owner_and_with_the_account,
            a_token_is_in_force_until_it_or_its_account_ends,
            a_token_reads_the_names_it_lists_as_its_account_does,
            dropped_holders_of_tokens_are_gone,
            the_audit_log_is_read_backwards,
            an_act_that_came_to_nothing_is_withdrawn,
            what_was_chained_keeps_its_place_and_its_link,
            the_beginning_of_the_audit_log_is_removed_up_to_a_head,
            entries_are_chained_one_behind_the_other_by_many_at_once,
            a_sign_in_works_once,
            a_database_belongs_to_the_hub_that_began_it,
            an_open_database_is_ready,
            a_request_is_claimed_once_and_its_answer_kept,
            of_many_same_requests_one_is_done,
            a_release_is_kept_if_any_rule_keeps_it,
            pinned_releases_are_kept,
            entries_wait_for_their_target_in_order,
            what_waits_for_anybody_is_listed_and_withdrawn,
            a_mirror_takes_releases_in_any_order,
            what_waits_is_counted_for_each_community_alone,
            an_entry_is_answered_once,
            of_two_racing_answers_one_counts,
            answers_that_come_together_are_each_told_their_own,
            who_answers_is_asked_for_with_the_release,
            receipts_are_kept_until_they_are_taken,
            a_beginning_is_noted_once_and_only_of_what_waits,
            a_release_is_kept_while_somebody_waits_for_it,
            who_is_no_target_gets_nothing_queued,
            who_belongs_to_a_community_no_more_waits_no_more,
            what_a_publisher_sent_goes_with_it,
            a_community_is_managed_here_or_mirrored,
            charters_follow_one_another,
            a_roster_replaces_the_one_it_was_computed_on,
            of_two_racing_rosters_one_counts,
            peers_are_in_order_of_their_bytes_and_may_exchange_keys,
            renewals_are_newer_and_of_the_roster_in_force,
            a_roster_makes_accounts_and_takes_them_back,
            accounts_of_their_own_right_are_no_rosters_to_change,
            targets_and_relays_read_the_feeds_of_publishers,
            a_large_roster_is_set_at_once,
            a_community_that_ends_leaves_its_charters_and_one_that_is_removed_nothing,
            a_joining_goes_step_by_step,
            an_admission_is_used_once_and_ends,
            joinings_leave_room_for_those_with_an_admission,
            old_joinings_and_admissions_are_forgotten,
            a_handle_is_given_once,
            of_two_who_want_a_handle_one_has_it,
            a_device_logs_in_and_is_listed_by_another,
            of_two_racing_lists_of_devices_one_is_kept,
            a_new_password_logs_out_who_is_not_listed,
            a_code_by_mail_is_taken_once_within_its_time,
            failed_logins_count_by_network_for_a_while,
            a_contact_is_let_in_and_a_stranger_waits,
            who_is_blocked_is_refused_and_ends,
            pending_senders_are_few_and_decided_about,
            what_becomes_of_a_delivery_is_noted_until_it_is_over,
            of_two_who_address_the_last_place_one_has_it,
            what_went_through_is_counted_by_person,
            a_receipt_is_kept_with_the_delivery_that_it_is_for,
            of_several_front_ends_one_is_the_manager,
            of_many_who_would_manage_one_does,
            a_front_end_lives_while_it_beats,
            chunks_are_kept_by_one_front_end,
            a_thing_is_at_home_at_one_live_front_end,
            people_are_online_where_they_listen,
            a_challenge_is_answered_at_one_front_end,
            a_hub_is_down_until_it_is_up,
            what_clients_are_to_be_is_as_it_was_set_last,
            releases_follow_one_another,
            a_publisher_leaves_out_what_an_earlier_database_had,
            of_two_racing_releases_one_is_accepted,
            a_refused_release_gives_nobody_chunks,
            heads_are_renewed_for_the_latest_release_alone,
            releases_are_listed_newest_first_and_events_in_order,
            chunks_are_readable_through_their_holders_alone,
            lookups_of_every_size_agree_with_single_ones,
            dropped_holders_are_gone,
        }
    };
}

pub(crate) const NOW: u64 = 1_000_000;
pub(crate) const NETWORK: &str = "192.0.2.0/24";

pub(crate) fn key(number: u8) -> AccountKey {
    AccountKey([number; 32])
}

pub(crate) fn chunk(number: u32) -> ChunkId {
    ChunkId::of(&number.to_le_bytes())
}

pub(crate) fn invitation(number: u8, role: Role, uses: u32) -> NewInvitation {
    let grants = vec!["team/granted".to_owned()];
    NewInvitation {
        secret_hash: [number; 32],
        role,
        grants,
        uses,
        each_network: None,
        creator: None,
        created: NOW,
        expires: NOW + 10,
    }
}

pub(crate) async fn publisher(db: &dyn HubDb, number: u8) -> Account {
    let mut invited = invitation(number, Role::Publisher, 1);
    invited.grants.clear();
    db.create_invitation(&invited).await.expect("invites");
    db.register(&key(number), &[number; 32], NETWORK, NOW).await.expect("registers")
}

pub(crate) async fn name_of(db: &dyn HubDb, owner: &Account, name: &str, public: bool) -> NameId {
    db.put_name(name, owner.id, public, NOW).await.expect("puts");
    db.name(name, &owner.into()).await.expect("reads").expect("its owner sees it").id
}

pub(crate) fn delegation(
    name: NameId,
    owner: &Account,
    number: u64,
    publishers: &[AccountKey],
) -> NewDelegation {
    let document = vec![u8::try_from(number).expect("small"); 3];
    NewDelegation { name, owner: owner.key, number, document, publishers: publishers.to_vec() }
}

pub(crate) fn release(name: NameId, sequence: u64) -> NewRelease {
    let hash = |sequence: u64| [u8::try_from(sequence).expect("small"); 32];
    NewRelease {
        name,
        sequence,
        hash: hash(sequence),
        previous: (sequence > 1).then(|| hash(sequence - 1)),
        after: None,
        manifest: vec![1, 2, 3],
        head: vec![4, 5],
        tree: chunk(900),
        closure: chunk(1000 + u32::try_from(sequence).expect("small")),
        stored_bytes: 77,
        issued: NOW,
        accepted: NOW,
    }
}

pub(crate) async fn can_read(db: &dyn HubDb, caller: &Caller, id: ChunkId) -> bool {
    db.readable(caller, &[id]).await.expect("looks up").contains(&id)
}
