"""HTTP to the devnet and the services, for a machine on which a test may stand still for seconds between any two steps."""
import urllib.error
import urllib.request

TRIES = 50


def post(url, body=None, timeout=600):
    """(status, bytes); GET if there is no body. A server closes a connection that is silent for a second or two; it has read nothing then, so the request is repeated."""
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"} if body else {}), timeout=timeout) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()
        except (urllib.error.URLError, ConnectionError) as e:
            if not left or not isinstance(getattr(e, "reason", e), (BrokenPipeError, ConnectionResetError)):
                raise
