"""What comes from files and servers that are not trusted: refused with an error of ours, never with a traceback."""

from __future__ import annotations

from contextlib import suppress

import yaml
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import ConfigError
from quorate.kube.tokens import Token, is_signed, sign
from quorate.pki import kubeconfig

_SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=4)
_ANYTHING = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2), max_leaves=5
)


def _rows(inner: str) -> st.SearchStrategy[object]:
    row = st.fixed_dictionaries({"name": _SCALARS | st.lists(_SCALARS, max_size=1), inner: _ANYTHING})
    return st.lists(row | _ANYTHING, max_size=2) | _ANYTHING


@given(contexts=_rows("context"), clusters=_rows("cluster"), users=_rows("user"), current=_ANYTHING)
def test_a_kubeconfig_of_any_shape_is_read_or_refused(
    contexts: object, clusters: object, users: object, current: object
) -> None:
    data = {"kind": "Config", "contexts": contexts, "clusters": clusters, "users": users, "current-context": current}
    with suppress(ConfigError):
        kubeconfig.parse(yaml.safe_dump(data).encode(), "some.conf")


@given(signature=st.text())
def test_any_text_may_come_as_a_signature(signature: str) -> None:
    token = Token.parse("abcdef.0123456789abcdef")
    assert is_signed("content", signature, token) == (signature == sign("content", token))
