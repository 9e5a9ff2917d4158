"""Claims about fetching: folders, archives, repositories, and what is refused."""

import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from touchstone_retrieval import errors
from touchstone_retrieval.adapters.sources import SourceFetcher
from touchstone_retrieval.core.spec import Source


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for path, text in {"a.md": "# A", "docs/b.md": "# B", "docs/old/c.md": "# C", "img/x.png": "png"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def fetch(tmp_path: Path, local_resolver):
    fetcher = SourceFetcher(local_resolver, file_root=tmp_path, git_timeout_seconds=30)
    room = iter(range(100))

    def run(uri: str, **source):
        folder = tmp_path / f"room{next(room)}"
        folder.mkdir()
        return fetcher.fetch(Source(name="docs", uri=uri, **source), folder)

    return run


def paths(fetched) -> list[str]:
    return [file.path for file in fetched.files()]


def git(folder: Path, *arguments: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_globs_choose_the_files_of_a_folder(fetch, tree):
    assert paths(fetch(f"file://{tree}")) == ["a.md", "docs/b.md", "docs/old/c.md", "img/x.png"]
    assert paths(fetch(f"file://{tree}", include=("docs/**",), exclude=("old/",))) == ["docs/b.md"]
    assert paths(fetch(f"file://{tree}", include=("*.md",))) == ["a.md", "docs/b.md", "docs/old/c.md"]


def test_a_folders_digest_follows_the_content_that_is_taken(fetch, tree):
    first = fetch(f"file://{tree}", include=("*.md",)).digest
    (tree / "img" / "x.png").write_text("changed")
    second = fetch(f"file://{tree}", include=("*.md",)).digest
    (tree / "a.md").write_text("changed")
    third = fetch(f"file://{tree}", include=("*.md",)).digest

    assert first == second != third


def test_a_link_out_of_the_folder_is_not_followed(fetch, tree, tmp_path):
    (tmp_path / "secret.md").write_text("secret")
    (tree / "link.md").symlink_to(tmp_path / "secret.md")

    assert "link.md" not in paths(fetch(f"file://{tree}"))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_is_read_without_being_unpacked(fetch, tree, tmp_path, kind):
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as made:
            for path in tree.rglob("*.md"):
                made.write(path, path.relative_to(tree))
    else:
        with tarfile.open(archive, "w:gz") as made:
            made.add(tree, arcname=".")

    fetched = fetch(f"file://{archive}", include=("docs/",))

    assert [(Path(f.path).name, f.read()) for f in fetched.files()] == [("b.md", b"# B"), ("c.md", b"# C")]
    assert fetched.digest.startswith("sha256:")


def test_a_file_that_is_no_archive_is_refused(fetch, tmp_path):
    (tmp_path / "a.zip").write_text("no")

    with pytest.raises(errors.SourceInvalid, match="not an archive"):
        fetch(f"file://{tmp_path}/a.zip")


def test_a_file_outside_the_allowed_root_is_refused(fetch):
    with pytest.raises(errors.SourceInvalid, match="outside"):
        fetch("file:///etc/hostname")


def test_a_path_that_climbs_out_of_the_root_is_refused(fetch, tmp_path):
    with pytest.raises(errors.SourceInvalid, match="outside"):
        fetch(f"file://{tmp_path}/../../../../etc/hostname")


def test_a_repository_is_fetched_at_a_branch_a_tag_or_a_commit(fetch, tree):
    git(tree, "init", "-q", "-b", "main")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "one")
    first = git(tree, "rev-parse", "HEAD")
    git(tree, "tag", "v1")
    (tree / "new.md").write_text("# New")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "two")
    second = git(tree, "rev-parse", "HEAD")
    uri = f"git+file://{tree}"

    newest, tagged, pinned = fetch(uri), fetch(uri, ref="v1"), fetch(uri, ref=first)

    assert (newest.digest, tagged.digest, pinned.digest) == (second, first, first)
    assert "new.md" in paths(newest)
    assert "new.md" not in paths(tagged)
    assert paths(fetch(uri, ref="main", include=("docs/*",), exclude=("old",))) == ["docs/b.md"]


def test_a_ref_that_does_not_exist_will_never_be_fetched(fetch, tree):
    git(tree, "init", "-q", "-b", "main")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "one")

    with pytest.raises(errors.SourceInvalid, match="Check uri and ref"):
        fetch(f"git+file://{tree}", ref="nowhere")


def test_a_host_that_does_not_answer_may_be_tried_again(fetch):
    with pytest.raises(errors.SourceUnreachable):
        fetch("git+http://127.0.0.1:9/repo.git")
