"""SQLite only where its locks hold; one index for one root."""

from __future__ import annotations

from pathlib import Path

import pytest
from journalled import Lab, rows

from sweep.layout import Root
from sweep.store import open_store, place
from sweep.store.place import file_system, refuse_network, root_id
from sweep.store.rebuild import rebuild
from vitok_core.errors import UserError

MOUNTS = """\
22 1 252:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /scratch rw,nosuid - lustre 10.0.0.1@tcp:/scratch rw,flock
31 22 0:27 / /home rw - nfs4 server:/home rw,vers=4.2
32 31 0:28 / /home/ada/local\\040disk rw - xfs /dev/sdb rw
33 22 0:29 / /data rw - autofs systemd-1 rw,fd=29
34 22 0:30 / /data rw shared:7 master:2 - fuse.sshfs ada@host:/data rw
35 22 0:31 / /work rw - fuse.mergerfs a:b rw
36 22 0:32 / /proj rw - gpfs proj rw
37 22 0:33 / /share rw - cifs //nas/share rw
38 22 0:34 / /bee rw - beegfs beegfs_nodev rw
39 22 0:35 / /host rw - 9p hostshare rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/results.db", "ext4"),
        ("/scratch/ada/results.db", "lustre"),
        ("/scratchy/results.db", "ext4"),
        ("/home/ada/results.db", "nfs4"),
        ("/home/ada/local disk/results.db", "xfs"),
        ("/data/results.db", "fuse.sshfs"),
    ],
)
def test_the_deepest_and_last_mount_holds_a_file(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("folder", ["scratch", "home", "data", "proj", "share", "bee", "host"])
def test_network_file_systems_are_refused_with_advice(folder: str) -> None:
    with pytest.raises(UserError, match="network file system") as caught:
        refuse_network(Path(f"/{folder}/results.db"), MOUNTS)
    said = str(caught.value)
    assert "--db sqlite:////" in said
    assert "PostgreSQL" in said
    assert "\n" not in said


@pytest.mark.parametrize("path", ["/tmp/x.db", "/home/ada/local disk/x.db", "/work/x.db"])
def test_local_disks_are_not(path: str) -> None:
    refuse_network(Path(path), MOUNTS)
    refuse_network(Path(path), "")  # a system without such a table


def test_the_index_goes_elsewhere_while_journals_stay_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path / "far"
    lab = Lab(far / "results")
    lab.job("a")
    (tmp_path / "link").symlink_to(far)
    table = tmp_path / "mountinfo"
    table.write_text(f"{MOUNTS}50 22 0:40 / {far} rw - nfs server:/far rw\n")
    monkeypatch.setattr(place, "MOUNTS", table)
    for root in (lab.root, Root(tmp_path / "link" / "results")):
        for use in (open_store, rebuild):
            with pytest.raises(UserError, match=r"network file system \(nfs\)"):
                use(root, None)
    assert not (lab.root.path / "results.db").exists()
    near = Lab(lab.root.path, f"sqlite:///{tmp_path}/near.db")
    assert rows(near.synced(), "SELECT job_id FROM jobs") == [("a",)]
    rebuild(near.root, near.db)


def test_a_root_has_one_id_whoever_comes_first(tmp_path: Path) -> None:
    assert root_id(None) is None
    assert root_id(Root(tmp_path / "none")) is None
    assert not (tmp_path / "none").exists()
    first = root_id(Root(tmp_path))
    assert first == root_id(Root(tmp_path))
    (tmp_path / "other").mkdir()
    assert root_id(Root(tmp_path / "other")) != first
    (tmp_path / "root.json").write_text("[]")
    with pytest.raises(UserError, match=r"root\.json: damaged"):
        root_id(Root(tmp_path))
