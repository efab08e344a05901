"""The 43 tests of the conformance guide for LTI Advantage tools (facts: lti.md §15), by number and name, against the
generic platform and against Open edX's own LTI consumer."""

from collections.abc import Callable

from conformance.results import Result

Passes = Callable[[int], Result]


def test_01_no_kid_sent_in_jwt_header_is_refused(passes: Passes) -> None:
    passes(1)


def test_02_incorrect_kid_in_jwt_header_is_refused(passes: Passes) -> None:
    passes(2)


def test_03_wrong_lti_versions_are_refused(passes: Passes) -> None:
    passes(3)


def test_04_no_lti_version_is_refused(passes: Passes) -> None:
    passes(4)


def test_05_an_invalid_lti_message_is_refused(passes: Passes) -> None:
    passes(5)


def test_06_missing_lti_claims_are_refused(passes: Passes) -> None:
    passes(6)


def test_07_incorrect_timestamps_are_refused(passes: Passes) -> None:
    passes(7)


def test_08_a_missing_message_type_claim_is_refused(passes: Passes) -> None:
    passes(8)


def test_09_a_missing_role_claim_is_refused(passes: Passes) -> None:
    passes(9)


def test_10_a_missing_deployment_id_claim_is_refused(passes: Passes) -> None:
    passes(10)


def test_11_a_missing_resource_link_id_claim_is_refused(passes: Passes) -> None:
    passes(11)


def test_12_a_missing_user_claim_is_refused(passes: Passes) -> None:
    passes(12)


def test_13_a_valid_instructor_launch_is_opened(passes: Passes) -> None:
    passes(13)


def test_14_an_instructor_with_several_roles_is_a_teacher(passes: Passes) -> None:
    passes(14)


def test_15_an_instructor_with_a_short_role_is_a_teacher(passes: Passes) -> None:
    passes(15)


def test_16_an_instructor_with_an_unknown_role_is_a_learner(passes: Passes) -> None:
    passes(16)


def test_17_an_instructor_without_a_role_is_a_learner(passes: Passes) -> None:
    passes(17)


def test_18_an_instructor_with_an_e_mail_only_is_let_in(passes: Passes) -> None:
    passes(18)


def test_19_an_instructor_with_names_only_is_let_in(passes: Passes) -> None:
    passes(19)


def test_20_an_instructor_without_personal_data_is_let_in(passes: Passes) -> None:
    passes(20)


def test_21_an_instructor_with_an_e_mail_and_without_a_context_is_let_in(passes: Passes) -> None:
    passes(21)


def test_22_a_valid_student_launch_is_opened(passes: Passes) -> None:
    passes(22)


def test_23_a_student_with_several_roles_is_a_learner(passes: Passes) -> None:
    passes(23)


def test_24_a_student_with_a_short_role_is_a_learner(passes: Passes) -> None:
    passes(24)


def test_25_a_student_with_an_unknown_role_is_a_learner(passes: Passes) -> None:
    passes(25)


def test_26_a_student_without_a_role_is_a_learner(passes: Passes) -> None:
    passes(26)


def test_27_a_student_with_an_e_mail_only_is_let_in(passes: Passes) -> None:
    passes(27)


def test_28_a_student_with_names_only_is_let_in(passes: Passes) -> None:
    passes(28)


def test_29_a_student_without_personal_data_is_let_in(passes: Passes) -> None:
    passes(29)


def test_30_a_student_with_an_e_mail_and_without_a_context_is_let_in(passes: Passes) -> None:
    passes(30)


def test_31_a_deep_linking_request_opens_the_picker(passes: Passes) -> None:
    passes(31)


def test_32_the_deep_linking_response_is_received_as_one_field(passes: Passes) -> None:
    passes(32)


def test_33_the_deep_linking_response_has_the_right_format(passes: Passes) -> None:
    passes(33)


def test_34_the_deep_linking_response_has_valid_timestamps(passes: Passes) -> None:
    passes(34)


def test_35_the_signature_of_the_deep_linking_response_verifies(passes: Passes) -> None:
    passes(35)


def test_36_the_deep_linking_response_has_the_required_claims(passes: Passes) -> None:
    passes(36)


def test_37_the_deep_linking_response_holds_what_was_picked(passes: Passes) -> None:
    passes(37)


def test_38_a_valid_instructor_launch_with_names_and_roles_is_read(passes: Passes) -> None:
    passes(38)


def test_39_the_roster_is_requested_to_its_last_page(passes: Passes) -> None:
    passes(39)


def test_40_the_roster_is_requested_in_its_own_media_type(passes: Passes) -> None:
    passes(40)


def test_41_the_roster_is_requested_with_a_valid_bearer_token(passes: Passes) -> None:
    passes(41)


def test_42_the_bearer_token_of_the_roster_has_its_scope_alone(passes: Passes) -> None:
    passes(42)


def test_43_the_tool_makes_a_line_item_and_posts_a_score(passes: Passes) -> None:
    passes(43)
