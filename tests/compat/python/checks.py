"""What boto3 must see of a gateway: every operation, its refusals, and their codes. Ends with status 0 if all holds."""

import base64
import hashlib
import io
import os
import sys
import threading
import time
import urllib.error
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
