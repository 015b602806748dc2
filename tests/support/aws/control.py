"""The control plane: who may call, and what answers."""

import json
import re
import urllib.parse

from ecr import Ecr
from ecr_public import EcrPublic
from passed import Passed
from state import KEYS, LOCK, REPOSITORIES, SETTINGS, Refused, may
from sts import Sts
from told import Told
from web import Handler


class Control(Told, Sts, Ecr, EcrPublic, Passed, Handler):
    """The services' APIs, by the name of the service and of the operation. What nobody here plays is passed on."""

    def plane(self):
        return "control"

    def serve(self, data):
        path = urllib.parse.urlsplit(self.path)
        if path.path.startswith("/_test/"):
            return self.test(path.path, data)
        if path.path.startswith("/_s3/"):
            return self.storage(path.path)
        auth = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/", self.headers.get("Authorization", ""))
        key, region, service = auth.groups() if auth else ("", "", "")
        target = self.headers.get("X-Amz-Target", "")
        form = dict(urllib.parse.parse_qsl(data.decode("utf-8", "replace"))) if service == "sts" else {}
        names = {"AmazonEC2ContainerRegistry_V20150921": "ecr", "SpencerFrontendService": "ecr-public"}
        prefix, _, operation = target.partition(".")
        name = names.get(prefix, service)
        operation = operation or form.get("Action", "")
        if name not in ("ecr", "ecr-public", "sts"):
            return self.other(data, key, region, service)
        action = f"{name}:{operation}"
        try:
            with LOCK:
                self.admit(action, key)
                result = getattr(self, f"{name.replace('-', '_')}_{operation}")(
                    form or json.loads(data or b"{}"), KEYS[key], region
                )
        except Refused as refused:
            self.note(action, refused.status)
            return self.refuse(refused, name)
        except AttributeError as error:
            self.note(action, 501)
            return self.refuse(Refused(501, "UnknownOperationException", str(error)), name)
        self.note(action, 200)
        if name == "sts":
            return self.answer(200, result.encode(), {"Content-Type": "text/xml"})
        self.answer(200, json.dumps(result).encode(), {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "test"})

    def admit(self, action, key):
        if not key:
            raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if key not in KEYS:
            code = "InvalidClientTokenId" if action.startswith("sts") else "UnrecognizedClientException"
            raise Refused(403, code, "The security token included in the request is invalid.")
        if self.headers.get("X-Amz-Security-Token") == "expired" or SETTINGS.get("expired_credentials"):
            code = "ExpiredToken" if action.startswith("sts") else "ExpiredTokenException"
            raise Refused(403 if action.startswith("sts") else 400, code, "The security token included in the request is expired")
        if SETTINGS["throttle"].get(action, 0) > 0:
            SETTINGS["throttle"][action] -= 1
            raise Refused(400, "ThrottlingException", "Rate exceeded")
        if not may(action):
            raise Refused(400, "AccessDeniedException", f"User: arn:aws:iam::{KEYS[key]}:user/test is not authorized to perform: {action}")

    def refuse(self, refused, name):
        if name in ("sts", "iam", "cloudformation"):
            body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{refused.code}</Code><Message>{refused.message}</Message></Error><RequestId>test</RequestId></ErrorResponse>"
            return self.answer(refused.status, body.encode(), {"Content-Type": "text/xml"})
        body = json.dumps({"__type": refused.code, "message": refused.message}).encode()
        self.answer(refused.status, body, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "test"})

    def storage(self, path):
        if self.headers.get("Authorization"):
            return self.answer(400, b"Only one auth mechanism allowed")
        digest = path.rsplit("/", 1)[1]
        for repository in REPOSITORIES.values():
            if digest in repository.blobs:
                data = repository.blobs[digest]
                span = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                if span:
                    first, last = int(span[1]), int(span[2] or len(data) - 1)
                    headers = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
                    return self.answer(206, data[first : last + 1], headers)
                return self.answer(200, data, {"Content-Type": "application/octet-stream"})
        self.answer(404)
