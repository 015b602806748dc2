"""What a test asks and changes: below /_test/ of the control plane."""

import json

from state import LOCK, LOG, REPOSITORIES, SECRETS, SETTINGS, TOKENS, Repository, hand_out


class Told:
    def test(self, path, data):
        with LOCK:
            result = {}
            if path == "/_test/log":
                result = LOG
            elif path == "/_test/secrets":
                result = SECRETS
            elif path == "/_test/state":
                keep = ("mutability", "exclusions", "scan", "encryption", "resource_tags", "lifecycle", "policy", "catalog", "tags")
                result = {f"{r.registry}:{r.name}": {**{k: getattr(r, k) for k in keep}, "images": len(r.manifests)} for r in REPOSITORIES.values()}
            elif path == "/_test/set":
                told = json.loads(data)
                if told.pop("expire_tokens", False):
                    for token, (registry, _, push) in list(TOKENS.items()):
                        TOKENS[token] = (registry, 0, push)
                if told.pop("clear_log", False):
                    LOG.clear()
                SETTINGS.update(told)
            elif path == "/_test/forget":
                told = json.loads(data)
                for repository in REPOSITORIES.values():
                    if repository.name == told["repository"]:
                        digest = told.get("digest") or repository.tags.get(told.get("tag"))
                        repository.manifests.pop(digest, None)
                        repository.tags = {t: d for t, d in repository.tags.items() if d != digest}
            elif path == "/_test/create":
                told = json.loads(data)
                r = REPOSITORIES[(told["registry"], told["name"])] = Repository(told["registry"], told["name"])
                r.mutability = told.get("mutability", "MUTABLE")
            elif path == "/_test/token":
                public = json.loads(data or b"{}").get("public")
                result = {"token": hand_out("public-login" if public else None, SETTINGS["token_life"], True)}
            elif path == "/_test/repository":
                told = json.loads(data)
                for repository in REPOSITORIES.values():
                    if repository.name == told["repository"]:
                        for name, value in told.items():
                            if name == "more_tags":  # stands for a thousand commits
                                digest = repository.tags[value["of"]]
                                repository.tags.update({f"old-{n}": digest for n in range(value["count"])})
                            elif name != "repository":
                                setattr(repository, name, value)
        self.answer(200, json.dumps(result).encode(), {"Content-Type": "application/json"})
