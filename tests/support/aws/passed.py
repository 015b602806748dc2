"""Services that another server plays (moto): who may call them, and what AWS does that the other server leaves out.

  - Calls are named as IAM names them, so that they are denied, throttled and counted like all others. CreateFunction and UpdateAgentRuntime
    need iam:PassRole too, and lambda:TagResource where they set tags (Service Authorization Reference, AWS Lambda).
  - Lambda judges images (images.py) when a function is made or updated, in a dry run too (latest/api/API_UpdateFunctionCode.html).
  - GetFunction tells tags only to who may lambda:ListTags, and those of a function alone, not of an alias (latest/api/API_GetFunction.html).
  - A second URL of a function, and a second statement of one name, are conflicts (latest/api/API_CreateFunctionUrlConfig.html,
    latest/api/API_AddPermission.html).
  - A runtime that was updated is UPDATING before it is READY (Amazon Bedrock AgentCore Control API, GetAgentRuntime); moto's never is again.

Without the other server, Lambda and AgentCore have no functions.
"""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request

from images import judge
from state import KEYS, LOCK, SETTINGS, Refused, may

# Method and path, without the version of the API and the `/` at its end: what IAM calls it.
OPERATIONS = [
    ("GET", r"functions", "lambda:ListFunctions"),
    ("POST", r"functions", "lambda:CreateFunction"),
    ("GET", r"functions/([^/]+)", "lambda:GetFunction"),
    ("GET", r"functions/([^/]+)/configuration", "lambda:GetFunctionConfiguration"),
    ("PUT", r"functions/([^/]+)/code", "lambda:UpdateFunctionCode"),
    ("POST", r"functions/([^/]+)/versions", "lambda:PublishVersion"),
    ("POST", r"functions/([^/]+)/aliases", "lambda:CreateAlias"),
    ("PUT", r"functions/([^/]+)/aliases/[^/]+", "lambda:UpdateAlias"),
    ("GET", r"functions/([^/]+)/url", "lambda:GetFunctionUrlConfig"),
    ("POST", r"functions/([^/]+)/url", "lambda:CreateFunctionUrlConfig"),
    ("POST", r"functions/([^/]+)/policy", "lambda:AddPermission"),
    ("DELETE", r"tags/(.+)", "lambda:UntagResource"),
    ("POST", r"runtimes", "bedrock-agentcore:ListAgentRuntimes"),
    ("POST", r"runtimes/([^/]+)/versions", "bedrock-agentcore:ListAgentRuntimeVersions"),
    ("GET", r"runtimes/([^/]+)", "bedrock-agentcore:GetAgentRuntime"),
    ("PUT", r"runtimes/([^/]+)", "bedrock-agentcore:UpdateAgentRuntime"),
]
UPDATING = {}  # runtime: how many more questions find it in the middle of its update


def operation_of(service, method, path, data):
    """What IAM calls a call, and the function or runtime that it is about."""
    if service in ("iam", "cloudformation"):
        return f"{service}:{dict(urllib.parse.parse_qsl(data.decode())).get('Action')}", None
    if service == "apigateway":  # its actions are methods: Service Authorization Reference, Amazon API Gateway Management V2
        return f"apigateway:{method}", None
    path = re.sub(r"^/(20\d\d-\d\d-\d\d/)?", "", urllib.parse.unquote(path)).rstrip("/")
    for wanted, form, action in OPERATIONS:
        found = re.fullmatch(form, path)
        if found and wanted == method:
            return action, found[1] if found.groups() else None
    return f"{service}:{method} {path}", None


class Passed:
    def other(self, data, key, region, service):
        """A call of a service that is not played here."""
        path = urllib.parse.urlsplit(self.path).path
        action, name = operation_of(service, self.command, path, data)
        body = json.loads(data) if data[:1] == b"{" else {}
        try:
            with LOCK:
                for needed in [action, *self.implied(action, body)]:
                    self.admit(needed, key)
            if self.server.passes_to is None:
                return self.without_functions(action, name)
            self.before(action, name, body, f"arn:aws:lambda:{region}:{KEYS[key]}:function")
        except Refused as refused:
            self.note(action, refused.status)
            return self.refuse(refused, service)
        if not body.get("DryRun"):
            time.sleep(SETTINGS["slow"].get(action, 0))
        status, answer, headers = self.pass_on(self.command, self.path, data)
        self.note(action, status)
        self.answer(status, self.after(action, name, answer), headers)

    def implied(self, action, body):
        if action in ("lambda:CreateFunction", "bedrock-agentcore:UpdateAgentRuntime"):
            yield "iam:PassRole"
        if action == "lambda:CreateFunction" and body.get("Tags"):
            yield "lambda:TagResource"

    def before(self, action, name, body, functions):
        if action == "lambda:CreateFunction":
            judge(body["Code"]["ImageUri"], f"{functions}:{body['FunctionName']}", body.get("Architectures", ["x86_64"])[0])
        elif action == "lambda:UpdateFunctionCode":
            found = self.asked(f"/2015-03-31/functions/{name}/configuration")
            if found is not None:
                judge(body["ImageUri"], f"{functions}:{name}", found["Architectures"][0])
        elif action == "lambda:CreateFunctionUrlConfig" and self.asked(f"/2021-10-31/functions/{name}/url") is not None:
            raise Refused(409, "ResourceConflictException", f"Failed to create function url config for [functionArn = {functions}:{name}]. Error message:  FunctionUrlConfig exists for this Lambda function")
        elif action == "lambda:AddPermission":
            policy = self.asked(f"/2015-03-31/functions/{name}/policy") or {"Policy": '{"Statement": []}'}
            if any(statement["Sid"] == body["StatementId"] for statement in json.loads(policy["Policy"])["Statement"]):
                raise Refused(409, "ResourceConflictException", f"The statement id ({body['StatementId']}) provided already exists. Please provide a new statement id, or remove the existing statement.")
        elif action == "bedrock-agentcore:UpdateAgentRuntime":
            UPDATING[name] = 2

    def after(self, action, name, answer):
        if action == "lambda:GetFunction" and (not may("lambda:ListTags") or "Qualifier=" in self.path):
            told = json.loads(answer)
            told.pop("Tags", None)
            return json.dumps(told).encode()
        if action == "bedrock-agentcore:GetAgentRuntime":
            told = json.loads(answer)
            if told.get("status") == "UPDATING":
                UPDATING[name] = UPDATING.get(name, 0) - 1
                told["status"] = "UPDATING" if UPDATING[name] >= 0 else "READY"
            return json.dumps(told).encode()
        return answer

    def asked(self, path):
        """What the other server says of something; None if it is not there."""
        status, answer, _ = self.pass_on("GET", path, None)
        return json.loads(answer) if status in (200, 201) else None

    def pass_on(self, method, path, data):
        request = urllib.request.Request(self.server.passes_to + path, data=data or None, method=method)
        for name, value in self.headers.items():
            if name.lower() not in ("host", "content-length", "connection"):
                request.add_header(name, value)
        key = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        if key and key[1] in KEYS:  # moto has an account for each, and does not know whose our keys are
            request.add_header("x-moto-account-id", KEYS[key[1]])
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            reply = opener.open(request)
        except urllib.error.HTTPError as error:
            reply = error
        kept = {n: v for n, v in reply.headers.items() if n.lower() not in ("content-length", "transfer-encoding", "connection")}
        return reply.status, reply.read(), kept

    def without_functions(self, action, name):
        lists = {"lambda:ListFunctions": "Functions", "bedrock-agentcore:ListAgentRuntimes": "agentRuntimes"}
        if action in lists:
            self.note(action, 200)
            return self.answer(200, json.dumps({lists[action]: []}).encode(), {"Content-Type": "application/json"})
        if not action.startswith(("lambda:", "bedrock-agentcore:")):
            return self.answer(501, b"no such service here")
        raise Refused(404, "ResourceNotFoundException", f"Function not found: {name}")
