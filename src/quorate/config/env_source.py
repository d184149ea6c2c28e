"""Where the value of a variable comes from: EnvVarSource of core/v1, as Go writes it with its defaults."""

from __future__ import annotations

from typing import ClassVar

from quorate.config.quantity import canonical
from quorate.config.schema import Value


class Quantity(str):
    """A quantity as Go writes it, 0 where none is given. Made by `parse`."""

    __slots__ = ()
    words: ClassVar[str] = "a quantity such as 100Mi"
    takes_numbers: ClassVar[bool] = True

    def __new__(cls, text: str = "") -> Quantity:
        return super().__new__(cls, text or "0")

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Returns the quantity of a text. Raises ValueError for a text that is none."""
        return cls(canonical(text))


class FieldVersion(str):
    """The version of the API whose field is meant, v1 where none is given. Made by `parse`."""

    __slots__ = ()
    words: ClassVar[str] = "a string"

    def __new__(cls, text: str = "") -> FieldVersion:
        return super().__new__(cls, text or "v1")

    @classmethod
    def parse(cls, text: str) -> FieldVersion:
        return cls(text)


class ObjectField(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = ("field_path",)
    api_version: FieldVersion = FieldVersion()
    field_path: str = ""


class ResourceField(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = ("resource",)
    container_name: str = ""
    resource: str = ""
    divisor: Quantity = Quantity()


class KeyOf(Value, frozen=True):
    """A key of a ConfigMap or of a Secret."""

    always: ClassVar[tuple[str, ...]] = ("key",)
    name: str = ""
    key: str = ""
    optional: bool | None = None


class KeyOfFile(Value, frozen=True):
    """A key of a file in a volume; since 1.34."""

    always: ClassVar[tuple[str, ...]] = ("volume_name", "path", "key")
    volume_name: str = ""
    path: str = ""
    key: str = ""
    optional: bool | None = None


class EnvVarSource(Value, frozen=True):
    field_ref: ObjectField | None = None
    resource_field_ref: ResourceField | None = None
    config_map_key_ref: KeyOf | None = None
    secret_key_ref: KeyOf | None = None
    file_key_ref: KeyOfFile | None = None
