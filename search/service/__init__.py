"""The service: searches submitted, watched and trusted over HTTP.

    leni-search serve --folder searches

`app.py` wires it, `api.py` and `pages.py` are what is seen of it, `queue.py` decides what runs, `store.py` is what it
knows. The searches themselves are the same runs as `leni-search run` makes, each in a process (or Ray job) of its own.
"""
