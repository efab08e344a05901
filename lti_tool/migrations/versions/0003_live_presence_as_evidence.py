"""Live presence as evidence.

Revision 0003, after 0002. Drafted from the tables, then read.
"""

import sqlalchemy as sa
from alembic import op

from lti_tool.tables import types

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    add_what_zoom_tells()
    add_what_people_say()
    add_places()
    change_tables()
    let_the_inbox_only_grow()


def add_what_zoom_tells() -> None:
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


def add_what_people_say() -> None:
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


def add_places() -> None:
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


def change_tables() -> None:
    op.drop_index(op.f("ix_attendances_trainee_id"), table_name="attendances")
    op.create_index(
        op.f("ix_attendances_trainee_id_live_session_id"),
        "attendances",
        ["trainee_id", "live_session_id"],
        unique=False,
    )
    op.add_column("live_sessions", sa.Column("reconciled_at", types.UtcDateTime(), nullable=True))
    op.add_column("live_sessions", sa.Column("locked_at", types.UtcDateTime(), nullable=True))
    with op.batch_alter_table("registrants") as table:
        table.add_column(sa.Column("status", sa.String(length=16), server_default="approved", nullable=False))
        table.create_check_constraint(
            op.f("ck_registrants_status"), "status in ('pending', 'approved', 'denied', 'cancelled')"
        )
    op.add_column("registrants", sa.Column("status_ts", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("zoom_inbox", sa.Column("secret_mark", sa.String(length=16), nullable=True))
    op.create_index(
        "ix_zoom_inbox_notable",
        "zoom_inbox",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("(event in ('', 'endpoint.url_validation') or stale)"),
        postgresql_where=sa.text("(event in ('', 'endpoint.url_validation') or stale)"),
    )


def let_the_inbox_only_grow() -> None:
    # What was read before is read once more, so that it is sealed too. Then inbox and seals only grow.
    op.execute("UPDATE zoom_inbox SET taken_at = NULL")
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
