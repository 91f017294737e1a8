"""The images that containers are made of."""

ENVOY_IMAGE = "envoyproxy/envoy:v1.40.0"
ROUTER_IMAGE = "archgw/router:0.1.0"
