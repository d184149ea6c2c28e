"""Phases etcd and control-plane: the manifests that the kubelet starts pods from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from quorate.config.render import to_yaml
from quorate.errors import ConfigError, PreflightFailed, Refused
from quorate.manifests.control_plane import PODS, ControlPlaneNode
from quorate.manifests.etcd import EtcdNode, etcd_pod
from quorate.manifests.patches import PatchSet, read_patches
from quorate.manifests.pod import Object
from quorate.phases.base.context import CONFIG_FOLDER, MANIFESTS_FOLDER, Context
from quorate.phases.node import etcd_manifest
from quorate.tree import NewContent, Tree

_FOLDER_MODE, MANIFEST_MODE, _DATA_MODE = 0o700, 0o600, 0o700
_ETCD = "etcd"
_CONTAINERS = ("containers", "initContainers")


def manifest_path(name: str) -> str:
    return f"{MANIFESTS_FOLDER}/{name}.yaml"


def write_etcd(context: Context) -> None:
    """Writes the manifest of the first member of a new cluster. With an external etcd there is nothing to write."""
    if context.cluster.etcd.external is not None:
        context.say("etcd", "External etcd mode: there is no local etcd to write a manifest for")
        return
    there = _refuse_another_member(context)
    context.say("etcd", f'Creating static Pod manifest for local etcd in "{MANIFESTS_FOLDER}"')
    write_member(context, (), instead_of=there)


def _refuse_another_member(context: Context) -> bytes | None:
    """Returns the manifest that is there. Raises `Refused` where it is one that a new cluster's would replace: of a member that
    joined others, or whose data is elsewhere. etcd would begin a cluster of its own, and the voter would be dead."""
    path = manifest_path("etcd")
    content = context.tree.read(path)
    if content is None:
        return None
    there = etcd_manifest.parse(content, path)
    made = etcd_manifest.parse(patched(context, "etcd", etcd_pod(context.cluster, etcd_node(context))), f"new {path}")
    why = ""
    if len(there.rows) > 1:
        why = f"is of a member of an existing cluster ({', '.join(there.rows)})"
    elif there.data_dir != made.data_dir:
        why = f"has its data in {there.data_dir or 'an unknown place'}, not in {made.data_dir}"
    if why:
        raise Refused(
            f"{path} {why}: a manifest of a new cluster would end that member",
            state="nothing was changed",
            advice="give the configuration of this node with --config; or, when it is no member any more: "
            + context.this_node.command("reset"),
        )
    return content


def write_member(context: Context, initial_cluster: Sequence[tuple[str, str]], *, instead_of: bytes | None = None) -> None:
    """Writes the manifest of this node's member. `initial_cluster`: all rows when it joins, else empty. `instead_of`: the
    manifest that was judged; None where there was none. Raises `HostError` where another program has written one since: this
    run was suspended, and a join's manifest was replaced by that of a new cluster."""
    local = context.cluster.etcd.local
    assert local is not None
    context.tree.folder(local.data_dir, mode=_DATA_MODE)
    content = _told_and_patched(context, _ETCD, etcd_pod(context.cluster, etcd_node(context, initial_cluster)))
    context.tree.folder(MANIFESTS_FOLDER, mode=_FOLDER_MODE)
    path = manifest_path(_ETCD)
    if instead_of is None:
        context.tree.create(path, content, mode=MANIFEST_MODE)
    else:
        context.tree.exchange(NewContent(path, content, MANIFEST_MODE, instead_of, secret=False))


def etcd_node(context: Context, initial_cluster: Sequence[tuple[str, str]] = ()) -> EtcdNode:
    wait = context.timeouts.control_plane_component_health_check
    return EtcdNode(context.node.name, context.node.address, initial_cluster, wait)


def write_control_plane(*names: str) -> Callable[[Context], None]:
    """Returns the phase that writes the named components, or all three when none is named."""

    def run(context: Context) -> None:
        context.say("control-plane", f'Using manifest folder "{MANIFESTS_FOLDER}"')
        node = control_plane_node(context)
        for name in names or PODS:
            context.say("control-plane", f'Creating static Pod manifest for "{name}"')
            write_manifest(context, name, PODS[name](context.cluster, node))

    return run


BEFORE_REJOIN = f"{CONFIG_FOLDER}/.quorate-before-rejoin.yaml"
"""The manifest that etcd had before its member joined a cluster that was recovered elsewhere."""


def staged_path(name: str) -> str:
    """Returns the path of a manifest that is held back: the kubelet ignores files that begin with a dot."""
    return f"{MANIFESTS_FOLDER}/.{name}.yaml"


def stage(context: Context, names: Iterable[str], until: str) -> None:
    """Writes manifests that the kubelet does not start yet. Started before the condition `until`, the components would only
    crash, and the kubelet's restart back-off would grow."""
    node = control_plane_node(context)
    for name in names:
        context.say("control-plane", f'Creating static Pod manifest for "{name}", to be started when {until}')
        write_manifest(context, name, PODS[name](context.cluster, node), path=staged_path(name))


def publish(context: Context, names: Iterable[str]) -> None:
    """Lets the kubelet start the staged manifests; names without one are ignored."""
    publish_in(context.tree, names)


def publish_in(tree: Tree, names: Iterable[str]) -> None:
    """As `publish`, of a node of which only the files are known."""
    for name in names:
        content = tree.read(staged_path(name))
        if content is not None:
            tree.write(manifest_path(name), content, mode=MANIFEST_MODE)
            tree.remove(staged_path(name))


def manifest(context: Context, name: str) -> bytes:
    """Returns the manifest, held back or not; empty where there is none."""
    return context.tree.read(staged_path(name)) or context.tree.read(manifest_path(name)) or b""


def control_plane_node(context: Context) -> ControlPlaneNode:
    return ControlPlaneNode(
        address=context.endpoint.advertise_address,
        bind_port=context.endpoint.bind_port,
        ca_folders=context.host.ca_folders,
        proxy_env=context.host.proxy_env,
        external_ca=_is_external_ca(context),
        start_wait=context.timeouts.control_plane_component_health_check,
    )


def _is_external_ca(context: Context) -> bool:
    """Returns whether the CA's certificate is here without its key."""
    return context.tree.read(context.pki("ca.crt")) is not None and context.tree.read(context.pki("ca.key")) is None


def write_manifest(context: Context, name: str, pod: Object, *, path: str = "") -> None:
    """Patches a manifest and writes it. `path`: a path that the kubelet ignores. Without it, the manifest that an earlier run
    held back is deleted: it would replace this one later."""
    content = _told_and_patched(context, name, pod)
    context.tree.folder(MANIFESTS_FOLDER, mode=_FOLDER_MODE)
    context.tree.write(path or manifest_path(name), content, mode=MANIFEST_MODE)
    if not path:
        context.tree.remove(staged_path(name))


def _told_and_patched(context: Context, name: str, pod: Object) -> bytes:
    """Returns the text of a manifest; says which patches it has."""
    for source in patch_set(context).files_for(name):
        context.say("patches", f'Applying {source} to target "{name}"')
    return patched(context, name, pod)


def check_manifests(context: Context) -> None:
    """Raises `ConfigError`, with nothing written, for patches and extra arguments that spoil a manifest. A join that found it
    when it wrote etcd's had added its learner before."""
    node = control_plane_node(context)
    for name, make in PODS.items():
        patched(context, name, make(context.cluster, node))
    if context.cluster.etcd.external is None:
        patched(context, _ETCD, etcd_pod(context.cluster, etcd_node(context)))


def patched(context: Context, name: str, pod: Object) -> bytes:
    """Returns the text of a manifest, with the patches of the configured directory. Raises `ConfigError` for patches that leave
    no pod, or no etcd that could be read again."""
    patches = patch_set(context)
    by = ", ".join(dict.fromkeys(patches.files_for(name)))
    made = patches.apply(name, pod)
    _check_pod(made, name, by)
    content = to_yaml(_with_go_zeroes(made)).encode()
    if name == _ETCD:
        _check_etcd(content, by)
    return content


def _check_pod(pod: Object, name: str, by: str) -> None:
    """Raises `ConfigError` for what patches left that is no pod: the kubelet would run nothing. `by`: their files."""
    spec = pod.get("spec")
    lists = [spec.get(kind) or [] for kind in _CONTAINERS] if isinstance(spec, dict) else []
    are_lists = all(isinstance(rows, list) and all(isinstance(row, dict) for row in rows) for rows in lists)
    is_pod = (pod.get("apiVersion"), pod.get("kind")) == ("v1", "Pod") and isinstance(pod.get("metadata"), dict)
    if not is_pod or not lists or not lists[0] or not are_lists:
        raise ConfigError(
            f"the patches {by} do not leave {name} a pod: a mapping of kind Pod whose spec has a list of containers",
            state="its manifest was not written",
            advice="correct the file",
        )


def _check_etcd(content: bytes, by: str) -> None:
    """Raises `ConfigError` for a manifest of etcd that could not be read later: a reset would refuse this node then, and its
    member would stay on the cluster's list. `by`: the files of the patches, empty for none."""
    try:
        made = etcd_manifest.parse(content, manifest_path(_ETCD))
        why = "its log would be elsewhere (--wal-dir): nothing could tell later whose data this is" if made.wal_dir else ""
    except Refused as error:
        why = error.what
    if why:
        source = f"the patches {by}" if by else "the extra arguments of etcd"
        raise ConfigError(
            f"{source}: {why}",
            state="its manifest was not written: nothing could remove this member later",
            advice=f"correct {source}",
        )


def _with_go_zeroes(pod: Object) -> Object:
    """Adds empty resources to containers that a patch brought: Go writes the field also when it is empty."""
    for kind in _CONTAINERS:
        for container in pod["spec"].get(kind) or []:
            container.setdefault("resources", {})
    return pod


def patch_set(context: Context) -> PatchSet:
    """Returns the patches of the configured directory. Raises `PreflightFailed` when there is no such directory."""
    if not context.patches:
        return PatchSet()
    if context.tree.mode(context.patches) is None:
        raise PreflightFailed(
            f"the directory of patches {context.patches} does not exist",
            state="nothing was written",
            advice="create it, or omit --patches",
        )
    return read_patches((path.rpartition("/")[2], _reader(context, path)) for path in _walk(context, context.patches))


def _walk(context: Context, folder: str) -> list[str]:
    """Returns the files below a folder in the order of their paths."""
    found: list[str] = []
    for name in context.tree.names(folder):
        path = f"{folder}/{name}"
        inside = context.tree.names(path)
        found += _walk(context, path) if inside else [path]
    return found


def _reader(context: Context, path: str) -> Callable[[], bytes]:
    return lambda: context.tree.read(path) or b""
