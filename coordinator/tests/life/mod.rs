//! Lives told as scripts: `tests/scripts/*.txt`. One test for each, so that each is named in the report.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::harness::World;
use crate::harness::script;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

macro_rules! told {
    ($($(#[$doc:meta])* $test:ident = $script:literal;)*) => {
        $($(#[$doc])* #[test] fn $test() {
            script::run(&scripts().join(concat!($script, ".txt")), World::new());
        })*

        const TOLD: &[&str] = &[$($script),*];
    };
}

told! {
    // proves: O8
    // case: orchestrations 60
    what_undoes_a_run_is_given_what_that_one_left_behind = "run_disposed";
    // proves: O7
    // case: orchestrations 31
    what_a_run_is_given_and_leaves_behind_is_as_schemas_say = "run_schemas";
    what_an_instance_takes_of_runs_can_stand_in_its_configuration = "run_configured";
    // proves: M1, M2, M3, M4, M6
    // case: orchestrations 63, 65, 66, 67
    a_service_is_ordered_as_its_model_says_and_refused_for_what_is_wrong = "orders";
    // proves: M2, M6
    an_artifact_is_there_whole_or_not_at_all_and_what_names_it_needs_it = "artifacts";
    // proves: O2, O5, O7, O11
    // case: orchestrations 14, 22, 34, 47, 58
    a_run_goes_on_whatever_becomes_of_its_definition_and_of_who_leads = "run_goes_on";
    // proves: O11
    // case: orchestrations 61
    what_nobody_wants_is_taken_back_and_its_hand_is_free_when_it_is_let_go = "run_taken_back";
    // proves: O9
    with_a_queue_outside_nothing_is_handed_out_before_its_turn = "run_queued_outside";
    what_a_restored_graph_had_out_is_tried_again = "run_restored";
    // proves: O6
    what_is_too_large_to_be_kept_is_told_with_its_size = "run_bounds";
    // proves: O2, O3, O11
    // case: orchestrations 29
    a_run_goes_by_what_its_activities_depend_on_and_is_begun_once = "run";
    // proves: O1, O2
    every_fault_of_a_definition_is_told_at_once_and_nothing_is_changed = "run_faults";
    // proves: O4, O5
    attempts_wait_longer_each_time_and_end_with_the_last_error = "run_attempts";
    // proves: O7
    who_works_is_gone_and_another_takes_the_next_attempt = "run_lost";
    // proves: O8
    what_failed_is_undone_in_reverse_order_once_everything_has_come_back = "run_undone";
    // proves: O11
    a_paused_run_hands_nothing_out_and_a_cancelled_one_lets_go = "run_paused";
    // proves: S23
    // acceptance: issue 5, line 1
    what_others_see_of_a_node_says_what_has_become_of_it = "peers";
    // proves: S23
    what_is_on_an_isolated_node_is_replaced_where_its_placement_says_so = "isolated";
    // proves: S11
    supervisors_are_guarded_from_two_other_nodes = "guards";
    // proves: S11
    what_nobody_sees_from_elsewhere_is_degraded_and_not_restarted = "watched";
    // proves: S24
    // acceptance: issue 3, line 8
    what_is_not_well_names_what_it_stands_on_and_why_that_is_not_there = "dependency_lost";
    // proves: S5, S6, S7
    a_resource_is_held_or_shared_as_its_type_may_and_free_when_its_user_is_gone = "resources";
    // proves: S7
    what_nobody_answers_in_time_is_a_failure = "asked";
    // proves: S7
    an_announced_stop_is_seen_before_and_after_it = "announced";
    // proves: S9
    // acceptance: issue 3, line 3
    a_stray_is_taken_in_where_it_is_wanted_else_left_and_told = "stray";
    // proves: S9
    a_graph_older_than_its_node_takes_in_what_runs_there = "stray_newer";
    // proves: S9, S17
    a_graph_restored_in_a_new_epoch_takes_in_what_runs_and_begins_what_does_not = "epoch";
    // proves: S20
    a_restart_group_restarts_together_on_its_node = "restart_group";
    // proves: S3
    a_collected_record_is_there_for_a_moment = "collected";
    // proves: S8, S9
    // case: services 11, 13
    a_start_becomes_running_with_its_configuration_once = "start";
    // proves: S20
    // case: services 27, 31
    panics_restart_at_once_then_wait_longer_each_time_then_are_quarantined = "crash_loop";
    // proves: S20
    a_service_that_ends_its_agent_is_counted_and_its_neighbours_are_not = "ends_its_agent";
    // proves: S12
    what_ends_with_an_agent_that_was_asked_to_end_is_never_counted = "stopped_with_its_agent";
    // proves: S21, S24
    a_rule_switched_off_decides_nothing_over_a_change_of_leader_until_it_is_on = "rule_off";
    // proves: S4, S9
    a_restart_asked_for_keeps_the_name_whoever_waits_for_it = "restart_keeps_name";
    // proves: S20
    // case: services 26
    a_minute_of_health_forgets_earlier_failures = "sustained_health";
    // proves: S20
    failures_further_apart_than_the_window_are_never_added_up = "slow_failures";
    // proves: S20
    // case: services 30
    a_clean_end_stays_stopped_unless_the_type_says_always = "clean_end";
    // proves: S20
    a_type_that_is_never_restarted_stays_failed_with_its_name_free = "never";
    // proves: S7, S12
    // case: services 26
    a_failure_reported_by_the_living_is_stopped_and_counted_once = "reported_failure";
    // proves: S8
    // case: services 22
    a_refused_configuration_is_not_tried_again = "refused_config";
    // proves: S7, S19
    // acceptance: issue 3, line 4
    a_changed_configuration_is_taken_while_it_runs_where_the_type_can = "in_place";
    // proves: S8
    // case: services 22
    what_is_at_rest_takes_another_configuration = "other_config";
    // proves: S8, S20
    a_start_refused_for_now_is_a_counted_attempt = "refused_start";
    // proves: S8
    what_cannot_run_on_its_node_is_not_tried_again_there = "cannot_run_here";
    // proves: S9
    a_stop_that_went_wrong_says_what_it_left = "stop_went_wrong";
    // proves: S8
    a_start_without_an_answer_is_stopped_and_tried_again = "start_deadline";
    // proves: S13
    // case: services 24
    missed_checks_stop_and_restart_at_the_limit = "unresponsive";
    // proves: S13
    // case: services 24
    degraded_is_shown_and_not_restarted = "degraded";
    // proves: S9
    // case: services 17, 18, 21
    stop_frees_the_name_and_start_works_again = "stop";
    // proves: S9
    // case: services 19
    the_last_wish_wins_while_a_start_or_stop_is_under_way = "stop_while_starting";
    // case: services 21
    stop_of_what_does_not_run_settles_it = "stop_what_does_not_run";
    // proves: S24
    // case: services 20
    a_stop_that_is_ignored_is_escalated_and_then_said = "will_not_end";
    // case: services 20
    a_task_that_never_yields_is_said_to_be_stuck = "will_not_end_said";
    // proves: S4
    // case: services 14
    one_name_has_one_holder_and_the_oldest_waiter_is_next = "name_conflict";
    // proves: S4
    // case: services 14, 15
    a_newcomer_does_not_pass_those_who_wait = "name_queue";
    // proves: S4
    who_is_kept_down_is_in_nobodys_way = "name_maintained";
    // proves: S4
    a_name_taken_on_the_node_is_a_counted_attempt = "name_taken_on_node";
    // proves: B8
    what_does_not_fit_waits_and_begins_when_there_is_room = "room";
    // proves: B8
    so_many_go_where_the_least_is_taken_and_every_no_says_what_would_help = "room_so_many";
    // proves: B8
    a_node_that_refuses_has_the_last_word_and_one_of_so_many_is_tried_elsewhere = "room_refused";
    // proves: S23
    a_node_that_is_back_has_room_when_what_was_replaced_has_ended = "room_node_back";
    // proves: B8
    so_many_are_beside_others_or_apart_from_them = "affinity";
    // proves: S23
    // case: services 34
    a_node_that_comes_back_with_its_instances_keeps_them = "node_away";
    // proves: S23
    // case: services 34
    what_a_returning_node_lacks_has_ended_with_its_agent = "node_back_without";
    // proves: S12, S22
    // case: services 48
    what_the_outbox_says_counts_before_what_is_guessed = "node_back_with_reports";
    // proves: S9
    what_a_reboot_ended_is_gone_even_if_the_session_closes_at_once = "flapping";
    // proves: S9
    a_rebooted_node_is_not_asked_for_what_is_over = "void_file";
    // proves: S9
    an_undelivered_command_is_delivered_when_the_node_is_back = "undelivered";
    // proves: S9
    a_start_after_a_failure_is_delivered_when_the_node_is_back = "undelivered_after_failure";
    // case: services 12
    a_line_for_a_name_outlasts_the_absence_of_its_node = "name_line_of_absent_node";
    a_failure_and_a_wish_in_one_step_leave_the_name_to_who_waits = "failure_and_start_at_once";
    // proves: S23
    a_silent_node_is_away_after_the_limit = "silence";
    // case: services 35
    a_new_coordinator_waits_for_nodes_before_it_says_they_are_away = "not_heard";
    // proves: S9
    a_command_is_repeated_at_growing_intervals = "resend";
    // proves: S22
    // case: services 29, 51
    a_repeated_or_late_report_changes_nothing = "repeats";
    a_restart_by_hand_works_in_every_state = "restart_by_hand";
    clear_wipes_the_sheet_or_says_there_was_nothing = "clear";
    // proves: S9
    // case: services 12
    what_cannot_be_is_refused_and_changes_nothing = "refusals";
    a_placement_everywhere_follows_the_nodes = "everywhere";
    // proves: S1
    a_node_without_the_type_blocks_until_it_has_it = "types";
    a_start_waits_for_its_node = "node_offline_start";
    // proves: S9, S12
    // case: services 41
    a_new_leader_sends_what_is_unanswered_in_its_own_term = "leader_change";
    // proves: S22
    a_lost_proposal_takes_effect_once = "lost_proposal";
    a_settled_cluster_writes_nothing = "settled";
    // proves: S19
    // case: services 16
    // acceptance: issue 3, line 4
    a_change_of_a_placement_names_its_generation_and_the_second_of_two_is_refused = "put";
    // proves: S19
    // case: services 16
    another_configuration_starts_when_the_old_instance_is_gone = "put_config";
    // case: services 58, 59
    a_deleted_placement_ends_first_and_leaves_nothing_behind = "delete";
    // case: services 59
    what_others_depend_on_is_deleted_after_them = "delete_in_order";
    dependencies_that_cannot_be_are_refused_with_their_path = "dependency_refusals";
    a_node_taken_out_of_a_placement_and_in_again_has_one_instance = "shrink_and_grow";
    a_placement_on_labels_follows_the_nodes_that_have_them = "labels";
    // proves: S25
    a_cordoned_node_keeps_what_it_has_and_takes_nothing_new = "cordon";
    // proves: S25
    a_drained_node_empties_in_the_order_of_dependence_and_waits_to_be_uncordoned = "drain";
    // proves: S25
    what_happens_in_maintenance_is_left_and_judged_when_it_is_over = "maintenance";
    // proves: S25
    what_is_moved_ends_where_it_was_when_the_other_is_healthy = "move";
    // proves: S25
    one_of_so_many_moves_and_stays_where_it_was_if_the_other_fails = "move_so_many";
    // proves: S25
    what_is_moved_stays_until_the_other_has_been_healthy_for_a_while = "move_settles";
    // proves: S23, S25
    the_only_one_ends_before_the_other_begins = "move_only_one";
    what_cannot_move_is_refused_with_what_to_do = "move_refused";
    // proves: S14
    instances_are_found_nearest_first_and_a_start_is_told_where_what_it_depends_on_is = "lookup";
    // proves: S20
    what_fails_too_often_is_tried_on_another_node = "escalate";
    // proves: S19, S25
    an_update_waits_while_somebody_works_on_the_placement_and_others_go_on = "maintained_update";
    // proves: S19, S23
    // acceptance: issue 5, line 6
    an_update_goes_on_without_a_lost_node_which_has_it_when_it_is_back = "rolling_node_lost";
    // proves: S25
    // acceptance: issue 5, line 6
    a_minimum_is_kept_by_drains_removals_and_updates = "minimum";
    // proves: S25
    a_minimum_that_a_target_can_never_have_is_told = "below_minimum";
    // proves: S25
    a_drain_keeps_a_minimum_also_where_successors_do_not_come_up = "drain_minimum";
    // proves: S25
    a_drain_counts_a_free_place_once = "drain_one_place";
    // proves: B8
    placements_that_would_wait_for_one_another_are_refused = "affinity_circle";
    // proves: S25
    what_is_worked_on_as_a_placement_or_as_a_whole_is_left_as_it_is = "maintenance_of_placement";
    // proves: S23
    a_node_that_stays_away_is_given_up_and_taken_back_when_it_returns = "node_lost";
    // proves: S23, S25
    a_node_in_maintenance_is_not_given_up_until_that_is_over = "node_lost_in_maintenance";
    // proves: S23
    who_has_seen_that_a_node_is_dead_need_not_wait = "confirm_dead";
    // proves: S23
    // acceptance: issue 5, line 3
    a_storm_holds_every_verdict_and_a_real_loss_is_given_up_a_few_at_a_time = "storm";
    // proves: B8
    so_many_are_placed_where_they_can_be_and_replaced_when_their_node_is_lost = "so_many";
    // proves: B8
    // acceptance: issue 5, line 8
    too_few_nodes_are_told_with_what_each_says_until_one_can = "so_many_too_few";
    // proves: B8
    so_many_are_spread_over_the_values_of_a_label = "so_many_spread";
    // proves: S25
    a_drain_ends_one_of_so_many_when_another_has_taken_its_place = "so_many_drained";
    // proves: S23
    the_only_one_starts_elsewhere_when_its_lease_has_run_out_for_certain = "singleton";
    // proves: S23
    a_machine_is_restarted_by_its_agent_then_by_a_peer_and_then_given_up = "restart_host";
    what_is_to_be_gone_for_certain_starts_elsewhere_when_its_machine_was_off = "fence";
    // proves: S23
    nothing_is_switched_off_that_is_here_is_worked_on_or_holds_the_majority = "fence_limits";
    // proves: S23
    of_two_machines_with_stations_only_one_is_switched_off_at_a_time = "fence_majority";
    the_only_one_ends_before_the_next_begins = "singleton_ends_first";
    // proves: S25
    a_node_is_removed_when_it_is_away_and_nothing_is_wanted_on_it_alone = "remove_node";
    // proves: S25
    what_people_say_of_labels_stands_over_what_the_agent_brings = "node_labels";
    // proves: S25
    a_label_does_not_take_the_last_one_away_unless_it_is_meant = "node_label_force";
    // proves: S20
    // acceptance: issue 3, line 5
    what_depends_on_another_starts_when_that_is_healthy_also_after_a_crash = "dependencies";
    // proves: S20
    what_is_stopped_together_ends_in_the_reverse_order = "dependencies_stopped";
    // proves: S19
    // acceptance: issue 3, line 5
    an_update_goes_on_when_the_instance_before_is_healthy = "rolling_update";
    // proves: S19
    // case: services 23
    // acceptance: issue 3, line 4, 5
    a_change_that_fails_three_starts_is_dropped_and_the_old_configuration_is_back = "rolling_bad_start";
    // case: services 22, 23
    a_configuration_that_the_node_refuses_is_taken_back_at_once = "rolling_bad_config";
    // proves: S19
    // acceptance: issue 3, line 5
    an_instance_that_does_not_get_healthy_stops_the_update_and_its_check_is_named = "rolling_bad_health";
    // proves: S19
    updates_go_all_at_once_or_first_one_or_so_many_at_a_time = "rolling_strategies";
    an_update_without_a_way_back_halts_at_the_first_bad_instance = "rolling_halted";
    // proves: S19
    a_change_can_be_tried_on_some_nodes_first = "phased";
    // proves: S19
    a_safe_mode_start_takes_what_last_ran = "safe_start";
    // proves: S19
    a_placement_goes_back_to_an_earlier_wish = "history";
    // proves: S15
    // acceptance: issue 3, line 4
    a_configuration_that_does_not_fit_its_schema_is_refused_with_the_field = "schema";
    // proves: S20
    a_placements_own_policy_stands_over_its_types = "own_policy";
}

#[test]
fn every_script_has_a_test() {
    let files: BTreeSet<String> = std::fs::read_dir(scripts())
        .unwrap()
        .filter_map(|file| Some(file.unwrap().path().file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(files, TOLD.iter().map(|name| (*name).to_owned()).collect());
}
