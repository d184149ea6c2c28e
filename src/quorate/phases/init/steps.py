"""The functions of init's phases; each takes the run."""

from __future__ import annotations

from functools import partial

from quorate.config.render import to_yaml
from quorate.manifests.control_plane import PODS
from quorate.phases.base.runner import Steps
from quorate.phases.cluster import addon, admins, bootstrap_token, join_command, mark_control_plane, upload_config
from quorate.phases.cluster import upload_certs as certs_secret
from quorate.phases.init.state import InitRun
from quorate.phases.node import certs, kubeconfigs, kubelet_files, static_pods
from quorate.phases.node import checks as node_checks
from quorate.phases.start import kubelet_start as kubelet
from quorate.phases.start import staged_start, wait_healthy

CERTIFICATES = (
    "ca",
    "apiserver",
    "apiserver-kubelet-client",
    "front-proxy-ca",
    "front-proxy-client",
    "etcd-ca",
    "etcd-server",
    "etcd-peer",
    "etcd-healthcheck-client",
    "apiserver-etcd-client",
)
KUBECONFIGS = ("admin", "super-admin", "kubelet", "controller-manager", "scheduler")


def preflight(run: InitRun) -> None:
    run.findings.extend(node_checks.check_init_node(run.context))


def prepare_certs(run: InitRun) -> None:
    certs.prepare(run.context)


def certificate(run: InitRun, name: str) -> None:
    certs.ensure_named(run.context, name)


def sa(run: InitRun) -> None:
    certs.ensure_sa(run.context)


def prepare_kubeconfigs(run: InitRun) -> None:
    kubeconfigs.prepare(run.context)


def kubeconfig(run: InitRun, name: str) -> None:
    kubeconfigs.ensure_named(name)(run.context)


def etcd(run: InitRun) -> None:
    static_pods.write_etcd(run.context)


def component(run: InitRun, name: str) -> None:
    if run.waits and name in staged_start.NAMES:
        static_pods.stage(run.context, [name], "the API server has its roles")
    else:
        static_pods.write_control_plane(name)(run.context)


def kubelet_start(run: InitRun) -> None:
    kubelet.run(run.context)


def wait(run: InitRun) -> None:
    wait_healthy.run(run.context)
    admins.ensure_cluster_admins(run.context, run.kubeconfig)


def upload_kubeadm(run: InitRun) -> None:
    upload_config.upload_kubeadm(run.context, run.kubeconfig)


def upload_kubelet(run: InitRun) -> None:
    upload_config.upload_kubelet(run.context, run.kubeconfig)


def asks_for_certs(run: InitRun) -> bool:
    return run.upload_certs


def upload_certs(run: InitRun) -> None:
    certs_secret.run(run.context, run.kubeconfig, run.certificate_key)
    if not run.skip_certificate_key_print:
        run.context.say(certs_secret.PHASE, "Using certificate key:", run.certificate_key.reveal())


def mark(run: InitRun) -> None:
    mark_control_plane.run(run.context, run.kubeconfig)


def tokens(run: InitRun) -> None:
    bootstrap_token.run(run.context, run.kubeconfig, run.init.bootstrap_tokens, show=not run.skip_token_print)


def rotate(run: InitRun) -> None:
    kubelet_files.use_rotated_certificate(run.context)


def coredns(run: InitRun) -> None:
    if run.print_manifest:
        run.shown.append("---\n".join(to_yaml(one) for one in addon.coredns_objects(run.context)))
    else:
        addon.coredns(run.context, run.kubeconfig)


def kube_proxy(run: InitRun) -> None:
    if run.print_manifest:
        run.shown.append("---\n".join(to_yaml(one) for one in addon.kube_proxy_objects(run.context)))
    else:
        addon.kube_proxy(run.context, run.kubeconfig)


def show(run: InitRun) -> None:
    if run.context.dry_run:
        # A join command that can never work, below words of success.
        return
    token = run.init.bootstrap_tokens[0].token if run.init.bootstrap_tokens and not run.skip_token_print else "TOKEN"
    key = run.certificate_key.reveal() if run.upload_certs and not run.skip_certificate_key_print else ""
    run.shown.append(join_command.closing_words(run.context, run.kubeconfig, token, key))


STEPS: Steps[InitRun] = Steps(
    {
        "preflight": preflight,
        "certs": prepare_certs,
        **{f"certs/{name}": partial(certificate, name=name) for name in CERTIFICATES},
        "certs/sa": sa,
        "kubeconfig": prepare_kubeconfigs,
        **{f"kubeconfig/{name}": partial(kubeconfig, name=name) for name in KUBECONFIGS},
        "etcd/local": etcd,
        **{f"control-plane/{name.removeprefix('kube-')}": partial(component, name=name) for name in PODS},
        "kubelet-start": kubelet_start,
        "wait-control-plane": wait,
        "upload-config/kubeadm": upload_kubeadm,
        "upload-config/kubelet": upload_kubelet,
        "upload-certs": upload_certs,
        "mark-control-plane": mark,
        "bootstrap-token": tokens,
        "kubelet-finalize/enable-client-cert-rotation": rotate,
        "addon/coredns": coredns,
        "addon/kube-proxy": kube_proxy,
        "show-join-command": show,
    },
    when={"upload-certs": asks_for_certs},
)
