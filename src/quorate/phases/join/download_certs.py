"""Phase download-certs: the shared certificates stored in the cluster, decrypted with the certificate key."""

from __future__ import annotations

import base64
import binascii

from quorate.errors import PreflightFailed
from quorate.kube.errors import NotFound
from quorate.phases.cluster import upload_certs
from quorate.phases.join.prepared_join import PreparedJoin
from quorate.pki.sealing import unseal
from quorate.secret import Secret

PHASE = "download-certs"
_AGAIN = "upload them again on a control-plane node: quorate init phase upload-certs --upload-certs"
_KEY_MODE, _MODE = 0o600, 0o644


def run(join: PreparedJoin) -> None:
    """Writes the certificates that are missing here. Does nothing without a certificate key."""
    control_plane = join.request.config.control_plane
    key = control_plane.certificate_key if control_plane else ""
    if not key:
        return
    context = join.context
    where = f'Secret "{upload_certs.NAME}" in the "{upload_certs.NAMESPACE}" Namespace'
    context.say(PHASE, f"Downloading the certificates in {where}")
    try:
        with join.cluster.client() as client:
            data = client.get("Secret", upload_certs.NAME, upload_certs.NAMESPACE).get("data") or {}
    except NotFound:
        raise PreflightFailed(
            f'Secret "{upload_certs.NAME}" was not found: the cluster keeps certificates for two hours only',
            state="nothing was changed",
            advice=_AGAIN,
        ) from None
    for name, path in upload_certs.shared_files(context).items():
        if name not in data:
            raise PreflightFailed(f"the Secret does not include the required certificate or key - name: {name}", advice=_AGAIN)
        sealed = _decoded(data[name], name)
        if sealed and not context.tree.is_file(path):
            content = unseal(sealed, Secret(key)).reveal()
            secret = path.endswith(".key")
            context.tree.create(path, content, mode=_KEY_MODE if secret else _MODE, secret=secret)
    context.say(PHASE, f'Saving the certificates to the folder: "{context.cluster.certificates_dir}"')


def _decoded(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PreflightFailed(f"the Secret does not hold base64 - name: {name}", advice=_AGAIN) from None
