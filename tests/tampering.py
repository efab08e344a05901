"""What somebody does who owns the database: write past the triggers and past the foreign keys."""

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import URL, make_url

TRIGGERS_ON_SQLITE = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")


def tamper(address: str | URL, *statements: str) -> None:
    """Run these statements on the database as its owner would."""
    engine = create_engine(make_url(address), poolclass=NullPool)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # where foreign keys are followed only by those who ask for it
            for name in connection.execute(TRIGGERS_ON_SQLITE).scalars().all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
