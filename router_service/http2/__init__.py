"""HTTP/2 (RFC 9113) as far as a gRPC service needs it: bytes in, calls and bytes out, no I/O.

frames      what goes over the wire, frame by frame
sending     what goes out of one connection: its streams, as far as the peer's windows are open
connection  what is heard on it: frames of the peer's, to the listeners of its streams
messages    gRPC's messages in the data of a stream, and the status at its end
"""
