"""One file per command; `archgw.app` holds the table."""
