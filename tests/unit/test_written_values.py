"""Values that Go's libraries write in a form of their own. The expected ones are kubeadm 1.34.4's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubeadm_cases import FACTS, MINIMAL, context_of, everything, setup_of

from quorate.config.component_values import _json_number
from quorate.config.duration import Duration
from quorate.config.load import loads
from quorate.config.printing import migrated
from quorate.config.problems import InvalidConfig
from quorate.config.quantity import canonical
from quorate.config.render import document, to_yaml

DURATIONS = {
    "1.9ns": "1ns",
    "0.1ns": "0s",
    "1h1.9999999999s": "1h0m1.999999999s",
    "12.3456789us": "12.345µs",
    "9223372036854775807ns": "2562047h47m16.854775807s",
    "9223372036.8547758079s": "2562047h47m16.854775807s",
    "-9223372036854775808ns": "-2562047h47m16.854775808s",
    "0.100000000000000000000h": "6m0s",
    "1.1m": "1m6s",
    "5.s": "5s",
    "-0s": "0s",
}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_cut_off_as_go_does_it(text: str) -> None:
    assert str(Duration.parse(text)) == DURATIONS[text]


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_duration_survives_its_text(value: int) -> None:
    """Through a float, one of more than 104 days lost its last digits."""
    assert abs(Duration.parse(str(Duration(value))) - value) <= 1


@pytest.mark.parametrize("text", ["9223372036854775808ns", "2562047h47m16.854775808s", "3000000h", "-9223372036854775809ns"])
def test_a_duration_has_an_end(text: str) -> None:
    with pytest.raises(ValueError, match="longer than a duration can be"):
        Duration.parse(text)


QUANTITIES = {
    "9223372036854775808": "9223372036854775808",
    "-9223372036854775809": "-9223372036854775809",
    "9223372036854775808Ki": "9223372036854775807",
    "1e19": "10e18",
    "1e100": "10e99",
    "1e-7": "100e-9",
    "1e-10": "1e-9",
    "0.1n": "1n",
    "9.3E": "9300P",
    "100E": "100E",
    "1E3": "1E3",
    "1e0": "1e0",
    "1.": "1.",
    "+1": "+1",
    "00100": "00100",
    "1000": "1k",
    "1000m": "1",
    "0.5": "500m",
    "123456789.123456789": "123456789.123456789",
    "1024Ki": "1Mi",
    "1Ki": "1Ki",
    "+12Ki": "+12Ki",
    "8Ki": "8Ki",
    "0.5Ki": "512",
    "0Ki": "0",
    "-0": "0",
}


@pytest.mark.parametrize("text", QUANTITIES)
def test_a_quantity_is_written_as_kubeadm_writes_it(text: str) -> None:
    assert canonical(text) == QUANTITIES[text]


@pytest.mark.parametrize("text", ["", "x", "1mi", "1K", "1e", "1_0", "1e1000", "٣", "- 1", "1.5.5", "." * 200])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        canonical(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-7, "1e-7"),
        (1e-5, "0.00001"),
        (1e-6, "0.000001"),
        (1e21, "1e+21"),
        (1e20, "1" + "0" * 20),
        (1.5e22, "1.5e+22"),
        (-0.5, "-0.5"),
    ],
)
def test_a_number_is_what_it_is_in_json(value: float, text: str) -> None:
    assert _json_number(value) == text


LONG = "word " * 40


def of_command(value: str) -> str:
    """A flag of a manifest, as it stands there."""
    return to_yaml({"spec": {"containers": [{"command": [value]}]}}).partition("command:\n")[2]


def words(number: int) -> str:
    return " ".join(["word"] * number)


def test_a_long_text_is_broken_as_kubeadm_breaks_it() -> None:
    assert of_command(f"--v={LONG}") == f"    - '--v={words(15)}\n      {words(16)}\n      {words(9)} '\n"
    assert of_command(f'--v=yes {LONG}"') == f'    - --v=yes {words(14)}\n      {words(16)}\n      {words(10)} "\n'
    assert of_command(f"--v=a\n{LONG}") == f'    - "--v=a\\n{words(14)}\n      {words(16)}\n      {words(10)} "\n'
    assert of_command(f"--v=a\u0085{LONG}").count("\n      word") == 2, "between double quotes, too"
    assert of_command("--v=\U0001f600") == '    - "--v=\\U0001F600"\n'
    assert of_command("x" * 300) == f"    - {'x' * 300}\n"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.integers(0, 30))
def test_every_text_is_read_again(text: str, number: int) -> None:
    value = f"{text} {'word  ' * number}{text}"
    assert yaml.safe_load(to_yaml({"k": value, value[:100]: 1})) == {"k": value, value[:100]: 1}


SOURCES = {
    "fieldRef: {fieldPath: status.hostIP}": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}},
    "fieldRef: {fieldPath: a, apiVersion: ''}": {"fieldRef": {"apiVersion": "v1", "fieldPath": "a"}},
    "resourceFieldRef: {resource: limits.cpu}": {"resourceFieldRef": {"divisor": "0", "resource": "limits.cpu"}},
    "resourceFieldRef: {resource: a, divisor: 1000m}": {"resourceFieldRef": {"divisor": "1", "resource": "a"}},
    "resourceFieldRef: {resource: a, divisor: 1}": {"resourceFieldRef": {"divisor": "1", "resource": "a"}},
    "configMapKeyRef: {name: '', key: b, optional: false}": {"configMapKeyRef": {"key": "b", "optional": False}},
    "secretKeyRef: {}": {"secretKeyRef": {"key": ""}},
    "fileKeyRef: {key: a}": {"fileKeyRef": {"key": "a", "path": "", "volumeName": ""}},
    "fieldRef: null": {},
    "": {},
}


@pytest.mark.parametrize("text", SOURCES)
def test_the_source_of_a_variable_is_written_as_kubeadm_writes_it(text: str, tmp_path: Path) -> None:
    """In the stored configuration and in the manifest. No pod starts without the fields that have no default."""
    setup = setup_of(f"{MINIMAL}apiServer: {{extraEnvs: [{{name: A, valueFrom: {{{text}}}}}, {{name: B, valueFrom: null}}]}}\n")
    stored = yaml.safe_load(document("ClusterConfiguration", "v", setup.cluster))
    assert stored["apiServer"]["extraEnvs"] == [{"name": "A", "valueFrom": SOURCES[text]}, {"name": "B"}]
    everything(context_of(setup, tmp_path))
    pod = yaml.safe_load((tmp_path / "etc/kubernetes/manifests/kube-apiserver.yaml").read_text())
    assert {"name": "A", "valueFrom": SOURCES[text]} in pod["spec"]["containers"][0]["env"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("fieldRef: {fieldPath: 1}", "fieldRef.fieldPath"),
        ("fieldRef: {fieldPth: a}", "fieldRef.fieldPth"),
        ("resourceFieldRef: {divisor: x}", "resourceFieldRef.divisor"),
        ("resourceFieldRef: {divisor: [1]}", "resourceFieldRef.divisor"),
        ("configMapKeyRef: {optional: 'yes'}", "configMapKeyRef.optional"),
        ("downward: {}", "downward"),
    ],
)
def test_a_wrong_source_of_a_variable_is_named(text: str, path: str) -> None:
    with pytest.raises(InvalidConfig) as failed:
        setup_of(f"{MINIMAL}apiServer: {{extraEnvs: [{{name: A, valueFrom: {{{text}}}}}]}}\n")
    (found,) = failed.value.problems
    assert found.path == f"apiServer.extraEnvs[0].valueFrom.{path}" and found.line > 5


def test_a_switch_that_was_given_stays() -> None:
    text = MINIMAL.replace("{name: cp1}", "{name: cp1, imagePullSerial: false}")
    assert "  imagePullSerial: false\n" in migrated(loads(text.encode(), "c"), FACTS)
