"""kubeconfigs as people have them: with files of their own, relative paths, several contexts, and what is not done here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubeadm_cases import everything

from quorate.errors import ConfigError, HostError, PreflightFailed
from quorate.kube import tls
from quorate.phases.base import api_access
from quorate.phases.base.context import Context
from quorate.phases.base.this_node import HERE
from quorate.phases.node import certs, kubeconfigs, renewal
from quorate.pki import kubeconfig
from quorate.pki.certificates import make_ca
from quorate.pki.kubeconfig_files import complete, missing_files

ADMIN = "/etc/kubernetes/admin.conf"


def of(
    *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, current: str = "x", **more: object
) -> bytes:
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": current,
        **more,
    }
    return yaml.safe_dump(data).encode()


def completed(content: bytes, files: dict[str, bytes], where: str = "/home/a/.kube/config") -> kubeconfig.Parsed:
    return complete(kubeconfig.parse(content, where), where, files.get)


def test_files_are_meant_from_the_folder_of_the_kubeconfig() -> None:
    named = of(
        cluster={"certificate-authority": "pki/ca.crt"},
        user={"client-certificate": "../a.crt", "client-key": "/keys/a.key", "tokenFile": "token"},
    )
    files = {
        "/home/a/.kube/pki/ca.crt": b"CA",
        "/home/a/a.crt": b"CERT",
        "/keys/a.key": b"KEY",
        "/home/a/.kube/token": b"t0ken\n",
    }
    found = completed(named, files)
    assert (found.ca_pem, found.certificate_pem, found.key_pem.reveal(), found.token.reveal()) == (
        b"CA",
        b"CERT",
        b"KEY",
        "t0ken",
    )


def test_what_is_embedded_counts_before_a_file() -> None:
    user = {"client-certificate-data": "Q0VSVA==", "client-certificate": "/none", "token": "t", "tokenFile": "/none"}
    found = completed(of(cluster={"certificate-authority-data": "Q0E=", "certificate-authority": "/none"}, user=user), {})
    assert (found.ca_pem, found.certificate_pem, found.token.reveal()) == (b"CA", b"CERT", "t")


@pytest.mark.parametrize(
    ("cluster", "user", "field"),
    [
        ({"certificate-authority": "ca.crt"}, {}, "certificate-authority /home/a/.kube/ca.crt"),
        ({}, {"client-certificate": "/a.crt"}, "client-certificate /a.crt"),
        ({}, {"client-key": "/a.key"}, "client-key /a.key"),
        ({}, {"tokenFile": "/t"}, "tokenFile /t"),
    ],
)
def test_a_file_that_is_missing_is_not_nothing(cluster: dict[str, Any], user: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=f"its {field} does not exist"):
        completed(of(cluster=cluster, user=user), {})


def test_a_token_file_that_holds_no_token_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as error:
        completed(of(user={"tokenFile": "/t"}), {"/t": b"root:x:0:0\nbin:x:1:1\n"})
    assert "root" not in str(error.value)


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        ({"insecure-skip-tls-verify": True}, {}),
        ({"proxy-url": "http://127.0.0.1:3128"}, {}),
        ({"tls-server-name": "other"}, {}),
        ({}, {"exec": {"command": "aws"}}),
        ({}, {"auth-provider": {"name": "gcp"}}),
        ({}, {"username": "admin", "password": "geheim"}),
        ({}, {"as": "somebody"}),
        ({}, {"as-groups": ["system:masters"]}),
        ({}, {"as-uid": "1"}),
        ({}, {"as-user-extra": {"a": ["b"]}}),
    ],
)
def test_what_is_not_done_here_is_said(cluster: dict[str, Any], user: dict[str, Any], context: Context) -> None:
    """Left out, it would connect otherwise than its author wants."""
    context.tree.write(ADMIN, of(cluster=cluster, user=user), mode=0o600)
    with pytest.raises(ConfigError, match=f"{ADMIN}: its {next(iter({**cluster, **user}))} ") as error:
        api_access.read(context.tree, ADMIN, HERE)
    assert "geheim" not in str(error.value)
    context.tree.write(ADMIN, of(cluster=dict.fromkeys(cluster, ""), user=dict.fromkeys(user, "")), mode=0o600)
    api_access.read(context.tree, ADMIN, HERE)


def test_several_contexts() -> None:
    contexts = [{"name": name, "context": {"cluster": cluster, "user": "u"}} for name, cluster in (("a", "none"), ("b", "c"))]
    assert kubeconfig.parse(of(contexts=contexts, current="b"), "f").cluster == "c"
    for current in ("a", "z", ""):
        with pytest.raises(ConfigError, match="names no cluster of the file") as error:
            kubeconfig.parse(of(contexts=contexts, current=current), "f")
        assert error.value.advice == "set current-context to one of a, b"


def with_files(context: Context) -> bytes:
    """admin.conf with its certificate, key and CA in files beside it, as some installers write it."""
    parsed = kubeconfig.parse(context.tree.read(ADMIN) or b"", ADMIN)
    context.tree.write("/etc/kubernetes/admin.crt", parsed.certificate_pem, mode=0o644)
    context.tree.write("/etc/kubernetes/admin.key", parsed.key_pem.reveal(), mode=0o600)
    data = yaml.safe_load(context.tree.read(ADMIN) or b"")
    data["users"][0]["user"] = {"client-certificate": "admin.crt", "client-key": "admin.key"}
    data["clusters"][0]["cluster"] = {"server": parsed.server, "certificate-authority": "pki/ca.crt"}
    content = yaml.safe_dump(data).encode()
    context.tree.write(ADMIN, content, mode=0o600)
    return content


def test_an_existing_kubeconfig_with_files_is_of_this_cluster(context: Context) -> None:
    everything(context)
    content = with_files(context)
    kubeconfigs.ensure_all(context)
    assert context.tree.read(ADMIN) == content
    context.tree.remove("/etc/kubernetes/admin.crt")
    with pytest.raises(ConfigError, match=r"its client-certificate /etc/kubernetes/admin\.crt does not exist"):
        kubeconfigs.ensure_all(context)


def test_a_certificate_in_a_file_has_an_end_and_is_renewed_by_who_wrote_it(context: Context) -> None:
    everything(context)
    content = with_files(context)
    row = next(one for one in renewal.expiries(context)[0] if one.name == "admin.conf")
    assert row.expires is not None and row.external
    with pytest.raises(PreflightFailed, match=r"admin\.conf: its certificate is in a file that it names"):
        renewal.renew(context, "admin.conf")
    assert "admin.conf" not in renewal.renew_all(context)
    assert context.tree.read(ADMIN) == content


def test_a_renewal_keeps_what_else_is_said_of_the_user(context: Context) -> None:
    """It dropped `as`: from then on the file was of another user, with more rights."""
    everything(context)
    data = yaml.safe_load(context.tree.read(ADMIN) or b"")
    user = data["users"][0]["user"]
    old = dict(user)
    extra = {"as": "auditor", "as-groups": ["a"], "token": "t", "extensions": [{"name": "x", "extension": {"y": 1}}]}
    user |= {**extra, "client-key": "/left/over.key"}
    data["users"].append({"name": "other", "user": {"token": "t", "client-certificate": "/a.crt"}})
    context.tree.write(ADMIN, yaml.safe_dump(data).encode(), mode=0o600)
    renewal.renew(context, "admin.conf")
    renewed = yaml.safe_load(context.tree.read(ADMIN) or b"")["users"]
    assert renewed[1:] == data["users"][1:]
    found = renewed[0]["user"]
    assert found.keys() == extra.keys() | old.keys() and {key: found[key] for key in extra} == extra
    assert all(found[key] != old[key] for key in old)


def test_what_kubectl_reads_is_read() -> None:
    """Kind and version may be left out, and lines of base64 be wrapped."""
    content = of(cluster={"certificate-authority-data": "Q0\nE=\r\n"})
    assert kubeconfig.parse(content, ADMIN).ca_pem == b"CA"
    data = yaml.safe_load(content)
    del data["kind"], data["apiVersion"]
    assert kubeconfig.parse(yaml.safe_dump(data).encode(), ADMIN).ca_pem == b"CA"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (of(kind="Pod"), "is not a kubeconfig file"),
        (of(apiVersion="v2"), "is not a kubeconfig file"),
        (b"a: b\n", "is not a kubeconfig file"),
        (b"{}\n", "is not a kubeconfig file"),
        (of() + b"---\n" + of(), "is not a kubeconfig file"),
        (of(cluster={"certificate-authority-data": "Q0 E="}), "not base64"),
        (of(users=[{"name": "u", "user": {"token": "t"}}] * 2), "users has the name u twice"),
        (of(contexts=[{"name": "x", "context": {"cluster": "c"}}] * 2), "contexts has the name x twice"),
    ],
)
def test_what_kubectl_refuses_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        kubeconfig.parse(content, ADMIN)


def test_a_kubeconfig_without_a_ca_is_said_to_lack_it() -> None:
    with pytest.raises(ConfigError, match="names no CA of its cluster") as error:
        api_access.server_of(kubeconfig.parse(of(), ADMIN))
    assert "certificate-authority-data" in error.value.advice


def other_ca() -> bytes:
    return make_ca("kubernetes", now=datetime.now(UTC), kind="ECDSA-P256").certificate_pem()


@pytest.mark.parametrize("before", [b"# of our company, S\xc3\xbcd\nCertificate:\n    Data:\n", b""])
def test_what_is_renewed_under_a_bundle_is_of_this_cluster(context: Context, before: bytes) -> None:
    """Every init and join after the renewal was refused: the file that it had written belonged to another CA."""
    everything(context)
    own = context.tree.read(context.pki("ca.crt")) or b""
    context.tree.write(context.pki("ca.crt"), before + own + other_ca(), mode=0o644)
    renewal.renew_all(context)
    assert kubeconfig.parse(context.tree.read(ADMIN) or b"", ADMIN).ca_pem == own
    assert len(tls.context(context.tree.read(context.pki("ca.crt")) or b"").get_ca_certs()) == 2
    kubeconfigs.ensure_all(context)


@pytest.mark.parametrize("form", ["first", "last", "with text", "without it"])
def test_a_kubeconfig_of_a_bundle_is_of_this_cluster(context: Context, form: str) -> None:
    everything(context)
    own = kubeconfig.parse(context.tree.read(ADMIN) or b"", ADMIN).ca_pem
    bundle = {"first": own + other_ca(), "last": other_ca() + own, "with text": b"text\r\n" + own.replace(b"\n", b"\r\n")}
    data = yaml.safe_load(context.tree.read(ADMIN) or b"")
    held = bundle.get(form, other_ca() + b"text")
    data["clusters"][0]["cluster"]["certificate-authority-data"] = kubeconfig.encode(held)
    context.tree.write(ADMIN, yaml.safe_dump(data).encode(), mode=0o600)
    if form in bundle:
        kubeconfigs.ensure_all(context)
    else:
        with pytest.raises(PreflightFailed, match=r"admin\.conf belongs to another CA than .*ca\.crt"):
            kubeconfigs.ensure_all(context)


@pytest.mark.parametrize(
    ("fields", "is_replaced"),
    [
        ({}, True),
        ({"certificate-authority": ""}, True),
        ({"certificate-authority": "pki/ca.crt"}, True),
        ({"certificate-authority": "pki/ca.crt", "certificate-authority-data": ""}, False),
    ],
)
def test_the_ca_that_counts_is_the_one_that_a_renewal_replaces(
    context: Context, fields: dict[str, str], is_replaced: bool
) -> None:
    """kubectl takes what is embedded before a file: a file with both kept the old CA, and let nobody in."""
    everything(context)
    old = kubeconfig.parse(context.tree.read(ADMIN) or b"", ADMIN).ca_pem
    data = yaml.safe_load(context.tree.read(ADMIN) or b"")
    data["clusters"][0]["cluster"] |= fields
    context.tree.write(ADMIN, yaml.safe_dump(data).encode(), mode=0o600)
    for end in ("crt", "key"):
        context.tree.remove(context.pki(f"ca.{end}"))
    certs.ensure_named(context, "ca")
    renewal.renew(context, "admin.conf")
    there = kubeconfig.parse(context.tree.read(ADMIN) or b"", ADMIN)
    assert there.ca_pem == (context.tree.read(context.pki("ca.crt")) if is_replaced else b"") and there.ca_pem != old


def test_a_kubeconfig_that_cannot_be_read_is_neither_there_nor_missing(context: Context) -> None:
    everything(context)
    context.tree.write(ADMIN, b"kind: Config\nusers: [", mode=0o600)
    row = next(one for one in renewal.expiries(context)[0] if one.name == "admin.conf")
    assert row.expires is None and "admin.conf is not a kubeconfig file" in row.unreadable
    for act in (lambda: renewal.renew_all(context), lambda: kubeconfigs.ensure_all(context)):
        with pytest.raises((ConfigError, HostError), match=r"admin\.conf is not a kubeconfig file"):
            act()


def test_the_api_server_is_reached_with_files(context: Context, tmp_path: Path) -> None:
    everything(context)
    with_files(context)
    found = api_access.read(context.tree, ADMIN, HERE)
    assert found.ca_pem and found.certificate_pem and found.key_pem.reveal()
    assert api_access.server_of(found).url == found.server
    assert str(tmp_path) not in found.server


def test_the_files_that_are_still_to_come() -> None:
    """The kubelet names the file of its certificate before it has one."""
    parsed = kubeconfig.parse(of(user={"client-certificate": "pki/a.pem", "client-key": "/k/a.pem"}), ADMIN)
    there = {"/etc/kubernetes/pki/a.pem"}
    assert missing_files(parsed, ADMIN, there.__contains__) == ["/k/a.pem"]
    assert missing_files(parsed, ADMIN, (there | {"/k/a.pem"}).__contains__) == []
    assert missing_files(kubeconfig.parse(of(user={"token": "t"}), ADMIN), ADMIN, there.__contains__) == []
