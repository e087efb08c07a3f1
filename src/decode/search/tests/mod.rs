//! The invariants of the specification (section 12) over models that are tables.
//!
//! By number; those of guides and scorers are in `decode::guide::tests`:
//!
//! 1, 2. `off_is_the_base_to_the_bit_and_no_guide_is_fed`
//! 3. `with_the_base_as_the_untuned_model_one_is_the_tuned_model`
//! 4. `a_constant_on_one_models_logits_changes_no_distribution`; there is no mapped mode: a partial
//!    table is refused at token level (`vocabularies_are_compared_byte_for_byte`)
//! 5. `one_row_is_plain_sampling_whatever_ranks_it`
//! 6. `best_of_n_is_the_best_of_n_samples_of_the_same_streams`
//! 7. `a_constant_value_is_the_token_level_sampler_of_the_first_row`
//! 8. `scores_may_be_stretched_and_shifted_and_turned_round`
//! 9. `after_a_boundary_row_j_is_a_copy_of_the_kept_j_mod_w`,
//!    `kept_values_are_no_smaller_than_dropped_ones_and_parents_were_kept`
//! 10. `the_cache_of_every_row_is_that_of_its_ids`, of guides `any_rows_after_any_others`
//! 11. `a_batch_of_rows_draws_what_each_would_alone`,
//!     `unequal_texts_in_one_batch_score_as_they_do_alone`
//! 12. `swapping_streams_of_rows_of_one_parent_leaves_the_answer`
//! 13. `a_finished_text_and_its_value_never_change`
//! 14. `it_stops_at_the_first_boundary_where_all_kept_are_done`
//! 15. `kept_caches_give_what_reading_it_all_anew_gives`,
//!     `text_and_ids_agree_where_tokenising_again_changes_nothing`
//! 16. `a_vocabulary_head_scores_every_continuation_as_if_it_were_taken`,
//!     `both_kinds_of_head_agree_on_a_model_built_to_be_equal`
//! 17. `padding_on_the_right_changes_no_score_of_a_real_model`
//! 18. `the_best_of_more_samples_is_never_worse`
//! 19. `many_runs_match_the_exact_distribution_of_answers`
//! 20. the tests of `decode::sampler`, `minus_infinity_stays_and_never_becomes_nan`
//! 21. `the_sum_of_log_ratios_telescopes`
//! 22. `row_forwards_are_those_of_the_formula`,
//!     `row_forwards_of_guides_and_scorer_are_those_of_the_formula`
//! 23. `a_replay_is_the_same_to_the_byte_and_another_seed_is_not`,
//!     `strengths_change_between_tokens_without_feeding_anything_again`

mod exhaustive;
mod finishing;
mod reductions;
pub mod stage;
pub mod table;
mod tree;
