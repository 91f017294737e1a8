"""Asks a router service whether it is well, for who runs containers: `python -m router_service.shell.probe SOCKET`"""

import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

_WITHIN = 8.0  # seconds; one that is busy is not dead, and whoever runs containers gives a probe ten


def trouble(socket: str) -> str:
    """Why the service behind this socket does not serve, in words; empty where it does."""
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        try:
            reply = HealthStub(channel).Check(HealthCheckRequest(), timeout=_WITHIN)
        except grpc.RpcError as error:
            return f"{socket}: {error.code().name.lower()}"
    told: str = HealthCheckResponse.ServingStatus.Name(reply.status)
    return "" if reply.status == HealthCheckResponse.SERVING else f"{socket}: {told.lower()}"


if __name__ == "__main__":
    sys.exit(trouble(sys.argv[1]) or 0)
