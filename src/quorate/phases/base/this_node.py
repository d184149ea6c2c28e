"""Commands that an error advises for the node at hand: as they are printed they work on that node, and by its configuration."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.foreign.text import to_paste

TAKES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("init", "phase", "certs"): ("rootfs", "config", "cert-dir"),
    ("init", "phase", "kubeconfig"): ("rootfs", "config", "cert-dir", "kubeconfig-dir"),
    ("init", "phase", "upload-certs"): ("rootfs", "config"),
    ("autopilot",): ("rootfs",),
    ("certs", "check-expiration"): ("rootfs", "config", "cert-dir"),
    ("certs", "generate-csr"): ("config",),
    ("certs", "renew"): ("rootfs", "config", "cert-dir"),
    ("doctor",): ("rootfs", "cert-dir"),
    ("etcd",): ("rootfs",),
    ("reset",): ("rootfs", "cert-dir"),
}
"""Which of the options each command has, by the words that it begins with. The file of `reset --config` is another one;
requests are made in a folder of their own, by the configuration alone."""


@dataclass(frozen=True, slots=True)
class ThisNode:
    """The options that say which node and which configuration a command line means; empty for those that were not given, and in
    programs. Without them an advised command works on the host: as root it writes a CA into the host's /etc/kubernetes."""

    rootfs: str = ""
    config: str = ""
    cert_dir: str = ""
    kubeconfig_dir: str = ""

    def command(self, *words: str) -> str:
        """Returns `quorate WORDS`, to be pasted, with those of the options that it has and `words` do not give."""
        known = next(flags for head, flags in TAKES.items() if words[: len(head)] == head)
        given = [(f"--{flag}", getattr(self, flag.replace("-", "_"))) for flag in known]
        more = [word for flag, value in given if value and flag not in words for word in (flag, value)]
        return to_paste("quorate", *words, *more)


HERE = ThisNode()
