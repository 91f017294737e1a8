"""`prefer: fastest`: who will have answered soonest, to the end of a usual answer, by how they answer lately.

Who serves the session stays unless somebody else needs less than `MARGIN` of his seconds: single answers of one model
differ by more than models do, and each change costs the prompt cache. Whom nobody has measured for hours gets one
request to be measured by, of a session that nobody serves yet.
"""

from router_service.plan import Route
from router_service.policies.policy import Choice, Setting, compared

MARGIN = 0.75


def first(route: Route, setting: Setting) -> Choice:
    ranked = sorted(route.candidates, key=setting.seconds)
    here, chosen = setting.here(route), ranked[0]
    if len(ranked) == 1:
        return Choice(chosen)
    unseen = next((one for one in route.candidates if setting.speed(one).unseen), None)
    if not here and unseen:
        return Choice(unseen, f"fastest: {unseen.label} has not been measured lately")
    if here and setting.seconds(chosen) > MARGIN * setting.seconds(here):
        chosen = here
    others = [one for one in ranked if one is not chosen]
    near = ", not a quarter less" if chosen is not ranked[0] else ""
    return Choice(chosen, compared("fastest", chosen, others, lambda one: f"{setting.seconds(one):.1f} s", near))
