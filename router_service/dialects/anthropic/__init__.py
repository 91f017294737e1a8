"""The pieces of `anthropic_messages`: request (parse), render, adapt, reply (whole), stream (reader), writer."""
