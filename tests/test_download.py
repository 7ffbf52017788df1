"""Tests of `labhelpers.download` with a server on 127.0.0.1; none needs the network."""

import io
import os
import re
import shutil
import socket
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pooch
import pytest
from loopback import FILES, Server, free_port, make_tar, make_zip

from labhelpers import download
from labhelpers.data import DataError
from labhelpers.download import fetch_ixi, folder_digest


@pytest.fixture
def server(monkeypatch):
    """Two sources: the first has the slices, the second nothing."""
    server = Server()
    server.answers = {"/a.zip": make_zip()}
    sources = {"first": f"{server.base}/a.zip", "second": f"{server.base}/b.tar.gz"}
    monkeypatch.setattr(download, "SOURCES", sources)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def tiny_data(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    monkeypatch.setattr(download, "DIGEST", folder_digest(folder))
    monkeypatch.setattr(download, "N_FILES", len(FILES))
    monkeypatch.delenv("LABHELPERS_DATA", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def nothing_on_stderr(capfd):
    yield
    assert capfd.readouterr().err == ""


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def unreachable_sources():
    return {name: f"http://127.0.0.1:{free_port()}/x" for name in ("first", "second")}


# --- Digest ---


def test_folder_digest_follows_its_definition(tmp_path):
    (tmp_path / "sub-B - T1.pt").write_bytes(b"b")
    (tmp_path / "sub-A - T1.pt").write_bytes(b"a")
    (tmp_path / ".DS_Store").write_bytes(b"c")
    # sha256sum of the two lines, made by hand
    assert folder_digest(tmp_path) == (
        "da6907f8fb6644c51447a8bc135cbcc266b2e30aebf82d82232c030c45758bc7"
    )
    (tmp_path / "sub-A - T1.pt").write_bytes(b"A")
    assert not folder_digest(tmp_path).startswith("da69")


# --- LABHELPERS_DATA ---


def test_given_folder_is_used_as_it_is(tmp_path, monkeypatch, server, capfd):
    folder = tmp_path / "given"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(b"other slices: no digest is asked for")
    monkeypatch.setenv("LABHELPERS_DATA", str(folder))
    assert fetch_ixi(tmp_path / "cache") == folder
    assert capfd.readouterr().out == ""
    (folder / next(iter(FILES))).unlink()
    assert fetch_ixi(tmp_path / "cache") == folder
    assert "holds 5 slices (the whole IXI set: 6)" in capfd.readouterr().out
    assert server.requests == []


def test_given_folder_must_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("LABHELPERS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere, which does not exist.*unset it"):
        fetch_ixi()
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("LABHELPERS_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="which is a file"):
        fetch_ixi()


# --- Downloads that work ---


def test_zip_is_unpacked_verified_and_kept(tmp_path, server, capfd):
    folder = fetch_ixi(tmp_path / "cache")
    assert folder == tmp_path / "cache" / "ixi-64"
    assert contents(folder) == FILES
    assert os.listdir(tmp_path / "cache") == ["ixi-64"]
    out = capfd.readouterr().out
    assert "CC BY-SA 3.0" in out
    assert "6 slices verified" in out
    assert fetch_ixi(tmp_path / "cache") == folder  # silent, from the cache
    assert capfd.readouterr().out == ""
    assert server.requests == ["/a.zip"]


def test_default_cache_is_the_users(tmp_path, server, monkeypatch):
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    assert fetch_ixi() == tmp_path / "labhelpers" / "ixi-64"


@pytest.mark.parametrize("folder", ["", "size64/", "a/b/c/d/"])
def test_slices_are_found_at_any_depth(tmp_path, server, folder):
    server.answers["/a.zip"] = make_zip(folder=folder)
    assert contents(fetch_ixi(tmp_path)) == FILES


def test_only_size64_of_an_archive_with_several_sizes(tmp_path, server):
    buffer = io.BytesIO(make_zip())
    with zipfile.ZipFile(buffer, "a") as archive:
        for name in FILES:
            archive.writestr(f"IXI-dataset-0c17/size128/{name}", b"large")
        archive.writestr("IXI-dataset-0c17/size128/sub-IXI900 - T1.pt", b"large")
        archive.writestr("IXI-dataset-0c17/size64/readme.txt", b"text")
        archive.writestr("__MACOSX/size64/._sub-IXI000 - T1.pt", b"fork")
    server.answers["/a.zip"] = buffer.getvalue()
    assert contents(fetch_ixi(tmp_path)) == FILES


def test_no_member_leaves_the_target_folder(tmp_path, server):
    files = {**FILES, "../../../evil - T1.pt": b"evil"}
    buffer = io.BytesIO(make_zip(files))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("../../sub-IXI999 - T1.pt", b"evil")
        archive.writestr(str(tmp_path / "sub-IXI998 - T1.pt"), b"evil")
    server.answers["/a.zip"] = buffer.getvalue()
    assert contents(fetch_ixi(tmp_path / "a" / "b")) == FILES
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in FILES]


def test_links_in_a_tar_are_not_followed(tmp_path, server):
    server.answers = {"/b.tar.gz": make_tar(link="sub-IXI777 - T1.pt")}
    assert contents(fetch_ixi(tmp_path)) == FILES


# --- Downloads that fail ---


def test_cut_download_repeated(tmp_path, server, capfd):
    server.answers = {"/a.zip": ("cut", make_zip()), "/b.tar.gz": ("cut", make_tar())}
    assert fetch_ixi(tmp_path) == tmp_path / "phantom-64"
    assert os.listdir(tmp_path) == ["phantom-64"]  # nothing of the half archives is left
    out = capfd.readouterr().out
    assert out.count("the download was cut before its end") == 2
    assert "SIMULATED DATA" in out
    server.answers = {"/a.zip": make_zip()}  # same process: a cut is worth another try at once
    assert contents(fetch_ixi(tmp_path)) == FILES


def test_wrong_digest_is_said_and_not_kept(tmp_path, server, capfd):
    changed = {**FILES, "sub-IXI001 - T1.pt": b"other"}
    server.answers = {"/a.zip": make_zip(changed), "/b.tar.gz": make_tar(changed)}
    assert fetch_ixi(tmp_path).name == "phantom-64"
    assert os.listdir(tmp_path) == ["phantom-64"]
    out = capfd.readouterr().out
    for name in ("first", "second"):
        assert re.search(rf"{name} \(http://.*\): the 6 slices .* not the expected 6: digest", out)
    assert "SIMULATED DATA" in out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>sign in</html>", "neither a zip nor a tar archive"),
        (make_zip({"other.txt": b"x"}), "holds no slices"),
        (make_zip({**FILES, "sub-IXI001 - T1.pt": bytes(1_000_001)}), "has 1000001 bytes"),
        (make_tar()[:-40], "could not be used (EOFError"),
        (None, "the server answered 404 Not Found"),
        (("cut", make_zip()), "the download was cut before its end"),
    ],
)
def test_a_failed_source_is_told_and_the_second_is_tried(tmp_path, server, capfd, answer, words):
    server.answers = {"/a.zip": answer, "/b.tar.gz": make_tar()}
    folder = fetch_ixi(tmp_path)
    assert contents(folder) == FILES
    assert server.requests == ["/a.zip", "/b.tar.gz"]
    shutil.rmtree(folder)
    server.answers = {"/a.zip": answer}
    capfd.readouterr()
    assert fetch_ixi(tmp_path).name == "phantom-64"
    assert words in capfd.readouterr().out


@pytest.mark.parametrize("damage", ["missing", "changed", "is a file"])
def test_damaged_cache_is_mended(tmp_path, server, capfd, damage):
    folder = fetch_ixi(tmp_path)
    if damage == "missing":
        (folder / "sub-IXI001 - T1.pt").unlink()
    elif damage == "changed":
        (folder / "sub-IXI001 - T1.pt").write_bytes(b"half")
    else:
        shutil.rmtree(folder)
        folder.write_text("x")
    capfd.readouterr()
    assert contents(fetch_ixi(tmp_path)) == FILES
    assert "damaged or incomplete: getting them again" in capfd.readouterr().out
    assert os.listdir(tmp_path) == ["ixi-64"]


def test_file_of_a_file_manager_does_not_spoil_the_cache(tmp_path, server):
    (fetch_ixi(tmp_path) / ".DS_Store").write_text("x")
    fetch_ixi(tmp_path)
    assert len(server.requests) == 1


def test_several_at_once_end_with_one_sound_folder(tmp_path, server):
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(fetch_ixi, [tmp_path] * 4))
    assert folders == [tmp_path / "ixi-64"] * 4
    assert contents(tmp_path / "ixi-64") == FILES
    assert os.listdir(tmp_path) == ["ixi-64"]


def test_interruption_leaves_nothing(tmp_path, server, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "open", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_ixi(tmp_path)
    assert os.listdir(tmp_path) == []
    assert contents(fetch_ixi(tmp_path)) == FILES


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"Name another one.*LABHELPERS_DATA"):
        fetch_ixi(tmp_path / "file")


def test_user_without_a_home_folder_is_told_what_to_do(monkeypatch):
    def without_home(project):  # what platformdirs does for a user whom the system does not know
        raise RuntimeError("could not determine the home directory for '~/.cache'")

    monkeypatch.setattr(pooch, "os_cache", without_home)
    with pytest.raises(DataError, match=r"home folder.*cache='some/folder'.*LABHELPERS_DATA"):
        fetch_ixi()


# --- No network ---


def test_no_network_gives_the_phantom(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(download, "SOURCES", unreachable_sources())
    start = time.perf_counter()
    folder = fetch_ixi(tmp_path)
    assert time.perf_counter() - start < 10
    assert folder == tmp_path / "phantom-64"
    assert len(os.listdir(folder)) == 6
    out = capfd.readouterr().out
    assert out.count("no answer (no network, or the server is down)") == 2
    assert "SIMULATED DATA" in out
    assert "show no real person" in out
    assert os.listdir(tmp_path) == ["phantom-64"]


def test_silent_server_is_given_up(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(download, "_TIMEOUT", (0.2, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        monkeypatch.setattr(download, "SOURCES", {"silent": url})
        assert fetch_ixi(tmp_path).name == "phantom-64"
    assert "silent (http" in capfd.readouterr().out


# --- Output ---


@pytest.mark.parametrize("size", ["with", "without"])  # GitHub does not send the size
def test_progress_bar_goes_to_standard_output(tmp_path, server, monkeypatch, capfd, size):
    monkeypatch.setattr(download, "is_interactive", lambda: True)
    if size == "without":
        server.answers["/a.zip"] = ("without size", make_zip())
    fetch_ixi(tmp_path)
    assert capfd.readouterr().out.count("B/s") > 1  # drawn at the start and again later
