"""Segment photos by clicking. The way of a click through these files:

1. The browser sends an event to `canvas.pointer`, which recognises a gesture: a click, a drag.
2. `canvas.stage` turns canvas pixels into photo pixels and calls `controller.Controller.point`.
3. `encoding` keeps the action until the photo is encoded, in a thread, and then does it.
4. `session.base` adds the point; `session.workspace` asks `session.engines` for an answer.
5. `session.answers` encodes the prompts, and the Segmenter's engine decodes them to masks.
6. The session stores the new state, as a step to undo, and tells the controller what changed.
7. `screen` shows it: `canvas.overlay` picks masks and marks, `panels` show scores and times.
8. `canvas.painting` makes a small PNG of the mask, and `canvas.layers` sends it to the browser.
"""
