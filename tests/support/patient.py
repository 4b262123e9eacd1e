"""HTTP to the devnet and to the services on a machine that may stand still for seconds between any two steps of ours."""
import urllib.error
import urllib.request

TRIES = 50


def post(url, body=None, timeout=600):
    """(status, bytes); a GET without a body. A server closes a connection on which it hears nothing for a second or two: then nothing was read, and it is tried again."""
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"} if body else {}), timeout=timeout) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()
        except (urllib.error.URLError, ConnectionError) as e:
            if not left or not isinstance(getattr(e, "reason", e), (BrokenPipeError, ConnectionResetError)):
                raise
