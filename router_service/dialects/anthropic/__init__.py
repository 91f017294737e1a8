"""The pieces of `anthropic_messages`: request (parse), render, reply (whole), stream (reader and writer)."""
