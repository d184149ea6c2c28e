"""Writes src/quorate/config/component_flags.json: the flags that each component has, and the last version of those that went.

`make component-flags` runs it when a Kubernetes minor is added. The names are read from the sources in the Go module cache, and
from `--help` of the programs that are built here: some names are put together at run time. A name counts as there while its
text is in the sources of the component, so that a flag whose declaration moved is not taken for one that went. Of the versions
that are built here, the program itself says which of the names it takes.

It writes component_flag_types.json as well: what the built programs say that a value must be, as far as their names for it are
known, and no other minor declares the flag otherwise.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from component_fields import PATCHES

HERE = Path(__file__).parent
BUILT = HERE.parent / ".engines" / "bin"
OUT = HERE.parent / "src" / "quorate" / "config" / "component_flags.json"
TYPES_OUT = OUT.with_name("component_flag_types.json")
_SERVER = "apiserver/pkg/server/options"
_SHARED = (_SERVER, "component-base")
TREES = {
    "kube-apiserver": (
        "kubernetes/cmd/kube-apiserver/app",
        "kubernetes/pkg/kubeapiserver/options",
        "kubernetes/pkg/controlplane",
        "kubernetes/plugin/pkg/admission",
        "apiserver/pkg/util",
        *_SHARED,
    ),
    "kube-controller-manager": ("kubernetes/cmd/kube-controller-manager/app", "controller-manager", "cloud-provider", *_SHARED),
    "kube-scheduler": ("kubernetes/cmd/kube-scheduler/app", *_SHARED),
    "kubelet": (
        "kubernetes/cmd/kubelet/app",
        "kubernetes/pkg/kubelet/config",
        "kubernetes/pkg/credentialprovider",
        "component-base",
    ),
}
"""Where the sources of a component declare its flags, by module and folder. Of `_SERVER`, others than the API server take only
some: what they had in `OLDER` is told by their own folders."""
BUILT_MINOR = 34
SERIES = (4, 5, 6, 7)
ETCDS = {5: "v3.5.35", 6: "v3.6.16", 7: "v3.7.3"}
ETCD_TREES = ("etcdmain", "embed")
OLDER = {20: 15, 21: 14, 22: 17, 23: 17, 24: 17, 25: 16, 26: 15}
"""Minors of which only the flags are read: people bring their arguments along for years."""
ALL_PATCHES = {**OLDER, **PATCHES}
_OTHER_PATCHES = {("controller-manager", 25): 0, ("controller-manager", 26): 8}
_LEFT_OUT, _LEFT_OUT_SINCE = "deprecated_insecure_serving.go", 24
"""Declares flags that no component has had since 1.24."""
_KIND = r"(?:Bool|String|StringSlice|StringArray|StringToString|U?[iI]nt(?:32|64)?|Float(?:32|64)|Duration|IP|IPNet|IntSlice)"
_DECLARED = re.compile(
    r"\.(?:"
    + _KIND
    + r"?VarP?F?|"
    + _KIND
    + r'P?)\(\s*(?:[^,"]*?(?:\([^()]*\)[^,"]*?)*,\s*)?(?:"([a-z][\w.-]*)"|((?:\w+\.)?\w+))\s*,'
)
_CONSTANT = re.compile(r'\b(\w+)\s*(?:string\s*)?=\s*"([a-z][a-z0-9.-]*)"')
_TEXT = re.compile(r'"([a-z][\w.-]*)"')
_REFUSALS = ("unknown flag", "flag provided but not defined")
_HELP = re.compile(r"^\s+(?:-\w, )?--([a-z][\w.-]*)", re.MULTILINE)


_HELP_WITH_TYPE = re.compile(r"^\s+(?:-\w, )?--([a-z][\w.-]*)(?: (\S+))?(?:  |$)", re.MULTILINE)
TYPES = {
    "": "bool",
    "int": "int64",
    "float": "float64",
    "mapStringBool": "gates",
    "colonSeparatedMultimapStringString": "gates",
    "Level": "level",
    **{name: name for name in ("int32", "uint", "uint32", "float32", "duration", "ip")},
}
"""What pflag calls a type in a help, and what the table calls it. `int` is what it calls one of 64 bits, too."""
_GATES = ("feature-gates",)
_KINDS = {"Int": "int64", "Float64": "float64", "Uint64": "uint", **{kind: kind.lower() for kind in ("Bool", "Duration", "IP")}}
_DECLARED_KIND = re.compile(r"\.(" + _KIND + r")VarP?\(\s*[^,\"]*,\s*\"([a-z][\w.-]*)\"")
_PROBES = (("bool", "true", "2"), ("uint", "1", "-1"), ("int64", "-1", "1s"), ("duration", "1s", "1"), ("float64", "0.5", "x"))
"""Types of etcd's flags, with a value that one takes and one that it refuses; those before it in the list are ruled out."""


def downloaded(module: str) -> Path:
    """Returns the folder of a module in the cache, downloaded if it is not there."""
    done = subprocess.run(["go", "mod", "download", "-json", module], check=True, stdout=subprocess.PIPE)
    return Path(json.loads(done.stdout)["Dir"])


def sources(folder: Path, *left_out: str) -> list[str]:
    """Returns the texts of the Go files below a folder, without tests and without files of the names `left_out`."""
    return [
        file.read_text()
        for file in sorted(folder.rglob("*.go"))
        if not file.name.endswith("_test.go") and "testing" not in file.parts and file.name not in left_out
    ]


def of_kubernetes(component: str, minor: int) -> list[str]:
    """Returns the sources of a component's flags in a minor."""
    found = []
    left_out = (_LEFT_OUT,) if minor >= _LEFT_OUT_SINCE else ()
    own = component == "kube-apiserver" or minor in PATCHES
    for tree in (one for one in TREES[component] if own or one != _SERVER):
        module, _, below = tree.partition("/")
        patch = _OTHER_PATCHES.get((module, minor), ALL_PATCHES[minor])
        version = f"v{1 if module == 'kubernetes' else 0}.{minor}.{patch}"
        found += sources(downloaded(f"k8s.io/{module}@{version}") / below, *left_out)
    return found


def of_etcd(minor: int) -> list[str]:
    """Returns the sources of etcd's flags in a minor."""
    folder = downloaded(f"go.etcd.io/etcd/server/v3@{ETCDS[minor]}")
    return [text for tree in ETCD_TREES for text in sources(folder / tree)]


def declared(texts: list[str]) -> set[str]:
    """Returns the names that these sources declare as flags, with constants looked up."""
    constants = {name: text for one in texts for name, text in _CONSTANT.findall(one)}
    found = {literal or constants.get(name.rpartition(".")[2], "") for one in texts for literal, name in _DECLARED.findall(one)}
    return found - {""}


def from_help(program: str) -> set[str]:
    """Returns the flags that a built program lists."""
    done = subprocess.run([BUILT / program, "--help"], check=False, capture_output=True, text=True)
    return set(_HELP.findall(done.stdout + done.stderr))


def takes(program: str, flag: str) -> bool:
    """Returns whether a built program knows a flag. It starts nothing: the version is asked for, too."""
    done = subprocess.run([BUILT / program, f"--{flag}=x", "--version"], check=False, capture_output=True, text=True)
    return not any(text in done.stdout + done.stderr for text in _REFUSALS)


def of_component(component: str) -> dict[str, Any]:
    """Returns all flags of a component, and of those that went the last minor that has them."""
    texts = {minor: of_kubernetes(component, minor) for minor in ALL_PATCHES}
    literal = {minor: {name for text in found for name in _TEXT.findall(text)} for minor, found in texts.items()}
    names = {minor: declared(found) for minor, found in texts.items()}
    last = {
        flag: max((minor for minor in texts if flag in literal[minor]), default=max(texts))
        for flag in set[str]().union(from_help(component), *names.values())
    }
    newer = set[str]().union(*(found for minor, found in names.items() if minor > BUILT_MINOR)) - names[BUILT_MINOR]
    for flag in [one for one, minor in last.items() if minor >= BUILT_MINOR and one not in newer and not takes(component, one)]:
        # Its name stands in the sources for something else ("port"): the last declaration counts.
        went = max((minor for minor, found in names.items() if flag in found), default=BUILT_MINOR)
        last = {name: minor for name, minor in last.items() if name != flag} | ({flag: went} if went < BUILT_MINOR else {})
    return written(last, max(texts))


def of_etcds() -> dict[str, Any]:
    """Returns the same of etcd, as its four series say themselves."""
    flags = set[str]().union(
        *(declared(of_etcd(minor)) for minor in ETCDS), *(from_help(f"etcd-3.{minor}") for minor in SERIES)
    )
    taken = {flag: [minor for minor in SERIES if takes(f"etcd-3.{minor}", flag)] for flag in flags}
    return written({flag: max(minors) for flag, minors in taken.items() if minors}, max(SERIES))


def written(last: dict[str, int], newest: int) -> dict[str, Any]:
    """Returns what the file has of a component: its flags by name with the last minor that has them, null for the newest."""
    return {flag: None if minor == newest else minor for flag, minor in sorted(last.items())}


def types_of(component: str) -> dict[str, str]:
    """Returns the types of a component's flags, without those that another minor declares otherwise."""
    done = subprocess.run([BUILT / component, "--help"], check=False, capture_output=True, text=True)
    found = {name: TYPES[kind] for name, kind in _HELP_WITH_TYPE.findall(done.stdout + done.stderr) if kind in TYPES}
    # Of what is listed twice, one is for something else: a map of gates has this name alone.
    found = {name: kind for name, kind in found.items() if (kind == "gates") == (name in _GATES)}
    declared_as = [
        (name, kind)
        for minor in PATCHES
        for text in of_kubernetes(component, minor)
        for kind, name in _DECLARED_KIND.findall(text)
    ]
    otherwise = {name for name, kind in declared_as if name in found and _KINDS.get(kind, kind.lower()) != found[name]}
    kept = {name: kind for name, kind in sorted(found.items()) if name not in otherwise}
    return {name: _of_address(component, name) if kind == "ip" else kind for name, kind in kept.items()}


def _of_address(component: str, flag: str) -> str:
    """Returns which of two types for addresses a flag has: Kubernetes' own reads 010 as 10."""
    done = subprocess.run([BUILT / component, f"--{flag}=010.0.0.1", "--version"], check=False, capture_output=True, text=True)
    return "ip" if "invalid argument" in done.stdout + done.stderr else "ip-with-zeros"


def refuses(program: str, flag: str, value: str) -> bool:
    done = subprocess.run([BUILT / program, f"--{flag}={value}", "--version"], check=False, capture_output=True, text=True)
    return "parse error" in done.stdout + done.stderr or "invalid boolean value" in done.stdout + done.stderr


def type_in(program: str, flag: str) -> str:
    """Returns the type of a flag of etcd, tried with values; empty for a text, and for what is read in another way."""
    if not refuses(program, flag, "x"):
        return ""
    return next((kind for kind, good, bad in _PROBES if not refuses(program, flag, good) and refuses(program, flag, bad)), "")


def types_of_etcds() -> dict[str, str]:
    """Returns the types on which all series agree that have a flag."""
    found: dict[str, set[str]] = {}
    for minor in SERIES:
        for flag in from_help(f"etcd-3.{minor}"):
            found.setdefault(flag, set()).add(type_in(f"etcd-3.{minor}", flag))
    return {flag: min(kinds) for flag, kinds in sorted(found.items()) if len(kinds) == 1 and kinds != {""}}


def text_of(tables: dict[str, dict[str, Any]]) -> str:
    rows = [
        f"  {json.dumps(name)}: {{\n"
        + ",\n".join(f"    {json.dumps(flag)}: {json.dumps(what)}" for flag, what in flags.items())
        + "\n  }"
        for name, flags in tables.items()
    ]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def write_types() -> None:
    print("component-flags types", flush=True)
    TYPES_OUT.write_text(text_of({**{component: types_of(component) for component in TREES}, "etcd": types_of_etcds()}))


def main() -> None:
    found = {}
    for component in TREES:
        print(f"component-flags {component}", flush=True)
        found[component] = of_component(component)
    print("component-flags etcd", flush=True)
    found["etcd"] = of_etcds()
    OUT.write_text(text_of(found))
    write_types()


if __name__ == "__main__":
    main()
