"""Phase show-join-command: the commands for further nodes."""

from __future__ import annotations

from quorate.foreign.text import to_paste
from quorate.phases.base import api_access
from quorate.phases.base.context import Context
from quorate.pki.kubeconfig import Parsed
from quorate.pki.sealing import pins_of


def join_words(parsed: Parsed, token: str) -> list[str]:
    """Returns a worker's command, in parts that may each have their own line. `parsed`: a kubeconfig of the cluster. `token`
    may be a placeholder."""
    words = [to_paste("quorate", "join", parsed.server.removeprefix("https://"), "--token", token)]
    return words + [to_paste("--discovery-token-ca-cert-hash", pin) for pin in pins_of(parsed.ca_pem)]


def closing_words(context: Context, kubeconfig: str, token: str, certificate_key: str) -> str:
    """Returns the text at the end of init: kubeadm's where tools read it, ours elsewhere."""
    lines = [
        "",
        "Your Kubernetes control-plane has initialized successfully!",
        "",
        "To use the cluster:",
        "",
        f"  export KUBECONFIG={to_paste(kubeconfig)}",
        "",
        "Install a pod network, or pods get no addresses: https://kubernetes.io/docs/concepts/cluster-administration/addons/",
        "",
    ]
    words = join_words(api_access.read(context.tree, kubeconfig, context.this_node), token)
    if context.cluster.control_plane_endpoint:
        lines += ["To join further control-plane nodes, run as root on each:", ""]
        role = "--control-plane" + (f" --certificate-key {certificate_key}" if certificate_key else "")
        lines += [_command([*words, role]), ""]
        if not certificate_key:
            lines += ["Before that, copy the shared certificates to each, or store them in the cluster:", ""]
            lines += [f"  {context.this_node.command('init', 'phase', 'upload-certs', '--upload-certs')}", ""]
    lines += ["To join workers, run as root on each:", ""]
    lines.append(_command(words))
    return "\n".join(lines)


def _command(words: list[str]) -> str:
    return "  " + " \\\n  \t".join(words)
