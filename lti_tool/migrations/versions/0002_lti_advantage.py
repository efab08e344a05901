"""LTI Advantage: rosters, line items, deep links, invitations, what services answered; placements by their content.

Revision 0002, after 0001. What is on record is carried over; only browsers' visits end (people open their unit again).
"""

import sqlalchemy as sa
from alembic import op

from lti_tool.tables import types

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    bring_early_tables_up()
    add_tables()
    change_registrations()
    change_placements()
    change_enrolments()
    change_scores()
    begin_visits_anew()


def bring_early_tables_up() -> None:
    """0001 gained two columns before revisions stood still."""
    for table, column in (
        ("live_sessions", sa.Column("ended_by_staff_at", types.UtcDateTime())),
        ("registrants", sa.Column("event_ts", sa.BigInteger(), server_default="0", nullable=False)),
    ):
        if column.name not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}:
            op.add_column(table, column)


def change_registrations() -> None:
    with op.batch_alter_table("registrations") as table:
        table.add_column(sa.Column("service_origins", sa.JSON(), server_default="[]", nullable=False))
        table.add_column(sa.Column("came_by", sa.String(16), server_default="command", nullable=False))
        table.drop_constraint(op.f("ck_registrations_status"), type_="check")
        table.create_check_constraint(op.f("ck_registrations_status"), "status in ('pending', 'active', 'disabled')")
        table.create_check_constraint(op.f("ck_registrations_came_by"), "came_by in ('command', 'file', 'dynamic')")
    with op.batch_alter_table("registrations") as table:
        table.alter_column("service_origins", server_default=None)
        table.alter_column("came_by", server_default=None)


def change_placements() -> None:
    """A link's row says from now on what it opens; until now that was its module or nothing."""
    with op.batch_alter_table("placements") as table:
        table.add_column(sa.Column("content", sa.String(96)))
        table.add_column(sa.Column("resource_link_title", sa.String(255)))
        table.add_column(sa.Column("score_meaning", sa.String(16)))
        table.add_column(sa.Column("confirmed_at", types.UtcDateTime()))
        table.add_column(sa.Column("confirmed_by", sa.String(255)))
        table.add_column(sa.Column("groups_url", sa.Text()))
        table.add_column(sa.Column("notices_url", sa.Text()))
        table.add_column(sa.Column("shares_name", sa.Boolean()))
        table.add_column(sa.Column("shares_email", sa.Boolean()))
        table.add_column(sa.Column("launched_at", types.UtcDateTime()))
    op.execute("UPDATE placements SET content = coalesce('module:' || module_id, ''), launched_at = updated_at")
    key = ["registration_id", "deployment_id", "resource_link_id"]
    with op.batch_alter_table("placements") as table:
        table.alter_column("content", existing_type=sa.String(96), nullable=False)
        table.alter_column("launched_at", existing_type=types.UtcDateTime(), nullable=False)
        table.drop_constraint(op.f(f"uq_placements_{'_'.join(key)}"), type_="unique")
        table.create_unique_constraint(op.f(f"uq_placements_{'_'.join(key)}_content"), [*key, "content"])
        table.create_check_constraint(op.f("ck_placements_score_meaning"), "score_meaning in ('completion', 'ce')")
    op.create_index(op.f("ix_placements_registration_id_context_id"), "placements", ["registration_id", "context_id"])


def change_enrolments() -> None:
    with op.batch_alter_table("enrolments") as table:
        table.add_column(sa.Column("listed_at", types.UtcDateTime()))
        table.alter_column("last_launch_at", existing_type=types.UtcDateTime(), nullable=True)
        table.create_check_constraint(op.f("ck_enrolments_seen"), "last_launch_at is not null or listed_at is not null")


def change_scores() -> None:
    with op.batch_alter_table("scores") as table:
        for name in ("delivered_maximum", "sent_given", "sent_maximum", "seen_given"):
            table.add_column(sa.Column(name, sa.Float()))
        table.add_column(sa.Column("seen_at", types.UtcDateTime()))
        table.add_column(sa.Column("seen", sa.String(16), server_default="unread", nullable=False))
        table.add_column(sa.Column("look_at", types.UtcDateTime()))
        table.drop_constraint(op.f("ck_scores_status"), type_="check")
        table.create_check_constraint(op.f("ck_scores_status"), "status in ('waiting', 'delivered', 'parked', 'kept')")
        table.create_check_constraint(
            op.f("ck_scores_seen"), "seen in ('unread', 'same', 'differs', 'missing', 'unreadable')"
        )
    op.create_index(op.f("ix_scores_look_at"), "scores", ["look_at"])


def begin_visits_anew() -> None:
    """A visit did not know its platform by itself; it lasts hours, so it is not worth carrying over."""
    op.execute("DELETE FROM web_sessions")
    with op.batch_alter_table("web_sessions") as table:
        table.add_column(
            sa.Column("registration_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)
        )
        table.add_column(sa.Column("context_id", sa.String(255)))
        table.alter_column("placement_id", existing_type=sa.BigInteger(), nullable=True)
        table.create_foreign_key(
            op.f("fk_web_sessions_registration_id_registrations"), "registrations", ["registration_id"], ["id"]
        )


def add_tables() -> None:
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
        sa.CheckConstraint("role in ('trainee', 'staff')", name=op.f("ck_roster_members_role")),
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
