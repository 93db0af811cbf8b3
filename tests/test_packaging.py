"""What a user gets: the files in the wheel, the versions that the floors promise, the words of the README."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "napari_samv1"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION: str = PYPROJECT["project"]["version"]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    packaged = {name for name in wheel.namelist() if ".dist-info/" not in name}
    on_disk = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged == on_disk
    assert {"napari_samv1/napari.yaml", "napari_samv1/py.typed"} <= packaged


def test_the_wheel_holds_the_bundled_model(wheel: zipfile.ZipFile) -> None:
    from napari_samv1.checkpoints.registry import MODELS

    path = MODELS["tiny"].path
    name = f"napari_samv1/{path.relative_to(path.parent.parent.parent).as_posix()}"
    assert wheel.getinfo(name).file_size > MEGABYTE


def test_the_wheel_stays_small(wheel: zipfile.ZipFile) -> None:
    assert sum(entry.compress_size for entry in wheel.infolist()) < 25 * MEGABYTE


def test_the_wheel_says_where_napari_finds_the_manifest_and_who_may_use_it(wheel: zipfile.ZipFile) -> None:
    [entry_points] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "[napari.manifest]\nnapari-samv1 = napari_samv1:napari.yaml" in wheel.read(entry_points).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())


def pins(name: str) -> dict[str, Version]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {each.name.lower(): Version(str(each.specifier).removeprefix("==")) for each in requirements}


def floors(requirements: list[str]) -> dict[str, Version]:
    return {
        each.name.lower(): Version(specifier.version)
        for each in map(Requirement, requirements)
        for specifier in each.specifier
        if specifier.operator == ">="
    }


def test_every_floor_is_what_the_lowest_versions_are_tested_with() -> None:
    project, lowest = PYPROJECT["project"], pins("constraints-lowest.txt")
    declared = floors(project["dependencies"]) | floors(project["optional-dependencies"]["all"])
    del declared[
        "torch"
    ]  # its older builds for Linux bring gigabytes of CUDA: CONTRIBUTING.md says what was checked
    assert declared == {name: lowest[name] for name in declared}


def test_the_tests_for_the_lowest_versions_are_there() -> None:
    for line in (ROOT / "tests/lowest.txt").read_text("utf-8").splitlines():
        path, name = line.split("::", 1)
        assert f"def {name.split('[')[0]}(" in (ROOT / path).read_text("utf-8"), "run `make lowest`"


def test_base_dependencies_bring_no_qt_binding() -> None:
    names = {Requirement(each).name.lower() for each in PYPROJECT["project"]["dependencies"]}
    assert not names & {"pyside6", "pyqt6", "pyqt5", "pyside2"}
    assert all(not Requirement(each).extras for each in PYPROJECT["project"]["dependencies"])


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == VERSION
    assert re.search(
        rf"^## {re.escape(VERSION)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M
    )


PYTHON_BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)


def test_the_readme_has_its_four_examples() -> None:
    assert len(PYTHON_BLOCKS) == 4


@pytest.mark.parametrize("block", PYTHON_BLOCKS, ids=range(len(PYTHON_BLOCKS)))
def test_the_python_of_the_readme_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


def test_every_file_that_the_readme_shows_or_links_is_there() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("mark", ["packages", "open", "test"])
def test_the_readme_has_the_block_that_continuous_integration_reads(mark: str) -> None:
    assert len(re.findall(rf"^<!-- {mark} -->\n```bash\n(.+?)\n```$", README, re.M | re.S)) == 1


def test_the_readme_s_table_of_models_is_the_registry_s() -> None:
    from napari_samv1.checkpoints.registry import MODELS

    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d+) MB \| (\S+) \|$", README, re.M)
    assert rows == [(model.name, str(model.megabytes), model.licence) for model in MODELS.values()]


def test_the_architecture_page_draws_the_model_as_it_is() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    [drawing] = re.findall(r"^```\n(model/\n.*?)^```$", page, re.M | re.S)
    folders: list[str] = []
    drawn = set()
    for line in drawing.splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders[depth:] = [name] if name.endswith("/") else []
        if name.endswith(".py"):
            drawn.add("".join(folders) + name)
    files = (PACKAGE / "model").rglob("*.py")
    assert drawn == {f.relative_to(PACKAGE).as_posix() for f in files if f.name != "__init__.py"}


def test_the_architecture_page_names_every_room_and_no_file_that_is_not_there() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {room for room in rooms if f"`{room}/`" not in page} == set()
    named = re.findall(r"`([\w/]+/\w+\.(?:py|yaml))`", page)
    assert [name for name in named if not ((PACKAGE / name).exists() or (ROOT / name).exists())] == []
