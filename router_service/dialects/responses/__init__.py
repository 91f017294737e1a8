"""The pieces of `openai_responses`: request (parse), render, adapt, reply (whole), stream (reader), writer."""
