"""What both planes know: repositories, logins, what was asked so far, and how the servers are told to behave."""

import fnmatch
import json
import secrets
import threading
import time

LOCK = threading.RLock()
KEYS = {"AKIDORCHESTRATE": "123456789012", "AKIDOTHERACCOUNT": "210987654321"}
REPOSITORIES = {}  # (registry, name): Repository; a registry is "ACCOUNT/REGION" or "public"
TOKENS = {}  # token: (registry or None for all, ends, may push)
SECRETS = []
LOG = []
SETTINGS = {"deny": [], "throttle": {}, "only": None, "slow": {}, "token_life": 12 * 3600, "mounts": False, "public_account": "123456789012"}
UPLOADS = {}


class Refused(Exception):
    def __init__(self, status, code, message, headers=None):
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class Repository:
    def __init__(self, registry, name):
        self.registry, self.name = registry, name
        self.manifests, self.tags, self.blobs = {}, {}, {}
        self.mutability, self.exclusions = "MUTABLE", []
        self.scan, self.encryption, self.resource_tags = False, {"encryptionType": "AES256"}, []
        self.lifecycle = self.policy = self.catalog = None
        self.created = time.time()

    def arn(self):
        if self.registry == "public":
            return f"arn:aws:ecr-public::{SETTINGS['public_account']}:repository/{self.name}"
        account, region = self.registry.split("/")
        return f"arn:aws:ecr:{region}:{account}:repository/{self.name}"

    def children(self):
        found = set()
        for media_type, data, _ in self.manifests.values():
            if "index" in media_type or "list" in media_type:
                found.update(child["digest"] for child in json.loads(data).get("manifests", []))
        return found

    def tags_of(self, digest):
        return sorted(tag for tag, at in self.tags.items() if at == digest)

    def immutable(self, tag):
        excluded = any(fnmatch.fnmatchcase(tag, e["filter"]) for e in self.exclusions)
        return self.mutability.startswith("IMMUTABLE") != ("WITH_EXCLUSION" in self.mutability and excluded)


def may(action):
    """Whether the policies in force allow an action. Whose credentials these are, everybody may ask."""
    only = SETTINGS["only"]
    return action not in SETTINGS["deny"] and (only is None or action in only or action == "sts:GetCallerIdentity")


def hand_out(registry, life, push):
    token = "test-token-" + secrets.token_hex(24)
    TOKENS[token] = (registry, time.time() + life, push)
    SECRETS.append(token)
    return token
