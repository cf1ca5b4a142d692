"""Several clients that put, replace and delete, and write down what was answered; and the check of what they wrote.

    load.py write JOURNAL     until JOURNAL.stop is there
    load.py check JOURNAL     what was answered is there and equal; what is listed is whole

A line of the journal is "put KEY SEED SIZE" or "begin KEY" or "delete KEY". Each client has keys of its own, so the
order of its lines is the order of its requests. A request without an answer may have taken effect or not.
"""

import hashlib
import os
import random
import sys
import threading
import time

import boto3
from botocore.config import Config

BUCKET = "killed"
CLIENTS = 6
SIZES = [0, 100, 4096, 100_000, 4 << 20, (9 << 20) + 1]
WEIGHTS = [1, 6, 10, 4, 1, 1]


def client():
    config = Config(
        s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=5, read_timeout=60,
        max_pool_connections=CLIENTS,
    )
    return boto3.client(
        "s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_DEFAULT_REGION"], config=config
    )


def data_of(seed, size):
    block = hashlib.sha256(str(seed).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def write(journal):
    s3 = client()
    s3.create_bucket(Bucket=BUCKET)
    lock, out = threading.Lock(), open(journal, "a", buffering=1)

    def note(*words):
        with lock:
            out.write(" ".join(str(word) for word in words) + "\n")

    def one(number):
        rng, count = random.Random(number), 0
        while not os.path.exists(journal + ".stop"):
            count += 1
            key = f"{number}/{rng.randrange(60)}"
            note("begin", key)
            try:
                if rng.random() < 0.15:
                    s3.delete_object(Bucket=BUCKET, Key=key)
                    note("delete", key)
                else:
                    seed, size = f"{number}-{count}", rng.choices(SIZES, WEIGHTS)[0]
                    s3.put_object(Bucket=BUCKET, Key=key, Body=data_of(seed, size), Metadata={"seed": seed})
                    note("put", key, seed, size)
            except Exception:  # no answer: the gateway or an OSD is away
                time.sleep(0.05)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(CLIENTS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def check(journal):
    s3 = client()
    answered, open_keys = {}, set()
    for line in open(journal):
        words = line.split()
        if words[0] == "begin":
            # A request without an answer before this one makes the key's state unknown until the next answer.
            if words[1] in open_keys:
                answered.setdefault(words[1], None)
                answered[words[1]] = ("unsure", answered[words[1]])
            open_keys.add(words[1])
        elif words[0] == "put":
            answered[words[1]] = (words[2], int(words[3]))
            open_keys.discard(words[1])
        else:
            answered[words[1]] = "gone"
            open_keys.discard(words[1])
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, MaxKeys=50):
        for item in page.get("Contents", []):
            listed[item["Key"]] = item
    for key, item in listed.items():
        found = s3.get_object(Bucket=BUCKET, Key=key)
        data = found["Body"].read()
        assert data == data_of(found["Metadata"]["seed"], len(data)), f"{key} is not what was put"
        assert item["Size"] == len(data) and item["ETag"] == f'"{hashlib.md5(data).hexdigest()}"', key
        expected = answered.get(key)
        if key not in open_keys and isinstance(expected, tuple) and expected[0] != "unsure":
            assert (found["Metadata"]["seed"], len(data)) == expected, f"{key}: another than was answered last"
    sure = 0
    for key, expected in answered.items():
        if key in open_keys or expected is None or expected[0] == "unsure":
            continue
        sure += 1
        if expected == "gone":
            assert key not in listed, f"{key} was deleted"
        else:
            assert key in listed, f"{key} was answered and is not listed"
    print(f"{len(listed)} listed, {sure} certain, {len(open_keys)} without an answer: all as answered")


{"write": write, "check": check}[sys.argv[1]](sys.argv[2])
