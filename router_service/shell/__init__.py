"""The only I/O of the service: gRPC, the router model, the clock, the log."""
