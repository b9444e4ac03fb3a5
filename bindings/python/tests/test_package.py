"""What is published: the wheel, and the source distribution, built and installed apart from the tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from asgi import HERE, KEY

FOLDER = HERE.parent
WHEELS = FOLDER.parents[1] / "target/python/wheels"
ASK = f"""
import keygate_asgi
gate = keygate_asgi.Gate('{{"auth_mode":"strict","api_key":"{KEY}"}}')
assert gate.decide("GET", b"/", b"", [(b"x-api-key", b"{KEY}")]) and not gate.decide("GET", b"/", b"", [])
print(keygate_asgi.__file__)
"""


def installed(package: Path, folder: Path, python: str = sys.executable) -> None:
    """Into a fresh environment, which has nothing else, and asked there."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    inside = folder / "bin/python"
    subprocess.run([inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package], check=True, timeout=600)
    said = subprocess.run([inside, "-c", ASK], cwd=folder, capture_output=True, text=True)
    assert said.returncode == 0 and str(folder) in said.stdout, said.stderr


def test_the_wheel(tmp_path: Path) -> None:
    (wheel,) = WHEELS.glob("*.whl")
    assert "-cp39-abi3-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name for name in names if name.startswith("keygate_asgi/")}
    assert inside == {
        *(f"keygate_asgi/{name}" for name in ("__init__.py", "_gate.py", "_middleware.py", "env.py")),
        *("keygate_asgi/_core.abi3.so", "keygate_asgi/_core.pyi", "keygate_asgi/py.typed"),
    }
    assert any(name.endswith("licenses/LICENSE-MIT") for name in names)
    installed(wheel, tmp_path / "env")
    # And with other Pythons, where the caller says which.
    for number, python in enumerate(os.environ.get("KEYGATE_PYTHONS", "").split()):
        installed(wheel, tmp_path / str(number), python)


def test_the_source_distribution(tmp_path: Path) -> None:
    """It has the core in it, and builds without the tree."""
    maturin = Path(sys.executable).with_name("maturin")
    subprocess.run([maturin, "sdist", "--out", tmp_path], cwd=FOLDER, check=True, stdout=sys.stderr)
    (archive,) = tmp_path.glob("keygate_asgi-*.tar.gz")
    with tarfile.open(archive) as packed:
        names = packed.getnames()
        packed.extractall(tmp_path / "unpacked", filter="data")
    assert any(name.endswith("/src/evaluation.rs") for name in names)
    assert not [name for name in names if "/tests/" in name and name.endswith(".py")]
    (source,) = (tmp_path / "unpacked").iterdir()
    environment = os.environ | {"CARGO_TARGET_DIR": str(FOLDER.parents[1] / "target/python/sdist")}
    command: list[str | Path] = [maturin, "build", "--quiet", "--locked", "--out", tmp_path / "wheels"]
    subprocess.run(command, cwd=source, env=environment, check=True, stdout=sys.stderr, timeout=600)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    installed(wheel, tmp_path / "env")


def test_types(tmp_path: Path) -> None:
    """A program is checked against the types of the wheel."""
    program = tmp_path / "program.py"
    mypy: list[str | Path] = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir=/dev/null", program]
    good = "import keygate_asgi\ngate = keygate_asgi.Gate.from_file('a')\nlabel: str | None = gate.decide('GET', b'/', b'', []).key_label\n"
    program.write_text(good)
    assert subprocess.run(mypy, cwd=tmp_path, capture_output=True).returncode == 0
    for wrong in ("keygate_asgi.KeygateMiddleware(gate)", "gate.decide('GET', '/', b'', [])", "keygate_asgi.Gate({})", "label.x"):
        program.write_text(good + wrong + "\n")
        assert subprocess.run(mypy, cwd=tmp_path, capture_output=True).returncode == 1, wrong
