"""The one loop: ask, begin, report, end, tell. It knows neither Ray nor files."""
