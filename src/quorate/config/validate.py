"""Validates a configuration after its defaults: every rule of kubeadm, and our stricter ones (docs/compat.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from quorate.config import gates, rules
from quorate.config import types as v4
from quorate.config.defaults import UNKNOWN
from quorate.config.problems import Problems
from quorate.config.schema import keys
from quorate.config.times import Time
from quorate.config.versions import NEWEST, OLDEST, OLDEST_TESTED, closest, is_label, parse_version
from quorate.errors import ConfigError
from quorate.foreign.numbers import whole
from quorate.foreign.urls import parts_of, without_login

ALGORITHMS = ("ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096")
POLICIES = ("Always", "IfNotPresent", "Never")
USAGES = ("signing", "authentication")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
UNMOUNT_FLAGS = ("MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW")
_MOST_SERVICE_BITS = 20
_WHOLE_COMMAND = (
    "'quorate token create --print-join-command' on a control-plane node prints the whole command, with a token and the hash"
)
_NO_ROUTE = "this host has no default route, and so no address by itself: give this, or --apiserver-advertise-address"
_LEAST_SERVICE_ADDRESSES, _LEAST_POD_ADDRESSES = 10, 14


def check_init(config: v4.InitConfiguration, problems: Problems) -> None:
    for number, token in enumerate(config.bootstrap_tokens):
        check_token(token, f"bootstrapTokens[{number}]", problems)
    check_registration(config.node_registration, "nodeRegistration", problems)
    check_api_endpoint(config.local_api_endpoint, "localAPIEndpoint", problems)
    _if_given(config.certificate_key, rules.certificate_key, "certificateKey", problems)
    _check_timeouts(config.timeouts, problems)


def _apply(rule: Callable[[str], str | None], text: str, path: str, problems: Problems) -> None:
    why = rule(text)
    if why is not None:
        problems.add(path, why)


def _if_given(text: str, rule: Callable[[str], str | None], path: str, problems: Problems) -> None:
    if text:
        _apply(rule, text, path, problems)


def _one_of(text: str, choices: Iterable[str], path: str, problems: Problems) -> None:
    known = tuple(choices)
    if text not in known:
        problems.add(path, f"{text!r} is none of {', '.join(known)}")


def check_token(token: v4.BootstrapToken, path: str, problems: Problems) -> None:
    _apply(rules.token, token.token, f"{path}.token", problems)
    if token.ttl is not None and token.expires:
        problems.add(path, "ttl and expires exclude each other")
    if token.expires is not None and not _is_storable(token.expires):
        problems.add(f"{path}.expires", f"{token.expires or 'this'} is a year that the cluster cannot read: 0001 to 9999")
    if token.ttl is not None and token.ttl < 0:
        problems.add(f"{path}.ttl", "this cannot be negative")
    for number, usage in enumerate(token.usages):
        _one_of(usage, USAGES, f"{path}.usages[{number}]", problems)
    if token.groups and "authentication" not in token.usages:
        problems.add(f"{path}.groups", "groups need the usage authentication")
    for number, group in enumerate(token.groups):
        _apply(rules.token_group, group, f"{path}.groups[{number}]", problems)


def _is_storable(time: Time) -> bool:
    """Returns whether a token can end then. 9999-12-31T23:59:59-01:00 is written with the year 10000, which no controller
    reads: it takes the token for one that has expired. The zero time would be no end at all."""
    return time.is_readable and not time.startswith("0000")


def check_registration(given: v4.NodeRegistration, path: str, problems: Problems) -> None:
    if not given.name:
        problems.add(f"{path}.name", "a node needs a name")
    else:
        _apply(rules.subdomain, given.name, f"{path}.name", problems)
    _apply(rules.socket, given.cri_socket, f"{path}.criSocket", problems)
    _one_of(given.image_pull_policy, POLICIES, f"{path}.imagePullPolicy", problems)
    _check_args(given.kubelet_extra_args, f"{path}.kubeletExtraArgs", problems)
    _check_ignored(given.ignore_preflight_errors, f"{path}.ignorePreflightErrors", problems)
    for number, taint in enumerate(given.taints or ()):
        if not taint.key:
            problems.add(f"{path}.taints[{number}].key", "a taint needs a key")
        _one_of(taint.effect, EFFECTS, f"{path}.taints[{number}].effect", problems)


def _check_ignored(names: tuple[str, ...], path: str, problems: Problems) -> None:
    if len(names) > 1 and "all" in (name.lower() for name in names):
        problems.add(path, "'all' must be the only entry: it includes the others")


def _check_args(given: tuple[v4.Arg, ...], path: str, problems: Problems) -> None:
    for number, arg in enumerate(given):
        if not arg.name:
            problems.add(f"{path}[{number}].name", "an argument needs a name")


def check_known(given: v4.APIEndpoint, path: str, problems: Problems) -> None:
    """Checks that it is known where others reach an API server that is going to be started."""
    if given.advertise_address == UNKNOWN:
        problems.add(f"{path}.advertiseAddress", _NO_ROUTE)


def check_api_endpoint(given: v4.APIEndpoint, path: str, problems: Problems) -> None:
    if given.advertise_address != UNKNOWN:
        _apply(rules.advertised, given.advertise_address, f"{path}.advertiseAddress", problems)
    why = rules.port(given.bind_port)
    if why is not None:
        problems.add(f"{path}.bindPort", why)


def _check_timeouts(given: v4.Timeouts | None, problems: Problems) -> None:
    for key, info in keys(v4.Timeouts).items() if given is not None else ():
        value = getattr(given, info.name)
        if value is not None and value <= 0:
            problems.add(f"timeouts.{key}", f"{value}: a timeout must be longer than 0s")


def check_cluster(config: v4.ClusterConfiguration, problems: Problems) -> list[str]:
    """Adds problems to `problems`; returns notes for the user."""
    notes = _check_version(config, problems)
    _if_given(config.control_plane_endpoint, rules.endpoint, "controlPlaneEndpoint", problems)
    _check_networking(config, problems)
    _apply(rules.absolute, config.certificates_dir, "certificatesDir", problems)
    _apply(rules.repository, config.image_repository, "imageRepository", problems)
    _one_of(config.encryption_algorithm, ALGORITHMS, "encryptionAlgorithm", problems)
    for number, name in enumerate(config.api_server.cert_sans):
        _apply(rules.alternative_name, name, f"apiServer.certSANs[{number}]", problems)
    for path, args in _component_args(config):
        _check_args(args, f"{path}.extraArgs", problems)
    _check_etcd(config.etcd, problems)
    _check_validity(config, problems)
    return notes


def _component_args(config: v4.ClusterConfiguration) -> list[tuple[str, tuple[v4.Arg, ...]]]:
    return [
        ("apiServer", config.api_server.extra_args),
        ("controllerManager", config.controller_manager.extra_args),
        ("scheduler", config.scheduler.extra_args),
    ]


def _check_version(config: v4.ClusterConfiguration, problems: Problems) -> list[str]:
    text = config.kubernetes_version
    why = _version_label(text) if is_label(text) else _unknown_version(text)
    if why is not None:
        minor = parse_version(closest(text)).minor
        problems.add("kubernetesVersion", f"{why}. Until then, the rest is checked as of 1.{minor}")
        gates.check(config.feature_gates, minor, problems)
        return []
    minor = parse_version(text).minor
    notes = gates.check(config.feature_gates, minor, problems)
    if minor < OLDEST_TESTED:
        notes.append(f"Kubernetes 1.{minor} is untested: 1.{OLDEST_TESTED} to 1.{NEWEST} are tested")
    return notes


def _version_label(text: str) -> str:
    return f"{text!r} is a label that only a server can resolve: name the version, such as {closest(text)}"


def _check_networking(config: v4.ClusterConfiguration, problems: Problems) -> None:
    given = config.networking
    _apply(rules.subdomain, given.dns_domain, "networking.dnsDomain", problems)
    services = _networks(given.service_subnet, "networking.serviceSubnet", _LEAST_SERVICE_ADDRESSES, problems)
    for network in services:
        if network.max_prefixlen - network.prefixlen > _MOST_SERVICE_BITS:
            problems.add("networking.serviceSubnet", f"{network} is too large: at most {_MOST_SERVICE_BITS} bits for addresses")
    if given.pod_subnet:
        pods = _networks(given.pod_subnet, "networking.podSubnet", _LEAST_POD_ADDRESSES, problems)
        _check_node_masks(config, pods, problems)


def _networks(text: str, path: str, least: int, problems: Problems) -> list[rules.Network]:
    try:
        found = rules.networks(text)
    except ValueError as error:
        problems.add(path, str(error))
        return []
    for network in found:
        if network.num_addresses < least:
            problems.add(path, f"{network} has {network.num_addresses} addresses: {least} at least")
    return found


def _check_node_masks(config: v4.ClusterConfiguration, pods: list[rules.Network], problems: Problems) -> None:
    """Checks that each node can get a part of the pods' network, unless the controller manager allocates none."""
    args = {arg.name: arg.value for arg in config.controller_manager.extra_args}
    if args.get("allocate-node-cidrs") == "false":
        return
    for network in pods:
        family, usual = ("ipv4", "24") if network.version == 4 else ("ipv6", "64")
        text = args.get(f"node-cidr-mask-size-{family}", args.get("node-cidr-mask-size", usual) if len(pods) == 1 else usual)
        mask = -1 if (number := whole(text, 128)) is None else number
        if network.prefixlen > mask:
            problems.add("networking.podSubnet", f"{network} is smaller than the /{text} that each node gets of it")
        elif mask - network.prefixlen > 16:
            problems.add("networking.podSubnet", f"{network} has room for more than 65536 nodes of /{text}")


def _check_etcd(given: v4.Etcd, problems: Problems) -> None:
    if given.local is not None and given.external is not None:
        problems.add("etcd", "local and external exclude each other")
    if given.local is not None:
        _apply(rules.absolute, given.local.data_dir, "etcd.local.dataDir", problems)
        _check_args(given.local.extra_args, "etcd.local.extraArgs", problems)
        for kind, names in (("serverCertSANs", given.local.server_cert_sans), ("peerCertSANs", given.local.peer_cert_sans)):
            for number, name in enumerate(names):
                _apply(rules.alternative_name, name, f"etcd.local.{kind}[{number}]", problems)
        _if_given(given.local.image_repository, rules.repository, "etcd.local.imageRepository", problems)
    if given.external is not None:
        _check_external(given.external, problems)


def _check_external(given: v4.ExternalEtcd, problems: Problems) -> None:
    path = "etcd.external"
    if not given.endpoints:
        problems.add(f"{path}.endpoints", "an external etcd needs at least one endpoint")
    if bool(given.cert_file) != bool(given.key_file):
        problems.add(path, "certFile and keyFile must be given together")
    if given.cert_file and not given.ca_file:
        problems.add(f"{path}.caFile", "a client certificate needs the CA of the servers")
    for name, value in (("caFile", given.ca_file), ("certFile", given.cert_file), ("keyFile", given.key_file)):
        _if_given(value, rules.absolute, f"{path}.{name}", problems)
    secure = bool(given.ca_file or given.cert_file or given.key_file)
    rows = [(f"{path}.endpoints[{number}]", text) for number, text in enumerate(given.endpoints)]
    rows += [(f"{path}.httpEndpoints[{number}]", text) for number, text in enumerate(given.http_endpoints)]
    for where, text in rows:
        why = rules.etcd_endpoint(text)
        if why is None and secure and parts_of(text).scheme != "https":
            why = f"{without_login(text)!r} must be https when certificates are given"
        if why is not None:
            problems.add(where, why)


def _check_validity(config: v4.ClusterConfiguration, problems: Problems) -> None:
    for path, value in (
        ("certificateValidityPeriod", config.certificate_validity_period),
        ("caCertificateValidityPeriod", config.ca_certificate_validity_period),
    ):
        if value is not None and value <= 0:
            problems.add(path, "this must be longer than 0s")


def check_join(config: v4.JoinConfiguration, problems: Problems) -> None:
    check_registration(config.node_registration, "nodeRegistration", problems)
    if not config.ca_cert_path.startswith("/") or not config.ca_cert_path.endswith(".crt"):
        problems.add("caCertPath", f"{config.ca_cert_path!r} is not the absolute path of a .crt file")
    _check_discovery(config.discovery, problems)
    if config.control_plane is not None:
        check_api_endpoint(config.control_plane.local_api_endpoint, "controlPlane.localAPIEndpoint", problems)
        _if_given(config.control_plane.certificate_key, rules.certificate_key, "controlPlane.certificateKey", problems)
    _check_timeouts(config.timeouts, problems)


def _check_discovery(given: v4.Discovery, problems: Problems) -> None:
    token, file = given.bootstrap_token, given.file
    if (token is None) == (file is None):
        problems.add("discovery", "give exactly one of bootstrapToken and file")
    if token is not None and not token.token:
        problems.add("discovery.bootstrapToken.token", f"a token is missing: {_WHOLE_COMMAND}")
        _check_discovery_endpoint(token.api_server_endpoint, "discovery.bootstrapToken.apiServerEndpoint", problems)
    elif token is not None:
        path = "discovery.bootstrapToken"
        _apply(rules.token, token.token, f"{path}.token", problems)
        _check_discovery_endpoint(token.api_server_endpoint, f"{path}.apiServerEndpoint", problems)
        if not token.ca_cert_hashes and not token.unsafe_skip_ca_verification:
            problems.add(
                f"{path}.caCertHashes",
                "without the hash of the cluster's CA any server could answer: give the hash, or accept that risk "
                "(unsafeSkipCAVerification, --discovery-token-unsafe-skip-ca-verification)",
            )
        for number, pin in enumerate(token.ca_cert_hashes):
            if not _is_pin(pin):
                problems.add(f"{path}.caCertHashes[{number}]", f"{pin!r} is not of the form sha256:HEX")
    if given.tls_bootstrap_token and (token is None or given.tls_bootstrap_token != token.token):
        # --token gives both: one problem is not two. A discovery file may bring credentials of its own, and needs none.
        _apply(rules.token, given.tls_bootstrap_token, "discovery.tlsBootstrapToken", problems)
    if file is not None:
        _apply(rules.https_file, file.kube_config_path, "discovery.file.kubeConfigPath", problems)


def _check_discovery_endpoint(text: str, path: str, problems: Problems) -> None:
    _apply(rules.discovery_endpoint, text, path, problems)


def _is_pin(text: str) -> bool:
    kind, _, digest = text.partition(":")
    return kind.lower() == "sha256" and len(digest) == 64 and all(char in "0123456789abcdef" for char in digest.lower())


def check_reset(config: v4.ResetConfiguration, problems: Problems) -> None:
    _apply(rules.socket, config.cri_socket, "criSocket", problems)
    _apply(rules.absolute, config.certificates_dir, "certificatesDir", problems)
    _check_ignored(config.ignore_preflight_errors, "ignorePreflightErrors", problems)
    for number, flag in enumerate(config.unmount_flags):
        _one_of(flag, UNMOUNT_FLAGS, f"unmountFlags[{number}]", problems)
    _check_timeouts(config.timeouts, problems)


def check_upgrade(config: v4.UpgradeConfiguration, problems: Problems) -> None:
    for name, version in (
        ("apply", config.apply.kubernetes_version),
        ("diff", config.diff.kubernetes_version),
        ("plan", config.plan.kubernetes_version),
    ):
        if version and not is_label(version) and (why := _unknown_version(version)) is not None:
            problems.add(f"{name}.kubernetesVersion", why)
    for name, policy in (("apply", config.apply.image_pull_policy), ("node", config.node.image_pull_policy)):
        _one_of(policy, POLICIES, f"{name}.imagePullPolicy", problems)
    for name, ignored in (
        ("apply", config.apply.ignore_preflight_errors),
        ("node", config.node.ignore_preflight_errors),
        ("plan", config.plan.ignore_preflight_errors),
    ):
        _check_ignored(ignored, f"{name}.ignorePreflightErrors", problems)
    _check_timeouts(config.timeouts, problems)


def _unknown_version(text: str) -> str | None:
    """Returns why a text is no supported version; None when it is one."""
    try:
        minor = parse_version(text).minor
    except ConfigError as error:
        return f"{error.what}: {error.own_advice}" if error.own_advice else error.what
    if not OLDEST <= minor <= NEWEST:
        return f"1.{minor} is not supported: 1.{OLDEST} to 1.{NEWEST} are"
    return None
