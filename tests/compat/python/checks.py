"""What boto3 must see of a gateway: every operation, its refusals, and their codes. Ends with status 0 if all holds."""

import base64
import hashlib
import hmac
import http.client
import io
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1 << 20


def client(access=None, secret=None, **config):
    return boto3.client(
        "s3",
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region_name=os.environ["AWS_DEFAULT_REGION"],
        aws_access_key_id=access or os.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=secret or os.environ["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **config),
    )


s3 = client()


def refused(code, status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ClientError as error:
        found = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert found == (code, status), f"{found} instead of {(code, status)}"
        return
    raise AssertionError(f"not refused; {code} was expected")


def body(bucket, key, **kwargs):
    return s3.get_object(Bucket=bucket, Key=key, **kwargs)["Body"].read()


def check_buckets():
    s3.create_bucket(Bucket="checks")
    refused("BucketAlreadyOwnedByYou", 409, s3.create_bucket, Bucket="checks")
    refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket="nowhere-to-be-found")
    refused("404", 404, s3.head_bucket, Bucket="nowhere-to-be-found")
    refused("NoSuchBucket", 404, s3.put_object, Bucket="nowhere-to-be-found", Key="k", Body=b"")
    refused("NoSuchBucket", 404, s3.delete_bucket, Bucket="nowhere-to-be-found")
    s3.head_bucket(Bucket="checks")
    assert s3.get_bucket_location(Bucket="checks")["LocationConstraint"] is None
    s3.create_bucket(Bucket="checks-second")
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert {"checks", "checks-second"} <= set(names) and names == sorted(names), names
    s3.put_object(Bucket="checks-second", Key="k", Body=b"x")
    refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket="checks-second")
    s3.put_object(Bucket="checks-second", Key="k2", Body=b"x")
    s3.delete_object(Bucket="checks-second", Key="k")
    s3.delete_object(Bucket="checks-second", Key="k2")
    s3.create_multipart_upload(Bucket="checks-second", Key="never completed")
    s3.delete_bucket(Bucket="checks-second")
    refused("NoSuchBucket", 404, s3.put_object, Bucket="checks-second", Key="k", Body=b"x")
    s3.create_bucket(Bucket="checks-second")
    assert "Contents" not in s3.list_objects_v2(Bucket="checks-second")
    s3.put_object(Bucket="checks-second", Key="k", Body=b"new")
    assert body("checks-second", "k") == b"new"


def check_users():
    wrong = client(secret="x" * 40)
    refused("SignatureDoesNotMatch", 403, wrong.list_buckets)
    refused("InvalidAccessKeyId", 403, client(access="NOBODY").list_buckets)
    other = client(os.environ["OTHER_ACCESS_KEY_ID"], os.environ["OTHER_SECRET_ACCESS_KEY"])
    assert other.list_buckets()["Buckets"] == []
    refused("AccessDenied", 403, other.list_objects_v2, Bucket="checks")
    refused("AccessDenied", 403, other.put_object, Bucket="checks", Key="k", Body=b"x")
    refused("BucketAlreadyExists", 409, other.create_bucket, Bucket="checks")
    url = f"{os.environ['AWS_ENDPOINT_URL']}/checks"
    try:
        urllib.request.urlopen(url)
        raise AssertionError("an unsigned request was served")
    except urllib.error.HTTPError as error:
        assert error.code == 403 and b"<Code>AccessDenied</Code>" in error.read()


def check_objects():
    data = os.urandom(100_000)
    put = s3.put_object(
        Bucket="checks", Key="plain", Body=data, ContentType="text/x-test", CacheControl="max-age=5",
        ContentDisposition="attachment", ContentLanguage="de", ContentEncoding="identity",
        Metadata={"one": "1", "two": "zwei"},
    )
    etag = f'"{hashlib.md5(data).hexdigest()}"'
    assert put["ETag"] == etag, put
    for found in (s3.get_object(Bucket="checks", Key="plain"), s3.head_object(Bucket="checks", Key="plain")):
        assert found["ETag"] == etag and found["ContentLength"] == len(data)
        assert found["ContentType"] == "text/x-test" and found["CacheControl"] == "max-age=5"
        assert found["ContentDisposition"] == "attachment" and found["ContentLanguage"] == "de"
        assert found["ContentEncoding"] == "identity", found.get("ContentEncoding")
        assert found["Metadata"] == {"one": "1", "two": "zwei"}
        assert abs(found["LastModified"].timestamp() - time.time()) < 300
    assert body("checks", "plain") == data
    assert body("checks", "plain", Range="bytes=10-19") == data[10:20]
    assert body("checks", "plain", Range="bytes=99990-200000") == data[99990:]
    assert body("checks", "plain", Range="bytes=-7") == data[-7:]
    found = s3.get_object(Bucket="checks", Key="plain", Range="bytes=5-")
    assert found["ContentRange"] == "bytes 5-99999/100000" and found["ResponseMetadata"]["HTTPStatusCode"] == 206
    refused("InvalidRange", 416, s3.get_object, Bucket="checks", Key="plain", Range="bytes=100000-")
    refused("NoSuchKey", 404, s3.get_object, Bucket="checks", Key="none")
    refused("404", 404, s3.head_object, Bucket="checks", Key="none")
    s3.put_object(Bucket="checks", Key="empty", Body=b"")
    assert body("checks", "empty") == b""
    assert s3.head_object(Bucket="checks", Key="empty")["ETag"] == '"d41d8cd98f00b204e9800998ecf8427e"'
    found = s3.get_object(Bucket="checks", Key="plain", ResponseContentType="text/other")
    assert found["ContentType"] == "text/other"
    s3.put_object(Bucket="checks", Key="plain", Body=b"replaced")
    assert body("checks", "plain") == b"replaced"
    s3.delete_object(Bucket="checks", Key="plain")
    s3.delete_object(Bucket="checks", Key="plain")
    refused("NoSuchKey", 404, s3.get_object, Bucket="checks", Key="plain")
    refused("KeyTooLongError", 400, s3.put_object, Bucket="checks", Key="k" * 1025, Body=b"")
    s3.put_object(Bucket="checks", Key="k" * 1024, Body=b"long")
    assert body("checks", "k" * 1024) == b"long"
    refused("MetadataTooLarge", 400, s3.put_object, Bucket="checks", Key="m", Body=b"", Metadata={"a": "b" * 3000})
    for size in (4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB + 17):
        data = os.urandom(size)
        s3.put_object(Bucket="checks", Key="sized", Body=data)
        assert body("checks", "sized") == data, size
        assert body("checks", "sized", Range=f"bytes={size - 3}-") == data[-3:]
        assert body("checks", "sized", Range="bytes=4194300-4194310") == data[4194300:4194311]


def check_conditions():
    etag = s3.put_object(Bucket="checks", Key="cond", Body=b"1")["ETag"]
    modified = s3.head_object(Bucket="checks", Key="cond")["LastModified"]
    get = lambda **kwargs: s3.get_object(Bucket="checks", Key="cond", **kwargs)
    get(IfMatch=etag)
    refused("PreconditionFailed", 412, get, IfMatch='"other"')
    refused("304", 304, get, IfNoneMatch=etag)
    get(IfNoneMatch='"other"')
    refused("304", 304, get, IfModifiedSince=modified)
    get(IfUnmodifiedSince=modified)
    put = lambda **kwargs: s3.put_object(Bucket="checks", Key="cond", Body=b"2", **kwargs)
    refused("PreconditionFailed", 412, put, IfNoneMatch="*")
    refused("PreconditionFailed", 412, put, IfMatch='"other"')
    put(IfMatch=etag)
    refused("NoSuchKey", 404, s3.put_object, Bucket="checks", Key="cond-none", Body=b"", IfMatch=etag)
    wins = []

    def race(number):
        try:
            s3.put_object(Bucket="checks", Key="race", Body=b"%d" % number, IfNoneMatch="*")
            wins.append(b"%d" % number)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed", error

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(wins) == 1 and body("checks", "race") == wins[0], wins


def check_checksums():
    data = os.urandom(70_000)
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        try:
            put = s3.put_object(Bucket="checks", Key=f"sum-{algorithm}", Body=data, ChecksumAlgorithm=algorithm)
        except Exception as error:  # boto3 needs an extra package for some
            if "CRT" in str(error) or "crt" in str(error):
                print(f"  {algorithm} is not in this boto3")
                continue
            raise
        head = s3.head_object(Bucket="checks", Key=f"sum-{algorithm}", ChecksumMode="ENABLED")
        assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
        assert head["ChecksumType"] == "FULL_OBJECT"
        assert body("checks", f"sum-{algorithm}", ChecksumMode="ENABLED") == data
    assert s3.head_object(Bucket="checks", Key="sum-CRC32", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc
    sha1 = base64.b64encode(hashlib.sha1(data).digest()).decode()
    s3.put_object(Bucket="checks", Key="sum", Body=data, ChecksumSHA1=sha1)
    wrong = base64.b64encode(hashlib.sha1(b"other").digest()).decode()
    refused("BadDigest", 400, s3.put_object, Bucket="checks", Key="bad", Body=data, ChecksumSHA1=wrong)
    refused("NoSuchKey", 404, s3.get_object, Bucket="checks", Key="bad")
    plain = client(request_checksum_calculation="when_required")
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    plain.put_object(Bucket="checks", Key="md5", Body=data, ContentMD5=md5)
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refused("BadDigest", 400, plain.put_object, Bucket="checks", Key="bad", Body=data, ContentMD5=wrong)
    refused("InvalidDigest", 400, plain.put_object, Bucket="checks", Key="bad", Body=data, ContentMD5="short")
    refused("NoSuchKey", 404, s3.get_object, Bucket="checks", Key="bad")


def check_copies():
    data = os.urandom(5 * MIB + 3)
    s3.put_object(Bucket="checks", Key="source ü+&", Body=data, Metadata={"a": "b"}, ContentType="text/a")
    source = {"Bucket": "checks", "Key": "source ü+&"}
    copied = s3.copy_object(Bucket="checks-second", Key="copy", CopySource=source)["CopyObjectResult"]
    assert copied["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    head = s3.head_object(Bucket="checks-second", Key="copy")
    assert head["Metadata"] == {"a": "b"} and head["ContentType"] == "text/a"
    assert body("checks-second", "copy") == data
    refused("InvalidRequest", 400, s3.copy_object, Bucket="checks", Key="source ü+&", CopySource=source)
    s3.copy_object(Bucket="checks", Key="source ü+&", CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "d"})
    assert s3.head_object(Bucket="checks", Key="source ü+&")["Metadata"] == {"c": "d"}
    assert body("checks", "source ü+&") == data
    refused("NoSuchKey", 404, s3.copy_object, Bucket="checks", Key="x", CopySource={"Bucket": "checks", "Key": "none"})
    refused(
        "PreconditionFailed", 412, s3.copy_object,
        Bucket="checks", Key="x", CopySource=source, CopySourceIfMatch='"other"',
    )


def check_listings():
    s3.create_bucket(Bucket="checks-list")
    keys = [f"flat-{number:03}" for number in range(40)]
    keys += [f"dir/{sub}/{number}" for sub in ("a", "b", "ü") for number in range(30)]
    keys += ["a b", "a+b", "a%b", "a&b<c>", "~", "日本語/x", "dir", "dir.", "dir0", "e//f"]
    for key in keys:
        s3.put_object(Bucket="checks-list", Key=key, Body=key.encode())
    ordered = sorted(keys, key=lambda key: key.encode())

    def rule(prefix, delimiter, after):
        items = []
        for key in ordered:
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            item = ("prefix", key[: at + len(delimiter)]) if at >= 0 else ("key", key)
            if not items or items[-1] != item:
                items.append(item)
        return items

    for prefix in ("", "dir", "dir/", "dir/a/", "none"):
        for delimiter in ("", "/", "a/"):
            for size in (1, 7, 1000):
                if size == 1 and delimiter == "":
                    continue
                wanted = dict(Bucket="checks-list", Prefix=prefix, MaxKeys=size)
                if delimiter:
                    wanted["Delimiter"] = delimiter
                for version in (1, 2):
                    found, more = [], {}
                    while True:
                        call = s3.list_objects_v2 if version == 2 else s3.list_objects
                        page = call(**wanted, **more)
                        items = [("key", item["Key"]) for item in page.get("Contents", [])]
                        items += [("prefix", item["Prefix"]) for item in page.get("CommonPrefixes", [])]
                        assert len(items) <= size
                        found += sorted(items, key=lambda item: item[1].encode())
                        if not page["IsTruncated"]:
                            break
                        if version == 2:
                            assert page["KeyCount"] == len(items) == size
                            more = {"ContinuationToken": page["NextContinuationToken"]}
                        else:
                            more = {"Marker": page.get("NextMarker") or items[-1][1]}
                    assert found == rule(prefix, delimiter, ""), (prefix, delimiter, size, version)
    page = s3.list_objects_v2(Bucket="checks-list", StartAfter="flat-030", Prefix="flat")
    assert [item["Key"] for item in page["Contents"]] == [f"flat-{number:03}" for number in range(31, 40)]
    first = s3.list_objects_v2(Bucket="checks-list", MaxKeys=1, FetchOwner=True)["Contents"][0]
    assert first["Size"] == len(first["Key"].encode()) and first["Owner"]["ID"], first
    assert s3.list_objects_v2(Bucket="checks-list", MaxKeys=0)["KeyCount"] == 0
    refused("InvalidArgument", 400, s3.list_objects_v2, Bucket="checks-list", ContinuationToken="nonsense")
    objects = [{"Key": key} for key in keys] + [{"Key": "never there"}]
    gone = s3.delete_objects(Bucket="checks-list", Delete={"Objects": objects})
    assert len(gone["Deleted"]) == len(objects) and "Errors" not in gone
    assert s3.list_objects_v2(Bucket="checks-list")["KeyCount"] == 0
    s3.delete_bucket(Bucket="checks-list")


def check_multipart():
    parts = [os.urandom(5 * MIB), os.urandom(6 * MIB + 11), os.urandom(99)]
    whole = b"".join(parts)
    begun = s3.create_multipart_upload(Bucket="checks", Key="big", ContentType="text/big", Metadata={"m": "n"})
    upload = dict(Bucket="checks", Key="big", UploadId=begun["UploadId"])
    etags = {}
    for number, data in zip((1, 5, 9), parts):
        s3.upload_part(**upload, PartNumber=number, Body=b"first try")
        etags[number] = s3.upload_part(**upload, PartNumber=number, Body=data)["ETag"]
    s3.upload_part(**upload, PartNumber=7, Body=b"not used")
    listed = s3.list_parts(**upload, MaxParts=3)
    assert [part["PartNumber"] for part in listed["Parts"]] == [1, 5, 7] and listed["IsTruncated"]
    rest = s3.list_parts(**upload, PartNumberMarker=listed["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [9] and rest["Parts"][0]["Size"] == 99
    uploads = s3.list_multipart_uploads(Bucket="checks")["Uploads"]
    assert [(item["Key"], item["UploadId"]) for item in uploads] == [("big", begun["UploadId"])]
    refused("NoSuchKey", 404, s3.get_object, Bucket="checks", Key="big")
    done = lambda chosen: {"Parts": [{"PartNumber": number, "ETag": etags[number]} for number in chosen]}
    complete = s3.complete_multipart_upload
    refused("InvalidPartOrder", 400, complete, **upload, MultipartUpload=done((5, 1)))
    refused("EntityTooSmall", 400, complete, **upload, MultipartUpload={"Parts": [
        {"PartNumber": 7, "ETag": hashlib.md5(b"not used").hexdigest()}, {"PartNumber": 9, "ETag": etags[9]}]})
    refused("InvalidPart", 400, complete, **upload, MultipartUpload={"Parts": [{"PartNumber": 2, "ETag": etags[1]}]})
    etag = complete(**upload, MultipartUpload=done((1, 5, 9)))["ETag"]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    assert etag == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert complete(**upload, MultipartUpload=done((1, 5, 9)))["ETag"] == etag, "asking again is no harm"
    head = s3.head_object(Bucket="checks", Key="big")
    assert head["ContentLength"] == len(whole) and head["Metadata"] == {"m": "n"} and head["ETag"] == etag
    assert body("checks", "big") == whole
    at = 5 * MIB
    assert body("checks", "big", Range=f"bytes={at - 5}-{at + 4}") == whole[at - 5 : at + 5]
    assert body("checks", "big", PartNumber=2) == parts[1]
    assert s3.head_object(Bucket="checks", Key="big", PartNumber=3)["PartsCount"] == 3
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="checks")
    begun = s3.create_multipart_upload(Bucket="checks", Key="put together")
    upload = dict(Bucket="checks", Key="put together", UploadId=begun["UploadId"])
    source = {"Bucket": "checks", "Key": "big"}
    refused("InvalidRange", 416, s3.upload_part_copy, **upload, PartNumber=1, CopySource=source,
            CopySourceRange=f"bytes=0-{len(whole)}")
    made = [
        s3.upload_part_copy(**upload, PartNumber=1, CopySource=source, CopySourceRange=f"bytes=3-{6 * MIB + 2}"),
        s3.upload_part_copy(**upload, PartNumber=2, CopySource=source),
    ]
    listed = [{"PartNumber": at + 1, "ETag": part["CopyPartResult"]["ETag"]} for at, part in enumerate(made)]
    complete(**upload, MultipartUpload={"Parts": listed})
    assert body("checks", "put together") == whole[3 : 6 * MIB + 3] + whole
    s3.copy_object(Bucket="checks-second", Key="flattened", CopySource=source)
    assert body("checks-second", "flattened") == whole
    begun = s3.create_multipart_upload(Bucket="checks", Key="given up")
    upload = dict(Bucket="checks", Key="given up", UploadId=begun["UploadId"])
    s3.upload_part(**upload, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(**upload)
    refused("NoSuchUpload", 404, s3.upload_part, **upload, PartNumber=2, Body=b"x")
    refused("NoSuchUpload", 404, s3.list_parts, **upload)
    refused("NoSuchUpload", 404, s3.abort_multipart_upload, **upload)
    data = os.urandom(20 * MIB + 5)
    s3.upload_fileobj(io.BytesIO(data), "checks", "transferred")
    back = io.BytesIO()
    s3.download_fileobj("checks", "transferred", back)
    assert back.getvalue() == data


def check_presigned():
    for version in ("s3v4",):
        signer = client(signature_version=version)
        parameters = {"Bucket": "checks", "Key": f"signed {version}"}
        url = signer.generate_presigned_url("put_object", parameters, ExpiresIn=60)
        request = urllib.request.Request(url, data=b"by url", method="PUT")
        assert urllib.request.urlopen(request).status == 200
        url = signer.generate_presigned_url("get_object", parameters, ExpiresIn=60)
        assert urllib.request.urlopen(url).read() == b"by url"
        for wrong in (url.replace("signed", "sibned"), url[:-1] + ("0" if url[-1] != "0" else "1")):
            try:
                urllib.request.urlopen(wrong)
                raise AssertionError("a forged address was served")
            except urllib.error.HTTPError as error:
                assert error.code == 403, error.code


def check_names():
    """Keys with everything that paths, queries, XML and URL encoding care about."""
    s3.create_bucket(Bucket="checks-names")
    keys = ["/lead", "a//b", "a/../b", "a/./b", "a/", "per%cent", "per%2Fcent", "pl+us", "q?m=1&n", "ha#sh", "quo'te\"",
            "<tag>&amp;", "tab\tbed", "new\nline", "back\\slash", "colon:semi;", "emoji \U0001f600", "e\u0301", "\u00e9",
            " blank ", "~tilde", "*star", "(paren)", "@$,=!"]
    for key in keys:
        s3.put_object(Bucket="checks-names", Key=key, Body=key.encode())
    for key in keys:
        assert body("checks-names", key) == key.encode(), key
        assert s3.head_object(Bucket="checks-names", Key=key)["ContentLength"] == len(key.encode()), key
    ordered = sorted(keys, key=lambda key: key.encode())
    listed = [item["Key"] for item in s3.list_objects_v2(Bucket="checks-names")["Contents"]]
    assert listed == ordered, listed
    signer = client(signature_version="s3v4")
    url = signer.generate_presigned_url("list_objects_v2", {"Bucket": "checks-names", "MaxKeys": 5, "Prefix": "per%"})
    listed = urllib.request.urlopen(url).read()
    assert b"<Key>per%252Fcent</Key>" in listed and b"<Prefix>per%25</Prefix>" in listed, listed
    for key in keys:
        for version in (signer, s3):  # boto3 signs addresses of objects the old way unless told otherwise
            url = version.generate_presigned_url("get_object", {"Bucket": "checks-names", "Key": key})
            assert urllib.request.urlopen(url).read() == key.encode(), key
    for key in keys[:5]:
        s3.copy_object(Bucket="checks-names", Key=f"copy of {key}", CopySource={"Bucket": "checks-names", "Key": key})
        assert body("checks-names", f"copy of {key}") == key.encode(), key
    gone = s3.delete_objects(
        Bucket="checks-names", Delete={"Quiet": True, "Objects": [{"Key": key} for key in keys + ["never there"]]}
    )
    assert "Deleted" not in gone and "Errors" not in gone, gone
    assert s3.list_objects_v2(Bucket="checks-names")["KeyCount"] == 5
    some = [{"Key": "copy of /lead", "VersionId": "no-such-version"}, {"Key": "copy of a//b"}]
    gone = s3.delete_objects(Bucket="checks-names", Delete={"Objects": some})
    assert [item["Key"] for item in gone["Deleted"]] == ["copy of a//b"], gone
    assert [(item["Key"], item["Code"]) for item in gone["Errors"]] == [("copy of /lead", "NoSuchVersion")], gone
    too_many = {"Objects": [{"Key": str(number)} for number in range(1001)]}
    refused("MalformedXML", 400, s3.delete_objects, Bucket="checks-names", Delete=too_many)


def check_ranges():
    data = bytes(range(100))
    s3.put_object(Bucket="checks", Key="ranged", Body=data)
    for wish, expected in (("bytes=0-0", data[:1]), ("bytes=-1", data[-1:]), ("bytes=-500", data), ("bytes=0-", data)):
        found = s3.get_object(Bucket="checks", Key="ranged", Range=wish)
        assert found["ResponseMetadata"]["HTTPStatusCode"] == 206 and found["Body"].read() == expected, wish
        head = s3.head_object(Bucket="checks", Key="ranged", Range=wish)
        assert head["ResponseMetadata"]["HTTPStatusCode"] == 206 and head["ContentLength"] == len(expected), wish
    # AWS overlooks what is no range; here it is refused, and no other bytes come than were asked for.
    for wish in ("bytes=7-3", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5"):
        refused("InvalidArgument", 400, s3.get_object, Bucket="checks", Key="ranged", Range=wish)
    refused("InvalidRange", 416, s3.get_object, Bucket="checks", Key="ranged", Range="bytes=-0")
    refused("InvalidRange", 416, s3.get_object, Bucket="checks", Key="empty", Range="bytes=0-5")
    refused("InvalidPartNumber", 416, s3.get_object, Bucket="checks", Key="ranged", PartNumber=2)
    part = s3.get_object(Bucket="checks", Key="ranged", PartNumber=1)
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206 and part["Body"].read() == data


def check_wishes():
    """What is not there is refused, not forgotten."""
    put = lambda **kwargs: s3.put_object(Bucket="checks", Key="wish", Body=b"x", **kwargs)
    refused("NotImplemented", 501, put, Tagging="a=b")
    refused("NotImplemented", 501, put, ServerSideEncryption="AES256")
    refused("NotImplemented", 501, put, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=2e9)
    refused("AccessControlListNotSupported", 400, put, ACL="public-read")
    refused("AccessControlListNotSupported", 400, s3.create_bucket, Bucket="checks-public", ACL="public-read")
    refused("NoSuchKey", 404, s3.get_object, Bucket="checks", Key="wish")
    put(ACL="private", StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket="checks", Key="wish")["StorageClass"] == "STANDARD_IA"
    source = {"Bucket": "checks", "Key": "wish"}
    s3.copy_object(Bucket="checks", Key="wish", CopySource=source, StorageClass="STANDARD")
    assert "StorageClass" not in s3.head_object(Bucket="checks", Key="wish") and body("checks", "wish") == b"x"
    refused("InvalidStorageClass", 400, put, StorageClass="NONE_SUCH")
    for name in ("ab", "Upper", "under_score", "a..b", "1.2.3.4"):
        refused("InvalidBucketName", 400, s3.create_bucket, Bucket=name)


def signing_key(date):
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for word in (date, os.environ["AWS_DEFAULT_REGION"], "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key


def send_chunks(key, payload, chunks, trailer=None, spoil=False, algorithm="STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):
    """A PUT whose body is cut into chunks, each signed with the one before, as AWS's own SDKs do over plain HTTP."""
    now = time.gmtime()
    stamp, date = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
    scope = f"{date}/{os.environ['AWS_DEFAULT_REGION']}/s3/aws4_request"
    endpoint = urllib.parse.urlparse(os.environ["AWS_ENDPOINT_URL"])
    headers = {
        "content-encoding": "aws-chunked", "host": endpoint.netloc, "x-amz-content-sha256": algorithm,
        "x-amz-date": stamp, "x-amz-decoded-content-length": str(len(payload)),
    }
    if trailer:
        headers["x-amz-trailer"] = trailer[0]
    names = ";".join(sorted(headers))
    canonical = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"PUT\n/checks/{key}\n\n{canonical}\n{names}\n{algorithm}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    secret = signing_key(date)
    sign = lambda text: hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    signature = sign(text)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope},SignedHeaders={names},Signature={signature}"
    )
    is_signed, nothing, out = "UNSIGNED" not in algorithm, hashlib.sha256(b"").hexdigest(), b""
    for chunk in chunks + [b""]:
        if is_signed:
            words = f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{signature}\n{nothing}\n"
            signature = sign(words + hashlib.sha256(chunk).hexdigest())
            out += f"{len(chunk):x};chunk-signature={signature}\r\n".encode()
        else:
            out += f"{len(chunk):x}\r\n".encode()
        sent = chunk[:-1] + bytes([chunk[-1] ^ 1]) if spoil and chunk else chunk
        out += sent + (b"\r\n" if chunk or not trailer else b"")
    if trailer:
        line = f"{trailer[0]}:{trailer[1]}"
        out += f"{line}\r\n".encode()
        if is_signed:
            words = f"AWS4-HMAC-SHA256-TRAILER\n{stamp}\n{scope}\n{signature}\n"
            out += f"x-amz-trailer-signature:{sign(words + hashlib.sha256((line + chr(10)).encode()).hexdigest())}\r\n".encode()
        out += b"\r\n"
    connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=30)
    connection.request("PUT", f"/checks/{key}", out, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, (text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in text else "")


def check_chunks():
    data = os.urandom(200_000)
    chunks = [data[:65536], data[65536:131072], data[131072:]]
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    wrong = base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
    signed, unsigned = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert send_chunks("chunked", data, chunks) == (200, "")
    assert body("checks", "chunked") == data
    assert "ContentEncoding" not in s3.head_object(Bucket="checks", Key="chunked")
    assert send_chunks("spoilt", data, chunks, spoil=True) == (403, "SignatureDoesNotMatch")
    for algorithm in (signed, unsigned):
        trailer = lambda value: dict(trailer=("x-amz-checksum-crc32", value), algorithm=algorithm)
        assert send_chunks("trailed", data, chunks, **trailer(crc)) == (200, ""), algorithm
        head = s3.head_object(Bucket="checks", Key="trailed", ChecksumMode="ENABLED")
        assert head["ChecksumCRC32"] == crc, head
        assert body("checks", "trailed") == data
        assert send_chunks("spoilt", data, chunks, **trailer(wrong)) == (400, "BadDigest"), algorithm
    assert send_chunks("spoilt", data, chunks[:-1])[0] == 400, "fewer bytes than were announced"
    refused("NoSuchKey", 404, s3.get_object, Bucket="checks", Key="spoilt")


def check_expiry():
    signers = (s3, client(signature_version="s3v4"))
    parameters = {"Bucket": "checks", "Key": "sized"}
    urls = [signer.generate_presigned_url("get_object", parameters, ExpiresIn=1) for signer in signers]
    time.sleep(2.1)
    for url in urls:
        try:
            urllib.request.urlopen(url)
            raise AssertionError("an address that has expired was served")
        except urllib.error.HTTPError as error:
            assert error.code == 403 and b"<Code>AccessDenied</Code>" in error.read()


def main():
    checks = [(name, check) for name, check in globals().items() if name.startswith("check_")]
    failed = 0
    for name, check in checks:
        try:
            check()
            print(f"ok {name}")
        except Exception as error:  # one failure must not hide the others
            import traceback

            failed += 1
            print(f"FAILED {name}: {error}")
            traceback.print_exc()
    sys.exit(1 if failed else 0)


main()
