"""Phase show-join-command: what to run on further nodes."""

from __future__ import annotations

from quorate.phases import cluster_access
from quorate.phases.context import Context
from quorate.pki.sealing import pins_of


def join_command(context: Context, kubeconfig: str, token: str, certificate_key: str = "", *, control_plane: bool) -> str:
    """One command line. `token` may be a placeholder."""
    parsed = cluster_access.read(context.tree, kubeconfig)
    words = [f"quorate join {parsed.server.removeprefix('https://')} --token {token}"]
    words += [f"--discovery-token-ca-cert-hash {pin}" for pin in pins_of(parsed.ca_pem)]
    if control_plane:
        words.append("--control-plane" + (f" --certificate-key {certificate_key}" if certificate_key else ""))
    return " \\\n\t".join(words)


def closing_words(context: Context, kubeconfig: str, token: str, certificate_key: str) -> str:
    """What kubeadm says at the end of init, in our words where no tool reads them."""
    lines = [
        "",
        "Your Kubernetes control-plane has initialized successfully!",
        "",
        "To use the cluster:",
        "",
        f"  export KUBECONFIG={kubeconfig}",
        "",
        "It needs a pod network before pods get addresses: https://kubernetes.io/docs/concepts/cluster-administration/addons/",
        "",
    ]
    if context.cluster.control_plane_endpoint:
        lines += ["Further control-plane nodes join as root by:", ""]
        lines += [_indented(join_command(context, kubeconfig, token, certificate_key, control_plane=True)), ""]
        if not certificate_key:
            lines += ["Copy the shared certificates there first, or keep them in the cluster:", ""]
            lines += ["  quorate init phase upload-certs --upload-certs", ""]
    lines += ["Workers join as root by:", ""]
    lines.append(_indented(join_command(context, kubeconfig, token, control_plane=False)))
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
