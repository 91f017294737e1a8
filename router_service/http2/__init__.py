"""HTTP/2 (RFC 9113) as far as a gRPC service needs it: bytes in, calls and bytes out, no I/O.

frames      what goes over the wire, frame by frame
connection  one connection: its frames, its flow control, its streams
messages    gRPC's messages in the data of a stream, and the status at its end
"""
