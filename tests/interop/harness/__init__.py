"""Real nodes, proxies and Towline's services for the interop tests and the bench."""
