"""A function for the tests of what surrounds functions: it does what its event says."""

import http.client
import json
import os
import threading
import time

HOST, _, PREFIX = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")
RUNTIME = f"/{PREFIX}/2018-06-01/runtime" if PREFIX else "/2018-06-01/runtime"
STREAMING = {
    "content-type": "application/vnd.awslambda.http-integration-response",
    "lambda-runtime-function-response-mode": "streaming",
    "transfer-encoding": "chunked",
}
ticks = 0


def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1


def call(method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(HOST)
    try:
        connection.request(method, RUNTIME + path, body, headers or {}, encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError):
        # cargo-lambda may answer a stream and hang up before it has heard the stream's end.
        print("hung up on", flush=True)
        return None, b""
    answer = connection.getresponse()
    return answer, answer.read()


def streamed(event, wish):
    head = {"statusCode": 203, "headers": {"content-type": "application/json", "x-mode": "streaming"}, "cookies": ["a=1", "b=2"]}
    yield json.dumps(head).encode() + bytes(8)
    if wish == "break":
        yield b"half"
        time.sleep(0.1)
        os._exit(1)
    if wish == "slowly":
        yield b"one,"
        time.sleep(0.3)
        yield b"two"
    else:
        yield json.dumps(event).encode()


def wish_of(event):
    """What to do: a word in the event, the path of a request, a query or frame of a socket."""
    if "rawPath" in event:
        print(json.dumps(event), flush=True)
        return event["rawPath"].rsplit("/", 1)[-1], True
    if "requestContext" in event:
        print(json.dumps(event), flush=True)
        query = event.get("queryStringParameters") or {}
        return query.get("do") or event.get("body") or "agree", False
    if "Records" in event:
        print(json.dumps(event), flush=True)
        return event["Records"][0]["body"], False
    return event.get("do"), False


def answer(event, told):
    wish, is_http = wish_of(event)
    if wish == "die":
        os._exit(1)
    if wish == "hang":
        time.sleep(60)
    if wish == "fail":
        return "error", json.dumps({"errorType": "Test.Fault", "errorMessage": "as it was told"}), {}
    if is_http:
        return "response", streamed(event, wish), STREAMING
    if wish == "refuse":
        return "response", json.dumps({"statusCode": 403}), {}
    if wish == "hesitate":
        time.sleep(0.5)
    if "Records" in event:
        failures = [{"itemIdentifier": event["Records"][0]["messageId"]}] if wish == "unheard" else []
        return "response", json.dumps({"batchItemFailures": failures}), {}
    if "requestContext" in event:
        return "response", json.dumps({"statusCode": 200}), {}
    variables = {name: value for name, value in os.environ.items() if name.startswith("AWS_LAMBDA_")}
    told = {"event": event, "headers": told, "process": os.getpid(), "ticks": ticks, "variables": variables}
    return "response", json.dumps(told), {}


threading.Thread(target=tick, daemon=True).start()
while True:
    invocation, event = call("GET", "/invocation/next")
    told = {name.lower(): value for name, value in invocation.getheaders()}
    kind, body, headers = answer(json.loads(event), told)
    accepted, _ = call("POST", f"/invocation/{told['lambda-runtime-aws-request-id']}/{kind}", body, headers)
    if accepted:
        print(f"accepted with {accepted.status}", flush=True)
