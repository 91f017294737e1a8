"""The dashboard: a page about what the ledger holds, served on loopback by a process of its own.

`span`, `sums`, `asked`, `sessions`, `quality`: questions to the ledger, pure but for the connection they are given.
`books` opens it, `gateway` asks the running gateway, `live` follows both; `door` lets nobody else in, `app` answers,
`serving` is the process. `assets/` is the page.
"""
