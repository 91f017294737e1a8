"""What Envoy is told where several router services stand behind it: who gets a new request, and who holds it then.

A request begins with whichever worker has least to do; its id begins with that worker's number. So its attempts, and
what is logged of them, go to that one by name. A hash would move with every worker that leaves or comes back, and take
requests under way away from those that hold them.
"""

from collections.abc import Iterable
from pathlib import Path

from archgw.render.envoy_pieces import EXTENSIONS, Json, Place
from router_service import workers

# A worker that has ended refuses at once, and the next one is asked. These are for one that hangs.
_CHECKED = {
    "interval": "0.5s",
    "no_traffic_interval": "0.5s",
    "timeout": "1s",
    "unhealthy_threshold": 2,
    "healthy_threshold": 1,
    "grpc_health_check": {},
}
_ATTEMPT_FILTER = "envoy.filters.http.ext_proc"


def own_cluster(worker: int) -> str:
    """Of one worker alone."""
    return f"{workers.ROUTER}-{worker}"


def spread(of_one: Json, place: Place, count: int) -> Json:
    """The cluster of all workers, for requests that begin; `of_one` is that of a single one."""
    endpoints = [{"endpoint": {"address": _pipe(place, worker)}} for worker in range(count)]
    return of_one | {
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": of_one["name"], "endpoints": [{"lb_endpoints": endpoints}]},
        "health_checks": [_CHECKED],
        # By itself Envoy asks all of them, the bad ones, too, once half are bad.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
    }


def own_clusters(of_one: Json, place: Place, count: int) -> list[Json]:
    return [
        of_one
        | {
            "name": own_cluster(worker),
            "load_assignment": {
                "cluster_name": own_cluster(worker),
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _pipe(place, worker)}}]}],
            },
        }
        for worker in range(count)
    ]


def retry() -> Json:
    """Of a new request that a worker could not take: the next one is asked."""
    return {
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset",
            "num_retries": 3,
            "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {"@type": f"{EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                }
            ],
            "host_selection_retry_max_attempts": 50,  # who has ended has least to do, and is proposed most often
        }
    }


def attempt_routes(unrouted: Json, service: Json, count: int) -> Iterable[Json]:
    """Before an attempt has its provider: the route names the worker that is asked, by the exchange's id.

    `service`: the gRPC service of the attempt filter.
    """
    for worker in range(count):
        mine = {"name": "x-archgw-exchange", "string_match": {"prefix": workers.mark(worker)}}
        asked = service | {"envoy_grpc": {"cluster_name": own_cluster(worker)}}
        yield unrouted | {
            "match": {"prefix": "/", "headers": [mine]},
            "typed_per_filter_config": {
                _ATTEMPT_FILTER: {
                    "@type": f"{EXTENSIONS}.filters.http.ext_proc.v3.ExtProcPerRoute",
                    "overrides": {"grpc_service": asked},
                }
            },
        }


def held_by(worker: int) -> str:
    """Whether an attempt, as it is logged, is this worker's (CEL)."""
    return f"metadata.filter_metadata['archgw']['attempt'].startsWith('{workers.mark(worker)}')"


def _pipe(place: Place, worker: int) -> Json:
    return {"pipe": {"path": str(workers.socket(Path(place.router_socket), worker))}}
