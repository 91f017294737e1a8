"""The engine of archgw: pure values and machines; only `shell/` and `__main__` touch the world.

config -> plan              what the user wrote, checked -> what will run, resolved
conversation, intent        the neutral model of a request; what kind it is and what was asked last
dialects, providers, sse    wire formats; facts about vendors; server-sent events
session, policies           whose turn it is; which candidate answers it
exchange                    one request as Envoy shows it: Selection, then one Attempt per try
outcome                     what came of it
"""
