"""archgw drill: models are broken one at a time, and what a client sees of it is judged. See docs/drill.md.

scenarios         what is broken, and how
leads             who is asked first, by which preference, and who steps in
rewiring          the config of the drill: stand-ins in the place of models
reading           what a strict client makes of the bytes that came
verdict           whether anything was lost
findings          what a drill has found: rows, and what the drill changed
bars, page, text  the page as HTML, in Markdown, at the terminal
spending          what a drill with the real vendors may cost
ground, running   the only I/O: a stack of its own, and the drill on it
course            a drill from end to end
"""
