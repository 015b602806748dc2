"""The Security Token Service."""

import secrets
import time

from state import KEYS, SECRETS


class Sts:
    def sts_GetCallerIdentity(self, _, account, __):
        return f"<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/test</Arn><UserId>AIDTEST</UserId><Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"

    def sts_AssumeRole(self, form, _, __):
        account = form["RoleArn"].split(":")[4]
        key = f"ASIAROLE{account}"
        KEYS[key] = account
        secret = "role-secret-" + secrets.token_hex(8)
        SECRETS.append(secret)
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return f"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser><Arn>{form['RoleArn']}/orchestrate</Arn><AssumedRoleId>A:orchestrate</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{secret}</SessionToken><Expiration>{ends}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
