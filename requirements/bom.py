"""`make materials`: the bill of materials of a lock file, as CycloneDX JSON. It needs no network."""

import re
import sys
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def bill(lock: str, version: str) -> Bom:
    """Every locked package as a library of Gatehouse."""
    ours = Component(name="gatehouse-lti", version=version, type=ComponentType.APPLICATION, bom_ref="gatehouse-lti")
    bom = Bom()
    bom.metadata.component = ours
    for name, locked in sorted(set(LOCKED.findall(lock))):
        purl = PackageURL("pypi", None, name.lower(), locked)
        bom.components.add(Component(name=name, version=locked, purl=purl, bom_ref=str(purl)))
    bom.register_dependency(ours, bom.components)
    return bom


def main(lock: str, target: str) -> None:
    project = Path(__file__).parent.parent.joinpath("pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version is not None
    bom = bill(Path(lock).read_text(encoding="utf-8"), version.group(1))
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n", encoding="utf-8")
    print(f"{len(bom.components)} packages: {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
