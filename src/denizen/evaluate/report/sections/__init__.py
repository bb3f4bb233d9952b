"""The report's sections, one module a theme: each takes `ReportData` and returns markup or ""."""
