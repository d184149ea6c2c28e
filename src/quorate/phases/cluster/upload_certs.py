"""Phase upload-certs: the shared certificates, encrypted and stored in the cluster for two hours."""

from __future__ import annotations

import base64
from datetime import timedelta

from quorate.kube import rbac, tokens
from quorate.kube.resources import Object, new
from quorate.kube.tokens import Token
from quorate.phases.base.api_access import connected
from quorate.phases.base.apply import apply_all, put
from quorate.phases.base.context import Context
from quorate.pki.sealing import seal
from quorate.secret import Secret, random_token

PHASE, NAME, NAMESPACE = "upload-certs", "kubeadm-certs", "kube-system"
_LIVES = timedelta(hours=2)


def shared_files(context: Context) -> dict[str, str]:
    """Returns the path on the node for each key of the Secret."""
    found = {name: context.pki(name) for name in ("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key")}
    found |= {name: context.pki(name) for name in ("sa.pub", "sa.key")}
    external = context.cluster.etcd.external
    if external is None:
        return found | {f"etcd-ca.{end}": context.pki(f"etcd/ca.{end}") for end in ("crt", "key")}
    own = {"external-etcd-ca.crt": external.ca_file, "external-etcd.crt": external.cert_file}
    return found | {name: path for name, path in {**own, "external-etcd.key": external.key_file}.items() if path}


def run(context: Context, kubeconfig: str, key: Secret[str]) -> None:
    """Encrypts and stores the certificates. `key`: 64 hex digits. A file that is missing here is stored as an empty value:
    it must be copied to joining nodes by hand."""
    context.say(PHASE, f'Storing the certificates in Secret "{NAME}" in the "{NAMESPACE}" Namespace')
    sealed = {
        name: base64.b64encode(seal(content, key)).decode() if content else ""
        for name, path in shared_files(context).items()
        for content in [context.tree.read(path) or b""]
    }
    if context.dry_run:
        apply_all(context, kubeconfig, [new("Secret", NAME, NAMESPACE), *rbac.kubeadm_certs()])
        return
    with connected(context, kubeconfig) as client:
        # This token owns the Secret: the token cleaner deletes the token after two hours, and the Secret goes with it.
        # Applied, not created: after a lost answer the request is repeated, and creating would then fail on our own token.
        owner = client.apply(tokens.to_secret(_owner(context)))
        put(context, client, [_secret(sealed, owner), *rbac.kubeadm_certs()])


def _owner(context: Context) -> Token:
    made = Token.parse(random_token())
    return Token(made.id, made.secret, context.now + _LIVES, tokens.CERTS_DESCRIPTION)


def _secret(sealed: dict[str, str], owner: Object) -> Object:
    made = new("Secret", NAME, NAMESPACE, type="Opaque", data=sealed)
    made["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
            "controller": True,
        }
    ]
    return made
