"""The log only grows, and is counted by act.

Revision 0009, after 0008. Drafted from the tables, then read. `refuse_change` is of revision 0001.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

FIXED = "id, at, actor, act, subject, reason, details"


def upgrade() -> None:
    op.create_index(op.f("ix_audit_log_act"), "audit_log", ["act"], unique=False)
    refused = {"never_deleted": "DELETE ON audit_log", "never_changed": f"UPDATE OF {FIXED} ON audit_log"}
    if op.get_bind().dialect.name == "postgresql":
        for name, when in refused.items():
            op.execute(f"CREATE TRIGGER audit_log_{name} BEFORE {when} FOR EACH ROW EXECUTE FUNCTION refuse_change()")
        op.execute(
            "CREATE TRIGGER audit_log_never_emptied BEFORE TRUNCATE ON audit_log"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    else:
        for name, when in refused.items():
            refuse = "BEGIN SELECT RAISE(ABORT, 'audit_log only grows'); END"
            op.execute(f"CREATE TRIGGER audit_log_{name} BEFORE {when} {refuse}")
