"""Applies flags to a configuration, as kubeadm does. Without a file the flags are the configuration; with one, few of them
are allowed."""

from __future__ import annotations

import os
import re
from typing import Any, TypeVar

from msgspec.structs import replace

from quorate.cli.common import durations
from quorate.cli.kubeadm.flags import Given
from quorate.config import types as v4
from quorate.config.duration import Duration
from quorate.errors import ConfigError

T = TypeVar("T")

_BESIDE_A_FILE = frozenset(
    {
        "abandon-etcd-member",
        "allow-missing-template-keys",
        "config",
        "cri-socket",
        "dry-run",
        "form",
        "force",
        "ignore-preflight-errors",
        "keep-on-failure",
        "kubeconfig",
        "kubeconfig-dir",
        "log-file",
        "node-name",
        "occupy-the-seat",
        "print-join-command",
        "print-manifest",
        "rootfs",
        "show-managed-fields",
        "standby",
        "upload-certs",
    }
)
_JOIN_BESIDE_A_FILE = frozenset({"control-plane"})


def check_mix(given: Given) -> None:
    """Raises `ConfigError` when --config is given together with flags that belong in the file."""
    if not given.text("config"):
        return
    wrong = sorted(name for name in given.names() - _BESIDE_A_FILE - _JOIN_BESIDE_A_FILE if not name.startswith("skip-"))
    if wrong:
        raise ConfigError(
            f"--config cannot be mixed with {', '.join('--' + name for name in wrong)}",
            state="nothing was changed",
            advice="set these in the file, or leave out --config",
        )


def _set(value: T, **changes: Any) -> T:
    """Returns `value` with those changes that are not empty."""
    wanted = {name: new for name, new in changes.items() if new not in ("", (), None, 0, {})}
    return replace(value, **wanted) if wanted else value  # type: ignore[type-var]


def overlay_init(init: v4.InitConfiguration, given: Given) -> v4.InitConfiguration:
    """Returns the configuration with the flags applied. Raises `ConfigError`."""
    return _set(
        init,
        node_registration=_registration(init.node_registration, given),
        local_api_endpoint=_endpoint(init.local_api_endpoint, given),
        certificate_key=given.text("certificate-key"),
        skip_phases=given.words("skip-phases"),
        patches=v4.Patches(given.text("patches")) if given.text("patches") else None,
        bootstrap_tokens=_tokens(init, given),
    )


def _tokens(init: v4.InitConfiguration, given: Given) -> tuple[v4.BootstrapToken, ...]:
    if not given.text("token") and not given.text("token-ttl"):
        return ()
    first = init.bootstrap_tokens[0] if init.bootstrap_tokens else v4.BootstrapToken()
    ttl = duration(given, "token-ttl")
    # A lifetime of 0 means for ever: it must not be taken for "not given".
    return (replace(_set(first, token=given.text("token")), ttl=first.ttl if ttl is None else ttl),)


def duration(given: Given, flag: str) -> Duration | None:
    """Returns the duration of a flag, or None if it was not given. Raises `ConfigError` for an invalid one."""
    text = given.text(flag)
    if not text:
        return None
    try:
        return durations.parse(text)
    except ValueError as error:
        raise ConfigError(f"--{flag}: {error}") from None


def _registration(old: v4.NodeRegistration, given: Given) -> v4.NodeRegistration:
    ignored = old.ignore_preflight_errors + given.words("ignore-preflight-errors")
    return _set(
        old,
        name=given.text("node-name"),
        cri_socket=given.text("cri-socket"),
        ignore_preflight_errors=tuple(dict.fromkeys(name.lower() for name in ignored)),
    )


def _endpoint(old: v4.APIEndpoint, given: Given) -> v4.APIEndpoint:
    return _set(
        old,
        advertise_address=given.text("apiserver-advertise-address"),
        bind_port=given.values.get("apiserver_bind_port", 0),
    )


def overlay_cluster(cluster: v4.ClusterConfiguration, given: Given) -> v4.ClusterConfiguration:
    """Returns the configuration with the flags applied. Raises `ConfigError`."""
    networking = _set(
        cluster.networking,
        service_subnet=given.text("service-cidr"),
        pod_subnet=given.text("pod-network-cidr"),
        dns_domain=given.text("service-dns-domain"),
    )
    return _set(
        cluster,
        networking=networking,
        kubernetes_version=given.text("kubernetes-version"),
        control_plane_endpoint=given.text("control-plane-endpoint"),
        certificates_dir=given.text("cert-dir"),
        image_repository=given.text("image-repository"),
        api_server=_set(
            cluster.api_server,
            cert_sans=given.words("apiserver-cert-extra-sans"),
            extra_args=_extra_args(given, "apiserver-extra-args"),
        ),
        controller_manager=_set(cluster.controller_manager, extra_args=_extra_args(given, "controller-manager-extra-args")),
        scheduler=_set(cluster.scheduler, extra_args=_extra_args(given, "scheduler-extra-args")),
        feature_gates=feature_gates(given),
    )


def _extra_args(given: Given, flag: str) -> tuple[v4.Arg, ...]:
    """Returns the NAME=VALUE pairs of a flag. A comma separates only where a name follows it. Raises `ConfigError`."""
    parts = re.split(r",(?=[A-Za-z0-9-]+=)", given.text(flag)) if given.text(flag) else []
    wrong = [part for part in parts if "=" not in part]
    if wrong:
        raise ConfigError(f"--{flag}: {wrong[0]!r} is not of the form NAME=VALUE")
    return tuple(v4.Arg(name, value) for name, _, value in (part.partition("=") for part in parts))


def feature_gates(given: Given) -> dict[str, bool]:
    """Returns the feature gates. Raises `ConfigError` for anything but NAME=true|false."""
    found: dict[str, bool] = {}
    for part in filter(None, given.text("feature-gates").split(",")):
        name, _, value = part.partition("=")
        if value.lower() not in ("true", "false"):
            raise ConfigError(f"--feature-gates: {part!r} is not of the form NAME=true or NAME=false")
        found[name.strip()] = value.lower() == "true"
    return found


def overlay_join(join: v4.JoinConfiguration, given: Given, endpoint: str) -> v4.JoinConfiguration:
    """Returns the configuration with the flags applied. `endpoint`: the positional argument, the address of the API server."""
    return _set(
        join,
        node_registration=_registration(join.node_registration, given),
        discovery=_discovery(join.discovery, given, endpoint),
        control_plane=_control_plane(join.control_plane, given),
        skip_phases=given.words("skip-phases"),
        patches=v4.Patches(given.text("patches")) if given.text("patches") else None,
    )


def without_discovery(join: v4.JoinConfiguration | None, token: str) -> v4.JoinConfiguration | None:
    """Returns the configuration with a discovery that is never run, if it has none: validation requires one, but a kubeconfig
    on this host takes its place."""
    if join is None or join.discovery.bootstrap_token is not None or join.discovery.file is not None:
        return join
    never = v4.BootstrapTokenDiscovery(token, "localhost:6443", (), unsafe_skip_ca_verification=True)
    return replace(join, discovery=v4.Discovery(never))


def _control_plane(old: v4.JoinControlPlane | None, given: Given) -> v4.JoinControlPlane | None:
    if old is None and not given.on("control-plane"):
        return None
    base = old or v4.JoinControlPlane()
    endpoint = _endpoint(base.local_api_endpoint, given)
    return _set(base, local_api_endpoint=endpoint, certificate_key=given.text("certificate-key"))


def _discovery(old: v4.Discovery, given: Given, endpoint: str) -> v4.Discovery:
    token = given.text("discovery-token") or given.text("token")
    pins, unsafe = given.words("discovery-token-ca-cert-hash"), given.on("discovery-token-unsafe-skip-ca-verification")
    bootstrap = old.bootstrap_token
    if endpoint or token or pins or unsafe:
        bootstrap = _set(
            bootstrap or v4.BootstrapTokenDiscovery(),
            token=token,
            api_server_endpoint=endpoint,
            ca_cert_hashes=pins,
            unsafe_skip_ca_verification=unsafe or None,
        )
    file = v4.FileDiscovery(_file_or_url(given)) if given.text("discovery-file") else None
    own = given.text("tls-bootstrap-token") or given.text("token")
    return _set(old, bootstrap_token=bootstrap, file=file, tls_bootstrap_token=own)


def _file_or_url(given: Given) -> str:
    """Returns --discovery-file; a relative path is meant from the working directory, unless it is below another root."""
    named = given.text("discovery-file")
    return named if "://" in named or given.text("rootfs") else os.path.abspath(named)


def overlay_reset(reset: v4.ResetConfiguration, given: Given) -> v4.ResetConfiguration:
    """Returns the configuration with the flags applied."""
    ignored = reset.ignore_preflight_errors + given.words("ignore-preflight-errors")
    return _set(
        reset,
        certificates_dir=given.text("cert-dir"),
        cri_socket=given.text("cri-socket"),
        cleanup_tmp_dir=given.on("cleanup-tmp-dir") or None,
        force=given.on("force") or None,
        ignore_preflight_errors=tuple(dict.fromkeys(name.lower() for name in ignored)),
        skip_phases=given.words("skip-phases"),
    )
