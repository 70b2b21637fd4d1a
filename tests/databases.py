"""The databases that an index may be kept in: the same tests run on each of them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

SERVER = "VITOK_TEST_POSTGRES"


class Databases:
    """Gives URLs of new, empty databases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    @property
    def sqlite(self) -> bool:
        return True

    def new(self) -> str:
        self._made += 1
        return f"sqlite:///{self._folder}/index-{self._made}.db"

    def close(self) -> None:
        """Remove what was made; the folder is pytest's."""


class Server(Databases):
    """Schemas of their own in a PostgreSQL database."""

    def __init__(self) -> None:
        self._engine = create_engine(os.environ[SERVER], isolation_level="AUTOCOMMIT")
        self._schemas: list[str] = []

    @property
    def sqlite(self) -> bool:
        return False

    def new(self) -> str:
        schema = f"test_{secrets.token_hex(6)}"
        with self._engine.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        self._schemas.append(schema)
        url = self._engine.url.update_query_dict({"options": f"-csearch_path={schema}"})
        return url.render_as_string(hide_password=False)

    def close(self) -> None:
        with self._engine.connect() as connection:
            for schema in self._schemas:
                connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        self._engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """The kinds of databases, one after the other."""
    made = Server() if request.param == "postgres" else Databases(tmp_path)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """PostgreSQL alone, for tests that are marked so."""
    made = Server()
    yield made
    made.close()
