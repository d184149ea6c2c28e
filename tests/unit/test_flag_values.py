"""Values of extra arguments with which a component ends."""

from __future__ import annotations

import pytest

from quorate.config.component_flags import ETCD, table
from quorate.config.flag_values import refused, types
from quorate.config.load import loads
from quorate.config.resolve import resolve_join
from unit.test_component_checks import FACTS, HEAD, arg, args, file, notes, problems


@pytest.mark.parametrize(
    ("part", "given", "said"),
    [
        ("apiServer", arg("v", "abc"), "'abc' is not a whole number of 0 or more: kube-apiserver ends with it"),
        ("apiServer", arg("profiling", "maybe"), "'maybe' is not true or false: kube-apiserver ends with it"),
        ("apiServer", arg("secure_port", "6443x"), "'6443x' is not a whole number: kube-apiserver ends with it"),
        ("scheduler", arg("leader-elect-lease-duration", "15"), "'15' is not a duration such as 1m30s: kube-scheduler ends"),
        ("controllerManager", arg("feature-gates", "NoSuch=true"), "NoSuch: the components of Kubernetes 1.34 have no such"),
        ("scheduler", arg("feature-gates", "AllAlpha"), "'AllAlpha' is not a feature gate with a value: NAME=true or"),
        ("scheduler", arg("feature-gates", "kube:KubeletTracing=false"), "KubeletTracing: this gate is locked on in"),
        ("etcd", arg("snapshot-count", "many"), "'many' is not a whole number of 0 or more: etcd ends with it"),
        ("apiServer", arg("advertise-address", "cp1"), "'cp1' is not an IP address: kube-apiserver ends with it"),
    ],
)
def test_a_value_that_no_component_reads(part: str, given: str, said: str) -> None:
    (found,) = problems(file(cluster=args(part, given)))
    path, _, text = found.partition(": ")
    assert path == f"{'etcd.local' if part == 'etcd' else part}.extraArgs[0].value"
    assert text.startswith(said)


@pytest.mark.parametrize(
    "given",
    [
        *(arg("v", 4), arg("profiling", "False"), arg("goaway-chance", "0.001"), arg("min-request-timeout", "0x10")),
        *(arg("feature-gates", "AllAlpha=false, kube:AllBeta=true"), arg("feature-gates", ""), arg("request-timeout", "1m")),
        arg("audit-log-path", "anything"),
    ],
)
def test_a_value_that_is_read(given: str) -> None:
    assert notes(file(cluster=args("apiServer", given))) == []


@pytest.mark.parametrize(
    ("flag", "given", "is_read"),
    [
        *(
            ("goaway-chance", text, True)
            for text in ("1.", ".5", "1e3", "+Inf", "-infinity", "nan", "0x1p-2", "0x_1fp2", "1_0", "1e5_0")
        ),
        *(
            ("goaway-chance", text, False)
            for text in ("+nan", "1e400", "0x.p1", "0x1p9999", "1__0", "_1", "1_", "0x1", "\u0661", "")
        ),
        *(("min-request-timeout", text, True) for text in ("017", "0_7", "0o17", "1_000", "-0x1f", "+5")),
        *(("min-request-timeout", text, False) for text in ("0__7", "07_", "08", "1__0", "_1", "1_")),
        *(("advertise-address", text, True) for text in (" 1.2.3.4", "1.2.3.4\u00a0", "")),
        *(("advertise-address", text, False) for text in ("\x1f1.2.3.4", "1.2.3.4\u2003x")),
    ],
)
def test_a_number_or_an_address_is_read_as_go_reads_it(flag: str, given: str, is_read: bool) -> None:
    assert (list(refused("kube-apiserver", 34, flag, given)) == []) is is_read


def test_gates_of_a_flag_follow_the_minor() -> None:
    given = args("apiServer", arg("feature-gates", "NodeSwap=false"))
    assert problems(file(cluster=given, version="v1.34.0"))
    assert notes(file(cluster=given, version="v1.33.0")) == []


def test_the_kubelets_arguments_of_a_node() -> None:
    given = "nodeRegistration: {kubeletExtraArgs: [{name: max-pods, value: many}]}"
    (found,) = problems(file(given))
    assert found.startswith("nodeRegistration.kubeletExtraArgs[0].value: 'many' is not a whole number of 32 bits: kubelet ends")


def test_for_a_node_that_joins_it_is_a_doubt() -> None:
    """The version of its kubelet is known once it is installed."""
    token = "apiServerEndpoint: 'a:6443', token: abcdef.0123456789abcdef, unsafeSkipCAVerification: true"
    given = f"{HEAD}JoinConfiguration\nnodeRegistration: {{kubeletExtraArgs: [{{name: v, value: abc}}]}}\n"
    given += f"discovery: {{bootstrapToken: {{{token}}}}}"
    _, found = resolve_join(loads(given.encode(), "f"), FACTS)
    assert ["'abc' is not a whole number of 0 or more: kubelet ends with it" in one for one in found] == [True]


def test_a_flag_that_went_is_a_problem_once() -> None:
    given = args("apiServer", arg("feature-gates", "NoSuch=true"), arg("cloud-provider", "x"))
    assert len(problems(file(cluster=given, version="v1.33.0"))) == 2


@pytest.mark.parametrize("value", ["9" * 5000, "-" * 100, "٣", "1" + "_" * 90])
def test_numbers_that_are_none(value: str) -> None:
    assert list(refused("kubelet", 34, "max-pods", value))
    assert list(refused("kubelet", 34, "v", value))


def test_types_are_of_flags_that_there_are() -> None:
    for component, flags in types().items():
        missing = set(flags) - set(table()[component])
        assert missing == set(), component
    assert len(types()[ETCD]) > 50
