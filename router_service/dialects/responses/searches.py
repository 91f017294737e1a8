"""Searches of the web in Responses: `web_search_call` items, which also open a page or look for words in one."""

from router_service.conversation import Json, Search, WebSearch
from router_service.dialects.parts import vendor_tools

NAME = "openai_responses"
CALL = "web_search_call"
SOURCES = "web_search_call.action.sources"


def read(item: Json) -> Search:
    action = item.get("action")
    action = action if isinstance(action, dict) else {}
    queries, sources = action.get("queries"), action.get("sources")
    several = ", ".join(map(str, queries)) if isinstance(queries, list) else ""
    pages = [page for page in sources if isinstance(page, dict)] if isinstance(sources, list) else []
    return Search(
        id=str(item.get("id") or ""),
        query=str(action.get("query") or several or action.get("pattern") or action.get("url") or ""),
        pages=tuple((str(page.get("url") or ""), str(page.get("title") or page.get("url") or "")) for page in pages),
        error="" if item.get("status") != "failed" else "failed",
        dialect=NAME,
        raw=(item,),
    )


def item(found: Search, id_: str) -> Json:
    """For a client."""
    if found.dialect == NAME:
        return found.raw[0]
    sources = [{"type": "url", "url": url} for url, _ in found.pages]
    action = {"type": "search", "query": found.query} | ({"sources": sources} if sources else {})
    return {"id": f"ws_{id_}", "type": CALL, "status": "failed" if found.error else "completed", "action": action}


def replayed(found: Search) -> Json:
    """In the history; by its id OpenAI would look for the reasoning that it came of."""
    told = item(found, "")
    action = {name: value for name, value in told.get("action", {}).items() if name != "sources"}
    return {"type": CALL, "status": told.get("status", "completed"), "action": action}


def tool(wanted: WebSearch) -> Json:
    filters = {"filters": allowed} if (allowed := vendor_tools.domains(wanted)) else {}
    depth = {"search_context_size": wanted.depth} if wanted.depth else {}
    return {"type": vendor_tools.SEARCH, **filters, **vendor_tools.place(wanted), **depth}
