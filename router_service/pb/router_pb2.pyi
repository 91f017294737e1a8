from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FiguresRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FiguresReply(_message.Message):
    __slots__ = ("page",)
    PAGE_FIELD_NUMBER: _ClassVar[int]
    page: bytes
    def __init__(self, page: _Optional[bytes] = ...) -> None: ...

class DecisionRequest(_message.Message):
    __slots__ = ("dialect", "body", "headers")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    dialect: str
    body: bytes
    headers: _containers.ScalarMap[str, str]
    def __init__(self, dialect: _Optional[str] = ..., body: _Optional[bytes] = ..., headers: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("preference", "lane", "models", "scores", "difficulty", "reason", "kind", "request_id", "session")
    class ScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class DifficultyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    PREFERENCE_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    DIFFICULTY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    preference: str
    lane: str
    models: _containers.RepeatedCompositeFieldContainer[Model]
    scores: _containers.ScalarMap[str, float]
    difficulty: _containers.ScalarMap[str, float]
    reason: str
    kind: str
    request_id: str
    session: str
    def __init__(self, preference: _Optional[str] = ..., lane: _Optional[str] = ..., models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., scores: _Optional[_Mapping[str, float]] = ..., difficulty: _Optional[_Mapping[str, float]] = ..., reason: _Optional[str] = ..., kind: _Optional[str] = ..., request_id: _Optional[str] = ..., session: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("model", "provider", "name", "base_url", "dialect")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    model: str
    provider: str
    name: str
    base_url: str
    dialect: str
    def __init__(self, model: _Optional[str] = ..., provider: _Optional[str] = ..., name: _Optional[str] = ..., base_url: _Optional[str] = ..., dialect: _Optional[str] = ...) -> None: ...

class CacheRequest(_message.Message):
    __slots__ = ("clear",)
    CLEAR_FIELD_NUMBER: _ClassVar[int]
    clear: bool
    def __init__(self, clear: _Optional[bool] = ...) -> None: ...

class CacheReply(_message.Message):
    __slots__ = ("entries", "bytes", "hits", "misses", "saved", "waiting", "trouble")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    MISSES_FIELD_NUMBER: _ClassVar[int]
    SAVED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    entries: int
    bytes: int
    hits: int
    misses: int
    saved: float
    waiting: int
    trouble: str
    def __init__(self, entries: _Optional[int] = ..., bytes: _Optional[int] = ..., hits: _Optional[int] = ..., misses: _Optional[int] = ..., saved: _Optional[float] = ..., waiting: _Optional[int] = ..., trouble: _Optional[str] = ...) -> None: ...

class AdoptRequest(_message.Message):
    __slots__ = ("file", "text", "variables", "clouds_found", "clouds_lacking")
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FILE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    CLOUDS_FOUND_FIELD_NUMBER: _ClassVar[int]
    CLOUDS_LACKING_FIELD_NUMBER: _ClassVar[int]
    file: str
    text: str
    variables: _containers.ScalarMap[str, str]
    clouds_found: _containers.RepeatedScalarFieldContainer[str]
    clouds_lacking: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, file: _Optional[str] = ..., text: _Optional[str] = ..., variables: _Optional[_Mapping[str, str]] = ..., clouds_found: _Optional[_Iterable[str]] = ..., clouds_lacking: _Optional[_Iterable[str]] = ...) -> None: ...

class AdoptReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("prompt", "context", "explain")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    context: _containers.RepeatedScalarFieldContainer[str]
    explain: bool
    def __init__(self, prompt: _Optional[str] = ..., context: _Optional[_Iterable[str]] = ..., explain: _Optional[bool] = ...) -> None: ...

class DecideReply(_message.Message):
    __slots__ = ("route", "reason", "models", "fits", "seconds", "difficulty", "reading", "trouble")
    class DifficultyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    DIFFICULTY_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    route: str
    reason: str
    models: _containers.RepeatedScalarFieldContainer[str]
    fits: _containers.RepeatedCompositeFieldContainer[Fit]
    seconds: float
    difficulty: _containers.ScalarMap[str, float]
    reading: Reading
    trouble: str
    def __init__(self, route: _Optional[str] = ..., reason: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., fits: _Optional[_Iterable[_Union[Fit, _Mapping]]] = ..., seconds: _Optional[float] = ..., difficulty: _Optional[_Mapping[str, float]] = ..., reading: _Optional[_Union[Reading, _Mapping]] = ..., trouble: _Optional[str] = ...) -> None: ...

class Reading(_message.Message):
    __slots__ = ("model", "ask", "context", "tokens")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    model: str
    ask: str
    context: str
    tokens: int
    def __init__(self, model: _Optional[str] = ..., ask: _Optional[str] = ..., context: _Optional[str] = ..., tokens: _Optional[int] = ...) -> None: ...

class Fit(_message.Message):
    __slots__ = ("route", "probability")
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    route: str
    probability: float
    def __init__(self, route: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("replay",)
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    replay: int
    def __init__(self, replay: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("requests_under_way", "bytes_held", "sessions", "requests_ended", "up_seconds", "candidates", "troubles", "budgets")
    REQUESTS_UNDER_WAY_FIELD_NUMBER: _ClassVar[int]
    BYTES_HELD_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_ENDED_FIELD_NUMBER: _ClassVar[int]
    UP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    TROUBLES_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    requests_under_way: int
    bytes_held: int
    sessions: int
    requests_ended: int
    up_seconds: float
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    troubles: _containers.RepeatedScalarFieldContainer[str]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    def __init__(self, requests_under_way: _Optional[int] = ..., bytes_held: _Optional[int] = ..., sessions: _Optional[int] = ..., requests_ended: _Optional[int] = ..., up_seconds: _Optional[float] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., troubles: _Optional[_Iterable[str]] = ..., budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("name", "of", "spent", "limit", "unit", "then", "until")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    THEN_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    of: str
    spent: float
    limit: float
    unit: str
    then: str
    until: float
    def __init__(self, name: _Optional[str] = ..., of: _Optional[str] = ..., spent: _Optional[float] = ..., limit: _Optional[float] = ..., unit: _Optional[str] = ..., then: _Optional[str] = ..., until: _Optional[float] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("id", "label", "answered", "failed", "last_trouble", "cooling_left", "cooling_why")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    LAST_TROUBLE_FIELD_NUMBER: _ClassVar[int]
    COOLING_LEFT_FIELD_NUMBER: _ClassVar[int]
    COOLING_WHY_FIELD_NUMBER: _ClassVar[int]
    id: str
    label: str
    answered: int
    failed: int
    last_trouble: str
    cooling_left: float
    cooling_why: str
    def __init__(self, id: _Optional[str] = ..., label: _Optional[str] = ..., answered: _Optional[int] = ..., failed: _Optional[int] = ..., last_trouble: _Optional[str] = ..., cooling_left: _Optional[float] = ..., cooling_why: _Optional[str] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("id", "started", "kind", "client", "route", "reason", "model_asked", "model_served", "status", "attempts", "score", "first_content", "duration", "input_tokens", "cached_tokens", "output_tokens", "error", "ask", "session", "cost", "failed", "caller", "cache", "decided")
    ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MODEL_ASKED_FIELD_NUMBER: _ClassVar[int]
    MODEL_SERVED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FIRST_CONTENT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    id: str
    started: float
    kind: str
    client: str
    route: str
    reason: str
    model_asked: str
    model_served: str
    status: int
    attempts: int
    score: float
    first_content: float
    duration: float
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    error: str
    ask: str
    session: str
    cost: float
    failed: int
    caller: str
    cache: str
    decided: str
    def __init__(self, id: _Optional[str] = ..., started: _Optional[float] = ..., kind: _Optional[str] = ..., client: _Optional[str] = ..., route: _Optional[str] = ..., reason: _Optional[str] = ..., model_asked: _Optional[str] = ..., model_served: _Optional[str] = ..., status: _Optional[int] = ..., attempts: _Optional[int] = ..., score: _Optional[float] = ..., first_content: _Optional[float] = ..., duration: _Optional[float] = ..., input_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., error: _Optional[str] = ..., ask: _Optional[str] = ..., session: _Optional[str] = ..., cost: _Optional[float] = ..., failed: _Optional[int] = ..., caller: _Optional[str] = ..., cache: _Optional[str] = ..., decided: _Optional[str] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("request", "session")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    request: str
    session: str
    def __init__(self, request: _Optional[str] = ..., session: _Optional[str] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("request", "ask", "context", "fits", "difficulty", "seconds", "trouble", "candidates", "passed_over", "served_before", "switch", "tries", "warnings", "baseline", "baseline_model", "cache_write_tokens", "session_cost", "session_baseline")
    class DifficultyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    DIFFICULTY_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    PASSED_OVER_FIELD_NUMBER: _ClassVar[int]
    SERVED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    TRIES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_MODEL_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SESSION_COST_FIELD_NUMBER: _ClassVar[int]
    SESSION_BASELINE_FIELD_NUMBER: _ClassVar[int]
    request: Request
    ask: str
    context: _containers.RepeatedScalarFieldContainer[str]
    fits: _containers.RepeatedCompositeFieldContainer[Fit]
    difficulty: _containers.ScalarMap[str, float]
    seconds: float
    trouble: str
    candidates: _containers.RepeatedScalarFieldContainer[str]
    passed_over: _containers.RepeatedCompositeFieldContainer[PassedOver]
    served_before: str
    switch: str
    tries: _containers.RepeatedCompositeFieldContainer[Try]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    baseline: float
    baseline_model: str
    cache_write_tokens: int
    session_cost: float
    session_baseline: float
    def __init__(self, request: _Optional[_Union[Request, _Mapping]] = ..., ask: _Optional[str] = ..., context: _Optional[_Iterable[str]] = ..., fits: _Optional[_Iterable[_Union[Fit, _Mapping]]] = ..., difficulty: _Optional[_Mapping[str, float]] = ..., seconds: _Optional[float] = ..., trouble: _Optional[str] = ..., candidates: _Optional[_Iterable[str]] = ..., passed_over: _Optional[_Iterable[_Union[PassedOver, _Mapping]]] = ..., served_before: _Optional[str] = ..., switch: _Optional[str] = ..., tries: _Optional[_Iterable[_Union[Try, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., baseline: _Optional[float] = ..., baseline_model: _Optional[str] = ..., cache_write_tokens: _Optional[int] = ..., session_cost: _Optional[float] = ..., session_baseline: _Optional[float] = ...) -> None: ...

class PassedOver(_message.Message):
    __slots__ = ("model", "why")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    model: str
    why: str
    def __init__(self, model: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class Try(_message.Message):
    __slots__ = ("model", "status", "trouble", "seconds")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    model: str
    status: int
    trouble: str
    seconds: float
    def __init__(self, model: _Optional[str] = ..., status: _Optional[int] = ..., trouble: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...
