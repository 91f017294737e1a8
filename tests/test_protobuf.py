"""What we write, protobuf reads."""

from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from router_service.pb import ext_proc_pb2 as pb
from router_service.protobuf import nested, sized, tag, varint


@given(st.integers(0, 2**31 - 1))
def test_numbers(value: int) -> None:
    written = tag(pb.HttpStatus, "code") + varint(value)
    assert pb.HttpStatus.FromString(written).code == value


@given(st.text(max_size=400), st.binary(max_size=70_000))
def test_text_and_bytes_of_any_length(name: str, value: bytes) -> None:
    written = sized(tag(pb.HeaderValue, "key"), name.encode()) + sized(tag(pb.HeaderValue, "raw_value"), value)
    read = pb.HeaderValue.FromString(written)
    assert (read.key, read.raw_value) == (name, value)


def test_fields_of_fields_and_of_a_high_number() -> None:
    inner = sized(tag(Value, "string_value"), b"hi")
    assert Value.FromString(inner).string_value == "hi"
    told = sized(tag(pb.ProcessingResponse, "override_message_timeout"), varint(8) + varint(3))
    assert pb.ProcessingResponse.FromString(told).override_message_timeout.seconds == 3


@given(st.binary(max_size=70_000))
def test_a_field_within_a_field(value: bytes) -> None:
    tags = (tag(pb.BodyMutation, "streamed_response"), tag(pb.StreamedBodyResponse, "body"))
    assert nested(tags, value) == sized(tags[0], sized(tags[1], value))
