"""The controller's pages: monitors of a model, one feature of it, explanations of bad windows.

What always holds: as in the registry's pages, whose frame and rules they share (escaped values, no
script, no inline style, a strict Content-Security-Policy); they only read, over the same services
as the API, and show single rows only to who may read rows. What a drawing shows by colour it also
shows by shape, in a tooltip, and in a table below it.

A drawing is numbers, made here and put into inline SVG by a template: `heatmap.py`, `trends.py`,
`distributions.py`.
"""
