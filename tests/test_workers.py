"""Several router services behind one Envoy: their ids, what Envoy is told of them, and what they say as one."""

import asyncio
import json
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from archgw import merging, processes
from archgw.control import CannotReload
from archgw.home import Home
from archgw.machine import ca_file, refusal
from archgw.processes import Processes, Service
from archgw.render import envoy
from archgw.supervisor import Supervisor
from archgw.watching import watched
from dialogue import THREE, plan_of
from grpc_health.v1 import health, health_pb2_grpc
from stack import until
from terminal import Shell

from router_service.config import ConfigErrors, Limits, parse, with_workers
from router_service.pb import router_pb2 as pb
from router_service.pb import router_pb2_grpc
from router_service.shell import siblings
from router_service.workers import Worker, mark, share

REDIS = "state: {url: redis://127.0.0.1:6379}\n"
PLACE = envoy.Place(router_socket="/run/archgw/router.sock")
FIRST = Path("/run/archgw/router.sock")


# -- who they are --------------------------------------------------------------------------------------------------


def test_the_first_of_them_is_what_the_only_one_is() -> None:
    alone, first, second = Worker(FIRST), Worker(FIRST, 0, 3), Worker(FIRST, 2, 3)
    assert (alone.name, alone.socket, alone.siblings) == ("router", FIRST, {})
    assert (first.name, first.socket) == (alone.name, alone.socket)
    assert (second.name, second.socket) == ("router-2", Path("/run/archgw/router-2.sock"))
    assert second.siblings == {0: FIRST, 1: Path("/run/archgw/router-1.sock")}


@pytest.mark.parametrize(("worker", "id"), [(Worker(FIRST), "a" * 16), (Worker(FIRST, 17, 20), "11" + "a" * 14)])
def test_an_id_is_as_long_as_ever_and_tells_the_worker_where_there_are_several(worker: Worker, id: str) -> None:
    assert worker.ids(lambda: "a" * 16)() == id


@pytest.mark.parametrize(
    ("count", "requests", "memory"), [(1, 100, 10_000), (3, 34, 3_333), (10, 10, 1_100)], ids=["all", "a third", "body"]
)
def test_limits_are_shared_out_but_a_body_fits_into_each(count: int, requests: int, memory: int) -> None:
    shared = share(Limits(requests=100, memory=10_000, body=1_100), count)
    assert (shared.requests, shared.memory) == (requests, memory)


# -- config --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("workers: 2\n", "workers: 2 router services share sessions, budgets and answers through Redis; "
         "state.url keeps them in a file of one process; state: {url: redis://127.0.0.1:6379}"),
        ("workers: 2\nstate: {url: memory}\n", "state.url keeps them in memory; state: {url: redis://"),
        ("workers: 0\n", "workers: expected a whole number from 1 to 64"),
        ("workers: 65\n" + REDIS, "workers: expected a whole number from 1 to 64"),
    ],
    ids=["a file", "memory", "none", "too many"],
)  # fmt: skip
def test_what_cannot_be_one_gateway_is_a_mistake(more: str, told: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        plan_of(THREE + more)
    assert told in str(raised.value) and len(raised.value.mistakes) == 1


def test_more_than_the_config_says_want_redis_too() -> None:
    alone = parse(THREE, file="config.yaml", environment={})
    assert with_workers(alone, 1).workers == alone.workers == 1
    with pytest.raises(ConfigErrors, match=r"config.yaml:1: --workers 2: 2 router services share"):
        with_workers(alone, 2)
    assert with_workers(parse(THREE + REDIS, file="config.yaml", environment={}), 2).workers == 2


# -- Envoy ---------------------------------------------------------------------------------------------------------


def rendered(count: int) -> Any:
    return envoy.render(plan_of(f"{THREE}{REDIS}workers: {count}\n"), PLACE)


def clusters(config: Any) -> dict[str, Any]:
    return {cluster["name"]: cluster for cluster in config["static_resources"]["clusters"]}


def paths(cluster: Any) -> list[str]:
    (locality,) = cluster["load_assignment"]["endpoints"]
    return [one["endpoint"]["address"]["pipe"]["path"] for one in locality["lb_endpoints"]]


def manager(config: Any, listener: str) -> Any:
    (found,) = (one for one in config["static_resources"]["listeners"] if one["name"] == listener)
    return found["filter_chains"][0]["filters"][0]["typed_config"]


def test_one_worker_leaves_no_trace() -> None:
    assert rendered(1) == envoy.render(plan_of(THREE), PLACE)


def test_a_request_begins_with_any_of_them_and_each_is_reached_by_name() -> None:
    found = clusters(rendered(3))
    sockets = ["/run/archgw/router.sock", "/run/archgw/router-1.sock", "/run/archgw/router-2.sock"]
    assert paths(found["router"]) == sockets
    assert [paths(found[f"router-{number}"]) for number in range(3)] == [[one] for one in sockets]
    assert found["router"]["health_checks"][0]["grpc_health_check"] == {}
    assert not any("health_checks" in found[f"router-{number}"] for number in range(3)), "who holds a request is asked"


@pytest.mark.parametrize("number", range(3))
def test_an_attempt_goes_to_the_worker_whose_exchange_it_is(number: int) -> None:
    id = Worker(FIRST, number, 3).ids(lambda: "f" * 16)()
    routes = manager(rendered(3), "attempt")["route_config"]["virtual_hosts"][0]["routes"]
    mine = [route for route in routes if holds(route, id)]
    (service,) = [
        route["typed_per_filter_config"]["envoy.filters.http.ext_proc"]["overrides"]["grpc_service"] for route in mine
    ]
    assert service["envoy_grpc"]["cluster_name"] == f"router-{number}"
    assert service["initial_metadata"] == [{"key": "x-archgw-role", "value": "attempt"}]


def holds(route: Any, id: str) -> bool:
    wanted = [one for one in route["match"].get("headers", []) if one["name"] == "x-archgw-exchange"]
    return any(id.startswith(one["string_match"]["prefix"]) for one in wanted)


@pytest.mark.parametrize("count", [1, 2])
def test_an_attempt_whose_service_has_gone_is_told_so_however_many_there_are(count: int) -> None:
    mappers = json.dumps(manager(rendered(count), "attempt")["local_reply_config"])
    assert "archgw: the router service is not answering" in mappers


def test_torn_streams_are_logged_to_whom_they_concern() -> None:
    logs = manager(rendered(2), "attempt")["access_log"][1:]
    told = [
        (
            log["typed_config"]["common_config"]["grpc_service"]["envoy_grpc"]["cluster_name"],
            log["filter"]["extension_filter"]["typed_config"]["expression"].rpartition("startsWith")[2],
        )
        for log in logs
    ]
    assert told == [("router-0", f"('{mark(0)}')"), ("router-1", f"('{mark(1)}')")]


def test_envoy_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "envoy.json"
    place = envoy.Place(ca_file=ca_file())
    file.write_text(json.dumps(envoy.render(plan_of(f"{THREE}{REDIS}workers: 64\n"), place)))
    assert refusal(file) == ""


# -- what they say, as one -----------------------------------------------------------------------------------------


class Away(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


def said(answered: int, *, cooling: float = 0.0, spent: float = 0.0, trouble: str = "") -> pb.StatusReply:
    return pb.StatusReply(
        requests_under_way=1,
        requests_ended=answered,
        sessions=answered,
        candidates=[pb.Candidate(id="a", label="v/a", answered=answered, cooling_left=cooling, cooling_why="429")],
        troubles=filter(None, [trouble]),
        budgets=[pb.Budget(name="all", spent=spent, limit=9.0)],
    )


def test_counts_add_up_and_what_is_shared_does_not() -> None:
    one, other = said(3, spent=2.0, trouble="no disk"), said(4, cooling=7.0, spent=2.5, trouble="no disk")
    whole = merging.status({0: one, 1: other})
    assert (whole.requests_under_way, whole.requests_ended, whole.sessions) == (2, 7, 4)
    (candidate,) = whole.candidates
    assert (candidate.answered, candidate.cooling_left, candidate.cooling_why) == (7, 7.0, "429")
    assert [(budget.name, budget.spent) for budget in whole.budgets] == [("all", 2.5)]
    assert list(whole.troubles) == ["no disk"]


def test_who_does_not_answer_is_named_and_only_where_nobody_does_it_is_an_error() -> None:
    whole = merging.status({0: said(3), 1: Away()})
    assert whole.requests_ended == 3
    assert list(whole.troubles) == ["router-1 does not answer, and is started again by itself"]
    with pytest.raises(Away):
        merging.status({0: Away(), 1: Away()})


def test_the_latest_request_is_told_by_whoever_has_it() -> None:
    older, newer = (pb.Explanation(request=pb.Request(id=id, started=at)) for id, at in (("00a", 1.0), ("01b", 2.0)))
    nobody = Away(grpc.StatusCode.NOT_FOUND)
    assert merging.explanation({0: older, 1: newer, 2: nobody}).request.id == "01b"
    with pytest.raises(Away) as raised:
        merging.explanation({0: Away(), 1: nobody})
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_answers_are_kept_once_and_used_by_each() -> None:
    replies = {number: pb.CacheReply(entries=5, bytes=50, hits=2, misses=1, saved=0.5) for number in range(2)}
    whole = merging.cache(replies | {2: Away()})
    assert (whole.entries, whole.bytes, whole.hits, whole.misses, whole.saved) == (5, 50, 4, 2, 1.0)


def test_a_page_of_figures_names_the_worker_of_each_and_says_what_is_common_once() -> None:
    page = """# HELP archgw_requests_total Requests.
# TYPE archgw_requests_total counter
archgw_requests_total{{class="2xx"}} {requests}
# HELP archgw_budget_spent Spent.
# TYPE archgw_budget_spent gauge
archgw_budget_spent{{budget="all"}} {spent}
# HELP archgw_routing_seconds Routing.
# TYPE archgw_routing_seconds histogram
archgw_routing_seconds_bucket{{le="+Inf"}} 1.0
archgw_routing_seconds_count 1.0
archgw_routing_seconds_sum 0.5
"""
    pages = {0: page.format(requests=3, spent=1.0), 1: page.format(requests=4, spent=1.5), 2: None}
    told = siblings.written(pages, 1).decode()
    lines = [line for line in told.splitlines() if not line.startswith("#")]
    assert [line for line in lines if "requests" in line] == [
        'archgw_requests_total{class="2xx",worker="0"} 3.0',
        'archgw_requests_total{class="2xx",worker="1"} 4.0',
    ]
    assert [line for line in lines if "budget" in line] == ['archgw_budget_spent{budget="all"} 1.5']
    assert 'archgw_routing_seconds_bucket{le="+Inf",worker="1"} 1.0' in lines
    assert [line for line in lines if "worker_answers" in line] == [
        f'archgw_worker_answers{{worker="{number}"}} {there}' for number, there in ((0, 1.0), (1, 1.0), (2, 0.0))
    ]
    assert told.count("# TYPE archgw_requests_total counter") == 1, "a family stands in one piece"


# -- a reload is for all or none -----------------------------------------------------------------------------------


class Adopting(router_pb2_grpc.RouterServicer):
    def __init__(self, *, refuses: str = "nothing") -> None:
        self.refuses, self.adopted = refuses, list[str]()

    def Adopt(self, request: pb.AdoptRequest, context: Any) -> pb.AdoptReply:
        if self.refuses in request.text:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no such model here")
        self.adopted.append(request.text)
        return pb.AdoptReply()


@contextmanager
def served(socket: Path, servicer: router_pb2_grpc.RouterServicer) -> Iterator[None]:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    router_pb2_grpc.add_RouterServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    yield
    server.stop(0).wait()


async def test_where_one_does_not_take_it_the_others_go_back(tmp_path: Path) -> None:
    file, home = tmp_path / "config.yaml", Home(tmp_path / "home")
    old = f"llm_providers: [{{model: openai/gpt-4o, access_key: k}}]\nworkers: 3\n{REDIS}"
    file.write_text(old)
    home.create()
    supervisor = Supervisor(file, home, environment={})
    three = [Adopting(), Adopting(refuses="gpt-5"), Adopting()]
    with ExitStack() as servers:
        for socket, one in zip(home.router_sockets(3), three, strict=True):
            servers.enter_context(served(socket, one))
        fresh, refused = (supervisor._source.__class__(*_with(supervisor._source, to)) for to in ("gpt-4.1", "gpt-5"))
        await supervisor._adopted(fresh)
        assert [one.adopted for one in three] == [[fresh.text]] * 3
        with pytest.raises(CannotReload, match="no such model here"):
            await supervisor._adopted(refused)
    assert three[0].adopted == [fresh.text, refused.text, old], "what was before the reload that failed"
    assert three[1].adopted == [fresh.text], "it has changed nothing"
    assert three[2].adopted == [fresh.text, old], "it may have begun anew meanwhile, with what was just accepted"
    assert json.loads(home.accepted.read_text())["text"] == old


def _with(source: Any, model: str) -> tuple[Any, ...]:
    return source.file, source.text.replace("gpt-4o", model), source.variables, source.clouds


@pytest.mark.parametrize("change", ["redis://127.0.0.1:6380", "memory"])
async def test_what_they_share_is_not_another_while_they_run(tmp_path: Path, change: str) -> None:
    file = tmp_path / "config.yaml"
    text = "llm_providers: [{{model: openai/gpt-4o, access_key: k}}]\nworkers: {}\nstate: {{url: '{}'}}\n"
    file.write_text(text.format(2, "redis://127.0.0.1:6379"))
    supervisor = Supervisor(file, Home(tmp_path / "home"), environment={})
    file.write_text(text.format(2 if "redis" in change else 1, change))
    with pytest.raises(CannotReload, match=r"several router services run, .* archgw down, then archgw up"):
        await supervisor.reload()


# -- one that hangs ------------------------------------------------------------------------------------------------


async def test_that_the_dashboard_keeps_ending_hides_nobody_who_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, home = tmp_path / "config.yaml", Home(tmp_path / "home")
    file.write_text("llm_providers: [{model: openai/gpt-4o, access_key: k}]\n")
    home.create()
    monkeypatch.setattr(processes, "_BACK_OFF", (0.01,))
    supervisor = Supervisor(file, home, environment={}, silence=0.5)
    hung = {name: await asyncio.create_subprocess_exec("sleep", "60") for name in ("router", "envoy")}
    for name, process in hung.items():
        supervisor._processes.runs(name, process.pid)
    ending = supervisor._processes.keep(lambda: Service("dashboard", ("true",), {}))
    tasks = [asyncio.create_task(work) for work in (ending, supervisor._watch())]
    try:
        assert await asyncio.wait_for(hung["router"].wait(), 60) == -signal.SIGKILL
        assert await asyncio.wait_for(hung["envoy"].wait(), 60) == -signal.SIGKILL
        assert supervisor.restarts["dashboard"] > 3
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_has_ended_is_not_ended_again_under_a_number_that_is_anothers_now(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    kept = Processes(home)
    keeping = asyncio.create_task(kept.keep(lambda: Service("router", ("true",), {})))
    await until(lambda: kept.restarts.get("router") == 1)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    another = await asyncio.create_subprocess_exec("sleep", "60")
    kept.pids["router"] = another.pid
    kept.kill("router")
    kept.runs("envoy", another.pid)
    assert another.returncode is None
    kept.kill("envoy")
    assert await another.wait() == -signal.SIGKILL


async def test_one_that_does_not_answer_is_ended_though_the_others_do(tmp_path: Path) -> None:
    file, home = tmp_path / "config.yaml", Home(tmp_path / "home")
    file.write_text(f"llm_providers: [{{model: openai/gpt-4o, access_key: k}}]\n{REDIS}")
    home.create()
    supervisor = Supervisor(file, home, environment={}, silence=1.0, workers=2)
    well, hung = supervisor._workers
    server = grpc.server(futures.ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_insecure_port(f"unix:{well.socket}")
    server.start()
    asleep = {one.name: await asyncio.create_subprocess_exec("sleep", "60") for one in (well, hung)}
    for name, process in asleep.items():
        supervisor._processes.runs(name, process.pid)
    watching = [asyncio.create_task(supervisor._watch_worker(one)) for one in (well, hung)]
    try:
        assert await asyncio.wait_for(asleep[hung.name].wait(), 60) == -signal.SIGKILL
        assert asleep[well.name].returncode is None
    finally:
        for task in watching:
            task.cancel()
        asleep[well.name].kill()
        await asleep[well.name].wait()
        server.stop(0).wait()


def test_up_says_what_more_than_one_of_them_needs(shell: Shell) -> None:
    said = shell.run("up", shell.config(), "--workers", "2")
    assert said.exit_code == 1
    assert "--workers 2: 2 router services share" in said.output and "redis://127.0.0.1:6379" in said.output


def test_a_service_that_is_started_by_itself_wants_to_know_which_it_is(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"llm_providers: [{{model: openai/gpt-4o, access_key: k}}]\nworkers: 2\n{REDIS}")
    command = [sys.executable, "-m", "router_service", "--config", str(config), "--socket", str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = "workers: 2: each is a process of its own; say which this is: --worker 0 ... --worker 1"
    assert (done.returncode, done.stderr.strip()) == (1, told)


# -- requests as they end ------------------------------------------------------------------------------------------


class Telling(router_pb2_grpc.RouterServicer):
    """Tells these, and then what it is given."""

    def __init__(self, *before: tuple[str, float]) -> None:
        self._before, self.more = before, queue.Queue[str]()

    def Status(self, request: pb.StatusRequest, context: Any) -> pb.StatusReply:
        return pb.StatusReply()

    def Watch(self, request: pb.WatchRequest, context: Any) -> Iterator[pb.Request]:
        if request.replay:
            yield from (pb.Request(id=id, started=at) for id, at in self._before)
        while context.is_active():
            with suppress(queue.Empty):
                yield pb.Request(id=self.more.get(timeout=0.05))


def test_requests_are_told_in_the_order_in_which_they_ended_and_go_on_when_one_begins_anew(tmp_path: Path) -> None:
    one, other = Telling(("00a", 1.0), ("00b", 4.0)), Telling(("01a", 2.0), ("01b", 3.0))
    sockets = [tmp_path / "router.sock", tmp_path / "router-1.sock"]
    with served(sockets[0], one):
        with served(sockets[1], other):
            told = watched(sockets, replay=3)
            assert [next(told).id for _ in range(3)] == ["01a", "01b", "00b"]
            for telling, id in ((other, "01c"), (one, "00c")):
                telling.more.put(id)
                assert next(told).id == id
        one.more.put("00d")
        assert next(told).id == "00d", "it has gone, and the other goes on"
        again = Telling(("01a", 2.0))
        with served(sockets[1], again):
            again.more.put("01e")
            assert next(told).id == "01e", "what it told before is not told twice"
    with pytest.raises(grpc.RpcError):
        next(told)
