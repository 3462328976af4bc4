"""Whether front matter and requirements are what the Hub documents (hub.json), before anybody pushes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HUB = json.loads(Path(__file__).with_name("hub.json").read_text(encoding="utf-8"))


def front_matter(text: str) -> dict[str, Any]:
    """The YAML between the two lines of dashes: words, and lists of words, which is all that a Space needs.

    Raises ValueError for anything else.
    """
    found: dict[str, Any] = {}
    name = ""
    for line in text.split("---\n")[1].splitlines():
        if item := re.fullmatch(r"  - (\S.*)", line):
            if not isinstance(found.get(name), list):
                raise ValueError(f"the front matter has an item that belongs to nothing: {line}")
            found[name].append(item[1].strip('"'))
        elif entry := re.fullmatch(r"(\w+):(?: (\S.*))?", line):
            name = entry[1]
            found[name] = entry[2].strip('"') if entry[2] else []
        else:
            raise ValueError(f"the front matter has a line that is no YAML of this kind: {line}")
    return found


def check(readme: str, requirements: str) -> None:
    """Raises ValueError that says what the Hub would refuse or not understand."""
    matter = front_matter(readme)
    wrong = [f"'{key}' is not a key of a Space" for key in matter if key not in HUB["keys"]]
    wrong += [f"'{key}' is missing" for key in HUB["needed"] if not matter.get(key)]
    for key in ("colorFrom", "colorTo"):
        if matter.get(key, "gray") not in HUB["colours"]:
            wrong.append(f"{key} '{matter[key]}' is none of {', '.join(HUB['colours'])}")
    if matter.get("sdk") != "gradio" or not re.fullmatch(r"\d+\.\d+\.\d+", str(matter.get("sdk_version"))):
        wrong.append("sdk and sdk_version have to be gradio and one exact version")
    if len(matter.get("short_description", "")) > HUB["short_description"]:
        wrong.append(f"short_description is longer than {HUB['short_description']} characters")
    hardware = matter.get("suggested_hardware", "cpu-basic")
    if hardware not in hardware_names():
        wrong.append(f"'{hardware}' is no hardware of the Hub")
    if hardware.startswith("zero"):
        if matter.get("python_version") not in HUB["zero_gpu"]["python"]:
            wrong.append(f"ZeroGPU has Python {' and '.join(HUB['zero_gpu']['python'])}")
        wrong += torch_trouble(requirements)
    for line in matter.get("preload_from_hub", []):
        if not re.fullmatch(r"[\w.-]+/[\w.-]+( [\w./,-]+( [0-9a-f]{40})?)?", line):
            wrong.append(f"preload_from_hub has a line that the Hub does not understand: {line}")
    if re.search(r"^gradio\b", requirements, re.MULTILINE):
        wrong.append("requirements.txt names gradio, which comes with sdk_version")
    if wrong:
        raise ValueError("; ".join(wrong))


def torch_trouble(requirements: str) -> list[str]:
    """What of the wanted range of torch ZeroGPU does not have."""
    found = re.search(r"^torch>=([\d.]+),<([\d.]+)$", requirements, re.MULTILINE)
    if not found:
        return ["requirements.txt has to give torch a range, as torch>=LOWEST,<HIGHEST"]
    low, high = ([int(part) for part in each.split(".")] for each in found.groups())
    known = [[int(part) for part in version.split(".")] for version in HUB["zero_gpu"]["torch"]]
    usable = [version for version in known if low <= version < high]
    beyond = high > [known[-1][0], known[-1][1] + 1]
    if not usable or low < known[0] or beyond:
        return [f"torch {found[0][5:]} is not within what ZeroGPU has: {', '.join(HUB['zero_gpu']['torch'])}"]
    return []


def hardware_names() -> list[str]:
    from huggingface_hub import SpaceHardware

    return [hardware.value for hardware in SpaceHardware]
