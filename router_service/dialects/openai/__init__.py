"""The pieces of `openai_chat`: request (parse), render, reply (whole), stream (reader), writer."""
