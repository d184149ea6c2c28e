"""The request of an init, and its findings and output so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from quorate.config import types as v4
from quorate.core.finding import Finding
from quorate.phases.base.context import Context
from quorate.secret import Secret


@dataclass(frozen=True, slots=True)
class InitRun:
    """One run of init. `upload_certs`, `skip_token_print`, `skip_certificate_key_print`: set by flags only. `kubeconfig`: the
    file that later phases reach the API server with. `waits`: a whole init, which waits until the API server answers.
    `findings`: of preflight, for programs. `shown`: texts to print after everything else."""

    context: Context
    init: v4.InitConfiguration
    kubeconfig: str = "/etc/kubernetes/admin.conf"
    upload_certs: bool = False
    skip_token_print: bool = False
    skip_certificate_key_print: bool = False
    waits: bool = False
    certificate_key: Secret[str] = field(default_factory=lambda: Secret(""))
    print_manifest: bool = False
    findings: list[Finding] = field(default_factory=list[Finding])
    shown: list[str] = field(default_factory=list[str])
