"""`docker://`: registries by the distribution specification.

    hosts.py        which servers a name may come from: mirrors, insecure ones, certificates; as registriesconf.py and
                    hoststoml.py read the files of podman and containerd
    credentials.py  passwords of Docker's and containers' files and of their helpers
    auth.py         what a server asks for in return: a challenge becomes a header
    client.py       requests to one server: retries, redirects, tokens;   pools.py: connections and proxies
    source.py, push.py, repository.py       an image from there, an image to there; what else there is

Only here is urllib3 imported.
"""
