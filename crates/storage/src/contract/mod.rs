//! One named test a promise of [`crate::Store`], run over each backend.
//!
//! A backend plugs in with one line, `contract_tests!(name, constructor)`. A promise is a function that takes a
//! [`World`]; its name stands in the list below.
//!
//! What only several nodes on one store can break (shares, leases, fencing, handing over, signals, a queue that several
//! write) is promised by the trait too, but SQLite, which one process has for itself, has nothing to show there: those
//! tests are PostgreSQL's own, in `postgres/tests/nodes.rs` and `postgres/tests/fencing.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use tidings_domain::{
    Clock, Entropy, Ids, Timestamp,
    clock::ManualClock,
    config::{self, IngestConfig, StoreConfig},
    entropy::SeededEntropy,
};

use crate::Store;

pub(crate) mod completeness;
pub(crate) mod configured;
pub(crate) mod connections;
pub(crate) mod deliver;
pub(crate) mod enrich;
pub(crate) mod ingest;
pub(crate) mod known_items;
pub(crate) mod lists;
pub(crate) mod make;
pub(crate) mod model;
pub(crate) mod policies;
pub(crate) mod reconcile;
pub(crate) mod subscriptions;
pub(crate) mod webhooks;
pub(crate) mod whole;

/// A place that a store lives in, empty at first; what was written is there when it is opened again.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Opens the store. The one opened before is closed.
    async fn open(&self, parts: Parts) -> Arc<dyn Store>;

    /// How many random sequences a model is compared with: as many as take some seconds.
    fn cases(&self) -> u32 {
        200
    }
}

/// What a backend builds a store from.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) store: StoreConfig,
    pub(crate) ingest: IngestConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// A store, and what makes rows for it.
pub(crate) struct World {
    backend: Box<dyn Backend>,
    parts: Parts,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: ManualClock,
    pub(crate) ids: Ids,
}

impl World {
    pub(crate) async fn new(backend: impl Backend + 'static) -> Self {
        let config = config::load(None, [], Vec::new()).unwrap();
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
        let mut ingest = config.ingest;
        ingest.keep_rejected = 10;
        ingest.rejected_per_second = 25;
        let parts = Parts {
            store: config.store,
            ingest,
            clock: Arc::new(clock.clone()),
            entropy: Arc::clone(&entropy),
        };
        Self {
            store: backend.open(parts.clone()).await,
            ids: Ids::new(Arc::new(clock.clone()), entropy),
            backend: Box::new(backend),
            parts,
            clock,
        }
    }

    /// Closes the store and opens it again.
    pub(crate) async fn restart(&mut self) {
        self.store.close().await;
        self.store = self.backend.open(self.parts.clone()).await;
    }

    /// How many random sequences a model is compared with.
    pub(crate) fn cases(&self) -> u32 {
        self.backend.cases()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

macro_rules! contract_tests {
    ($backend:ident, $make:expr) => {
        mod $backend {
            $crate::contract::promises! { $make;
                configured:
                    an_environment_name_is_taken_once,
                    an_environment_in_use_stays_and_an_unused_one_goes_with_its_keys,
                    an_integration_reads_back_with_its_secrets,
                    an_integration_key_is_taken_once_in_its_environment,
                    an_integration_needs_its_environment_and_stays_while_it_is_used,
                    a_tenant_has_one_connection_per_integration,
                    the_state_of_a_connection_reads_back,
                    a_change_of_a_connections_state_is_told_once,
                    what_failed_is_tried_again_when_a_connection_recovers,
                    a_connection_stays_while_a_subscription_needs_it,
                    a_key_is_found_by_its_hash_until_it_is_removed;
                connections:
                    what_is_wanted_of_a_connection_reads_back_and_makes_it_due,
                    the_subscriptions_of_a_disabled_connection_become_due_until_they_rest,
                    the_subscriptions_of_a_connection_that_goes_are_to_be_removed;
                subscriptions:
                    a_subscription_reads_back_with_its_secret,
                    the_same_wish_is_taken_once,
                    an_update_sets_what_the_loop_has_done,
                    what_is_to_be_removed_stays_so_whatever_was_under_way,
                    due_subscriptions_come_the_longest_due_first,
                    a_removed_subscription_is_gone,
                    lifecycle_notifications_are_noted_until_somebody_sees_to_them,
                    what_came_meanwhile_is_still_to_be_seen_to,
                    an_update_leaves_what_it_has_not_seen_to,
                    an_update_tells_its_events,
                    what_is_sent_elsewhere_becomes_due;
                policies:
                    a_policy_reads_back_and_is_taken_once,
                    each_policy_comes_to_each_connection_that_it_holds_for,
                    an_expansion_makes_rows_and_removes_only_its_own,
                    what_a_whole_pass_does_not_show_is_retired,
                    a_policy_goes_with_what_it_made;
                reconcile:
                    a_subscription_is_reconciled_from_the_first_time_on,
                    a_wish_brings_a_round_forward_and_never_puts_it_off,
                    what_exists_is_delivered_if_that_was_wished_before_the_first_round_ended,
                    a_wish_reaches_those_that_are_meant,
                    due_reconciles_come_the_longest_due_first,
                    an_update_sets_how_far_a_round_is,
                    a_wish_that_a_round_does_not_answer_keeps_it_due,
                    an_absence_is_known_until_it_is_answered,
                    the_states_of_all_come_in_the_order_of_their_ids,
                    a_silence_is_suspected_once_told_once_and_ends;
                completeness:
                    changes_add_up_day_by_day,
                    the_end_of_a_notification_says_once_how_the_change_became_known;
                known_items:
                    what_an_enumeration_shows_reads_back,
                    showing_an_item_again_leaves_what_was_told,
                    finds_enter_the_queue_as_accepted,
                    a_page_says_how_far_its_scope_is,
                    only_what_nobody_was_told_of_is_forgotten,
                    a_page_of_a_subscription_that_is_gone_leads_to_nothing,
                    items_that_were_not_shown_come_in_the_order_of_their_ids,
                    the_end_of_a_notification_says_what_the_app_knows,
                    many_that_end_together_each_say_what_the_app_knows,
                    what_is_no_longer_queued_tells_nothing,
                    the_end_of_a_notification_can_ask_for_a_round,
                    removing_a_subscription_takes_all_that_is_known_of_it,
                    removing_many_items_ends,
                    an_id_that_is_too_long_to_be_one_hinders_nothing;
                webhooks:
                    a_webhook_reads_back_with_its_secrets,
                    a_change_leaves_what_it_does_not_name,
                    enabling_ends_the_failing,
                    removing_takes_what_has_not_arrived_and_leaves_what_has,
                    removing_many_deliveries_ends;
                ingest:
                    an_accepted_notification_is_queued_with_all_its_members,
                    a_second_with_the_same_key_is_a_duplicate,
                    duplicates_within_one_post_are_told,
                    without_a_key_every_one_is_a_change,
                    a_key_is_remembered_for_a_day,
                    a_key_outlives_a_restart,
                    a_held_one_is_queued_without_claiming,
                    a_post_is_recorded_whole_or_not_at_all,
                    a_failed_recording_leaves_its_key_free,
                    one_poison_among_a_thousand_fails_alone,
                    a_storm_of_the_same_is_accepted_once,
                    of_the_rejected_only_the_newest_are_kept,
                    rejected_ones_are_cut_and_never_queued,
                    rejected_ones_have_a_budget;
                enrich:
                    the_queue_is_in_the_order_of_commits,
                    the_queue_is_read_from_a_place_on,
                    a_postponed_one_stays_with_its_failures,
                    finishing_makes_the_event_and_its_deliveries,
                    finishing_twice_leads_to_nothing_twice,
                    an_event_nobody_asked_for_is_kept,
                    a_webhook_that_is_gone_gets_no_delivery,
                    a_held_one_that_is_matched_claims_its_key,
                    a_held_one_whose_key_is_taken_is_a_duplicate,
                    a_held_one_that_is_matched_by_nothing_is_rejected,
                    settling_twice_gives_the_same_verdict;
                deliver:
                    due_deliveries_come_the_longest_due_first,
                    a_delivery_comes_with_the_same_bytes_each_time,
                    an_attempt_ends_or_postpones_its_delivery,
                    an_attempt_is_kept_with_all_its_members,
                    an_attempt_recorded_twice_counts_once,
                    an_attempt_of_a_delivery_that_is_gone_does_nothing,
                    deliveries_of_a_disabled_webhook_are_held_and_come_back,
                    a_webhook_fails_from_its_first_failure_on,
                    a_redelivered_one_has_its_whole_schedule_again,
                    a_delivery_to_a_webhook_that_is_gone_is_not_redelivered,
                    webhooks_with_pending_are_named_with_their_earliest;
                lists:
                    pages_join_without_gap_or_overlap,
                    each_filter_shows_only_what_fits,
                    lists_leave_out_what_is_large,
                    a_strange_cursor_is_refused;
                whole:
                    all_of_it_is_there_after_a_restart,
                    what_is_not_there_is_none,
                    health_counts_what_waits,
                    an_undamaged_store_has_no_findings,
                    a_closed_store_takes_nothing,
                    hashes_are_equal_for_equal_states_only;
                model:
                    the_store_and_a_model_of_it_agree;
            }
        }
    };
}

macro_rules! promises {
    ($make:expr; $($area:ident: $($name:ident),+;)+) => {$(
        mod $area {
            use super::super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    $crate::contract::$area::$name($crate::contract::World::new($make).await).await;
                }
            )+
        }
    )+};
}

pub(crate) use {contract_tests, promises};
