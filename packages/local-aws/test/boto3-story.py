"""What boto3 sees of the server, printed as one JSON object."""

import io
import json
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

big_file, role_arn, external_id, user_key, user_secret = sys.argv[1:]
with open(big_file, "rb") as file:
    big = file.read()

s3 = boto3.client("s3")
seen = {}


def same(got, expected):
    return "same bytes" if got == expected else f"{len(got)} other bytes"


config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
s3.upload_file(big_file, "clients", "py/big", Config=config)
back = io.BytesIO()
s3.download_fileobj("clients", "py/big", back, Config=config)
seen["multipart"] = same(back.getvalue(), big)
seen["etagParts"] = s3.head_object(Bucket="clients", Key="py/big")["ETag"].strip('"').split("-")[1]
ranged = s3.get_object(Bucket="clients", Key="py/big", Range="bytes=8388600-8388700")
seen["range"] = same(ranged["Body"].read(), big[8388600:8388701])

# A stream makes boto3 send aws-chunked with a trailing checksum.
s3.put_object(Bucket="clients", Key="py/a/stream", Body=io.BytesIO(big[:3_000_000]))
got = s3.get_object(Bucket="clients", Key="py/a/stream")
seen["streamed"] = same(got["Body"].read(), big[:3_000_000])

for key in ["py/a/2", "py/b+c d%.txt", "py/über"]:
    s3.put_object(Bucket="clients", Key=key, Body=b"b")
pages = s3.get_paginator("list_objects_v2").paginate(
    Bucket="clients", Prefix="py/", Delimiter="/", PaginationConfig={"PageSize": 1}
)
names = [
    [item["Key"] for item in page.get("Contents", [])]
    + [item["Prefix"] for item in page.get("CommonPrefixes", [])]
    for page in pages
]
flat = [name for page in names for name in page]
seen["pages"] = [flat[:1], flat[1:3], flat[3:]]

# Without this, botocore still signs URLs by version 2 in us-east-1.
signer = boto3.client("s3", config=Config(signature_version="s3v4"))
url = signer.generate_presigned_url(
    "get_object", Params={"Bucket": "clients", "Key": "py/b+c d%.txt"}, ExpiresIn=60
)
seen["presigned"] = urllib.request.urlopen(url).read().decode()


def assume(**more):
    sts = boto3.client("sts", aws_access_key_id=user_key, aws_secret_access_key=user_secret)
    try:
        given = sts.assume_role(RoleArn=role_arn, RoleSessionName="by-boto3", **more)["Credentials"]
    except ClientError as error:
        return error.response["Error"]["Code"]
    session = boto3.client(
        "s3",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    session.get_object(Bucket="clients", Key="py/a/2")["Body"].read()
    return "read"


seen["rightExternalId"] = assume(ExternalId=external_id)
seen["wrongExternalId"] = assume(ExternalId="tenant/7:wrong")
seen["missingExternalId"] = assume()

keys = [item["Key"] for item in s3.list_objects_v2(Bucket="clients", Prefix="py/")["Contents"]]
outcome = s3.delete_objects(Bucket="clients", Delete={"Objects": [{"Key": key} for key in keys]})
seen["deleted"] = len(outcome["Deleted"])
seen["leftOver"] = s3.list_objects_v2(Bucket="clients", Prefix="py/")["KeyCount"]
print(json.dumps(seen))
