"""`docker://`: registries by the distribution specification.

    hosts.py        which servers a name may come from: mirrors, insecure ones, certificates
    credentials.py  passwords of Docker's and containers' files and of their helpers
    auth.py         what a server asks for in return: a challenge becomes a header
    client.py       requests to one server: retries, redirects, tokens
    source.py, push.py      an image from there, an image to there

Only here is urllib3 imported.
"""
