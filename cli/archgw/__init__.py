"""archgw, the command line: the shell around `router_service`, and everything that starts or prints something."""
