"""The caller's TOWLINE_ variables are not for the services of a test, which would obey them or warn of them."""
import os


def forget_towline_variables():
    for name in [n for n in os.environ if n.startswith("TOWLINE_")]:
        del os.environ[name]
