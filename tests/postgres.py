"""A PostgreSQL server for tests: a throw-away cluster in a temporary folder, on a socket in it."""

import getpass
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa


def _program(name: str) -> str:
    found = shutil.which(name) or max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), default="")
    assert found, f"PostgreSQL's {name} is missing: install it (apt-get install postgresql)."
    return str(found)


class Server:
    """A running server; `create_database` gives an empty database."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.databases = 0
        who: dict = {}
        if getpass.getuser() == "root":  # whom PostgreSQL refuses
            shutil.chown(self.folder, "postgres", "postgres")
            who = {"user": "postgres", "group": "postgres", "extra_groups": []}
        data = self.folder / "data"
        command = [_program("initdb"), "-D", data, "-U", "grader", "-A", "trust", "-E", "UTF8"]
        command += ["--no-sync", "--locale=C"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **who)
        command = [_program("postgres"), "-D", data, "-k", self.folder, "-h", "", "-F"]
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(command, stderr=log, cwd=self.folder, **who)
        until = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.05)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://grader@/{database}?host={self.folder}"

    def _answers(self) -> bool:
        try:
            self._execute("select 1")
        except sa.exc.OperationalError:
            return False
        return True

    def _execute(self, statement: str) -> None:
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()

    def create_database(self) -> str:
        self.databases += 1
        name = f"gradebook{self.databases}"
        self._execute(f"create database {name}")
        return self.url(name)

    def close(self) -> None:
        self.process.terminate()  # no more connections, then it ends
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, 3)  # immediate shutdown
            self.process.wait()
        shutil.rmtree(self.folder)
