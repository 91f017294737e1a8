"""Protobuf's wire format, written: a message as the bytes of its fields, one behind the other.

To build a message object by object takes Python several times as long. Reading is quick, and protobuf's own. Numbers of
fields are those of the generated code. Source: protobuf.dev, "Encoding".
"""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

_SIZED = frozenset({FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE})
_SHORT = [bytes((value,)) for value in range(0x80)]


def tag(message: Any, name: str) -> bytes:
    """What a field of this generated class begins with: its number, and whether a length follows or a value."""
    field = message.DESCRIPTOR.fields_by_name[name]
    return varint(field.number << 3 | (2 if field.type in _SIZED else 0))


def sized(tag: bytes, value: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return opened(tag, len(value)) + value


def opened(tag: bytes, length: int) -> bytes:
    """What stands before a value of so many bytes: a long one is put behind it once, and not anew for each field that
    it lies in."""
    return tag + (_SHORT[length] if length < 0x80 else varint(length))


def nested(tags: tuple[bytes, ...], value: bytes) -> bytes:
    """A field that is all there is of a message, which is a field itself, and so on; the outermost first.

    The value, which may be long, is copied once.
    """
    head, length = b"", len(value)
    for tag in reversed(tags):
        whole = len(head) + length
        head = opened(tag, whole) + head
    return head + value


def varint(value: int) -> bytes:
    """A number that is not negative; seven bits a byte, the lowest first."""
    if 0x80 <= value < 0x4000:  # most lengths that are not a byte
        return bytes((value & 0x7F | 0x80, value >> 7))
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
