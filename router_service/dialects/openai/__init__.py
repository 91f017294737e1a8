"""The pieces of `openai_chat`: request (parse), messages and render, adapt, reply (whole), stream (reader), writer."""
