"""Times in configurations: read as Go reads them, and written as it writes them. The expected ones are kubeadm 1.34.4's."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubeadm_cases import FACTS

from quorate.config.load import loads
from quorate.config.printing import migrated
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import resolve_init
from quorate.config.times import Time
from quorate.kube import tokens
from quorate.phases.cluster.bootstrap_token import _token
from quorate.secret import Secret

HEAD = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.77.0.11}\n"
CLUSTER = "---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n"
TAINT = HEAD + "nodeRegistration: {name: cp1, taints: [{key: a, effect: NoSchedule, timeAdded: '%s'}]}\n" + CLUSTER
TOKEN = HEAD + "nodeRegistration: {name: cp1}\nbootstrapTokens:\n- token: abcdef.0123456789abcdef\n  expires: '%s'\n" + CLUSTER

READ = {
    "2030-01-02T15:04:05Z": '"2030-01-02T15:04:05Z"',
    "2030-01-02T15:04:05.123456789123Z": '"2030-01-02T15:04:05Z"',
    "2030-01-02T15:04:05,9Z": '"2030-01-02T15:04:05Z"',
    "2030-01-02T15:04:05+02:00": '"2030-01-02T13:04:05Z"',
    "2030-01-02T15:04:05-00:00": '"2030-01-02T15:04:05Z"',
    "2030-01-02T15:04:05+24:59": '"2030-01-01T14:05:05Z"',
    "2030-01-02T15:04:05+23:60": '"2030-01-01T15:04:05Z"',
    "2030-01-02T5:04:05Z": '"2030-01-02T05:04:05Z"',
    "2028-02-29T00:00:00Z": '"2028-02-29T00:00:00Z"',
    "0000-02-29T00:00:00Z": '"0000-02-29T00:00:00Z"',
    "0001-01-01T00:00:00.5Z": '"0001-01-01T00:00:00Z"',
    "0001-01-01T00:00:00+01:00": '"0000-12-31T23:00:00Z"',
    "0001-01-01T00:00:00Z": "null",
    "0000-12-31T23:00:00-01:00": "null",
    "9999-12-31T23:59:59-23:59": "10000-01-01T23:58:59Z",
    "0000-01-01T00:00:00+23:00": "-0001-12-31T01:00:00Z",
}
WRONG = [
    *("", "soon", "2030-01-02", "2030-01-02 15:04:05Z", "2030-01-02T15:04:05", "2030-01-02T15:04Z", "2030-1-2T15:04:05Z"),
    *("2030-01-02t15:04:05Z", "2030-01-02T15:04:05z", "2030-01-02T15:04:60Z", "2030-01-02T24:00:00Z", "2030-02-30T15:04:05Z"),
    *("2030-02-29T00:00:00Z", "2030-00-02T15:04:05Z", "2030-01-02T15:04:05.Z", "2030-01-02T15:04:05+0200", "20300102T150405Z"),
    *("2030-01-02T15:04:05+25:00", "2030-01-02T15:04:05+23:61", "2030-01-02T05:4:05Z", "10000-01-02T15:04:05Z"),
    *("2030-01-02T15:04:05Z ", "2030-01-02T15:04:05Z\\n", "٢٠٣٠-01-02T15:04:05Z", "2030-W01-3T15:04:05Z"),
]


@pytest.mark.parametrize("text", READ)
def test_a_time_is_written_as_kubeadm_writes_it(text: str) -> None:
    assert f"    timeAdded: {READ[text]}\n" in migrated(loads((TAINT % text).encode(), "c"), FACTS)


@pytest.mark.parametrize("text", WRONG)
@pytest.mark.parametrize(
    ("body", "path"), [(TAINT, "nodeRegistration.taints[0].timeAdded"), (TOKEN, "bootstrapTokens[0].expires")]
)
def test_what_go_does_not_read_is_refused_at_its_line(body: str, path: str, text: str) -> None:
    with pytest.raises(InvalidConfig) as failed:
        resolve_init(loads((body % text).encode(), "c"), FACTS)
    (found,) = failed.value.problems
    assert found.path == path and found.line > 3 and "is not a time" in found.text


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-01:00", "0000-05-05T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_a_token_does_not_end_in_a_year_that_no_controller_reads(text: str) -> None:
    with pytest.raises(InvalidConfig, match="a year that the cluster cannot read"):
        resolve_init(loads((TOKEN % text).encode(), "c"), FACTS)


def test_the_end_of_a_token_is_the_same_where_it_is_checked_stored_and_read() -> None:
    """It was checked nowhere and read by Python's rules: init ended in the middle, with ValueError."""
    (token,) = resolve_init(loads((TOKEN % "2030-01-02T1:04:05,5+02:00").encode(), "c"), FACTS).init.bootstrap_tokens
    made = _token(token, datetime(2026, 1, 1, tzinfo=UTC))
    assert made.expires == datetime(2030, 1, 1, 23, 4, 5, tzinfo=UTC)
    again = tokens.from_secret(tokens.to_secret(made))
    assert again is not None and again.expires == made.expires


@pytest.mark.parametrize("text", ["2030-01-02", "9999-12-31T23:59:59-01:00", "x"])
def test_a_secret_whose_end_no_controller_reads_is_no_token(text: str) -> None:
    value = tokens.to_secret(tokens.Token("abcdef", Secret("0" * 16)))
    value["data"]["expiration"] = base64.b64encode(text.encode()).decode()
    assert tokens.from_secret(value) is None


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda one: one.year > 1))
def test_a_time_of_any_year_survives(moment: datetime) -> None:
    assert Time.parse(moment.isoformat().replace("+00:00", "Z")).moment == moment.replace(microsecond=0)
