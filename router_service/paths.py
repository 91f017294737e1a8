"""The paths at which the gateway itself answers, of which Envoy is told, too; those of dialects are the dialects'."""

SESSION, METRICS = "/archgw/sessions/", "/archgw/metrics"
ROUTING = "/routing"  # before the path of a request that is to be decided about, and no more
DECIDE = f"{ROUTING}/v1/decide"  # a question of its own, and no whole request: it belongs to no session
CALL = "/archgw.v1.Decisions/Decide"  # the same by gRPC; the front listener lets it through to the service
