"""The initial schema.

Revision 0001, after nothing. Drafted from the tables, then read.
"""

import sqlalchemy as sa
from alembic import op

from lti_tool.tables import types

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_subject"), "audit_log", ["subject"], unique=False)
    op.create_table(
        "programme_versions",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("source_name", sa.String(length=255), nullable=False),
        sa.Column("published_by", sa.String(length=255), nullable=False),
        sa.Column("published_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_programme_versions")),
    )
    op.create_table(
        "readiness",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("written_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_readiness_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_readiness")),
    )
    op.create_table(
        "registrations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("auth_login_url", sa.Text(), nullable=False),
        sa.Column("token_url", sa.Text(), nullable=False),
        sa.Column("key_set_url", sa.Text(), nullable=False),
        sa.Column("token_audience", sa.Text(), nullable=True),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("old_roles", sa.Boolean(), nullable=False),
        sa.Column("service_origins", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("came_by", sa.String(length=16), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("came_by in ('command', 'file', 'dynamic')", name=op.f("ck_registrations_came_by")),
        sa.CheckConstraint(
            "profile in ('openedx', 'moodle', 'canvas', 'generic')", name=op.f("ck_registrations_profile")
        ),
        sa.CheckConstraint("status in ('pending', 'active', 'disabled')", name=op.f("ck_registrations_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registrations")),
        sa.UniqueConstraint("issuer", "client_id", name=op.f("uq_registrations_issuer_client_id")),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("run_at", types.UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", types.UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("state in ('ready', 'parked')", name=op.f("ck_tasks_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    op.create_index(
        "ix_tasks_ready",
        "tasks",
        ["run_at"],
        unique=False,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "uq_tasks_unclaimed",
        "tasks",
        ["kind", "key"],
        unique=True,
        sqlite_where=sa.text("state = 'ready' and lease_owner is null"),
        postgresql_where=sa.text("state = 'ready' and lease_owner is null"),
    )
    op.create_table(
        "tool_keys",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("private_pem", types.Encrypted(), nullable=False),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("signs_from", types.UtcDateTime(), nullable=False),
        sa.Column("retired_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_tool_keys")),
    )
    op.create_table(
        "trainees",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("profession", sa.String(length=64), nullable=True),
        sa.Column("calendar_digest", sa.String(length=64), nullable=True),
        sa.Column("calendar_made_at", types.UtcDateTime(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trainees")),
        sa.UniqueConstraint("calendar_digest", name=op.f("uq_trainees_calendar_digest")),
    )
    op.create_index(op.f("ix_trainees_email"), "trainees", ["email"], unique=False)
    op.create_table(
        "used_nonces",
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_used_nonces")),
    )
    op.create_index(op.f("ix_used_nonces_expires_at"), "used_nonces", ["expires_at"], unique=False)
    op.create_table(
        "zoom_gaps",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("since", types.UtcDateTime(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("seen_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("code", "subject", name=op.f("pk_zoom_gaps")),
    )
    op.create_table(
        "zoom_inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("dedupe_key", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=96), nullable=False),
        sa.Column("meeting_id", sa.String(length=32), nullable=True),
        sa.Column("meeting_uuid", sa.String(length=128), nullable=True),
        sa.Column("happened_at", types.UtcDateTime(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("secret_position", sa.SmallInteger(), nullable=False),
        sa.Column("secret_mark", sa.String(length=16), nullable=True),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("received_at", types.UtcDateTime(), nullable=False),
        sa.Column("taken_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_inbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_zoom_inbox_dedupe_key")),
    )
    op.create_index(
        op.f("ix_zoom_inbox_meeting_id_meeting_uuid_happened_at"),
        "zoom_inbox",
        ["meeting_id", "meeting_uuid", "happened_at"],
        unique=False,
    )
    op.create_index(
        "ix_zoom_inbox_ended",
        "zoom_inbox",
        ["meeting_id", "meeting_uuid"],
        unique=False,
        sqlite_where=sa.text("event in ('meeting.ended', 'webinar.ended')"),
        postgresql_where=sa.text("event in ('meeting.ended', 'webinar.ended')"),
    )
    op.create_index(
        "ix_zoom_inbox_notable",
        "zoom_inbox",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("(event in ('', 'endpoint.url_validation') or stale)"),
        postgresql_where=sa.text("(event in ('', 'endpoint.url_validation') or stale)"),
    )
    op.create_index(
        "ix_zoom_inbox_untaken",
        "zoom_inbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("taken_at is null"),
        postgresql_where=sa.text("taken_at is null"),
    )
    op.create_table(
        "zoom_meetings",
        sa.Column("meeting_id", sa.String(length=32), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=True),
        sa.Column("settings_code", sa.String(length=64), nullable=False),
        sa.Column("settings_at", types.UtcDateTime(), nullable=True),
        sa.Column("due_at", types.UtcDateTime(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("meeting_id", name=op.f("pk_zoom_meetings")),
    )
    op.create_index(op.f("ix_zoom_meetings_due_at"), "zoom_meetings", ["due_at"], unique=False)
    op.create_table(
        "launch_refusals",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "code", name=op.f("pk_launch_refusals")),
    )
    op.create_table(
        "zoom_refusals",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("day", "code", name=op.f("pk_zoom_refusals")),
    )
    op.create_table(
        "zoom_reports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("meeting_uuid", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("first_fetched_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("source in ('report', 'past', 'polls')", name=op.f("ck_zoom_reports_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_reports")),
        sa.UniqueConstraint(
            "meeting_uuid", "source", "digest", name=op.f("uq_zoom_reports_meeting_uuid_source_digest")
        ),
    )
    op.create_table(
        "course_copies",
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("context_id", sa.String(length=255), nullable=False),
        sa.Column("origin_context_id", sa.String(length=255), nullable=False),
        sa.Column("noticed_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_course_copies_registration_id_registrations")
        ),
        sa.PrimaryKeyConstraint("registration_id", "context_id", "origin_context_id", name=op.f("pk_course_copies")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("offering_id", sa.String(length=64), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("tree", sa.JSON(), nullable=False),
        sa.Column("decided_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_decisions_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(
        op.f("ix_decisions_trainee_id_offering_id"), "decisions", ["trainee_id", "offering_id"], unique=False
    )
    op.create_table(
        "deep_link_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deployment_id", sa.String(length=255), nullable=False),
        sa.Column("context_id", sa.String(length=255), nullable=True),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("return_url", sa.Text(), nullable=False),
        sa.Column("accept_types", sa.JSON(), nullable=False),
        sa.Column("accept_multiple", sa.Boolean(), nullable=False),
        sa.Column("accept_line_item", sa.Boolean(), nullable=True),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("answered_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_deep_link_requests_registration_id_registrations")
        ),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_deep_link_requests_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deep_link_requests")),
    )
    op.create_index(op.f("ix_deep_link_requests_expires_at"), "deep_link_requests", ["expires_at"], unique=False)
    op.create_table(
        "deployments",
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deployment_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_deployments_registration_id_registrations")
        ),
        sa.PrimaryKeyConstraint("registration_id", "deployment_id", name=op.f("pk_deployments")),
    )
    op.create_table(
        "enrolments",
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("context_id", sa.String(length=255), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("last_launch_at", types.UtcDateTime(), nullable=True),
        sa.Column("listed_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("role in ('trainee', 'staff', 'other')", name=op.f("ck_enrolments_role")),
        sa.CheckConstraint("last_launch_at is not null or listed_at is not null", name=op.f("ck_enrolments_seen")),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_enrolments_registration_id_registrations")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_enrolments_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("registration_id", "context_id", "trainee_id", name=op.f("pk_enrolments")),
    )
    op.create_index(op.f("ix_enrolments_trainee_id"), "enrolments", ["trainee_id"], unique=False)
    op.create_table(
        "equivalency_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("provider_name", sa.String(length=255), nullable=False),
        sa.Column("course_title", sa.String(length=255), nullable=False),
        sa.Column("completed_on", sa.Date(), nullable=True),
        sa.Column("evidence_note", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("question", sa.Text(), nullable=True),
        sa.Column("reason_code", sa.String(length=64), nullable=True),
        sa.Column("decision_text", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("decided_at", types.UtcDateTime(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("revocation_reason", sa.Text(), nullable=True),
        sa.Column("revocation_by", sa.String(length=255), nullable=True),
        sa.Column("revocation_at", types.UtcDateTime(), nullable=True),
        sa.Column("submitted_at", types.UtcDateTime(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "state in ('draft', 'submitted', 'more_info', 'approved', 'declined', 'withdrawn', 'expired', 'revoked')",
            name=op.f("ck_equivalency_requests_state"),
        ),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_equivalency_requests_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_equivalency_requests")),
    )
    op.create_index(op.f("ix_equivalency_requests_state"), "equivalency_requests", ["state"], unique=False)
    op.create_index(op.f("ix_equivalency_requests_trainee_id"), "equivalency_requests", ["trainee_id"], unique=False)
    op.create_index(
        "uq_equivalency_requests_open",
        "equivalency_requests",
        ["trainee_id", "target"],
        unique=True,
        sqlite_where=sa.text("state in ('draft', 'submitted', 'more_info')"),
        postgresql_where=sa.text("state in ('draft', 'submitted', 'more_info')"),
    )
    op.create_table(
        "exceptions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("offering_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.String(length=255), nullable=False),
        sa.Column("granted_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("length(reason) >= 10", name=op.f("ck_exceptions_reason")),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_exceptions_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exceptions")),
    )
    op.create_index(op.f("ix_exceptions_trainee_id"), "exceptions", ["trainee_id"], unique=False)
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_identities_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("issuer", "sub", name=op.f("pk_identities")),
    )
    op.create_index(op.f("ix_identities_trainee_id"), "identities", ["trainee_id"], unique=False)
    op.create_table(
        "trainee_addresses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("since_at", types.UtcDateTime(), nullable=False),
        sa.Column("until_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_trainee_addresses_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trainee_addresses")),
    )
    op.create_index(op.f("ix_trainee_addresses_email"), "trainee_addresses", ["email"], unique=False)
    op.create_index(op.f("ix_trainee_addresses_trainee_id"), "trainee_addresses", ["trainee_id"], unique=False)
    op.create_table(
        "person_joins",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kept_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("joined_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kept_before", sa.JSON(), nullable=False),
        sa.Column("joined_email", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", types.UtcDateTime(), nullable=False),
        sa.Column("undone_by", sa.String(length=255), nullable=True),
        sa.Column("undone_reason", sa.Text(), nullable=True),
        sa.Column("undone_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("kept_id <> joined_id", name=op.f("ck_person_joins_two")),
        sa.ForeignKeyConstraint(["joined_id"], ["trainees.id"], name=op.f("fk_person_joins_joined_id_trainees")),
        sa.ForeignKeyConstraint(["kept_id"], ["trainees.id"], name=op.f("fk_person_joins_kept_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_joins")),
    )
    op.create_index(op.f("ix_person_joins_kept_id"), "person_joins", ["kept_id"], unique=False)
    op.create_index(
        "uq_person_joins_in_force",
        "person_joins",
        ["joined_id"],
        unique=True,
        sqlite_where=sa.text("undone_at is null"),
        postgresql_where=sa.text("undone_at is null"),
    )
    op.create_table(
        "person_join_rows",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("join_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("table_name", sa.String(length=64), nullable=False),
        sa.Column("row_key", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["join_id"], ["person_joins.id"], name=op.f("fk_person_join_rows_join_id_person_joins")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_join_rows")),
    )
    op.create_index(op.f("ix_person_join_rows_join_id"), "person_join_rows", ["join_id"], unique=False)
    op.create_table(
        "separate_people",
        sa.Column("one_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("other_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("one_id < other_id", name=op.f("ck_separate_people_ordered")),
        sa.ForeignKeyConstraint(["one_id"], ["trainees.id"], name=op.f("fk_separate_people_one_id_trainees")),
        sa.ForeignKeyConstraint(["other_id"], ["trainees.id"], name=op.f("fk_separate_people_other_id_trainees")),
        sa.PrimaryKeyConstraint("one_id", "other_id", name=op.f("pk_separate_people")),
    )
    op.create_table(
        "licences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("jurisdiction", sa.String(length=16), nullable=False),
        sa.Column("number", types.Encrypted(), nullable=False),
        sa.Column("name_on_licence", sa.String(length=255), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("recorded_by", sa.String(length=255), nullable=False),
        sa.Column("recorded_at", types.UtcDateTime(), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("status in ('active', 'probation', 'inactive')", name=op.f("ck_licences_status")),
        sa.CheckConstraint("issued_on <= expires_on", name=op.f("ck_licences_dates")),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_licences_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_licences")),
    )
    op.create_index(op.f("ix_licences_trainee_id"), "licences", ["trainee_id"], unique=False)
    op.create_table(
        "live_sessions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("module_id", sa.String(length=64), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("starts_at", types.UtcDateTime(), nullable=False),
        sa.Column("ends_at", types.UtcDateTime(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=100), nullable=True),
        sa.Column("segments", sa.JSON(), nullable=False),
        sa.Column("zoom_kind", sa.String(length=8), nullable=False),
        sa.Column("zoom_meeting_id", sa.String(length=32), nullable=False),
        sa.Column("join_url", types.Encrypted(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.Column("ended_by_staff_at", types.UtcDateTime(), nullable=True),
        sa.Column("reconciled_at", types.UtcDateTime(), nullable=True),
        sa.Column("locked_at", types.UtcDateTime(), nullable=True),
        sa.Column("cancelled_reason", sa.Text(), nullable=True),
        sa.Column("calendar_sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "state in ('scheduled', 'cancelled', 'provisional', 'reconciled', 'locked')",
            name=op.f("ck_live_sessions_state"),
        ),
        sa.CheckConstraint("zoom_kind in ('meeting', 'webinar')", name=op.f("ck_live_sessions_zoom_kind")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_live_sessions_times")),
        sa.CheckConstraint("calendar_sequence >= 0", name=op.f("ck_live_sessions_calendar_sequence")),
        sa.ForeignKeyConstraint(
            ["programme_version"],
            ["programme_versions.version"],
            name=op.f("fk_live_sessions_programme_version_programme_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_sessions")),
    )
    op.create_index(
        op.f("ix_live_sessions_module_id_starts_at"), "live_sessions", ["module_id", "starts_at"], unique=False
    )
    op.create_index(op.f("ix_live_sessions_starts_at"), "live_sessions", ["starts_at"], unique=False)
    op.create_index(op.f("ix_live_sessions_zoom_meeting_id"), "live_sessions", ["zoom_meeting_id"], unique=False)
    op.create_index(
        "uq_live_sessions_meeting_start",
        "live_sessions",
        ["zoom_meeting_id", "starts_at"],
        unique=True,
        sqlite_where=sa.text("state <> 'cancelled'"),
        postgresql_where=sa.text("state <> 'cancelled'"),
    )
    op.create_table(
        "person_links",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("meeting_id", sa.String(length=32), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", types.UtcDateTime(), nullable=False),
        sa.Column("undone_by", sa.String(length=255), nullable=True),
        sa.Column("undone_reason", sa.Text(), nullable=True),
        sa.Column("undone_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind in ('email', 'registrant', 'connection')", name=op.f("ck_person_links_kind")),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_person_links_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_links")),
    )
    op.create_index(op.f("ix_person_links_trainee_id"), "person_links", ["trainee_id"], unique=False)
    op.create_index(
        "uq_person_links_in_force",
        "person_links",
        ["kind", "value", "meeting_id"],
        unique=True,
        sqlite_where=sa.text("undone_at is null"),
        postgresql_where=sa.text("undone_at is null"),
    )
    op.create_table(
        "placements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deployment_id", sa.String(length=255), nullable=False),
        sa.Column("resource_link_id", sa.String(length=255), nullable=False),
        sa.Column("content", sa.String(length=96), nullable=False),
        sa.Column("resource_link_title", sa.String(length=255), nullable=True),
        sa.Column("context_id", sa.String(length=255), nullable=True),
        sa.Column("context_title", sa.String(length=255), nullable=True),
        sa.Column("module_id", sa.String(length=64), nullable=True),
        sa.Column("refused_trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("score_meaning", sa.String(length=16), nullable=True),
        sa.Column("confirmed_at", types.UtcDateTime(), nullable=True),
        sa.Column("confirmed_by", sa.String(length=255), nullable=True),
        sa.Column("line_item_url", sa.Text(), nullable=True),
        sa.Column("line_items_url", sa.Text(), nullable=True),
        sa.Column("ags_scopes", sa.JSON(), nullable=False),
        sa.Column("is_ags_unreadable", sa.Boolean(), nullable=True),
        sa.Column("memberships_url", sa.Text(), nullable=True),
        sa.Column("groups_url", sa.Text(), nullable=True),
        sa.Column("notices_url", sa.Text(), nullable=True),
        sa.Column("shares_name", sa.Boolean(), nullable=True),
        sa.Column("shares_email", sa.Boolean(), nullable=True),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.Column("launched_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("score_meaning in ('completion', 'ce', 'both')", name=op.f("ck_placements_score_meaning")),
        sa.ForeignKeyConstraint(
            ["refused_trainee_id"], ["trainees.id"], name=op.f("fk_placements_refused_trainee_id_trainees")
        ),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_placements_registration_id_registrations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placements")),
        sa.UniqueConstraint(
            "registration_id",
            "deployment_id",
            "resource_link_id",
            "content",
            name=op.f("uq_placements_registration_id_deployment_id_resource_link_id_content"),
        ),
    )
    op.create_index(op.f("ix_placements_module_id"), "placements", ["module_id"], unique=False)
    op.create_index(
        op.f("ix_placements_registration_id_context_id"), "placements", ["registration_id", "context_id"], unique=False
    )
    op.create_table(
        "registrants",
        sa.Column("meeting_id", sa.String(length=32), nullable=False),
        sa.Column("registrant_id", sa.String(length=128), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("event_ts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("status", sa.String(length=16), server_default="approved", nullable=False),
        sa.Column("status_ts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("matched_by", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("recorded_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status in ('pending', 'approved', 'denied', 'cancelled')", name=op.f("ck_registrants_status")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_registrants_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("meeting_id", "registrant_id", name=op.f("pk_registrants")),
    )
    op.create_index(op.f("ix_registrants_trainee_id"), "registrants", ["trainee_id"], unique=False)
    op.create_table(
        "registration_invitations",
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("invited_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("used_at", types.UtcDateTime(), nullable=True),
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["registrations.id"],
            name=op.f("fk_registration_invitations_registration_id_registrations"),
        ),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_registration_invitations")),
    )
    op.create_table(
        "retreat_applications",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("retreat_id", sa.String(length=64), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("statement_version", sa.String(length=64), nullable=True),
        sa.Column("statement_at", types.UtcDateTime(), nullable=True),
        sa.Column("decision_digest", sa.String(length=64), nullable=False),
        sa.Column("submitted_at", types.UtcDateTime(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "state in ('draft', 'gate_blocked', 'submitted', 'under_review', 'screening', 'waitlisted', 'offered', 'confirmed', 'declined', 'withdrawn', 'attended', 'no_show')",
            name=op.f("ck_retreat_applications_state"),
        ),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_retreat_applications_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retreat_applications")),
    )
    op.create_index(
        "uq_retreat_applications_live",
        "retreat_applications",
        ["trainee_id", "retreat_id", "starts_on"],
        unique=True,
        sqlite_where=sa.text("state not in ('declined', 'withdrawn', 'attended', 'no_show')"),
        postgresql_where=sa.text("state not in ('declined', 'withdrawn', 'attended', 'no_show')"),
    )
    op.create_table(
        "retreat_attendances",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("retreat_id", sa.String(length=64), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("recorded_by", sa.String(length=255), nullable=False),
        sa.Column("recorded_at", types.UtcDateTime(), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("origin in ('roster', 'imported')", name=op.f("ck_retreat_attendances_origin")),
        sa.CheckConstraint("outcome in ('attended', 'no_show')", name=op.f("ck_retreat_attendances_outcome")),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_retreat_attendances_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retreat_attendances")),
    )
    op.create_index(op.f("ix_retreat_attendances_trainee_id"), "retreat_attendances", ["trainee_id"], unique=False)
    op.create_index(
        "uq_retreat_attendances_in_force",
        "retreat_attendances",
        ["trainee_id", "retreat_id", "starts_on"],
        unique=True,
        sqlite_where=sa.text("ended_at is null"),
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_table(
        "roster_members",
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("context_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("first_seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("left_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("role in ('trainee', 'staff', 'other')", name=op.f("ck_roster_members_role")),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_roster_members_registration_id_registrations")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_roster_members_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("registration_id", "context_id", "user_id", name=op.f("pk_roster_members")),
    )
    op.create_index(op.f("ix_roster_members_trainee_id"), "roster_members", ["trainee_id"], unique=False)
    op.create_table(
        "rosters",
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("context_id", sa.String(length=255), nullable=False),
        sa.Column("memberships_url", sa.Text(), nullable=False),
        sa.Column("resource_link_id", sa.String(length=255), nullable=True),
        sa.Column("differences_url", sa.Text(), nullable=True),
        sa.Column("members", sa.Integer(), nullable=True),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("read_at", types.UtcDateTime(), nullable=True),
        sa.Column("tried_at", types.UtcDateTime(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("next_at", types.UtcDateTime(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_rosters_registration_id_registrations")
        ),
        sa.PrimaryKeyConstraint("registration_id", "context_id", name=op.f("pk_rosters")),
    )
    op.create_index(op.f("ix_rosters_next_at"), "rosters", ["next_at"], unique=False)
    op.create_table(
        "service_answers",
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("answered_at", types.UtcDateTime(), nullable=False),
        sa.Column("well_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_service_answers_registration_id_registrations")
        ),
        sa.PrimaryKeyConstraint("registration_id", "service", "subject", name=op.f("pk_service_answers")),
    )
    op.create_table(
        "zoom_places",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("meeting_id", sa.String(length=32), nullable=False),
        sa.Column("zoom_kind", sa.String(length=8), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("registrant_id", sa.String(length=128), nullable=True),
        sa.Column("join_url", types.Encrypted(), nullable=True),
        sa.Column("due_at", types.UtcDateTime(), nullable=True),
        sa.Column("asked_at", types.UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_code", sa.String(length=64), nullable=True),
        sa.Column("calls_on", sa.Date(), nullable=True),
        sa.Column("adds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("changes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", types.UtcDateTime(), nullable=True),
        sa.Column("wanted_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "state in ('none', 'pending', 'registered', 'cancelled', 'refused')", name=op.f("ck_zoom_places_state")
        ),
        sa.CheckConstraint("zoom_kind in ('meeting', 'webinar')", name=op.f("ck_zoom_places_zoom_kind")),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_zoom_places_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_places")),
        sa.UniqueConstraint("meeting_id", "trainee_id", name=op.f("uq_zoom_places_meeting_id_trainee_id")),
    )
    op.create_index(op.f("ix_zoom_places_due_at"), "zoom_places", ["due_at"], unique=False)
    op.create_index(op.f("ix_zoom_places_trainee_id"), "zoom_places", ["trainee_id"], unique=False)
    op.create_table(
        "zoom_seals",
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("inbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["inbox_id"], ["zoom_inbox.id"], name=op.f("fk_zoom_seals_inbox_id_zoom_inbox")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_zoom_seals")),
        sa.UniqueConstraint("inbox_id", name=op.f("uq_zoom_seals_inbox_id")),
    )
    op.create_table(
        "settled_identities",
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("known_by", sa.String(length=16), nullable=False),
        sa.Column("settled_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind in ('email', 'registrant', 'connection')", name=op.f("ck_settled_identities_kind")),
        sa.CheckConstraint("known_by in ('place', 'address', 'settled')", name=op.f("ck_settled_identities_known_by")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_settled_identities_live_session_id_live_sessions")
        ),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_settled_identities_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("live_session_id", "kind", "value", name=op.f("pk_settled_identities")),
    )
    op.create_index(op.f("ix_settled_identities_trainee_id"), "settled_identities", ["trainee_id"], unique=False)
    op.create_table(
        "attendance_corrections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("from_at", types.UtcDateTime(), nullable=False),
        sa.Column("to_at", types.UtcDateTime(), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.String(length=255), nullable=False),
        sa.Column("proposed_at", types.UtcDateTime(), nullable=False),
        sa.Column("confirmed_by", sa.String(length=255), nullable=True),
        sa.Column("confirmed_at", types.UtcDateTime(), nullable=True),
        sa.Column("undone_by", sa.String(length=255), nullable=True),
        sa.Column("undone_reason", sa.Text(), nullable=True),
        sa.Column("undone_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "confirmed_by is null or confirmed_by <> proposed_by", name=op.f("ck_attendance_corrections_second_person")
        ),
        sa.CheckConstraint("from_at < to_at", name=op.f("ck_attendance_corrections_times")),
        sa.ForeignKeyConstraint(
            ["live_session_id"],
            ["live_sessions.id"],
            name=op.f("fk_attendance_corrections_live_session_id_live_sessions"),
        ),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_attendance_corrections_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance_corrections")),
    )
    op.create_index(
        op.f("ix_attendance_corrections_live_session_id_trainee_id"),
        "attendance_corrections",
        ["live_session_id", "trainee_id"],
        unique=False,
    )
    op.create_table(
        "attendance_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.String(length=255), nullable=True),
        sa.Column("answered_at", types.UtcDateTime(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("state in ('open', 'answered', 'withdrawn')", name=op.f("ck_attendance_requests_state")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_attendance_requests_live_session_id_live_sessions")
        ),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_attendance_requests_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance_requests")),
    )
    op.create_index(
        "uq_attendance_requests_open",
        "attendance_requests",
        ["live_session_id", "trainee_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "attendance_reviews",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_key", sa.String(length=255), nullable=False),
        sa.Column("input_digest", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_attendance_reviews_live_session_id_live_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance_reviews")),
        sa.UniqueConstraint(
            "live_session_id",
            "person_key",
            "input_digest",
            name=op.f("uq_attendance_reviews_live_session_id_person_key_input_digest"),
        ),
    )
    op.create_table(
        "attendances",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_key", sa.String(length=255), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("input_digest", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("registrant_id", sa.String(length=255), nullable=True),
        sa.Column("seconds_present", sa.Integer(), nullable=False),
        sa.Column("seconds_instructional", sa.Integer(), nullable=False),
        sa.Column("seconds_required", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("day", sa.JSON(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("settled_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_attendances_live_session_id_live_sessions")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_attendances_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendances")),
        sa.UniqueConstraint(
            "live_session_id", "person_key", "version", name=op.f("uq_attendances_live_session_id_person_key_version")
        ),
    )
    op.create_index(
        op.f("ix_attendances_trainee_id_live_session_id"),
        "attendances",
        ["trainee_id", "live_session_id"],
        unique=False,
    )
    op.create_index(
        "uq_attendances_current",
        "attendances",
        ["live_session_id", "person_key"],
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    )
    op.create_table(
        "claim_facts",
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("body_id", sa.String(length=64), nullable=False),
        sa.Column("fact", sa.String(length=16), nullable=False),
        sa.Column("recorded_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("recorded_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("fact in ('fee', 'evaluation')", name=op.f("ck_claim_facts_fact")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_claim_facts_live_session_id_live_sessions")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_claim_facts_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("trainee_id", "live_session_id", "body_id", "fact", name=op.f("pk_claim_facts")),
    )
    op.create_table(
        "claims",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("module_id", sa.String(length=64), nullable=False),
        sa.Column("body_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("checklist", sa.JSON(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("state in ('open', 'ready', 'awarded', 'lapsed', 'voided')", name=op.f("ck_claims_state")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_claims_live_session_id_live_sessions")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_claims_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        sa.UniqueConstraint(
            "trainee_id", "live_session_id", "body_id", name=op.f("uq_claims_trainee_id_live_session_id_body_id")
        ),
    )
    op.create_table(
        "completions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("module_id", sa.String(length=64), nullable=False),
        sa.Column("completed_on", sa.Date(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("recorded_by", sa.String(length=255), nullable=False),
        sa.Column("recorded_at", types.UtcDateTime(), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(origin = 'attendance') = (live_session_id is not null)", name=op.f("ck_completions_origin_session")
        ),
        sa.CheckConstraint("origin in ('attendance', 'imported', 'staff')", name=op.f("ck_completions_origin")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_completions_live_session_id_live_sessions")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_completions_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_completions")),
    )
    op.create_index(op.f("ix_completions_trainee_id"), "completions", ["trainee_id"], unique=False)
    op.create_index(
        "uq_completions_in_force",
        "completions",
        ["trainee_id", "module_id"],
        unique=True,
        sqlite_where=sa.text("ended_at is null"),
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_table(
        "line_item_searches",
        sa.Column("placement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("next_at", types.UtcDateTime(), nullable=True),
        sa.Column("tried_at", types.UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placements.id"], name=op.f("fk_line_item_searches_placement_id_placements")
        ),
        sa.PrimaryKeyConstraint("placement_id", name=op.f("pk_line_item_searches")),
    )
    op.create_index(op.f("ix_line_item_searches_next_at"), "line_item_searches", ["next_at"], unique=False)
    op.create_table(
        "line_items",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("placement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("meaning", sa.String(length=16), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("is_bound", sa.Boolean(), nullable=True),
        sa.Column("maximum", sa.Float(), nullable=True),
        sa.Column("credits", sa.Float(), nullable=True),
        sa.Column("due_at", types.UtcDateTime(), nullable=True),
        sa.Column("made_at", types.UtcDateTime(), nullable=False),
        sa.Column("checked_at", types.UtcDateTime(), nullable=True),
        sa.Column("retired_at", types.UtcDateTime(), nullable=True),
        sa.Column("retired_because", sa.String(length=64), nullable=True),
        sa.CheckConstraint("meaning in ('completion', 'ce')", name=op.f("ck_line_items_meaning")),
        sa.CheckConstraint("origin in ('given', 'found', 'made')", name=op.f("ck_line_items_origin")),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placements.id"], name=op.f("fk_line_items_placement_id_placements")
        ),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_line_items_registration_id_registrations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_items")),
    )
    op.create_index(
        "uq_line_items_place",
        "line_items",
        ["placement_id", "meaning"],
        unique=True,
        sqlite_where=sa.text("retired_at is null"),
        postgresql_where=sa.text("retired_at is null"),
    )
    op.create_index(
        "uq_line_items_url",
        "line_items",
        ["registration_id", "url"],
        unique=True,
        sqlite_where=sa.text("retired_at is null"),
        postgresql_where=sa.text("retired_at is null"),
    )
    op.create_table(
        "poll_answers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("meeting_uuid", sa.String(length=128), nullable=False),
        sa.Column("poll", sa.String(length=128), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("answered_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_poll_answers_live_session_id_live_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_poll_answers")),
        sa.UniqueConstraint(
            "live_session_id",
            "meeting_uuid",
            "poll",
            "email",
            name=op.f("uq_poll_answers_live_session_id_meeting_uuid_poll_email"),
        ),
    )
    op.create_table(
        "presence_checks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("opens_at", types.UtcDateTime(), nullable=False),
        sa.Column("closes_at", types.UtcDateTime(), nullable=False),
        sa.Column("opened_by", sa.String(length=255), nullable=False),
        sa.CheckConstraint("opens_at < closes_at", name=op.f("ck_presence_checks_times")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_presence_checks_live_session_id_live_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presence_checks")),
    )
    op.create_index(op.f("ix_presence_checks_live_session_id"), "presence_checks", ["live_session_id"], unique=False)
    op.create_table(
        "room_labels",
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("room", sa.String(length=200), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("labelled_by", sa.String(length=255), nullable=False),
        sa.Column("labelled_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_room_labels_live_session_id_live_sessions")
        ),
        sa.PrimaryKeyConstraint("live_session_id", "room", name=op.f("pk_room_labels")),
    )
    op.create_table(
        "scores",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("placement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("line_item_url", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("meaning", sa.String(length=16), nullable=False),
        sa.Column("desired_version", sa.Integer(), nullable=False),
        sa.Column("desired_given", sa.Float(), nullable=True),
        sa.Column("desired_maximum", sa.Float(), nullable=False),
        sa.Column("desired_comment", sa.Text(), nullable=False),
        sa.Column("desired_at", types.UtcDateTime(), nullable=False),
        sa.Column("delivered_version", sa.Integer(), nullable=False),
        sa.Column("delivered_given", sa.Float(), nullable=True),
        sa.Column("delivered_maximum", sa.Float(), nullable=True),
        sa.Column("delivered_at", types.UtcDateTime(), nullable=True),
        sa.Column("last_timestamp", types.UtcDateTime(), nullable=True),
        sa.Column("sent_version", sa.Integer(), nullable=True),
        sa.Column("sent_given", sa.Float(), nullable=True),
        sa.Column("sent_maximum", sa.Float(), nullable=True),
        sa.Column("seen_given", sa.Float(), nullable=True),
        sa.Column("seen_at", types.UtcDateTime(), nullable=True),
        sa.Column("seen", sa.String(length=16), server_default="unread", nullable=False),
        sa.Column("results_due_at", types.UtcDateTime(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_answer", sa.Text(), nullable=True),
        sa.Column("next_attempt_at", types.UtcDateTime(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", types.UtcDateTime(), nullable=True),
        sa.Column(
            "state",
            sa.SmallInteger(),
            sa.Computed(
                "case when status = 'waiting' then 3"
                " when status = 'kept' then 6"
                " when substr(coalesce(last_answer, ''), 1, 7) = 'column_' then case status when 'parked' then 1 else 4 end"
                " when seen = 'differs' then 0"
                " when status = 'parked' then 1"
                " when seen = 'same' then 5"
                " when seen = 'missing' then 2"
                " else 4 end",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("meaning in ('completion', 'ce')", name=op.f("ck_scores_meaning")),
        sa.CheckConstraint(
            "seen in ('unread', 'same', 'differs', 'missing', 'unreadable')", name=op.f("ck_scores_seen")
        ),
        sa.CheckConstraint("status in ('waiting', 'delivered', 'parked', 'kept')", name=op.f("ck_scores_status")),
        sa.CheckConstraint("delivered_version <= desired_version", name=op.f("ck_scores_versions")),
        sa.ForeignKeyConstraint(["placement_id"], ["placements.id"], name=op.f("fk_scores_placement_id_placements")),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_scores_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scores")),
        sa.UniqueConstraint(
            "placement_id", "trainee_id", "meaning", name=op.f("uq_scores_placement_id_trainee_id_meaning")
        ),
    )
    op.create_index(op.f("ix_scores_results_due_at"), "scores", ["results_due_at"], unique=False)
    op.create_index(op.f("ix_scores_state_id"), "scores", ["state", "id"], unique=False)
    op.create_index(op.f("ix_scores_status_next_attempt_at"), "scores", ["status", "next_attempt_at"], unique=False)
    op.create_table(
        "web_sessions",
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("context_id", sa.String(length=255), nullable=True),
        sa.Column("placement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placements.id"], name=op.f("fk_web_sessions_placement_id_placements")
        ),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_web_sessions_registration_id_registrations")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_web_sessions_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_web_sessions")),
        sa.UniqueConstraint("nonce", name=op.f("uq_web_sessions_nonce")),
    )
    op.create_index(op.f("ix_web_sessions_expires_at"), "web_sessions", ["expires_at"], unique=False)
    op.create_table(
        "zoom_log_reads",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("since", types.UtcDateTime(), nullable=False),
        sa.Column("until", types.UtcDateTime(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=True),
        sa.Column("added", sa.Integer(), nullable=True),
        sa.Column("unreadable", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("read_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_zoom_log_reads_live_session_id_live_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_log_reads")),
    )
    op.create_index(op.f("ix_zoom_log_reads_live_session_id"), "zoom_log_reads", ["live_session_id"], unique=False)
    op.create_table(
        "zoom_report_fetches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("meeting_uuid", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("report_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("fetched_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_zoom_report_fetches_live_session_id_live_sessions")
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["zoom_reports.id"], name=op.f("fk_zoom_report_fetches_report_id_zoom_reports")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zoom_report_fetches")),
    )
    op.create_index(
        op.f("ix_zoom_report_fetches_live_session_id_meeting_uuid"),
        "zoom_report_fetches",
        ["live_session_id", "meeting_uuid"],
        unique=False,
    )
    op.create_table(
        "awards",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("module_id", sa.String(length=64), nullable=False),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("body_id", sa.String(length=64), nullable=False),
        sa.Column("credits", types.Credits(), nullable=False),
        sa.Column("seconds_present", sa.Integer(), nullable=False),
        sa.Column("attendance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("licence_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("basis", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("awarded_at", types.UtcDateTime(), nullable=False),
        sa.Column("voided_at", types.UtcDateTime(), nullable=True),
        sa.Column("voided_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state in ('awarded', 'voided')", name=op.f("ck_awards_state")),
        sa.ForeignKeyConstraint(
            ["attendance_id"], ["attendances.id"], name=op.f("fk_awards_attendance_id_attendances")
        ),
        sa.ForeignKeyConstraint(["licence_id"], ["licences.id"], name=op.f("fk_awards_licence_id_licences")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_sessions.id"], name=op.f("fk_awards_live_session_id_live_sessions")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_awards_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_awards")),
    )
    op.create_index(
        "uq_awards_awarded",
        "awards",
        ["trainee_id", "module_id", "body_id"],
        unique=True,
        sqlite_where=sa.text("state = 'awarded'"),
        postgresql_where=sa.text("state = 'awarded'"),
    )
    op.create_table(
        "presence_check_answers",
        sa.Column("check_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("answered_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["check_id"], ["presence_checks.id"], name=op.f("fk_presence_check_answers_check_id_presence_checks")
        ),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_presence_check_answers_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("check_id", "trainee_id", name=op.f("pk_presence_check_answers")),
    )
    make_triggers()


def make_triggers() -> None:
    """The inbox and its hash chain only grow (lti_tool.tables.types.only_grows)."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$\n"
            "BEGIN\n"
            "    RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' only grows', ERRCODE = 'restrict_violation';\n"
            "END $$"
        )
        op.execute(
            "CREATE TRIGGER zoom_inbox_never_deleted BEFORE DELETE ON zoom_inbox FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            "CREATE TRIGGER zoom_inbox_never_changed BEFORE UPDATE OF id, dedupe_key, event, meeting_id, meeting_uuid, happened_at, body, headers, secret_position, secret_mark, stale, received_at ON zoom_inbox FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            "CREATE TRIGGER zoom_inbox_taken_at_once BEFORE UPDATE OF taken_at ON zoom_inbox FOR EACH ROW WHEN (OLD.taken_at IS NOT NULL) EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            "CREATE TRIGGER zoom_inbox_never_emptied BEFORE TRUNCATE ON zoom_inbox FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            "CREATE TRIGGER zoom_seals_never_deleted BEFORE DELETE ON zoom_seals FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            "CREATE TRIGGER zoom_seals_never_changed BEFORE UPDATE OF position, inbox_id, seal, sealed_at ON zoom_seals FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            "CREATE TRIGGER zoom_seals_never_emptied BEFORE TRUNCATE ON zoom_seals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    else:
        op.execute(
            "CREATE TRIGGER zoom_inbox_never_deleted BEFORE DELETE ON zoom_inbox BEGIN SELECT RAISE(ABORT, 'zoom_inbox only grows'); END"
        )
        op.execute(
            "CREATE TRIGGER zoom_inbox_never_changed BEFORE UPDATE OF id, dedupe_key, event, meeting_id, meeting_uuid, happened_at, body, headers, secret_position, secret_mark, stale, received_at ON zoom_inbox BEGIN SELECT RAISE(ABORT, 'zoom_inbox only grows'); END"
        )
        op.execute(
            "CREATE TRIGGER zoom_inbox_taken_at_once BEFORE UPDATE OF taken_at ON zoom_inbox WHEN OLD.taken_at IS NOT NULL BEGIN SELECT RAISE(ABORT, 'zoom_inbox only grows'); END"
        )
        op.execute(
            "CREATE TRIGGER zoom_seals_never_deleted BEFORE DELETE ON zoom_seals BEGIN SELECT RAISE(ABORT, 'zoom_seals only grows'); END"
        )
        op.execute(
            "CREATE TRIGGER zoom_seals_never_changed BEFORE UPDATE OF position, inbox_id, seal, sealed_at ON zoom_seals BEGIN SELECT RAISE(ABORT, 'zoom_seals only grows'); END"
        )
