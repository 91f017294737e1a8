"""What another team's Envoy lacks to route to models, what of theirs is in the way, and what to do about it. Pure.

`whole` looks at all of it, `manager` at one connection manager, `routes` at its routes.
"""
