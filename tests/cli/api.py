#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""api.py PROTO_DIR ADDRESS METHOD [REQUEST-JSON] [--first=N] [--ready=FILE]
api.py PROTO_DIR ADDRESS -   (a line "METHOD REQUEST-JSON" of stdin for each)

A client of rkt api-service: gRPC's own library, messages by protoc from
spec/api/v1alpha/api.proto.  Prints each answer as a line of JSON; a status
that is not OK as "STATUS: TEXT", exit code 1.  --first ends after N answers of
a stream, --ready makes FILE when the service has taken the call.
"""
import json
import sys

sys.path.insert(0, sys.argv[1])
import api_pb2  # noqa: E402
import grpc  # noqa: E402
from google.protobuf import json_format  # noqa: E402

STREAMS = ("ListenEvents", "GetLogs")


def printed(message):
    return json.dumps(json_format.MessageToDict(
        message, preserving_proto_field_name=True), sort_keys=True)


class Service:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_http_proxy", 0)])

    def call(self, method, request, timeout):
        make = (self.channel.unary_stream if method in STREAMS
                else self.channel.unary_unary)
        message = json_format.Parse(
            request, getattr(api_pb2, method + "Request")())
        return make("/v1alpha.PublicAPI/" + method,
                    request_serializer=type(message).SerializeToString,
                    response_deserializer=getattr(
                        api_pb2, method + "Response").FromString)(
                            message, timeout=timeout)


def read_stream(stream, flags):
    stream.initial_metadata()
    if "ready" in flags:
        open(flags["ready"], "w", encoding="utf-8").close()
    left = int(flags.get("first", 0))
    for answer in stream:
        print(printed(answer), flush=True)
        left -= 1
        if left == 0:
            stream.cancel()
            break


def main():
    words = [a for a in sys.argv[2:] if not a.startswith("--")]
    flags = dict(a[2:].split("=", 1) for a in sys.argv[2:] if a.startswith("--"))
    timeout = float(flags.get("timeout", 60))
    service = Service(words[0])
    if words[1] == "-":
        asked = [line.split(" ", 1) for line in sys.stdin]
    else:
        asked = [(words[1], words[2] if len(words) > 2 else "{}")]
    try:
        for method, request in asked:
            answer = service.call(method, request, timeout)
            if method in STREAMS:
                read_stream(answer, flags)
            else:
                print(printed(answer), flush=True)
        return 0
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
