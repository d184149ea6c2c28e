"""What kubeadm lets pass and the components refuse; what would give one node's value to all."""

from __future__ import annotations

import json

import pytest

from quorate.config.component_flags import gone, unknown
from quorate.config.load import loads
from quorate.config.printing import placeholders
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import resolve_any, resolve_init, resolve_to_start

FACTS = placeholders("v1.34.4", "cp1")
HEAD = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: "
INIT, CLUSTER = HEAD + "InitConfiguration", HEAD + "ClusterConfiguration"
KUBELET = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration"
PROXY = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration"


def file(init: str = "", cluster: str = "", kubelet: str = "", proxy: str = "", version: str = "v1.34.4") -> bytes:
    parts = [f"{INIT}\n{init}", f"{CLUSTER}\nkubernetesVersion: {version}\n{cluster}"]
    parts += [f"{KUBELET}\n{kubelet}"] if kubelet else []
    parts += [f"{PROXY}\n{proxy}"] if proxy else []
    return "\n---\n".join(parts).encode()


def arg(name: str, value: object) -> str:
    return f"{{name: {name}, value: {json.dumps(str(value))}}}"


def args(part: str, *given: str) -> str:
    inner = f"{{extraArgs: [{', '.join(given)}]}}"
    return f"etcd: {{local: {inner}}}" if part == "etcd" else f"{part}: {inner}"


def problems(content: bytes) -> list[str]:
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(content, "f"), FACTS)
    return [f"{one.path}: {one.text}" for one in error.value.problems]


def notes(content: bytes) -> list[str]:
    return list(resolve_any(loads(content, "f"), FACTS))


def test_a_flag_that_went_is_refused_with_the_last_version_that_has_it() -> None:
    went = args("apiServer", arg("cloud-provider", "external"))
    assert notes(file(cluster=went, version="v1.32.0")) == []
    (found,) = problems(file(cluster=went, version="v1.33.0"))
    where, _, text = found.partition(": ")
    assert where == "apiServer.extraArgs[0].name"
    assert text == "--cloud-provider is no flag of kube-apiserver in Kubernetes 1.33: the last that had it is 1.32"


@pytest.mark.parametrize(
    ("part", "name", "lacking", "having"),
    [
        ("controllerManager", "volume-host-cidr-denylist", "v1.31.0", "v1.30.0"),
        ("controllerManager", "horizontal_pod_autoscaler_downscale_delay", "v1.31.0", "v1.30.0"),
        ("scheduler", "lock-object-name", "v1.28.0", "v1.27.0"),
        ("etcd", "enable-v2", "v1.34.0", "v1.33.0"),
        ("etcd", "experimental-initial-corrupt-check", "v1.37.0", "v1.36.0"),
        ("etcd", "log-package-levels", "v1.30.0", ""),
    ],
)
def test_every_component_and_etcd_by_its_tag(part: str, name: str, lacking: str, having: str) -> None:
    # Read by every type that is known of these.
    given = args(part, arg(name, "1"))
    assert [one.split(":")[0] for one in problems(file(cluster=given, version=lacking))] == [
        f"{'etcd.local' if part == 'etcd' else part}.extraArgs[0].name"
    ]
    assert not having or "is no flag" not in "".join(notes(file(cluster=given, version=having)))


def test_the_flags_of_etcd_follow_the_tag_of_its_image() -> None:
    """A tag that is no version says nothing about flags."""
    given = "etcd: {local: {imageTag: TAG, extraArgs: [{name: enable-v2, value: 'true'}]}}"
    assert problems(file(cluster=given.replace("TAG", "3.6.5-0"), version="v1.31.0"))
    assert not notes(file(cluster=given.replace("TAG", "3.5.24-0")))
    assert not notes(file(cluster=given.replace("TAG", "mine")))


def test_flags_of_a_kubelet() -> None:
    """A join does not know the cluster's version yet: it only warns."""
    registration = "nodeRegistration: {kubeletExtraArgs: [{name: pod-infra-container-image, value: x}]}"
    assert notes(file(registration)) == []
    (found,) = problems(file(registration, version="v1.35.0"))
    assert found.startswith("nodeRegistration.kubeletExtraArgs[0].name: --pod-infra-container-image is no flag of kubelet")
    join = (
        f"{HEAD}JoinConfiguration\n{registration.replace('pod-infra-container-image', 'cloud-config')}\n"
        "discovery: {bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: '127.0.0.1:6443', "
        "unsafeSkipCAVerification: true}}\n"
    )
    (warned,) = resolve_any(loads(join.encode(), "f"), FACTS)
    assert warned.startswith("f:3: nodeRegistration.kubeletExtraArgs[0].name: --cloud-config is no flag of kubelet")


@pytest.mark.parametrize(
    ("part", "name", "like"),
    [
        ("apiServer", "authorisation-mode", "did you mean --authorization-mode?"),
        ("etcd", "quota-backend-byte", "did you mean --quota-backend-bytes?"),
        ("controllerManager", "--bind-address", "an argument is named without dashes in front"),
    ],
)
def test_a_flag_that_no_version_has_is_a_doubt(part: str, name: str, like: str) -> None:
    """It is not refused: components that others built have flags of their own."""
    (note,) = notes(file(cluster=args(part, arg(name, "x"))))
    assert like in note
    assert "extraArgs[0].name" in note


@pytest.mark.parametrize(
    ("part", "name", "last"),
    [
        ("apiServer", "insecure-port", "1.23"),
        ("apiServer", "kubelet-https", "1.21"),
        ("controllerManager", "pod-eviction-timeout", "1.26"),
        ("controllerManager", "port", "1.23"),
        ("scheduler", "address", "1.23"),
        ("scheduler", "policy-config-file", "1.22"),
        ("kubelet", "network-plugin", "1.23"),
        ("kubelet", "container-runtime", "1.26"),
    ],
)
def test_a_flag_that_went_long_ago_is_like_none(part: str, name: str, last: str) -> None:
    cluster = "" if part == "kubelet" else args(part, arg(name, "0"))
    init = f"nodeRegistration: {{kubeletExtraArgs: [{arg(name, '0')}]}}" if part == "kubelet" else ""
    (found,) = problems(file(init, cluster))
    assert found.endswith(f"in Kubernetes 1.34: the last that had it is {last}")


def test_no_flag_of_another_component_that_went_is_like_one_that_is_there() -> None:
    (note,) = notes(file(cluster=args("scheduler", arg("insecure-port", "0"))))
    assert "is not known to have a flag --insecure-port" in note and "did you mean" not in note
    assert "did you mean --secure-port?" in notes(file(cluster=args("scheduler", arg("secure-prt", "0"))))[0]


def test_known_flags_are_not_doubted() -> None:
    given = args(
        "apiServer", arg("v", 4), arg("feature_gates", "AllAlpha=true"), arg("audit-log-mode", "batch"), arg("vmodule", "x=1")
    )
    assert notes(file(cluster=given)) == []
    assert unknown("kubelet", "node-ip") is None
    assert gone("kubelet", 37, "node-ip") is None


def test_address_families() -> None:
    services = "networking: {serviceSubnet: 'fd00::/112,10.96.0.0/16', podSubnet: 'fd01::/48,10.244.0.0/16'}"
    given = file("localAPIEndpoint: {advertiseAddress: 127.1.2.3}", services).replace(b"127.1.2.3", b"10.9.9.9")
    (found,) = problems(given)
    assert found.startswith(
        "localAPIEndpoint.advertiseAddress: 10.9.9.9 is an address of IPv4, and the first service subnet is"
    )
    assert notes(given.replace(b"10.9.9.9", b"'fd09::1'")) == []
    by_flag = file(cluster=f"{services}\n{args('apiServer', arg('advertise-address', 'fd09::1'))}")
    assert len(notes(by_flag)) == 1, "only that it is one node's address"


V6 = "localAPIEndpoint: {advertiseAddress: 'fd09::1'}"


@pytest.mark.parametrize(
    ("init", "cluster"),
    [
        ("localAPIEndpoint: {advertiseAddress: '::ffff:10.9.9.9'}", ""),
        (V6, args("apiServer", arg("service-cluster-ip-range", "fd00:1::/112"))),
        (V6, args("apiServer", arg("endpoint-reconciler-type", "none"))),
    ],
    ids=["IPv4 written as IPv6", "services by a flag", "no endpoint of the API server"],
)
def test_families_as_the_api_server_sees_them(init: str, cluster: str) -> None:
    """Each of these was refused, and the real kube-apiserver takes them."""
    assert notes(file(init, cluster)) == []


def test_this_hosts_address_counts_where_the_node_is_started_and_not_where_a_file_is_checked() -> None:
    given = loads(file(cluster="networking: {serviceSubnet: 'fd00::/112'}"), "f")
    assert list(resolve_any(given, FACTS)) == []
    resolve_init(given, FACTS)
    with pytest.raises(InvalidConfig, match="is an address of IPv4"):
        resolve_to_start(given, FACTS)


def test_services_without_pods_of_their_family() -> None:
    (note,) = notes(file(cluster="networking: {serviceSubnet: '10.96.0.0/16,fd00::/112', podSubnet: 10.244.0.0/16}"))
    assert "networking.podSubnet: there is no subnet of IPv6" in note


ONE_NODE = {
    "apiServer: advertise-address=10.0.0.1": True,
    "apiServer: bind-address=10.0.0.1": True,
    "apiServer: bind-address=0.0.0.0": False,
    "controllerManager: bind-address=127.0.0.1": False,
    "scheduler: bind-address=::": False,
    "etcd: name=cp1": True,
    "etcd: initial-cluster=cp1=https://10.0.0.1:2380": True,
    "etcd: advertise-client-urls=https://10.0.0.1:2379": True,
    "etcd: listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379": True,
    "etcd: listen-client-urls=https://0.0.0.0:2379": False,
    "etcd: listen-metrics-urls=http://0.0.0.0:2381": False,
    "etcd: listen-metrics-urls=http://[::1]:2381": False,
    "etcd: listen-metrics-urls=http://[fd00::1]:2381": True,
    "etcd: election-timeout=5000": False,
}


@pytest.mark.parametrize(("given", "is_named"), ONE_NODE.items(), ids=list(ONE_NODE))
def test_the_value_of_one_node_for_all(given: str, is_named: bool) -> None:
    part, _, rest = given.partition(": ")
    name, _, value = rest.partition("=")
    found = notes(file(cluster=args(part, arg(name, value))))
    assert [f"--{name} gives all nodes the value of one" in one for one in found] == [True] * is_named


@pytest.mark.parametrize(
    ("kubelet", "proxy", "path"),
    [
        ("address: 10.0.0.1", "", "address"),
        ("providerID: aws:///x/i-1", "", "providerID"),
        ("address: 0.0.0.0", "", ""),
        ("", "hostnameOverride: cp1", "hostnameOverride"),
        ("", "bindAddress: 10.0.0.1", "bindAddress"),
        ("", "metricsBindAddress: 0.0.0.0:10249", ""),
        ("", "metricsBindAddress: '[fd00::1]:10249'", "metricsBindAddress"),
        ("", "healthzBindAddress: 10.0.0.1:10256", "healthzBindAddress"),
    ],
)
def test_fields_with_the_value_of_one_node(kubelet: str, proxy: str, path: str) -> None:
    found = notes(file(kubelet=kubelet, proxy=proxy))
    assert [one.split(": ")[1] for one in found] == ([path] if path else [])


CLASHES = {
    "localAPIEndpoint: {bindPort: 2379}": "bindPort: port 2379 is that of kube-apiserver and of etcd for clients",
    "localAPIEndpoint: {bindPort: 10250}": "port 10250 is that of kube-apiserver and of the kubelet",
    "localAPIEndpoint: {bindPort: 10257}": "port 10257 is that of kube-apiserver and of kube-controller-manager",
    "localAPIEndpoint: {bindPort: 10249}": "port 10249 is that of kube-apiserver and of the metrics of kube-proxy",
    "localAPIEndpoint: {bindPort: 10248}": "port 10248 is that of kube-apiserver and of the health of the kubelet",
    "nodeRegistration: {kubeletExtraArgs: [{name: port, value: '6443'}]}": (
        "nodeRegistration.kubeletExtraArgs[0]: port 6443 is that of the kubelet and of kube-apiserver"
    ),
}


@pytest.mark.parametrize(("init", "text"), CLASHES.items(), ids=list(CLASHES))
def test_ports_of_a_node(init: str, text: str) -> None:
    (found,) = problems(file(init))
    assert text in found


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (file(cluster=args("scheduler", arg("secure-port", 10257))), "scheduler.extraArgs[0]"),
        (file(cluster=args("apiServer", arg("secure-port", 2380))), "apiServer.extraArgs[0]"),
        (
            file(
                "localAPIEndpoint: {advertiseAddress: 10.0.0.1}", args("etcd", arg("listen-peer-urls", "https://0.0.0.0:2379"))
            ),
            "etcd.local.extraArgs[0]",
        ),
        (file(kubelet="healthzPort: 10257"), "healthzPort"),
        (file(kubelet="readOnlyPort: 10250"), "readOnlyPort"),
        (file(kubelet="port: 6443"), "port"),
        (file(proxy="metricsBindAddress: 0.0.0.0:10256"), "metricsBindAddress"),
    ],
)
def test_ports_by_flags_and_configurations(content: bytes, path: str) -> None:
    assert [one.partition(": ")[0] for one in problems(content)] == [path]


BOTH = f"""\
{args("controllerManager", arg("bind-address", "HOST"), arg("secure-port", 10259))}
{args("scheduler", arg("bind-address", "0.0.0.0"))}
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "10.9.9.9"])
def test_all_addresses_of_a_family(host: str) -> None:
    with pytest.raises(InvalidConfig, match="port 10259 is that of kube-controller-manager and of kube-scheduler"):
        resolve_any(loads(file(cluster=BOTH.replace("HOST", host)), "f"), FACTS)


@pytest.mark.parametrize(
    "content",
    [
        file(cluster=args("scheduler", arg("secure-port", 0))),
        file("localAPIEndpoint: {bindPort: 2379}", "etcd: {external: {endpoints: ['https://10.0.0.1:2379']}}"),
        file("localAPIEndpoint: {bindPort: 10249}", "proxy: {disabled: true}"),
        file(cluster=args("etcd", arg("listen-metrics-urls", "http://127.0.0.2:10257"))),
        file(cluster=args("apiServer", arg("secure-port", "0"))),
        file("localAPIEndpoint: {bindPort: 10256}\nskipPhases: [addon/kube-proxy]"),
        file("localAPIEndpoint: {bindPort: 10249}\nskipPhases: [addon]"),
        file(cluster=BOTH.replace("HOST", "::1")),
    ],
)
def test_ports_that_do_not_meet(content: bytes) -> None:
    assert [one for one in notes(content) if "port" in one] == []


def test_lines_of_what_was_found() -> None:
    content = file(cluster="apiServer:\n  extraArgs:\n  - name: cloud-config\n    value: x\n")
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(content, "f"), FACTS)
    (problem,) = error.value.problems
    assert content.decode().splitlines()[problem.line - 1].strip() == "- name: cloud-config"
