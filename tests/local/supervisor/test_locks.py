"""One platform a folder, one platform a network."""

import socket
from pathlib import Path

import pytest
from touchstone_local.errors import PlatformBusy
from touchstone_local.layout import StateFolder
from touchstone_local.supervisor.adapters import locks, valkey
from touchstone_local.supervisor.core.addresses import Addresses


def test_a_state_folder_has_one_supervisor(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    with (
        locks.state_folder(folder),
        pytest.raises(PlatformBusy, match="touchstone down"),
        locks.state_folder(folder),
    ):
        pass
    with locks.state_folder(folder):
        pass


def test_platforms_side_by_side_have_networks_of_their_own() -> None:
    with locks.subnet("", is_ours=False) as first, locks.subnet("", is_ours=False) as second:
        assert first != second


def test_a_platform_gets_its_network_back_if_it_is_free() -> None:
    with locks.subnet("127.88.201", is_ours=False) as subnet:
        assert subnet == "127.88.201"
        with locks.subnet("127.88.201", is_ours=True) as other:
            assert other != "127.88.201"


def test_a_network_where_someone_listens_is_passed_over() -> None:
    with socket.socket() as listener:
        listener.bind(("127.88.202.10", 8080))
        listener.listen()
        with locks.subnet("127.88.202", is_ours=False) as subnet:
            assert subnet != "127.88.202"


def test_the_broker_is_closed_to_whoever_lacks_the_password(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.valkey.mkdir()
    url = valkey.configure(folder, Addresses("127.88.7").broker)
    written = folder.valkey / "valkey.conf"
    assert written.stat().st_mode & 0o077 == 0
    assert "requirepass" in written.read_text()
    assert valkey.configure(folder, Addresses("127.88.7").broker) == url
