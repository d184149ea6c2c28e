"""Configurations of all kinds, valid or nearly, as plain values; hypothesis makes them small when something differs."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import strategies as st

from quorate.config.component_fields import children, fields_of
from quorate.config.component_limits import KEYS, LIMITS, Bounds
from quorate.config.component_rules import refusals
from quorate.config.component_values import given_values
from quorate.config.components import VERSIONS
from quorate.config.flag_values import refused, types
from quorate.config.load import loads
from quorate.config.problems import Problems
from quorate.config.render import to_yaml

Values = dict[str, Any]

NAMES = st.sampled_from(["cp1", "node-a", "a.b-c.example", "x9"])
TEXTS = ["v", "2", "false", "a=b", "x,y", "http://h:1/p?q=1", "true", "0.5", "10.8.8.8", "5m", "AllAlpha=false"]
WORDS = st.sampled_from(TEXTS)


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Values]:
    """A mapping with any part of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def _args(names: list[str], old: bool) -> st.SearchStrategy[Any]:
    pairs = st.lists(st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), _read(name))), max_size=4)
    if old:
        return pairs.map(dict)
    return pairs.map(lambda rows: [{"name": name, "value": value} for name, value in rows])


def _read(name: str) -> st.SearchStrategy[str]:
    """Values that no component ends with: kubeadm writes others, too, and quorate does not."""
    return st.sampled_from([text for text in TEXTS if not any(list(refused(one, 34, name, text)) for one in types())])


def _volumes() -> st.SearchStrategy[Any]:
    volume = st.fixed_dictionaries(
        {
            "name": st.sampled_from(["extra", "k8s-certs", "zz"]),
            "hostPath": st.sampled_from(["/opt/x", "/etc/extra"]),
            "mountPath": st.sampled_from(["/opt/x", "/mnt"]),
        },
        optional={"readOnly": st.booleans(), "pathType": st.sampled_from(["File", "DirectoryOrCreate", ""])},
    )
    return st.lists(volume, max_size=3)


def _envs(minor: int) -> st.SearchStrategy[Any]:
    return st.lists(
        st.fixed_dictionaries({"name": st.sampled_from(["A", "HTTPS_PROXY", "B_C"]), "value": WORDS}),
        # Before 1.32 kubeadm's order was a matter of luck.
        max_size=2 if minor >= 32 else 1,
        unique_by=lambda one: one["name"],
    )


def _component(names: list[str], old: bool, minor: int, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Values]:
    fields = {"extraArgs": _args(names, old), "extraVolumes": _volumes(), **more}
    return maybe(**fields) if old else maybe(**fields, extraEnvs=_envs(minor))


def _etcd(old: bool, minor: int) -> st.SearchStrategy[Values]:
    sans = st.lists(st.sampled_from(["etcd.example.org", "10.9.9.9", "*.example.org", "fd00::9"]), max_size=3)
    fields: dict[str, st.SearchStrategy[Any]] = {
        "dataDir": st.sampled_from(["/var/lib/etcd", "/data/etcd"]),
        # Releases before 1.34 and from 1.36 on do not look at the tag, and write flags that other etcds refuse: docs/compat.md.
        "imageTag": st.sampled_from([*(["3.5.10-0"] if minor < 36 else []), *(["3.6.1-0", "latest"] if minor >= 34 else [])]),
        "imageRepository": st.sampled_from(["registry.example.org/k8s", "etcd.example.org:5000"]),
        "extraArgs": _args(["listen-metrics-urls", "snapshot-count", "log-level", "advertise-client-urls"], old),
        "serverCertSANs": sans,
        "peerCertSANs": sans,
    }
    if not old:
        fields["extraEnvs"] = _envs(minor)
    # What extra arguments say must be a URL where kubeadm reads it as one.
    local = maybe(**fields).filter(lambda one: not _bad_metrics(one))
    external = st.fixed_dictionaries(
        {"endpoints": st.lists(st.sampled_from(["https://10.0.0.1:2379", "https://e2:2379"]), min_size=1, unique=True)},
        optional={"caFile": st.just("/etc/etcd/ca.crt")},
    ).flatmap(_with_client_files)
    own = st.fixed_dictionaries({"local": local})
    return st.one_of(own, own, st.fixed_dictionaries({"external": external}))


def _with_client_files(external: Values) -> st.SearchStrategy[Values]:
    if "caFile" not in external:
        return st.just(external)
    both = {**external, "certFile": "/etc/etcd/client/c.crt", "keyFile": "/etc/etcd/client/c.key"}
    return st.sampled_from([external, both])


def _bad_metrics(local: Values) -> bool:
    args = local.get("extraArgs") or []
    names = list(args) if isinstance(args, dict) else [arg["name"] for arg in args]
    return "listen-metrics-urls" in names or "advertise-client-urls" in names


V4_NETS = [("10.96.0.0/12", "10.244.0.0/16"), ("172.20.0.0/16", "172.21.0.0/20"), ("10.96.0.0/16", "")]
V6_NETS = [("fd00:1::/112", "fd00:2::/56"), ("fd00:1::/108", "")]
DUAL = [("10.96.0.0/16,fd00:1::/112", "10.244.0.0/16,fd00:2::/56")]


@st.composite
def init_files(draw: st.DrawFn, version: str, api: str) -> tuple[str, Values]:
    """The text of a file for `init`, and its ClusterConfiguration. `api`: v1beta3 or v1beta4."""
    minor, old = int(version.split(".")[1]), api == "v1beta3"
    v6 = draw(st.integers(0, 5)) == 0
    address = "fd00:7::11" if v6 else draw(st.sampled_from(["10.77.0.11", "192.168.7.3"]))
    services, pods = draw(st.sampled_from(V6_NETS if v6 else [*V4_NETS, *DUAL]))
    networking: Values = {"serviceSubnet": services, **({"podSubnet": pods} if pods else {})}
    if draw(st.booleans()):
        networking["dnsDomain"] = "corp.local"
    cluster: Values = {
        "apiVersion": f"kubeadm.k8s.io/{api}",
        "kind": "ClusterConfiguration",
        "kubernetesVersion": version,
        "networking": networking,
        **draw(
            maybe(
                controlPlaneEndpoint=st.sampled_from(["lb.example.org:7443", "lb.example.org", "10.1.1.1:6443", "10.1.1.1"]),
                clusterName=st.sampled_from(["kubernetes", "prod"]),
                imageRepository=st.sampled_from(["registry.k8s.io", "mirror.example.org/k8s"]),
                certificatesDir=st.sampled_from(["/etc/kubernetes/pki", "/etc/kubernetes/certs"]),
                dns=maybe(imageRepository=st.just("dns.example.org"), imageTag=st.just("v9.9.9")),
                apiServer=_component(
                    ["audit-log-path", "v", "enable-admission-plugins", "feature-gates", "allow-privileged"],
                    old,
                    minor,
                    certSANs=st.lists(st.sampled_from(["API.example.org", "10.3.3.3", "b.c", "*.wild.org"]), max_size=3),
                ),
                controllerManager=_component(
                    ["concurrent-gc-syncs", "v", "bind-address", "flex-volume-plugin-dir"], old, minor
                ),
                scheduler=_component(["v", "bind-address", "profiling"], old, minor),
                etcd=_etcd(old, minor),
            )
        ),
    }
    cluster.update(_algorithm(draw, old))
    registration = draw(
        maybe(
            criSocket=st.just("unix:///run/other.sock"),
            kubeletExtraArgs=_args(["node-ip", "v", "cert-dir", "max-pods"], old),
            imagePullPolicy=st.sampled_from(["Always", "Never", "IfNotPresent"]),
            taints=st.just([]),
        )
    )
    init: Values = {
        "apiVersion": f"kubeadm.k8s.io/{api}",
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": address, **draw(maybe(bindPort=st.just(7443)))},
        "nodeRegistration": {"name": draw(NAMES), **registration},
    }
    if not old:
        init.update(draw(maybe(timeouts=maybe(controlPlaneComponentHealthCheck=st.sampled_from(["4m0s", "1m", "95s"])))))
    documents = [init, cluster]
    if draw(st.booleans()):
        documents.append(
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                **draw(
                    maybe(
                        maxPods=st.just(77),
                        failSwapOn=st.just(False),
                        cgroupDriver=st.just("cgroupfs"),
                        evictionHard=st.just({"memory.available": "1Mi"}),
                        clusterDNS=st.just(["10.96.0.99"]),
                        healthzPort=st.just(10999),
                        syncFrequency=st.just("30s"),
                        authentication=st.just({"webhook": {"cacheTTL": "1m0s"}}),
                    )
                ),
            }
        )
    return "---\n".join(yaml.safe_dump(one) for one in documents), cluster


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.sampled_from(["", "a", "y", "1e3", "0.0.0.0", "a: b"]),
    "bool": st.booleans(),
    "duration": st.sampled_from(["0s", "90s", "1h30m", "500ms", "5m"]),
    "nanoseconds or duration": st.sampled_from([0, 5_000_000_000, "5s", "1m"]),
    "quantity": st.sampled_from(["0", "1024Ki", "0.5", "1000m", "1.5Gi", "1e3", 5, 1000, "100Mi", "0.5Ki", "2000k"]),
    "time": st.just("2026-01-02T15:04:05Z"),
}


def component_of(kind: str, minor: int) -> st.SearchStrategy[Values]:
    """Some of the fields that a KubeletConfiguration or a KubeProxyConfiguration has in a minor, by their types."""
    return _object(kind, minor, "").map(
        lambda fields: {"apiVersion": VERSIONS[kind], "kind": kind, **_taken(kind, minor, fields)}
    )


def _taken(kind: str, minor: int, fields: Values) -> Values:
    """The fields without those with which a component would end: kubeadm writes these, too, and quorate does not."""
    text = to_yaml({"apiVersion": VERSIONS[kind], "kind": kind, **fields})
    given = given_values(loads(text.encode(), "f").documents[kind], kind, minor, Problems("f"))
    wrong = {path.partition(".")[0].partition("[")[0] for path, _ in refusals(kind, given, minor)}
    return _taken(kind, minor, {name: one for name, one in fields.items() if name not in wrong}) if wrong else fields


def _object(kind: str, minor: int, path: str) -> st.SearchStrategy[Values]:
    inside = f"{path}." if path else ""
    known = fields_of(kind, minor)
    return maybe(
        **{name: _value(kind, minor, inside + name, known[inside + name].type) for name in children(kind, minor, path)}
    )


def _value(kind: str, minor: int, path: str, of: str) -> st.SearchStrategy[Any]:
    if of == "object":
        return _object(kind, minor, path)
    limit = LIMITS[kind].get(path)
    if isinstance(limit, Bounds):
        return st.just(limit.least) if isinstance(limit.least, str) else st.just(int(max(limit.least, 1)))
    words = next((one.words for one in limit or () if one.since <= minor <= one.until), ())
    if words:
        return st.sampled_from(words)
    if of.startswith("map[]"):
        names = next(
            (one.words for one in KEYS.get(kind, {}).get(path, ()) if one.since <= minor <= one.until), ("a", "memory")
        )
        return st.dictionaries(st.sampled_from(names), _value(kind, minor, f"{path}[]", of[5:]), max_size=2)
    if of.startswith("[]"):
        return st.lists(_value(kind, minor, f"{path}[]", of[2:]), max_size=2)
    return SCALARS.get(of, st.sampled_from([0, 1, 77, 5.0]))


def _algorithm(draw: st.DrawFn, old: bool) -> Values:
    """Mostly elliptic curves: RSA keys are slow to make."""
    if old:
        return {"featureGates": {"PublicKeysECDSA": True}}
    more: Values = {"encryptionAlgorithm": "ECDSA-P256"}
    return {**more, **draw(maybe(certificateValidityPeriod=st.just("48h"), caCertificateValidityPeriod=st.just("96h0m0s")))}
